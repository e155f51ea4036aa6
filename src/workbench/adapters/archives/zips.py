"""Zip archives, made in a temporary file: of constant memory, and of a size that is known before they are sent."""

import asyncio
import tempfile
import zipfile
from collections.abc import AsyncIterable, AsyncIterator
from typing import IO

from workbench.domain.archive.ports import Package, Packer

READ_BYTES = 256 << 10


class ZipPackage(Package):
    """One archive."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="workbench-archive-")  # noqa: SIM115 - closed by `discard`
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED)

    async def add(self, path: str, chunks: AsyncIterable[bytes]) -> None:
        """Deflate on a thread, piece by piece."""
        # The size is not known yet, and a part may be larger than the old format's 2 GiB.
        with self._zip.open(path, "w", force_zip64=True) as part:
            async for chunk in chunks:
                await asyncio.to_thread(part.write, chunk)

    async def seal(self) -> int:
        """Write the directory."""
        await asyncio.to_thread(self._zip.close)
        return self._file.tell()

    async def read(self) -> AsyncIterator[bytes]:
        """From the beginning to the end."""
        try:
            self._file.seek(0)
            while chunk := await asyncio.to_thread(self._file.read, READ_BYTES):
                yield chunk
        finally:
            self._file.close()

    async def discard(self) -> None:
        """Close the file, which has no name, behind the archive, which would write its directory there."""
        self._zip.close()
        self._file.close()


class ZipPacker(Packer):
    """Makes zip archives."""

    async def open(self) -> ZipPackage:
        """Begin one."""
        return ZipPackage()
