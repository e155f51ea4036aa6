"""The background duties of one process, started with it and ended with it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import NewType, Protocol

import structlog

from workbench.domain.errors import UnavailableError
from workbench.domain.events.hub import EventHub
from workbench.domain.jobs.ports import DutyMeter
from workbench.domain.turns.hub import TurnHub
from workbench.entrypoints.workers.delivery import DeliveryWorker
from workbench.entrypoints.workers.flows import FlowUpkeepWorker, FlowWorker
from workbench.entrypoints.workers.jobs import JobWorker
from workbench.entrypoints.workers.running import RunningWorker
from workbench.wiring.announcements import Announcements
from workbench.wiring.wakeups import Wakeups

RESTART_SECONDS = 1.0

logger = structlog.get_logger(__name__)


class Duty(Protocol):
    """Something to be done for as long as the process lives."""

    async def run(self) -> None:
        """Do it for ever."""
        ...


OtherDuties = NewType("OtherDuties", tuple[Duty, ...])
"""What hears of no events."""


class Hubs:
    """Where readers of this process wait for what is new."""

    def __init__(self, events: EventHub, turns: TurnHub) -> None:
        self.events = events
        self.turns = turns


class FlowDuties:
    """What is done for flows."""

    def __init__(self, following: FlowWorker, upkeep: FlowUpkeepWorker) -> None:
        self.following = following
        self.upkeep = upkeep

    async def stop(self) -> None:
        """End both."""
        await self.upkeep.stop()
        await self.following.stop()


class Others:
    """All of it."""

    def __init__(self, duties: OtherDuties, flows: FlowDuties) -> None:
        self.duties = duties
        self.flows = flows


class Workers:
    """Who hears of what is committed, and has something to end when the process does."""

    def __init__(self, delivery: DeliveryWorker, running: RunningWorker, jobs: JobWorker) -> None:
        self.delivery = delivery
        self.running = running
        self.jobs = jobs


class Supervisor:
    """Runs each duty for ever, and again where it fails."""

    def __init__(
        self,
        announcements: Announcements,
        wakeups: Wakeups,
        hubs: Hubs,
        workers: Workers,
        others: Others,
        meter: DutyMeter,
    ) -> None:
        self._meter = meter
        self._announcements = announcements
        self._wakeups = wakeups
        self._hubs = hubs
        self._workers = workers
        self._others = others.duties
        self._flows = others.flows

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Run everything while the block lasts."""
        self._announcements.listen(self._hubs.events.announce)
        self._announcements.listen(self._workers.delivery.announce)
        self._announcements.listen(self._workers.jobs.announce)
        self._announcements.listen(self._workers.running.announce)
        self._announcements.listen_to_turns(self._workers.running.announce_turn)
        self._wakeups.listen_to_turns(self._workers.running.notice_turn)
        self._announcements.listen_to_turns(self._hubs.turns.announce)
        self._wakeups.listen(self._hubs.events.notice)
        self._wakeups.listen_to_turns(self._hubs.turns.notice)
        self._wakeups.listen(self._workers.delivery.notice)
        duties = [
            duty.run
            for duty in (
                self._wakeups,
                self._workers.delivery,
                self._workers.running,
                self._workers.jobs,
                *self._others,
                self._flows.following,
                self._flows.upkeep,
            )
        ]
        tasks = [asyncio.create_task(self._keep_up(duty)) for duty in duties]
        try:
            yield
        finally:
            await _end(tasks)
            workers = self._workers
            for stop in (workers.running.stop, workers.delivery.stop, workers.jobs.stop, self._flows.stop):
                try:
                    await stop()
                except UnavailableError as error:
                    logger.warning("duty not given back", reason=str(error))
                except Exception:
                    # What could not be given back runs out by itself; nothing may keep the process from its end.
                    logger.exception("duty not given back")

    async def _keep_up(self, duty: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await duty()
            except (UnavailableError, OSError) as error:
                # The database is away, which is no defect of ours.
                logger.warning("duty interrupted, starting it again", duty=_name(duty), reason=str(error))
            except Exception:
                logger.exception("duty failed, starting it again", duty=_name(duty))
            self._meter.interrupted(_name(duty).partition(".")[0])
            await asyncio.sleep(RESTART_SECONDS)


def _name(duty: Callable[[], Awaitable[None]]) -> str:
    return getattr(duty, "__qualname__", str(duty))


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: a library in between may have swallowed the first cancellation."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=RESTART_SECONDS)
