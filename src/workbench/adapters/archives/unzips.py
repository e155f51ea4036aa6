"""Archives that come in: gathered in a temporary file without a name, then opened with care."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager

from workbench.adapters.archives.unpacking import open_zip, over
from workbench.domain.archive.model import ArchiveLimits
from workbench.domain.archive.ports import OpenedArchive, Unpacker


class ZipUnpacker(Unpacker):
    """Takes in zip archives."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self._limits = limits

    @asynccontextmanager
    async def open(self, chunks: AsyncIterable[bytes]) -> AsyncGenerator[OpenedArchive]:
        """Count what comes while it is written."""
        most = self._limits.packed_bytes
        with tempfile.TemporaryFile(prefix="workbench-import-") as file:
            size = 0
            async for chunk in chunks:
                size += len(chunk)
                if size > most:
                    raise over("packed_bytes", f"an archive is limited to {most} bytes")
                await asyncio.to_thread(file.write, chunk)
            yield await open_zip(file, self._limits)
