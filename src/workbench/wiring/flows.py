"""The message bus that settings name, and what flows stand on."""

from collections.abc import AsyncIterator

from dishka import AnyOf, Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.adapters.bus.in_process import InProcessBus
from workbench.adapters.keys.cipher import KeyCipher
from workbench.adapters.keys.file import load_or_make
from workbench.adapters.keys.sealing import CipherSealer
from workbench.adapters.metrics.flows import PrometheusFlows
from workbench.adapters.metrics.prometheus import PrometheusMeter
from workbench.adapters.schemas import JsonSchemas
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.flow_ledger import SqlFlowLedger
from workbench.adapters.sql.group_commit import GroupCommit
from workbench.adapters.sql.transactions import SqlTransactions
from workbench.domain.bus.calls import CallLimits
from workbench.domain.bus.ports import BusMeter, MessageBus
from workbench.domain.bus.requesting import ProcessCalls
from workbench.domain.clock import Clock
from workbench.domain.flows.assigning import AssignmentService
from workbench.domain.flows.blueprints import BlueprintService, ParameterTypeService
from workbench.domain.flows.calling import FlowGateway
from workbench.domain.flows.changes import FlowChanges
from workbench.domain.flows.checking import Walls
from workbench.domain.flows.hosting import FlowHost, HostedServices
from workbench.domain.flows.lifecycle import FlowService
from workbench.domain.flows.means import FlowMeans, StopTimes
from workbench.domain.flows.operating import OperatorBlueprintService
from workbench.domain.flows.policy import FlowPolicy
from workbench.domain.flows.ports import FlowLedger, FlowMeter, FlowTx, Schemas, Sealer
from workbench.domain.flows.reading import FlowReader
from workbench.domain.flows.roster import Roster
from workbench.domain.flows.stopping import StopService, TopicRemover
from workbench.domain.flows.underway import RequestsUnderWay
from workbench.domain.flows.upkeep import TopicKeeper, UpkeepService
from workbench.domain.identity.model import HostTokens
from workbench.domain.transactions import Transactions
from workbench.wiring.flow_services import load_services
from workbench.wiring.settings import Settings

MARKS_FILE = "flow-marks.key"


class FlowDomain(Provider):
    """The services of the capability."""

    scope = Scope.APP

    changes = provide(FlowChanges)
    roster = provide(Roster)
    gateway = provide(FlowGateway)
    under_way = provide(RequestsUnderWay)
    remover = provide(TopicRemover)
    stops = provide(StopService)
    reader = provide(FlowReader)
    flows = provide(FlowService)
    blueprints = provide(BlueprintService)
    parameter_types = provide(ParameterTypeService)
    upkeep = provide(UpkeepService)
    operating = provide(OperatorBlueprintService)
    keeper = provide(TopicKeeper)
    assigning = provide(AssignmentService)

    @provide
    def host(self, bus: MessageBus, hosted: HostedServices, process: ProcessCalls, sealer: Sealer) -> FlowHost:
        """Run services."""
        return FlowHost(bus, hosted, process, sealer)

    @provide
    def means(  # noqa: PLR0913, PLR0917 - it is what brings them together
        self,
        transactions: Transactions[FlowTx],
        ledger: FlowLedger,
        bus: MessageBus,
        changes: FlowChanges,
        clock: Clock,
        policy: FlowPolicy,
        meter: FlowMeter,
        sealer: Sealer,
        schemas: Schemas,
        times: StopTimes,
    ) -> FlowMeans:
        """Put together what all acts have in common."""
        return FlowMeans(
            transactions=transactions,
            ledger=ledger,
            bus=bus,
            changes=changes,
            clock=clock,
            policy=policy,
            meter=meter,
            sealer=sealer,
            schemas=schemas,
            times=times,
        )

    @provide
    def policy(self, settings: Settings) -> FlowPolicy:
        """What settings say."""
        flows = settings.flows
        is_local = settings.service.assistant_keys == "local"
        is_open = is_local if flows.trust_workspaces is None else flows.trust_workspaces
        return FlowPolicy(
            is_open=is_local,
            walls=Walls(global_topics=frozenset(flows.global_topics), is_open=is_open),
            flows_per_workspace=flows.per_workspace,
            drain_seconds=flows.drain_seconds,
            request_bytes=flows.request_bytes,
            timeout_seconds=flows.timeout_seconds,
        )

    @provide
    def host_tokens(self, settings: Settings) -> HostTokens:
        """What hosts outside may show."""
        return HostTokens(tuple(token.get_secret_value() for token in settings.flows.host_tokens))

    @provide
    def times(self) -> StopTimes:
        """How long the end of a flow waits for what."""
        return StopTimes()

    @provide
    def process(self, settings: Settings, meter: BusMeter) -> ProcessCalls:
        """What all requests of this process share."""
        flows = settings.flows
        limits = CallLimits(reply_bytes=flows.reply_bytes, answer_bytes=flows.answer_bytes)
        return ProcessCalls(meter, limits, flows.requests_per_workspace)


class FlowAdapters(Provider):
    """The bus, the ledger, and what is measured."""

    scope = Scope.APP

    schemas = provide(JsonSchemas, provides=Schemas)

    @provide
    def ledger(self, database: Database, group: GroupCommit) -> FlowLedger:
        """Keep the states of flows."""
        return SqlFlowLedger(database, group.announce_all)

    @provide
    def flow_tx(self, sql: SqlTransactions) -> Transactions[FlowTx]:
        """See what flows need."""
        return sql

    @provide
    def meters(self, meter: PrometheusMeter) -> AnyOf[PrometheusFlows, BusMeter, FlowMeter]:
        """Measure."""
        return meter.flows

    @provide
    def sealer(self, settings: Settings, cipher: KeyCipher) -> Sealer:
        """Keep secret values of parameters."""
        path = settings.make_data_root() / "keys" / MARKS_FILE
        return CipherSealer(cipher, load_or_make(path, KeyCipher.new_key))

    @provide
    def hosted(self, settings: Settings) -> HostedServices:
        """Find the services that this process runs."""
        return load_services(settings.flows.services)

    @provide
    async def bus(self, settings: Settings, meter: BusMeter) -> AsyncIterator[MessageBus]:
        """Open the bus, and close it at the end."""
        bus = open_bus(settings, meter)
        await bus.start()
        yield bus
        await bus.close()


def open_bus(settings: Settings, meter: BusMeter) -> MessageBus:
    """The bus that settings name, not yet started."""
    url = settings.bus.url.get_secret_value()
    if url.startswith("inprocess:"):
        return InProcessBus()
    from workbench.adapters.bus.rabbitmq import RabbitBus, RabbitTimes  # noqa: PLC0415 - only who needs it waits for it

    times = RabbitTimes(
        heartbeat_seconds=settings.bus.heartbeat_seconds,
        probe_seconds=settings.bus.probe_seconds,
        blocked_seconds=settings.bus.blocked_timeout_seconds,
    )
    return RabbitBus(url, meter, times)
