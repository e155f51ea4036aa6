"""Jobs: takes them up as they are set down, does a few at once, and tries again what fails."""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from workbench.domain.clock import Clock
from workbench.domain.errors import StaleError, WorkbenchError
from workbench.domain.events.model import Event
from workbench.domain.ids import continue_cause
from workbench.domain.jobs.model import JOB_SECONDS, Job, RetryPolicy
from workbench.domain.jobs.ports import JobHandlers, JobQueue

JOBS_AT_ONCE = 8
LOOK_SECONDS = 5.0
"""How often to look without having been woken: for jobs of other processes, and of those that died."""
GATHER_SECONDS = 0.02
"""Between two looks, so that a burst of events is one look."""

logger = structlog.get_logger(__name__)


class JobWorker:
    """The jobs of one process."""

    def __init__(self, queue: JobQueue, handlers: JobHandlers, clock: Clock, retries: RetryPolicy) -> None:
        self._queue = queue
        self._handlers = handlers.by_kind
        self._are_urgent = handlers.are_urgent
        self._clock = clock
        self._retries = retries
        self._running: dict[asyncio.Task[None], Job] = {}
        self._bell = asyncio.Event()

    def announce(self, _: Sequence[Event]) -> None:
        """Hear that this process committed something, and maybe a job with it."""
        if self._are_urgent:
            self._bell.set()

    async def run(self) -> None:
        """Look and work, for ever."""
        while True:
            self._bell.clear()
            await self._look()
            await asyncio.sleep(GATHER_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._bell.wait()

    async def stop(self) -> None:
        """End what runs, and give it to whoever goes on."""
        running, self._running = self._running, {}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for task, job in running.items():
            if task.cancelled():
                await self._queue.give_back(job)

    async def _look(self) -> None:
        """Take up as many jobs as there are hands free."""
        free = JOBS_AT_ONCE - len(self._running)
        if not free:
            return
        for job in await self._queue.claim(self._handlers, self._clock.now(), free):
            task = asyncio.create_task(self._do(job))
            self._running[task] = job
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        """Look again: a hand is free, and a newer job of the same key may have waited for this one."""
        self._running.pop(task, None)
        self._bell.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # It is somebody else's when the claim on it has run out.
            logger.error("what became of a job could not be stored", exc_info=error)

    async def _do(self, job: Job) -> None:
        continue_cause(job.correlation_id or job.id.hex, job.trace_parent)
        log = logger.bind(kind=job.kind, key=job.key, workspace_id=job.workspace_id, attempt=job.attempts)
        if job.attempts > self._retries.attempts:
            # Those who took it up did not live to tell of a failure.
            await self._give_up(job, "its worker ended each time", log)
            return
        try:
            async with asyncio.timeout(JOB_SECONDS):
                await self._handlers[job.kind].carry_out(job)
        except StaleError:
            log.info("job left to another worker")
        except (WorkbenchError, TimeoutError) as error:
            await self._failed(job, str(error) or type(error).__name__, log)
        except Exception as error:
            log.exception("job failed on a defect")
            await self._failed(job, type(error).__name__, log)

    async def _failed(self, job: Job, reason: str, log: structlog.stdlib.BoundLogger) -> None:
        now = self._clock.now()
        run_at = self._retries.next_run(job, now)
        if run_at is None:
            await self._give_up(job, reason, log)
            return
        seconds = (run_at - now).total_seconds()
        log.warning("job failed, trying again", reason=reason, seconds=seconds)
        await self._queue.put_off(job, run_at, reason)
        asyncio.get_running_loop().call_later(seconds, self._bell.set)

    async def _give_up(self, job: Job, reason: str, log: structlog.stdlib.BoundLogger) -> None:
        log.error("job given up", reason=reason)
        await self._queue.drop(job)
