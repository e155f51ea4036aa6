"""A process that only runs services of flows, and is told over HTTP which: it needs the broker, but no database."""

import asyncio
import contextlib
from collections.abc import Mapping

import structlog

from workbench.domain.bus.ports import MessageBus
from workbench.domain.bus.services import Assignment
from workbench.domain.errors import UnavailableError, WorkbenchError
from workbench.domain.flows.hosting import FlowHost
from workbench.domain.flows.model import AssignmentList, GivenAssignment
from workbench.domain.flows.ports import AssignmentSource
from workbench.entrypoints.workers.flows import require_shared_bus

WAIT_SECONDS = 10.0
RETRY_SECONDS = 1.0
MOST_RETRY_SECONDS = 15.0

logger = structlog.get_logger(__name__)


class OutsideHost:
    """Follows the list of what to run. While nobody can be asked it goes on with what it has."""

    def __init__(self, bus: MessageBus, host: FlowHost, source: AssignmentSource) -> None:
        self._bus = bus
        self._host = host
        self._source = source
        self._version = 0
        self._wanted: Mapping[str, Assignment] = {}
        self._missing: frozenset[str] = frozenset()
        self._pause = RETRY_SECONDS

    @property
    def services(self) -> list[str]:
        """What this process could run."""
        return self._host.services

    def require_shared_bus(self) -> None:
        """Raises UnprocessableError where nobody else can be on the bus."""
        require_shared_bus(self._bus)

    async def run(self) -> None:
        """Ask and follow, for ever. Raises UnauthenticatedError where it is not let in."""
        listening = asyncio.create_task(self._host.listen())
        try:
            while True:
                await self.look()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def look(self) -> None:
        """Ask once, and do what the answer says."""
        try:
            # What does not run yet is tried again meanwhile.
            wait = RETRY_SECONDS if self._host.has_failed else WAIT_SECONDS
            await self._take(await self._source.next(self._version, wait))
        except UnavailableError as error:
            logger.warning("the workbench cannot be asked what to run", reason=error.detail, again_in=self._pause)
            # What it believes of us may not be so any more: the next answer is the whole list, and settles it.
            self._version = 0
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, MOST_RETRY_SECONDS)
        else:
            self._pause = RETRY_SECONDS

    async def _take(self, found: AssignmentList | None) -> None:
        if found is not None and found.version < self._version:
            raise UnavailableError(f"a list of version {found.version} came after one of {self._version}")
        if found is not None:
            self._version = found.version
            self._wanted = {given.key: _assignment(given) for given in found.assignments}
        await self._host.follow(self._wanted.values())
        missing = frozenset(self._wanted) - frozenset(self._host.held)
        if missing and (found is not None or missing != self._missing):
            await self._source.release(sorted(missing))
        if found is None and self._missing - missing:
            # What was released runs now: the whole list says so, and comes at once.
            self._version = 0
        self._missing = missing

    async def stop(self) -> None:
        """Say that nothing is held any more, and let go of it."""
        with contextlib.suppress(WorkbenchError):
            await self._source.release(sorted(self._wanted))
        await self._host.stop(0)


def _assignment(given: GivenAssignment) -> Assignment:
    return Assignment(
        key=given.key,
        workspace_id=given.workspace_id,
        flow_id=given.flow_id,
        generation=given.generation,
        service=given.service,
        topics={name: used.topic for name, used in given.topics.items()},
        parameters=given.parameters,
        crossing=frozenset(name for name, used in given.topics.items() if used.crosses_workspaces),
    )
