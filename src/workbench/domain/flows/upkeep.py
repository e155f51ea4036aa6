"""What keeps flows as they are meant to be, whatever process began or ended what."""

from datetime import timedelta

from workbench.domain.bus.errors import BusError
from workbench.domain.bus.ports import MessageBus
from workbench.domain.flows.lifecycle import FlowService
from workbench.domain.flows.means import FlowMeans
from workbench.domain.flows.model import FlowError, StoredFlow
from workbench.domain.flows.stopping import StopService, TopicRemover

ORPHANED_SECONDS = 60.0
KEPT_DAYS = 7.0
PAGE = 100


class UpkeepService:
    """Finishes what was left unfinished; one process at a time is enough, several do no harm."""

    def __init__(self, means: FlowMeans, flows: FlowService, stops: StopService, remover: TopicRemover) -> None:
        self._ledger = means.ledger
        self._flows = flows
        self._stops = stops
        self._remover = remover
        self._clock = means.clock

    async def round(self) -> None:
        """Resume ends, give up starts that nobody goes on with, delete topics that are due, forget what is long over."""
        now = self._clock.now()
        for flow in await self._ledger.holding():
            if flow.state == "stopping":
                self._stops.begin(flow)
            elif flow.state == "starting" and now - flow.created_at > timedelta(seconds=ORPHANED_SECONDS):
                await self._flows.fail(flow, FlowError(code="start_interrupted", message="Its start was interrupted."))
        await self._remover.round()
        await self._ledger.forget(now - timedelta(days=KEPT_DAYS), PAGE)


class TopicKeeper:
    """Sees to it that the topics of running flows exist on the bus of this process."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self._made: set[str] = set()

    async def keep(self, flows: list[StoredFlow]) -> None:
        """Create what is not known to exist, and on a bus of this process alone delete what no flow holds. Raises BusError."""
        wanted = {topic for flow in flows if flow.state == "running" for topic in flow.snapshot.owned}
        held = {topic for flow in flows for topic in flow.snapshot.owned}
        try:
            for topic in sorted(wanted - self._made):
                await self._bus.create_topic(topic)
            if not self._bus.is_durable:
                # Nobody else can see the topics here, and so nobody else deletes them.
                for topic in sorted(self._made - held):
                    await self._bus.delete_topic(topic, [])
        except BusError:
            self._made.clear()
            raise
        self._made = wanted | (self._made & held)
