"""Looking at flows."""

from msgspec.structs import replace

from workbench.domain.bus.ports import MessageBus
from workbench.domain.errors import NotFoundError
from workbench.domain.flows.cursors import NameCursor, read_cursor
from workbench.domain.flows.model import (
    HOLDING,
    Flow,
    FlowList,
    FlowService,
    FlowServiceList,
    FlowState,
    FlowTopicList,
    Health,
    Interface,
    StoredFlow,
)
from workbench.domain.flows.ports import FlowFilter, FlowTx
from workbench.domain.flows.roster import Roster
from workbench.domain.identity.model import Principal
from workbench.domain.transactions import Transactions


class FlowReader:
    """Acts that only look."""

    def __init__(self, transactions: Transactions[FlowTx], bus: MessageBus, roster: Roster) -> None:
        self._transactions = transactions
        self._bus = bus
        self._roster = roster

    async def get(self, principal: Principal, flow_id: str) -> Flow:
        """The newest run. Raises NotFoundError."""
        flow = await self.require(principal, flow_id)
        return flow.shown(await self.health_of(flow))

    async def page(
        self,
        principal: Principal,
        state: FlowState | None,
        blueprint: str | None,
        cursor: str | None,
        limit: int,
    ) -> FlowList:
        """Those in a state, by default all that are not over, in the order of their ids."""
        after = read_cursor(cursor)
        wanted = FlowFilter(
            states=HOLDING if state is None else (state,),
            blueprint=blueprint,
            after=None if after is None else (after.name, after.generation),
            limit=limit + 1,
        )
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await tx.flows.page(wanted)
        page = found[:limit]
        more = NameCursor(page[-1].flow_id, page[-1].generation).encode() if len(found) > limit else None
        return FlowList(flows=[flow.shown(await self.health_of(flow)) for flow in page], next_cursor=more)

    async def topics(self, principal: Principal, flow_id: str) -> FlowTopicList:
        """What the flow refers to. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            flow = await tx.flows.find(flow_id)
            if flow is None:
                raise NotFoundError(code="flow_not_found")
            found = await tx.flows.topics_of(flow)
        scopes = flow.snapshot.scopes
        return FlowTopicList(topics=[replace(topic, scope=scopes.get(topic.topic)) for topic in found])

    async def services(self, principal: Principal, flow_id: str) -> FlowServiceList:
        """What callers may use. Raises NotFoundError."""
        flow = await self.require(principal, flow_id)
        found = [
            FlowService(name=name, interface=interface, live_hosts=await self._hosts_of(flow, interface))
            for name, interface in flow.snapshot.interfaces.items()
        ]
        return FlowServiceList(services=found)

    async def _hosts_of(self, flow: StoredFlow, interface: Interface) -> int | None:
        if not interface.is_hosted:
            return None
        topic = interface.request or interface.topic
        keys = [service.key for service in flow.snapshot.services if topic in service.topics.values()]
        return max([await self._roster.live_hosts(key) for key in keys], default=0)

    async def require(self, principal: Principal, flow_id: str) -> StoredFlow:
        """The newest run as it is stored. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            flow = await tx.flows.find(flow_id)
        if flow is None:
            raise NotFoundError(code="flow_not_found")
        return flow

    async def health_of(self, flow: StoredFlow, *, fresh: bool = False) -> Health:
        """How a running flow is."""
        if flow.state != "running":
            return "unknown"
        if self._bus.state() != "up":
            return "blocked"
        keys = [service.key for service in flow.snapshot.services]
        return "ready" if await self._roster.all_held(keys, fresh=fresh) else "degraded"
