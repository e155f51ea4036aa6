"""What each process does for flows: runs services, keeps topics, tells that it lives, and finishes what others began."""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from workbench.domain.bus.errors import BusError
from workbench.domain.bus.ports import MessageBus
from workbench.domain.bus.requesting import ProcessCalls
from workbench.domain.errors import UnprocessableError
from workbench.domain.flows.calling import FlowGateway
from workbench.domain.flows.hosting import FlowHost
from workbench.domain.flows.means import FlowMeans
from workbench.domain.flows.model import Host, StoredFlow
from workbench.domain.flows.roster import Roster
from workbench.domain.flows.stopping import StopService
from workbench.domain.flows.underway import RequestsUnderWay
from workbench.domain.flows.upkeep import TopicKeeper, UpkeepService
from workbench.domain.jobs.ports import Leases

LOOK_SECONDS = 1.0
SIGN_SECONDS = 5.0
UPKEEP_SECONDS = 15.0
LEASE = "flows:upkeep"
LEASE_SECONDS = 30.0

logger = structlog.get_logger(__name__)


def require_shared_bus(bus: MessageBus) -> None:
    """Raises UnprocessableError where nobody else can be on the bus."""
    if not bus.is_durable:
        raise UnprocessableError("WORKBENCH__BUS__URL names the bus inside a process, which nobody else can reach")


class FlowTools:
    """What the worker keeps going."""

    def __init__(
        self,
        host: FlowHost,
        gateway: FlowGateway,
        keeper: TopicKeeper,
        process: ProcessCalls,
        under_way: RequestsUnderWay,
    ) -> None:
        self.host = host
        self.gateway = gateway
        self.under_way = under_way
        self.keeper = keeper
        self.process = process


class FlowWorker:
    """Follows the changes of flows in this process."""

    def __init__(self, means: FlowMeans, tools: FlowTools, roster: Roster) -> None:
        self._means = means
        self._host = tools.host
        self._gateway = tools.gateway
        self._under_way = tools.under_way
        self._keeper = tools.keeper
        self._process = tools.process
        self._roster = roster
        self._bell = asyncio.Event()
        self._seen = -1
        self._told: tuple[list[str], list[str]] | None = None
        self._told_at = 0.0

    @property
    def services(self) -> list[str]:
        """What this process could run."""
        return self._host.services

    def require_shared_bus(self) -> None:
        """Raises UnprocessableError where nobody else can be on the bus."""
        require_shared_bus(self._means.bus)

    async def run(self) -> None:
        """Look whenever something may have changed, for ever."""
        listening = [asyncio.create_task(each) for each in (self._host.listen(), self._under_way.listen())]
        try:
            is_due = True
            while True:
                version = await self._means.ledger.version()
                if is_due or version != self._seen or self._host.has_failed:
                    self._seen = version
                    await self._follow(await self._means.ledger.holding())
                await self._tell()
                is_due = await self._means.changes.wait(self._bell, LOOK_SECONDS)
        finally:
            for each in listening:
                each.cancel()
            await asyncio.gather(*listening, return_exceptions=True)

    async def _follow(self, flows: Sequence[StoredFlow]) -> None:
        self._gateway.look_again()
        try:
            await self._keeper.keep(list(flows))
        except BusError as error:
            logger.warning("topics cannot be made now", reason=str(error))
            self._seen = -1
        await self._host.reconcile(flows)
        await self._gateway.release_others(flows)

    async def _tell(self) -> None:
        """Give a sign of life, at once where it says something new."""
        self._process.meter.mailboxes(self._process.budget.used)
        calling = ["/".join(map(str, key)) for key in self._gateway.calling()]
        told = (self._host.held, calling)
        now = asyncio.get_running_loop().time()
        if told == self._told and now - self._told_at < SIGN_SECONDS:
            return
        host = Host(
            host_id=self._roster.host_id,
            services=self._host.services,
            held=told[0],
            calling=told[1],
            seen_at=self._means.clock.now(),
        )
        await self._means.ledger.heard(host)
        self._told, self._told_at = told, now

    async def stop(self) -> None:
        """Let go of everything, and say goodbye."""
        await self._gateway.drain(0)
        await self._host.stop(0)
        with contextlib.suppress(Exception):
            await self._means.ledger.left(self._roster.host_id)


class FlowUpkeepWorker:
    """Finishes what was left unfinished; one process at a time."""

    def __init__(self, upkeep: UpkeepService, stops: StopService, roster: Roster, leases: Leases) -> None:
        self._upkeep = upkeep
        self._stops = stops
        self._roster = roster
        self._leases = leases

    async def run(self) -> None:
        """Look after flows for ever."""
        holder = f"flows-{self._roster.host_id}"
        try:
            while True:
                if await self._leases.acquire([LEASE], holder, LEASE_SECONDS):
                    await self._upkeep.round()
                await asyncio.sleep(UPKEEP_SECONDS)
        finally:
            await self._leases.release([LEASE], holder)

    async def stop(self) -> None:
        """Leave what is under way to others."""
        await self._stops.close()
