"""The services that this process runs: what is wanted is started, what is not is stopped, what changed is restarted."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from workbench.domain.bus.errors import BusError
from workbench.domain.bus.hosting import HostMemory, control_reader
from workbench.domain.bus.ports import MessageBus
from workbench.domain.bus.requesting import ProcessCalls
from workbench.domain.bus.services import Assignment, ServiceDefinition
from workbench.domain.bus.serving import HostTimes, ServiceInstance
from workbench.domain.flows.model import StoredFlow
from workbench.domain.flows.ports import Sealer
from workbench.domain.flows.sealing import opened

STOP_SECONDS = 5.0
RETRY_FIRST_SECONDS = 1.0
RETRY_MOST_SECONDS = 60.0

logger = logging.getLogger(__name__)


class HostedServices(msgspec.Struct, frozen=True):
    """The services that this process knows."""

    definitions: tuple[ServiceDefinition, ...] = ()


class Failed(msgspec.Struct, frozen=True):
    """A start that failed, and when it is worth another try (on the loop's clock)."""

    assignment: Assignment
    again_at: float
    wait: float


class FlowHost:
    """Runs the services of flows. Without a sealer their parameters come as they are."""

    def __init__(
        self,
        bus: MessageBus,
        hosted: HostedServices,
        process: ProcessCalls,
        sealer: Sealer | None,
        times: HostTimes | None = None,
    ) -> None:
        self._bus = bus
        self._sealer = sealer
        self._definitions: Mapping[str, ServiceDefinition] = {each.name: each for each in hosted.definitions}
        self._process = process
        self._times = times
        self._memory = HostMemory()
        self._control = control_reader(bus, self._memory)
        self._running: dict[str, tuple[Assignment, ServiceInstance]] = {}
        self._failed: dict[str, Failed] = {}

    @property
    def services(self) -> list[str]:
        """What it could run."""
        return sorted(self._definitions)

    @property
    def held(self) -> list[str]:
        """The assignments that it runs."""
        return sorted(self._running)

    @property
    def has_failed(self) -> bool:
        """Whether something that is wanted does not run."""
        return bool(self._failed) or any(one.is_broken for _, one in self._running.values())

    async def listen(self) -> None:
        """Hear of requests that nobody waits for any more, for ever; without services there is nothing to hear."""
        if self._definitions:
            await self._control.run()
        else:
            await asyncio.Event().wait()

    async def reconcile(self, flows: Iterable[StoredFlow]) -> None:
        """Run what these flows want of the services that this process knows."""
        await self.follow(assignments_of(flows))

    async def follow(self, assignments: Iterable[Assignment]) -> None:
        """Run these, as far as this process knows their services, and nothing else. One that fails hinders no other."""
        wanted = {one.key: one for one in assignments if one.service in self._definitions}
        over = [key for key, (of, one) in self._running.items() if wanted.get(key) != of or one.is_broken]
        await asyncio.gather(*[self._stop(key) for key in over])
        self._failed = {key: one for key, one in self._failed.items() if wanted.get(key) == one.assignment}
        await asyncio.gather(*[self._start(one) for key, one in wanted.items() if key not in self._running])

    async def _start(self, assignment: Assignment) -> None:
        now, failed = asyncio.get_running_loop().time(), self._failed.get(assignment.key)
        if failed is not None and now < failed.again_at:
            return
        definition = self._definitions[assignment.service]
        seen = assignment.parameters if self._sealer is None else opened(assignment.parameters, self._sealer)
        plain = msgspec.structs.replace(assignment, parameters=seen)
        instance = ServiceInstance(self._bus, definition, plain, self._memory, self._process, self._times)
        try:
            await instance.start()
        except (BusError, ValueError) as error:
            wait = RETRY_FIRST_SECONDS if failed is None else min(failed.wait * 2, RETRY_MOST_SECONDS)
            self._failed[assignment.key] = Failed(assignment, now + wait, wait)
            logger.warning("the service %s does not start: %s %s", assignment.key, type(error).__name__, error)
        else:
            self._failed.pop(assignment.key, None)
            self._running[assignment.key] = (assignment, instance)

    async def _stop(self, key: str) -> None:
        await self._running[key][1].stop(STOP_SECONDS)
        del self._running[key]

    async def stop(self, drain_seconds: float = STOP_SECONDS) -> None:
        """Stop everything."""
        running, self._running = list(self._running.values()), {}
        await asyncio.gather(*[instance.stop(drain_seconds) for _, instance in running])


def assignments_of(flows: Iterable[StoredFlow]) -> Sequence[Assignment]:
    """What is to run, each instance once, whichever flows share it."""
    found: dict[str, Assignment] = {}
    for flow in flows:
        if flow.state != "running" and (flow.state != "stopping" or flow.is_withdrawn):
            continue
        crossing = frozenset(flow.snapshot.crossing)
        for service in flow.snapshot.services:
            is_own = service.scope == "flow"
            found.setdefault(
                service.key,
                Assignment(
                    key=service.key,
                    workspace_id=service.workspace_id,
                    flow_id=flow.flow_id if is_own else "",
                    generation=flow.generation if is_own else 0,
                    service=service.service,
                    topics=service.topics,
                    parameters=service.parameters,
                    crossing=frozenset(name for name, topic in service.topics.items() if topic in crossing),
                ),
            )
    return list(found.values())
