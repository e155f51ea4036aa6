"""A memory of keys before a store that is far away."""

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import msgspec
import structlog

from workbench.adapters.memory import Memory
from workbench.domain.errors import UnavailableError
from workbench.domain.identity.model import ServiceKeys
from workbench.domain.identity.ports import ApiKeyStore

MAX_KEYS = 200
FRESH_SECONDS = 600.0
ABSENT_SECONDS = 10.0
"""A service that was just registered elsewhere gets in soon; one that knocks without end is not asked after each time."""

logger = structlog.get_logger(__name__)


class _Kept(msgspec.Struct, frozen=True):
    keys: ServiceKeys | None


class CachedKeys(ApiKeyStore):
    """Remembers keys for FRESH_SECONDS, and for ABSENT_SECONDS that there is none.

    What this process writes is seen at once; what another one writes, once the memory of it has run out.
    """

    def __init__(self, store: ApiKeyStore, now: Callable[[], float] = time.monotonic) -> None:
        """`now` gives monotonic seconds."""
        self._store = store
        self._known = Memory[str, _Kept](MAX_KEYS, FRESH_SECONDS, now)
        # Apart from the known ones, which made-up ids could otherwise push out.
        self._absent = Memory[str, _Kept](MAX_KEYS, ABSENT_SECONDS, now)
        self._lookups: dict[str, asyncio.Task[ServiceKeys | None]] = {}
        self._writing = asyncio.Lock()
        self._failure = ""

    async def find(self, assistant_service_id: str) -> ServiceKeys | None:
        """Answer from memory; one look-up serves all who ask for the same at the same time."""
        kept = self._known.find(assistant_service_id) or self._absent.find(assistant_service_id)
        if kept is not None:
            return kept.keys
        lookup = self._lookups.get(assistant_service_id)
        if lookup is None:
            lookup = asyncio.create_task(self._look_up(assistant_service_id))
            lookup.add_done_callback(_look_at)
            self._lookups[assistant_service_id] = lookup
        # One of those who wait going away must not end it for the others.
        return await asyncio.shield(lookup)

    async def put(self, assistant_service_id: str, keys: ServiceKeys) -> None:
        """Store the keys, then remember them."""
        async with self._writing:
            with self._writing_to(assistant_service_id):
                await self._store.put(assistant_service_id, keys)
            self._known.keep(assistant_service_id, _Kept(keys))

    async def remove(self, assistant_service_id: str) -> None:
        """Remove the keys, then forget them."""
        async with self._writing:
            with self._writing_to(assistant_service_id):
                await self._store.remove(assistant_service_id)

    async def _look_up(self, assistant_service_id: str) -> ServiceKeys | None:
        try:
            with self._noting():
                keys = await self._store.find(assistant_service_id)
            if self._is_current(assistant_service_id):
                (self._absent if keys is None else self._known).keep(assistant_service_id, _Kept(keys))
            return keys
        finally:
            if self._is_current(assistant_service_id):
                del self._lookups[assistant_service_id]

    def _is_current(self, assistant_service_id: str) -> bool:
        """Whether this look-up still counts: one that began before a write may have read what was there before."""
        return self._lookups.get(assistant_service_id) is asyncio.current_task()

    @contextmanager
    def _writing_to(self, assistant_service_id: str) -> Generator[None]:
        try:
            with self._noting():
                yield
        finally:
            # Also after a failure, which may have come when the store had written.
            self._forget(assistant_service_id)

    @contextmanager
    def _noting(self) -> Generator[None]:
        """Log a failure when it begins or changes, and its end; not every attempt in between."""
        try:
            yield
        except UnavailableError as error:
            if error.detail != self._failure:
                logger.warning("keys of assistant services cannot be had", reason=error.detail)
            self._failure = error.detail
            raise
        if self._failure:
            logger.info("keys of assistant services can be had again")
        self._failure = ""

    def _forget(self, assistant_service_id: str) -> None:
        self._known.forget(assistant_service_id)
        self._absent.forget(assistant_service_id)
        self._lookups.pop(assistant_service_id, None)


def _look_at(lookup: asyncio.Task[ServiceKeys | None]) -> None:
    """Take note of a failure that nobody waits for any more, or asyncio complains that it was lost."""
    if not lookup.cancelled():
        lookup.exception()
