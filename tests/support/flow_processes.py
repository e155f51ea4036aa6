"""What one process does for flows, without a server around it."""

from prometheus_client import CollectorRegistry
from tests.support.databases import Store
from tests.support.flow_rows import OpenSealer, document_of

from workbench.adapters.metrics.flows import PrometheusFlows
from workbench.adapters.schemas import JsonSchemas
from workbench.adapters.sql.flow_ledger import SqlFlowLedger
from workbench.domain.bus.ports import MessageBus
from workbench.domain.bus.requesting import ProcessCalls
from workbench.domain.flows.blueprints import BlueprintService
from workbench.domain.flows.calling import FlowGateway
from workbench.domain.flows.changes import FlowChanges
from workbench.domain.flows.lifecycle import FlowService
from workbench.domain.flows.means import FlowMeans, StopTimes
from workbench.domain.flows.policy import FlowPolicy
from workbench.domain.flows.ports import FlowLedger
from workbench.domain.flows.reading import FlowReader
from workbench.domain.flows.roster import Roster
from workbench.domain.flows.stopping import StopService, TopicRemover
from workbench.domain.flows.upkeep import TopicKeeper, UpkeepService
from workbench.domain.identity.model import Principal

ANN = Principal(workspace_id="acme", role="user", id="ann")
OWN, SHARED = "request:wb:{workspace}:own:{id}", "request:wb:{workspace}:shared:{blueprint}"
DOCUMENT = document_of(OWN, SHARED)
OPEN = FlowPolicy(is_open=True, drain_seconds=0)


class Process:
    """The services of one process."""

    def __init__(self, store: Store, bus: MessageBus, ledger: FlowLedger | None = None) -> None:
        self.ledger = ledger or SqlFlowLedger(store.database, store.group.announce_all)
        meter = PrometheusFlows(CollectorRegistry())
        means = FlowMeans(
            transactions=store.transactions,
            ledger=self.ledger,
            bus=bus,
            changes=FlowChanges(),
            clock=store.clock,
            policy=OPEN,
            meter=meter,
            sealer=OpenSealer(),
            schemas=JsonSchemas(),
            times=StopTimes(pause_seconds=0, release_seconds=0.5),
        )
        self.roster = Roster(self.ledger, store.clock)
        gateway = FlowGateway(means, ProcessCalls(meter), self.roster)
        remover = TopicRemover(means)
        self.stops = StopService(means, gateway, self.roster, remover)
        reader = FlowReader(store.transactions, bus, self.roster)
        self.flows = FlowService(means, reader, self.roster, self.stops, remover)
        self.upkeep = UpkeepService(means, self.flows, self.stops, remover)
        self.keeper = TopicKeeper(bus)
        self.blueprints = BlueprintService(store.transactions, store.clock, OPEN, JsonSchemas())

    async def recover(self) -> None:
        """What the next process does first."""
        await self.upkeep.round()
        await self.stops.settle()
