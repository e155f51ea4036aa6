"""The turns of a conversation in the workbench, as those see them who ask and who watch."""

from collections.abc import AsyncGenerator
from urllib.parse import quote
from uuid import UUID

import msgspec

from workbench.sdk.calls import Calls
from workbench.sdk.model import Json
from workbench.sdk.streams import turn_events
from workbench.sdk.turn_model import OpenedTurn, Turn, TurnEvent, TurnInput, TurnOptions


class _Turns(msgspec.Struct):
    turns: list[Turn]


class _Cancelled(msgspec.Struct):
    cancelled: bool


class _NewTurn(msgspec.Struct, omit_defaults=True):
    turn_id: str
    assistant_id: UUID
    input: TurnInput
    options: TurnOptions | None = None
    parent_turn_id: str | None = None


class TurnsClient:
    """The turns of one conversation."""

    def __init__(self, calls: Calls, path: str) -> None:
        self._calls = calls
        self.path = path

    async def open(
        self,
        turn_id: str,
        assistant_id: UUID,
        content: str | TurnInput,
        *,
        options: TurnOptions | None = None,
        parent_turn_id: str | None = None,
    ) -> OpenedTurn:
        """Ask an assistant, under an id of our own choice; the same once more is safe, and is `replayed`.

        Raises CallError; its `code` is `turn_active` where the assistant has another turn under way.
        """
        asked = TurnInput(content=content) if isinstance(content, str) else content
        new = _NewTurn(turn_id, assistant_id, asked, options, parent_turn_id)
        return await self._calls.send("POST", self.path, new, OpenedTurn)

    async def all(self, *, only_active: bool = False, before: str | None = None, limit: int = 50) -> list[Turn]:
        """List them without their parts, newest first, those opened before the turn `before`."""
        query: Json = {"status": "active" if only_active else "all", "limit": limit}
        query |= {} if before is None else {"before": before}
        return (await self._calls.get(self.path, _Turns, query)).turns

    async def get(self, turn_id: str) -> Turn:
        """Look at one, with its parts as far as there are any."""
        return await self._calls.get(self._named(turn_id), Turn)

    async def cancel(self, turn_id: str, reason: str | None = None) -> bool:
        """Ask for its end; False when it was over already."""
        path = f"{self._named(turn_id)}/cancel"
        return (await self._calls.send("POST", path, {"reason": reason}, _Cancelled)).cancelled

    async def retry(self, turn_id: str) -> Turn:
        """Have it made once more, after its producer was lost."""
        return await self._calls.send("POST", f"{self._named(turn_id)}/retry", None, Turn, once=True)

    def watch(self, turn_id: str, last_event_id: str | None = None) -> AsyncGenerator[TurnEvent]:
        """Read what happens in a turn, behind that event or from the beginning, up to its end.

        A connection that breaks is taken up again behind the last event. Where much has happened, a `turn.snapshot`
        may come first. Nothing comes when the end itself is behind us. Raises CallError when the workbench does not
        let us read, or no longer.
        """
        return turn_events(self._calls, f"{self._named(turn_id)}/stream", last_event_id)

    def _named(self, turn_id: str) -> str:
        return f"{self.path}/{quote(turn_id, safe='')}"
