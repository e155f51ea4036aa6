"""What a service must not forget: its assistants, their config, the conversations that they sit in, and states."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import msgspec

from workbench.sdk.model import Json


class Seat(msgspec.Struct, kw_only=True):
    """An assistant's place in a conversation."""

    title: str = ""
    states: dict[str, Json] = {}


class Record(msgspec.Struct, kw_only=True):
    """All that is known of an assistant; without a config it has the default one."""

    id: UUID
    name: str
    template_id: str
    config: Json = {}
    seats: dict[UUID, Seat] = {}


class Store:
    """Keeps a file for each assistant, or without a folder nothing."""

    def __init__(self, folder: Path | None) -> None:
        """Keep the files there; the folder is made."""
        self._folder = folder
        self._turn = asyncio.Lock()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def load(self) -> dict[UUID, Record]:
        """Read all assistants. Raises ValueError that names the file that cannot be read."""
        records: dict[UUID, Record] = {}
        for path in self._folder.glob("*.json") if self._folder else ():
            try:
                record = msgspec.json.decode(path.read_bytes(), type=Record)
            except msgspec.DecodeError as error:
                raise ValueError(f"{path}: {error}") from error
            records[record.id] = record
        return records

    async def save(self, record: Record) -> None:
        """Write an assistant to the disk; a crash leaves the old file or the new."""
        if self._folder is not None:
            await self._in_turn(_write, self._folder / f"{record.id}.json", msgspec.json.encode(record))

    async def remove(self, assistant_id: UUID) -> None:
        """Forget an assistant."""
        if self._folder is not None:
            await self._in_turn(_remove, self._folder / f"{assistant_id}.json")

    async def _in_turn(self, act: Callable[..., None], *arguments: object) -> None:
        async def alone() -> None:
            async with self._turn:
                await asyncio.to_thread(act, *arguments)

        # A caller that is cancelled leaves a thread behind that still writes: the next must wait for it.
        await asyncio.shield(alone())


def _write(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
