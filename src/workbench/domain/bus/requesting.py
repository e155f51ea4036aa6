"""Requests over the bus: one client for an interface, shared by all its callers, each of which gets its own replies."""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Literal

import msgspec

from workbench.domain.bus.calls import CallLimits, Fold, Reply, Route, timed_out
from workbench.domain.bus.errors import (
    BusError,
    BusUnavailableError,
    CallError,
    Phase,
    PublishUnknownError,
    TopicMissingError,
)
from workbench.domain.bus.mailboxes import Budget, Finished, Slots
from workbench.domain.bus.model import CONTROL_TOPIC, Header, Message
from workbench.domain.bus.ports import Asked, BusMeter, BusTracer, Loss, MessageBus, Subscription
from workbench.domain.bus.tracing import Untraced
from workbench.domain.bus.waiting import Waiter, bus_failure
from workbench.domain.ids import correlation_id, trace_parent

REPLIES_PREFETCH = 200
RETRY_SECONDS = 0.2
CANCEL_SECONDS = 1.0
RESTART_SECONDS = 0.1

Recipient = Callable[[Reply], Any]

logger = logging.getLogger(__name__)


class ProcessCalls:
    """What all requesters of a process share."""

    def __init__(self, meter: BusMeter, limits: CallLimits | None = None, workspace_slots: int = 256) -> None:
        self.meter = meter
        self.tracer: BusTracer = Untraced()
        self.limits = limits or CallLimits()
        self.budget = Budget()
        self.finished = Finished()
        self._workspace_slots = workspace_slots
        self._slots: dict[str, Slots] = {}

    def slots_of(self, workspace_id: str) -> Slots:
        """How many requests of a workspace there may be at once."""
        if workspace_id not in self._slots:
            self._slots[workspace_id] = Slots(self._workspace_slots)
        return self._slots[workspace_id]


class Call:
    """A request that was published, and its replies as they come."""

    def __init__(self, waiter: Waiter, route: Route, deadline: float) -> None:
        self.id = waiter.id
        self.deadline = deadline
        self._waiter = waiter
        self._route = route

    async def next(self) -> Reply:
        """The next reply. Raises CallError where there is none to come, or it took too long."""
        while (reply := self._waiter.mailbox.take()) is None:
            until, phase = self._patience()
            try:
                async with asyncio.timeout_at(until):
                    await self._waiter.mailbox.wait()
            except TimeoutError:
                # What was heard meanwhile, and not put into the mailbox, prolongs the silence that is allowed.
                if asyncio.get_running_loop().time() >= self._patience()[0]:
                    raise self._too_late(phase) from None
        if reply.is_last:
            self.finish()
        return reply

    @property
    def phase(self) -> Phase:
        """What it would fail in, were nothing heard of it from now on."""
        return self._patience()[1]

    def finish(self) -> None:
        """Have enough: what ends now was not left in the middle."""
        self._waiter.is_done = True

    def _patience(self) -> tuple[float, Literal["first_reply", "idle", "overall"]]:
        idle = self._route.idle_seconds
        if idle is not None and self._waiter.heard_at is not None and self._waiter.heard_at + idle < self.deadline:
            return self._waiter.heard_at + idle, "idle"
        return self.deadline, "overall" if self._waiter.has_replied else "first_reply"

    def _too_late(self, phase: Literal["first_reply", "idle", "overall"]) -> CallError:
        if phase == "idle":
            return CallError("service_silent", "The service has fallen silent.", phase=phase, retryable=False)
        return timed_out(phase, was_sent=True)

    def __aiter__(self) -> AsyncGenerator[Reply]:
        return self._replies()

    async def _replies(self) -> AsyncGenerator[Reply]:
        while True:
            reply = await self.next()
            yield reply
            if reply.is_last:
                return


