"""The gateway: callers' requests to the interfaces of flows, through one client for each in this process."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET

from workbench.domain.bus.calls import MAX_SECONDS, MIN_SECONDS, Answer, Fold, Reply, Route, ends_plain
from workbench.domain.bus.errors import BusError, CallError, Phase
from workbench.domain.bus.model import Header, Message
from workbench.domain.bus.requesting import Call, ProcessCalls, Requester, cause_headers
from workbench.domain.bus.waiting import bus_failure
from workbench.domain.errors import ConflictError, NotFoundError, UnprocessableError
from workbench.domain.flows.means import FlowMeans
from workbench.domain.flows.model import LIVE, Interface, StoredFlow
from workbench.domain.flows.ports import Key
from workbench.domain.flows.roster import Roster
from workbench.domain.flows.shapes import Shapes
from workbench.domain.identity.model import Principal

FLOW_REMEMBERED_SECONDS = 1.0
IDLE_SECONDS = 600.0
SEND_SECONDS = 30.0


class InFlight(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is under way; `phase` is what it would fail in, were there no further sign of life."""

    id: str
    interface: str
    started_at: datetime
    deadline: datetime
    phase: Phase
    parts: int


class Viewer(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks at requests to a flow, and whether at those of others too."""

    workspace_id: str
    flow_id: str
    user_id: str
    sees_all: bool


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """Work that was handed over; `durable` says whether it outlives this process."""

    id: str
    durable: bool


class OpenCall:
    """A caller's request, with what is shown of it while it lasts."""

    def __init__(
        self, caller: str, flow: StoredFlow, interface: str, call: Call, times: tuple[datetime, datetime]
    ) -> None:
        self.id = call.id
        self.caller = caller
        self.flow = flow
        self.interface = interface
        self.started_at, self.deadline = times
        self.parts = 0
        self._call = call
        self.is_plain = flow.snapshot.interfaces[interface].dialect == "plain"

    async def next(self) -> Reply:
        """The next reply; services of the plain dialect say in their own words which is the last."""
        reply = await self._call.next()
        if reply.kind == "reset":
            self.parts = 0
            return reply
        self.parts += 1
        if self.is_plain:
            is_last = ends_plain(reply.data)
            if is_last:
                self._call.finish()
            return msgspec.structs.replace(reply, kind="final" if is_last else "part")
        return reply

    def shown(self) -> InFlight:
        """As those who look after requests see it."""
        return InFlight(
            id=self.id,
            interface=self.interface,
            started_at=self.started_at,
            deadline=self.deadline,
            phase=self._call.phase,
            parts=self.parts,
        )


class FlowGateway:
    """Calls flows. The workspace is the caller's, and from then on the flow's: nothing in a body says otherwise."""

    def __init__(self, means: FlowMeans, process: ProcessCalls, roster: Roster) -> None:
        self._transactions = means.transactions
        self._bus = means.bus
        self._clock = means.clock
        self._policy = means.policy
        self._process = process
        self._roster = roster
        self._shapes = Shapes(means.schemas)
        self._flows: dict[tuple[str, str], tuple[float, StoredFlow]] = {}
        self._requesters: dict[tuple[Key, str], Requester] = {}
        self._open: dict[str, OpenCall] = {}
        self._is_draining = False

    @contextlib.asynccontextmanager
    async def call(
        self, principal: Principal, flow_id: str, interface: str, body: Any, *, seconds: float | None, single: bool
    ) -> AsyncGenerator[OpenCall]:
        """Publish a request to a flow's interface, and give its replies for the length of the block.

        Raises NotFoundError, UnprocessableError (schema_violated), ConflictError (flow_not_running, flow_stopping),
        CallError.
        """
        flow, chosen = await self._interface(principal, flow_id, interface, body)
        _require_kind(chosen, "request_response")
        await self._require_host(flow, chosen)
        requester = self._requester(flow, interface, chosen)
        lasts = min(requester.route.timeout_seconds, self._policy.timeout_seconds)
        if seconds is not None:
            lasts = seconds_within(seconds, lasts)
        now = self._clock.now()
        async with requester.call(body, seconds=lasts, single=single) as call:
            opened = OpenCall(principal.id, flow, interface, call, (now, now + timedelta(seconds=lasts)))
            self._open[opened.id] = opened
            try:
                yield opened
            finally:
                del self._open[opened.id]

    async def ask(
        self, principal: Principal, flow_id: str, interface: str, body: Any, seconds: float | None = None
    ) -> Answer:
        """Ask, and answer with everything in one: parts of a service that streams all the same are folded."""
        async with self.call(principal, flow_id, interface, body, seconds=seconds, single=True) as call:
            said: list[Any] = []
            while True:
                reply = await call.next()
                if reply.kind == "reset":
                    said.clear()
                elif reply.data is not UNSET:
                    said.append(reply.data)
                if reply.is_last:
                    break
            fold = call.flow.snapshot.interfaces[interface].folding
            return _answer(call, reply, said, fold)

    async def send(self, principal: Principal, flow_id: str, interface: str, body: Any) -> Sent:
        """Hand work over that nobody waits for. Raises as `call` does."""
        flow, chosen = await self._interface(principal, flow_id, interface, body)
        _require_kind(chosen, "send")
        sent_id = str(uuid.uuid4())
        headers: dict[str, Header] = {
            "wb-v": 1,
            "wb-workspace": flow.workspace_id,
            "wb-flow": flow.flow_id,
            "wb-gen": flow.generation,
            "wb-interface": interface,
            **cause_headers(),
        }
        message = Message(body=msgspec.json.encode(body), request_id=sent_id, headers=headers)
        try:
            await self._bus.publish(chosen.topic or "", message, SEND_SECONDS)
        except BusError as error:
            raise bus_failure(error) from error
        return Sent(id=sent_id, durable=self._bus.is_durable)

    async def kind_of(self, principal: Principal, flow_id: str, interface: str) -> str:
        """Whether an interface answers or only takes. Raises as `call` does."""
        flow = await self._flow(principal, flow_id)
        found = flow.snapshot.interfaces.get(interface)
        if found is None:
            raise NotFoundError(code="interface_not_found")
        return found.kind

    async def _interface(
        self, principal: Principal, flow_id: str, name: str, body: Any
    ) -> tuple[StoredFlow, Interface]:
        """The interface, where the body is one for it and the flow runs."""
        if self._is_draining:
            raise CallError(
                "draining", "The service is being restarted.", outcome="not_sent", retryable=True, retry_after_seconds=1
            )
        flow = await self._flow(principal, flow_id)
        found = flow.snapshot.interfaces.get(name)
        if found is None:
            raise NotFoundError(code="interface_not_found")
        self._shapes.require(flow, name, found, body)
        if flow.state == "stopping":
            raise ConflictError("The flow is being stopped", code="flow_stopping")
        if flow.state != "running":
            raise ConflictError("The flow is not running", code="flow_not_running")
        return flow, found

    async def _flow(self, principal: Principal, flow_id: str) -> StoredFlow:
        """The flow as it was a moment ago; of another workspace it is as absent as if it were nowhere."""
        key = (principal.workspace_id, flow_id)
        found = self._flows.get(key)
        if found is not None and time.monotonic() - found[0] < FLOW_REMEMBERED_SECONDS:
            return found[1]
        async with self._transactions.read(principal.workspace_id) as tx:
            flow = await tx.flows.find(flow_id)
        if flow is None:
            self._flows.pop(key, None)
            raise NotFoundError(code="flow_not_found")
        self._flows[key] = (time.monotonic(), flow)
        return flow

    async def _require_host(self, flow: StoredFlow, interface: Interface) -> None:
        """Fail at once where a queue waits for hosts of which none lives. A bus of this process knows by itself."""
        if not (self._bus.is_durable and interface.is_hosted):
            return
        keys = [service.key for service in flow.snapshot.services if interface.request in service.topics.values()]
        for key in keys:
            if await self._roster.live_hosts(key):
                return
        raise CallError("no_service", "No live host serves this interface.", outcome="not_sent", retryable=True)

    def _requester(self, flow: StoredFlow, name: str, interface: Interface) -> Requester:
        place = (flow.key, name)
        if place not in self._requesters:
            route = route_of(flow, name, interface, self._shapes.reply_fault(flow, name, interface))
            self._requesters[place] = Requester(self._bus, route, self._process)
        return self._requesters[place]

    def viewer(self, principal: Principal, flow_id: str) -> Viewer:
        """Somebody who looks at requests: at their own, or who may change flows at everybody's."""
        return Viewer(
            workspace_id=principal.workspace_id,
            flow_id=flow_id,
            user_id=principal.id,
            sees_all=self._policy.is_open or principal.is_admin,
        )

    def under_way(self, viewer: Viewer) -> list[InFlight]:
        """What is under way in this process, as far as it is the viewer's to see."""
        return [call.shown() for call in self._visible(viewer)]

    def _visible(self, viewer: Viewer) -> list[OpenCall]:
        return [
            call
            for call in self._open.values()
            if (call.flow.workspace_id, call.flow.flow_id) == (viewer.workspace_id, viewer.flow_id)
            and (viewer.sees_all or call.caller == viewer.user_id)
        ]

    def cancel(self, viewer: Viewer, request_id: str) -> bool:
        """End a request that is under way in this process; whether there was one for the viewer to end."""
        for call in self._visible(viewer):
            if call.id == request_id:
                requester = self._requesters.get((call.flow.key, call.interface))
                return requester is not None and requester.cancel(request_id)
        return False

    @property
    def is_draining(self) -> bool:
        """Whether this process is ending."""
        return self._is_draining

    def in_flight(self, key: Key) -> int:
        """How many requests to a run of a flow are under way in this process."""
        return sum(requester.in_flight for (of, _), requester in self._requesters.items() if of == key)

    def calling(self) -> list[Key]:
        """The runs of flows that somebody here waits for."""
        return sorted({key for (key, _), requester in self._requesters.items() if requester.in_flight})

    def look_again(self) -> None:
        """Forget what flows were like."""
        self._flows.clear()

    async def release(self, key: Key) -> None:
        """Let go of a run of a flow that was stopped: who still waits fails now."""
        reason = CallError("flow_stopped", "The flow was stopped.")
        self._shapes.forget(key)
        gone = [place for place in self._requesters if place[0] == key]
        requesters = [self._requesters.pop(place) for place in gone]
        await asyncio.gather(*[requester.close(reason, 0) for requester in requesters])

    async def release_others(self, holding: Sequence[StoredFlow]) -> None:
        """Let go of all runs that are over, and of clients that nobody has used for long."""
        live = {flow.key for flow in holding if flow.state in LIVE or not flow.is_withdrawn}
        for key in {key for key, _ in self._requesters} - live:
            await self.release(key)
        idle = time.monotonic() - IDLE_SECONDS
        unused = [place for place, one in self._requesters.items() if not one.in_flight and one.used_at < idle]
        for place in unused:
            await self._requesters.pop(place).close(CallError("closed", "The client was closed."), 0)

    async def drain(self, seconds: float) -> None:
        """Take no more requests, and let those under way end within that time."""
        self._is_draining = True
        reason = CallError("closed", "The service is being restarted.", retryable=True)
        requesters = list(self._requesters.values())
        self._requesters.clear()
        await asyncio.gather(*[requester.close(reason, seconds) for requester in requesters])


def seconds_within(seconds: float, most: float) -> float:
    """A caller's own time, no longer than there is. Raises UnprocessableError for what is no time."""
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise UnprocessableError(
            f"timeout_s is from {MIN_SECONDS:g} to {MAX_SECONDS:g}", code="invalid_timeout", field="timeout_s"
        )
    return min(seconds, most)


def _require_kind(interface: Interface, kind: str) -> None:
    if interface.kind != kind:
        raise ConflictError(f"The interface is of kind {interface.kind}", code="wrong_kind_of_interface")


def route_of(
    flow: StoredFlow, name: str, interface: Interface, reply_fault: Callable[[Any], str | None] | None
) -> Route:
    """Where requests of an interface go, in the name of the flow."""
    idle = interface.idle_timeout_s
    if idle is None and interface.has_keepalive:
        idle = 60.0
    return Route(
        workspace_id=flow.workspace_id,
        flow_id=flow.flow_id,
        generation=flow.generation,
        interface=name,
        request=interface.request or "",
        response=interface.response or "",
        timeout_seconds=interface.timeout_s,
        idle_seconds=idle,
        dialect=interface.dialect,
        keepalive=interface.has_keepalive,
        idempotent=interface.idempotent,
        on_redelivery=interface.on_redelivery,
        max_in_flight=interface.max_in_flight,
        fold=interface.folding,
        reply_fault=reply_fault,
    )


def _answer(call: OpenCall, last: Reply, said: list[Any], fold: Fold) -> Answer:
    return Answer(
        id=call.id,
        data=fold.fold(said),
        usage=UNSET if last.usage is None else last.usage,
        parts=len(said) if len(said) > 1 else UNSET,
    )
