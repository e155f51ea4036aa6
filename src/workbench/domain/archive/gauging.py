"""Counting what goes into an archive while it is made, so that none is made that no import takes."""

from collections.abc import AsyncIterable, AsyncIterator, Mapping

from workbench.domain.archive.checking import RecordLimits
from workbench.domain.archive.model import ArchiveLimits, Watch, unwatched
from workbench.domain.errors import TooLargeError


class Gauge:
    """Counts entries, records and bytes of one archive."""

    def __init__(self, watch: Watch = unwatched, limits: ArchiveLimits | None = None) -> None:
        """Without limits it only counts."""
        self.watch = watch
        self._limits = limits
        self._entries = 0
        self._unpacked = 0

    def records(self, counts: Mapping[str, int]) -> None:
        """Count the records. Raises TooLargeError."""
        most = RecordLimits().records
        if self._limits and sum(counts.values()) > most:
            raise _over("records", f"{most} records")

    async def part(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """Count a part, and its bytes as they go by. Raises TooLargeError."""
        self._entries += 1
        if self._limits and self._entries > self._limits.entries:
            raise _over("entries", f"{self._limits.entries} entries")
        async for chunk in chunks:
            self._unpacked += len(chunk)
            if self._limits and self._unpacked > self._limits.unpacked_bytes:
                raise _over("unpacked_bytes", f"{self._limits.unpacked_bytes} bytes unpacked")
            yield chunk

    def sealed(self, size: int) -> None:
        """Compare with the size that the archive has. Raises TooLargeError."""
        if self._limits is None:
            return
        if size > self._limits.packed_bytes:
            raise _over("packed_bytes", f"{self._limits.packed_bytes} bytes")
        if self._unpacked > self._limits.unpacked_by_ratio(size):
            raise _over("ratio", f"{self._limits.ratio} times its size when unpacked")


def _over(limit: str, words: str) -> TooLargeError:
    return TooLargeError(
        f"the archive would hold more than an import takes, {words}: export fewer conversations at once",
        code="archive_limit",
        extra={"limit": limit},
    )
