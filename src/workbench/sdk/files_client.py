"""The files of a conversation in the workbench."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from workbench.sdk.calls import Calls, taking_missing_for_an_answer
from workbench.sdk.model import File, FileVersion, Json, plain


class _Files(msgspec.Struct):
    files: list[File]


class _Versions(msgspec.Struct):
    versions: list[FileVersion]


class FilesClient:
    """The files of one conversation."""

    def __init__(self, calls: Calls, path: str) -> None:
        self._calls = calls
        self._path = path

    async def all(self, prefix: str = "") -> list[File]:
        """List those whose names begin so, each at its newest version."""
        return (await self._calls.get(self._path, _Files, {"prefix": prefix} if prefix else None)).files

    async def upload(
        self,
        filename: str,
        content: bytes,
        *,
        content_type: str = "application/octet-stream",
        metadata: msgspec.Struct | Mapping[str, Any] | None = None,
    ) -> File:
        """Store a file; under a name that is there it becomes the next version. It is sent once, and not repeated."""
        form = {} if metadata is None else {"metadata": msgspec.json.encode({filename: plain(metadata)}).decode()}
        parts = [("files", (filename, content, content_type))]
        return (await self._calls.upload(self._path, parts, form, _Files)).files[0]

    async def read(self, filename: str, version: int | None = None) -> bytes:
        """Read a file whole, by default its newest version."""
        return b"".join([chunk async for chunk in self.stream(filename, version)])

    async def stream(self, filename: str, version: int | None = None) -> AsyncGenerator[bytes]:
        """Read a file as it comes, for what is not to be held whole."""
        async for chunk in self._calls.chunks(self._named(filename), None if version is None else {"version": version}):
            yield chunk

    async def versions(self, filename: str) -> list[FileVersion]:
        """List a file's versions, the oldest first; a file that is not there has none."""
        with taking_missing_for_an_answer():
            return (await self._calls.get(f"{self._named(filename)}/versions", _Versions)).versions
        return []

    async def describe(self, filename: str, metadata: Json) -> None:
        """Lay metadata over that of the newest version, key by key."""
        await self._calls.tell("PATCH", self._named(filename), {"metadata": metadata})

    async def delete(self, filename: str) -> None:
        """Delete a file with all its versions; one that is gone already is as well."""
        with taking_missing_for_an_answer():
            await self._calls.tell("DELETE", self._named(filename))

    def _named(self, filename: str) -> str:
        return f"{self._path}/{quote(filename, safe='')}"
