"""Checking the store against what is written down: every content read and hashed, every stray byte found."""

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Literal

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.contents.model import StoredContent, StoredObject
from workbench.domain.contents.ports import ContentLedger, ContentStore
from workbench.domain.contents.service import SweepService
from workbench.domain.errors import NotFoundError

PAGE = 200
UPLOAD_REST = timedelta(hours=24)
"""Bytes that nothing names are left alone for so long: they may be an upload that is under way."""

Fault = Literal["missing", "altered", "unused", "orphaned"]


class Flaw(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it should be; `repaired` tells whether it is so no more.

    `missing` bytes and `altered` ones can only come back from a backup. `unused` is a content that no file refers
    to, `orphaned` are bytes that no content names; both are removed by a repair.
    """

    fault: Fault
    storage_key: str
    size: int
    workspace_id: str | None = None
    hash: str | None = None
    repaired: bool = False


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """How far a check has come: contents and bytes read so far, and what was just found, if anything."""

    contents: int
    bytes_read: int
    flaw: Flaw | None = None


class VerificationService:
    """Goes over everything, in constant memory."""

    def __init__(self, ledger: ContentLedger, store: ContentStore, sweeping: SweepService, clock: Clock) -> None:
        self._ledger = ledger
        self._store = store
        self._sweeping = sweeping
        self._clock = clock

    async def run(self, *, repair: bool = False) -> AsyncIterator[Verification]:
        """Check contents first, then look for strays; a step for each content and each flaw. Raises UnavailableError."""
        contents = bytes_read = 0
        last: StoredContent | None = None
        while page := await self._ledger.behind(last, PAGE):
            for content in page:
                contents, bytes_read = contents + 1, bytes_read + content.size
                flaw = await self._flaw_of(content, repair=repair)
                yield Verification(contents=contents, bytes_read=bytes_read, flaw=flaw)
            last = page[-1]
        async for flaw in self._strays(repair=repair):
            yield Verification(contents=contents, bytes_read=bytes_read, flaw=flaw)

    async def _flaw_of(self, content: StoredContent, *, repair: bool) -> Flaw | None:
        if not content.in_use:
            if content.touched_datetime > self._clock.now() - UPLOAD_REST:
                return None
            repaired = repair and await self._sweeping.strike_off(content, UPLOAD_REST)
            if repaired:
                # Now rather than by the job, or they would be found once more as strays.
                await self._store.remove([content.storage_key])
            return _flaw("unused", content, repaired=repaired)
        digest, size = hashlib.sha256(), 0
        try:
            async for chunk in await self._store.read(content.storage_key):
                digest.update(chunk)
                size += len(chunk)
        except NotFoundError:
            return _flaw("missing", content)
        return None if (digest.hexdigest(), size) == (content.hash, content.size) else _flaw("altered", content)

    async def _strays(self, *, repair: bool) -> AsyncIterator[Flaw]:
        rested = self._clock.now() - UPLOAD_REST
        async for page in self._store.all():
            named = await self._ledger.known_keys([found.storage_key for found in page])
            for found in page:
                if found.storage_key not in named and found.modified_datetime <= rested:
                    if repair:
                        await self._store.remove([found.storage_key])
                    yield _orphan(found, repaired=repair)


def _flaw(fault: Fault, content: StoredContent, *, repaired: bool = False) -> Flaw:
    return Flaw(
        fault=fault,
        storage_key=content.storage_key,
        size=content.size,
        workspace_id=content.workspace_id,
        hash=content.hash,
        repaired=repaired,
    )


def _orphan(found: StoredObject, *, repaired: bool) -> Flaw:
    return Flaw(fault="orphaned", storage_key=found.storage_key, size=found.size, repaired=repaired)
