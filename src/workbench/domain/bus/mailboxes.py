"""What a process keeps of its requests in flight: their mailboxes, and how many there may be."""

import asyncio
from collections import OrderedDict, deque

from workbench.domain.bus.calls import CallLimits, Reply
from workbench.domain.bus.errors import CallError

PROCESS_MAILBOX_BYTES = 256 << 20
FINISHED_KEPT = 10_000
FINISHED_SECONDS = 600.0


class Budget:
    """Bytes that all mailboxes of a process share."""

    def __init__(self, limit_bytes: int = PROCESS_MAILBOX_BYTES) -> None:
        self._limit = limit_bytes
        self.used = 0

    def take(self, size: int) -> bool:
        """Take room, if there is any."""
        if self.used + size > self._limit:
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        """Let others have it."""
        self.used -= size


class Mailbox:
    """The replies of one request that its caller has not taken yet. Putting one in never waits."""

    def __init__(self, budget: Budget, limits: CallLimits) -> None:
        self._budget = budget
        self._limits = limits
        self._waiting: deque[tuple[Reply, int]] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._failure: CallError | None = None

    def put(self, reply: Reply, size: int) -> bool:
        """Add a reply; False where there is no room for it."""
        if len(self._waiting) >= self._limits.mailbox_messages or self._bytes + size > self._limits.mailbox_bytes:
            return False
        if not self._budget.take(size):
            return False
        self._waiting.append((reply, size))
        self._bytes += size
        self._wake.set()
        return True

    def fail(self, error: CallError) -> None:
        """Have `next` raise once what came before is taken; the first failure counts."""
        if self._failure is None:
            self._failure = error
            self._wake.set()

    @property
    def has_failed(self) -> bool:
        """Whether an error is to be raised."""
        return self._failure is not None

    def empty(self) -> None:
        """Throw away what waits."""
        self._waiting.clear()
        self._budget.give_back(self._bytes)
        self._bytes = 0

    def take(self) -> Reply | None:
        """The next reply, if there is one. Raises the failure where there is none to come."""
        if self._waiting:
            reply, size = self._waiting.popleft()
            self._bytes -= size
            self._budget.give_back(size)
            return reply
        if self._failure is not None:
            raise self._failure
        self._wake.clear()
        return None

    async def wait(self) -> None:
        """Return when there may be something to take."""
        await self._wake.wait()


class Slots:
    """So many at a time, and as many again waiting; more are refused."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting = 0
        self._semaphore = asyncio.Semaphore(limit)

    async def take(self) -> None:
        """Wait for a slot. Raises CallError where too many wait."""
        if self._semaphore.locked() and self._waiting >= self._limit:
            raise CallError(
                "too_many_requests",
                f"More than {self._limit} requests are under way, and as many wait.",
                outcome="not_sent",
                phase="slot",
                retryable=True,
                retry_after_seconds=1.0,
            )
        self._waiting += 1
        try:
            await self._semaphore.acquire()
        finally:
            self._waiting -= 1

    def give_back(self) -> None:
        """Let the next in."""
        self._semaphore.release()


class Finished:
    """The ids of requests that ended lately, so that what comes late is told from what is another's."""

    def __init__(self) -> None:
        self._ended: OrderedDict[str, tuple[float, bool]] = OrderedDict()

    def add(self, request_id: str, now: float) -> None:
        """Remember one; the oldest is forgotten."""
        self._ended[request_id] = (now, False)
        while len(self._ended) > FINISHED_KEPT:
            self._ended.popitem(last=False)

    def is_known(self, request_id: str, now: float) -> bool:
        """Whether it ended in the last minutes."""
        found = self._ended.get(request_id)
        return found is not None and now - found[0] < FINISHED_SECONDS

    def first_time(self, request_id: str) -> bool:
        """True once for each id."""
        at, told = self._ended[request_id]
        self._ended[request_id] = (at, True)
        return not told