class Requester:
    """The client of one interface of one generation of a flow."""

    def __init__(self, bus: MessageBus, route: Route, process: ProcessCalls) -> None:
        self.route = route
        self.used_at = time.monotonic()
        self._bus = bus
        self._process = process
        self._slots = Slots(route.max_in_flight)
        self._waiters: dict[str, Waiter] = {}
        self._opening = asyncio.Lock()
        self._subscription: Subscription | None = None
        self._reader: asyncio.Task[None] | None = None
        self._closing: CallError | None = None
        self._last_words: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def in_flight(self) -> int:
        """How many requests wait for replies."""
        return len(self._waiters)

    async def request(
        self,
        body: Any,
        *,
        seconds: float | None = None,
        recipient: Recipient | None = None,
        request_id: str | None = None,
        stamps: Mapping[str, Header] | None = None,
    ) -> Reply:
        """Ask, and return the reply that ends it: the final one, or the one for which `recipient` says so.

        `stamps` say in whose name, where that is not the route's. Raises CallError; what `recipient` raises leaves it
        unchanged.
        """
        single = recipient is None
        async with self.call(body, seconds=seconds, single=single, request_id=request_id, stamps=stamps) as call:
            while True:
                reply = await call.next()
                if recipient is None:
                    if reply.kind in ("final", "plain"):
                        call.finish()
                        return reply
                    continue
                if await _told(recipient, reply, call.deadline) or reply.is_last:
                    call.finish()
                    return reply

    @contextlib.asynccontextmanager
    async def call(
        self,
        body: Any,
        *,
        seconds: float | None = None,
        single: bool = False,
        request_id: str | None = None,
        stamps: Mapping[str, Header] | None = None,
    ) -> AsyncGenerator[Call]:
        """Publish a request, and give its replies for the length of the block. Raises CallError.

        One deadline covers everything, from waiting for a slot to the last reply. Left early, the service is told.
        """
        waiter = Waiter(request_id or str(uuid.uuid4()), self.route, self._process, self._cancel)
        deadline = asyncio.get_running_loop().time() + (self.route.timeout_seconds if seconds is None else seconds)
        async with self._measured(waiter) as parent, self._slot(deadline):
            self._idle.clear()
            self._waiters[waiter.id] = waiter
            try:
                headers = {**_headers(self.route, single=single), **(stamps or {})}
                if parent is not None:
                    headers["traceparent"] = parent
                await self._send(waiter, body, deadline, headers)
                yield Call(waiter, self.route, deadline)
            finally:
                self._forget(waiter)

    @contextlib.asynccontextmanager
    async def _measured(self, waiter: Waiter) -> AsyncGenerator[str | None]:
        """Count the request, how it ended and how long it took; an error gets its id. Gives where in a trace it is."""
        began, meter, outcome = time.monotonic(), self._process.meter, "ok"
        asked = Asked(self.route.workspace_id, self.route.interface)
        meter.in_flight(asked, 1)
        try:
            with self._process.tracer.call(self.route.interface) as parent:
                yield parent
            outcome = "ok" if waiter.is_done else "cancelled"
        except CallError as error:
            error.request_id, outcome = waiter.id, error.code
            if error.phase is not None and error.code in ("timeout", "service_silent"):
                meter.timed_out(asked, error.phase)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            outcome = "cancelled"
            raise
        except BaseException:
            outcome = "error"
            raise
        finally:
            took = time.monotonic() - began
            meter.in_flight(asked, -1)
            meter.requested(asked, outcome, took, waiter.first_after)
            place = f"{self.route.flow_id}/{self.route.interface}"
            logger.info(
                "request %s to %s: %s in %.0f ms, replies: %d", waiter.id, place, outcome, took * 1e3, waiter.count
            )

    @contextlib.asynccontextmanager
    async def _slot(self, deadline: float) -> AsyncGenerator[None]:
        everybody = self._process.slots_of(self.route.workspace_id)
        async with _in_time(deadline, "slot"):
            await everybody.take()
        try:
            async with _in_time(deadline, "slot"):
                await self._slots.take()
            try:
                yield
            finally:
                self._slots.give_back()
        finally:
            everybody.give_back()

    def _forget(self, waiter: Waiter) -> None:
        """Without a lock and without waiting, so that it happens however the request ends."""
        self._waiters.pop(waiter.id, None)
        self._process.finished.add(waiter.id, time.monotonic())
        waiter.mailbox.empty()
        self.used_at = time.monotonic()
        if waiter.was_sent and not waiter.is_over:
            self._cancel(waiter.id, waiter.run, "not waited for")
        if not self._waiters:
            self._idle.set()

    async def _send(self, waiter: Waiter, body: Any, deadline: float, headers: dict[str, Header]) -> None:
        encoded = msgspec.json.encode(body)
        async with _in_time(deadline, "connect"):
            await self._patiently(self.open, deadline)
        loop = asyncio.get_running_loop()
        while True:
            if self._closing is not None:
                raise _copy(self._closing)
            left = deadline - loop.time()
            headers["wb-deadline"] = int((time.time() + left) * 1000)
            message = Message(body=encoded, request_id=waiter.id, headers=headers, ttl_seconds=max(left, 0.001))
            try:
                async with _in_time(deadline, "publish"):
                    waiter.was_sent = True
                    await self._patiently(lambda message=message: self._publish(waiter, message, deadline), deadline)
            except PublishUnknownError as error:
                if self.route.idempotent:
                    await asyncio.sleep(min(RETRY_SECONDS, max(left, 0)))
                    continue
                raise bus_failure(error) from error
            return

    async def _publish(self, waiter: Waiter, message: Message, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        began, outcome = loop.time(), "unknown"
        try:
            await self._bus.publish(self.route.request, message, deadline - began)
            outcome = "ok"
        except BusError as error:
            outcome = error.code
            waiter.was_sent = error.outcome == "unknown"
            raise
        finally:
            self._process.meter.published("gateway", self.route.interface, outcome, loop.time() - began)

    async def _patiently(self, act: Callable[[], Awaitable[None]], deadline: float) -> None:
        """Act, and wait for a connection where there is none. Raises CallError."""
        while True:
            try:
                return await act()
            except PublishUnknownError:
                raise
            except BusUnavailableError as error:
                if self._bus.state() == "closed" or asyncio.get_running_loop().time() + RETRY_SECONDS > deadline:
                    failure = bus_failure(error)
                    failure.phase = "connect"
                    raise failure from error
                await asyncio.sleep(RETRY_SECONDS)
            except BusError as error:
                raise bus_failure(error) from error

    async def open(self) -> None:
        """Bind the subscription, once for all who ask first at the same time; a failure is not remembered."""
        if self._subscription is not None:
            return
        async with self._opening:
            if self._closing is not None:
                raise _copy(self._closing)
            if self._subscription is None:
                route = self.route
                name = f"{route.interface}/{route.workspace_id}/{route.flow_id}/{route.generation}/{uuid.uuid4()}"
                subscription = await self._bus.subscribe(route.response, name, REPLIES_PREFETCH, self._lost)
                self._reader = asyncio.create_task(self._read(subscription))
                self._subscription = subscription
                self._process.meter.subscribed(route.interface, 1)

    async def _read(self, subscription: Subscription) -> None:
        """Take every reply, whatever it is: one that cannot be understood is not to stop those after it."""
        while True:
            try:
                async for delivery in subscription:
                    try:
                        self._take(delivery.message)
                    finally:
                        await delivery.ack()
            except TopicMissingError as error:
                self._closing = bus_failure(error)
                self._fail_all(self._closing)
                return
            except Exception:
                logger.exception("reading replies failed, going on")
                self._process.meter.dropped(self.route.interface, "bad")
                await asyncio.sleep(RESTART_SECONDS)
                continue
            return

    def _take(self, message: Message) -> None:
        """Give a reply to whom it belongs. The headers say so: another's body is never opened."""
        request_id, interface = message.request_id, self.route.interface
        meter, finished = self._process.meter, self._process.finished
        meter.received(interface, message.kind or "plain")
        if request_id is None:
            logger.warning("a reply on %s says of no request that it belongs to it", self.route.response)
            meter.dropped(interface, "bad")
            return
        waiter = self._waiters.get(request_id)
        if waiter is not None:
            waiter.hear(message)
        elif finished.is_known(request_id, time.monotonic()):
            meter.dropped(interface, "late")
            if message.kind not in ("final", "error") and finished.first_time(request_id):
                self._cancel(request_id, message.text("wb-run"), "late")
        else:
            meter.dropped(interface, "foreign")

    def _lost(self, loss: Loss) -> None:
        """Have those fail whose replies are lost, or may be without a sign; the others go on, listening for silence."""
        for waiter in list(self._waiters.values()):
            if not waiter.was_sent:
                continue
            if loss == "queue" or not self.route.keepalive:
                waiter.mailbox.fail(_interrupted())
            else:
                waiter.heard_at = asyncio.get_running_loop().time()

    def _cancel(self, request_id: str, run: str | None, reason: str) -> None:
        """Tell hosts that nobody waits any more, without waiting for it."""
        task = asyncio.create_task(self._say_cancelled(request_id, run, reason))
        self._last_words.add(task)
        task.add_done_callback(self._last_words.discard)

    async def _say_cancelled(self, request_id: str, run: str | None, reason: str) -> None:
        body = msgspec.json.encode({"id": request_id, "run": run, "reason": reason})
        message = Message(
            body=body, request_id=request_id, headers={"wb-v": 1, "wb-kind": "cancel"}, ttl_seconds=CANCEL_SECONDS * 30
        )
        try:
            async with asyncio.timeout(CANCEL_SECONDS):
                await self._bus.publish(CONTROL_TOPIC, message, CANCEL_SECONDS)
        except (BusError, TimeoutError) as error:
            logger.info("cancelling %s was not heard: %s", request_id, type(error).__name__)

    def cancel(self, request_id: str) -> bool:
        """End a request that is in flight, in its caller's stead; whether there was one."""
        waiter = self._waiters.get(request_id)
        if waiter is None:
            return False
        waiter.mailbox.fail(CallError("cancelled", "The request was cancelled.", outcome="unknown"))
        return True

    def _fail_all(self, error: CallError) -> None:
        for waiter in list(self._waiters.values()):
            waiter.mailbox.fail(_copy(error))

    async def close(self, reason: CallError, drain_seconds: float = 5.0) -> None:
        """Take no new requests, give those in flight their time, then have them fail with the reason."""
        self._closing = self._closing or reason
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(drain_seconds):
                    await self._idle.wait()
        finally:
            # Also where this is cut short itself: who waits must not find out by its own time-out.
            self._fail_all(reason)
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            self._process.meter.subscribed(self.route.interface, -1)
            await subscription.close()
        if self._last_words:
            await asyncio.wait(self._last_words, timeout=CANCEL_SECONDS)


def cause_headers() -> dict[str, Header]:
    """What a message says of the request that it came of, and of its place in a trace."""
    found = {"wb-cause": correlation_id.get(), "traceparent": trace_parent.get()}
    return {name: value for name, value in found.items() if value}


def _headers(route: Route, *, single: bool) -> dict[str, Header]:
    headers: dict[str, Header] = {
        "wb-v": 1,
        "wb-kind": "request",
        "wb-workspace": route.workspace_id,
        "wb-flow": route.flow_id,
        "wb-gen": route.generation,
        "wb-interface": route.interface,
    }
    headers |= cause_headers()
    if single:
        headers["wb-single"] = True
        if route.fold != Fold():
            headers["wb-fold"] = msgspec.json.encode(route.fold).decode()
    if route.on_redelivery == "refuse":
        headers["wb-on-redelivery"] = "refuse"
    return headers


@contextlib.asynccontextmanager
async def _in_time(deadline: float, phase: str) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError:
        raise timed_out(phase, was_sent=phase == "publish") from None


async def _told(recipient: Recipient, reply: Reply, deadline: float) -> bool:
    """Tell the recipient, whose time counts as well; whether it has what it wants."""
    answer = recipient(reply)
    if isinstance(answer, Awaitable):
        limit = asyncio.timeout_at(deadline)
        try:
            async with limit:
                answer = await answer  # pyright: ignore[reportUnknownVariableType]
        except TimeoutError:
            if limit.expired():
                raise timed_out("overall", was_sent=True) from None
            raise
    return bool(answer)  # pyright: ignore[reportUnknownArgumentType]


def _interrupted() -> CallError:
    return CallError("bus_interrupted", "The connection to the message bus was lost.", outcome="unknown")


def _copy(error: CallError) -> CallError:
    """One of one's own, since each names its request."""
    return CallError(error.code, error.detail, outcome=error.outcome, phase=error.phase, retryable=error.retryable)
