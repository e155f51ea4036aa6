"""Where bytes lie, and where it is written down which they are."""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from workbench.domain.contents.model import ByteRange, Content, StoredContent, StoredObject
from workbench.domain.jobs.ports import Jobs


class ContentStore(Protocol):
    """Holds bytes under keys; a key is written once and never again. Raises UnavailableError where it is away."""

    async def put(self, workspace_id: str, chunks: AsyncIterable[bytes]) -> Content:
        """Store what comes, under a fresh key, in constant memory; when this returns, a power cut loses nothing.

        Where the chunks raise, or the caller is cancelled, nothing stays.
        """
        ...

    async def read(self, storage_key: str, wanted: ByteRange | None = None) -> AsyncIterator[bytes]:
        """Open all of it or a part, to be read in constant memory. Raises NotFoundError where it is not there."""
        ...

    async def remove(self, storage_keys: Sequence[str]) -> None:
        """Remove them; those that are not there are as good as removed."""
        ...

    def all(self) -> AsyncIterator[Sequence[StoredObject]]:
        """List what is there, of every workspace, page by page."""
        ...

    async def link(self, storage_key: str, good_for: timedelta) -> str | None:
        """Make a URL by which anybody may read it for a while; None where the store has no such thing."""
        ...

    async def check(self) -> None:
        """Raise UnavailableError, which says why, where the store does not answer."""
        ...


class Contents(Protocol):
    """The contents of one workspace."""

    async def known(self, hashes: Sequence[str]) -> Sequence[Content]:
        """Those of the contents that are stored."""
        ...

    async def behind(self, after_hash: str, limit: int) -> Sequence[StoredContent]:
        """The next contents by hash, and whether a file refers to each."""
        ...

    def add(self, content: Content) -> None:
        """Write a new one down; stale where somebody else did so first."""
        ...

    def touch(self, content: Content) -> None:
        """Note that it is stored once more; stale where it was forgotten meanwhile."""
        ...

    def forget(self, content: Content, last_touched: datetime) -> None:
        """Strike it off; stale where a file refers to it, or it was touched after that time."""
        ...


class ContentTx(Protocol):
    """The slice of a transaction that contents may touch."""

    @property
    def contents(self) -> Contents: ...
    @property
    def jobs(self) -> Jobs: ...


class ContentLedger(Protocol):
    """The contents of all workspaces, for checks of the store as a whole."""

    async def behind(self, last: StoredContent | None, limit: int) -> Sequence[StoredContent]:
        """The next ones, by workspace and hash."""
        ...

    async def known_keys(self, storage_keys: Sequence[str]) -> set[str]:
        """Those of the keys that a content names."""
        ...
