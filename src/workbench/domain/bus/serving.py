"""One instance of a service: reads its inputs, runs its handlers, sends their replies, and acknowledges last."""

import asyncio
import contextlib
import logging
import random
import re
import time
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from msgspec import UNSET

from workbench.domain.bus.attending import Attendant
from workbench.domain.bus.calls import Fold, Route
from workbench.domain.bus.context import HostMeans, Run, RunContext
from workbench.domain.bus.errors import (
    BusBlockedError,
    BusError,
    BusFullError,
    BusUnavailableError,
    BusyError,
    CallError,
    NoRouteError,
    PublishUnknownError,
    ServiceFailure,
    TopicMissingError,
)
from workbench.domain.bus.handling import results
from workbench.domain.bus.hosting import HostMemory, Running
from workbench.domain.bus.model import MAX_DELIVERIES, Header, Kind, Message, TopicName
from workbench.domain.bus.overhearing import Heard, listening_to
from workbench.domain.bus.ports import BusMeter, Delivery, MessageBus, Subscription
from workbench.domain.bus.requesting import ProcessCalls, Requester
from workbench.domain.bus.services import Assignment, Final, Input, ServiceDefinition
from workbench.domain.ids import continue_cause
from workbench.domain.texts import read_json

KEEPALIVE_SECONDS = 15.0
SKEW_SECONDS = 2.0
BUSY_FIRST_SECONDS = 1.0
BUSY_MOST_SECONDS = 10.0
BUSY_LONGEST_SECONDS = 60.0
WORK_SECONDS = 1500.0
HOLD_SECONDS = (1.0, 5.0, 30.0, 30.0)
RETRY_SECONDS = 0.2
ANSWER_BYTES = 16 << 20

logger = logging.getLogger(__name__)


class HostTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long a host waits for what."""

    keepalive_seconds: float = KEEPALIVE_SECONDS
    busy_first_seconds: float = BUSY_FIRST_SECONDS
    hold_seconds: tuple[float, ...] = HOLD_SECONDS


class ServiceInstance:
    """A service at work for one assignment."""

    def __init__(
        self,
        bus: MessageBus,
        definition: ServiceDefinition,
        assignment: Assignment,
        memory: HostMemory,
        process: ProcessCalls,
        times: HostTimes | None = None,
    ) -> None:
        self.assignment = assignment
        self._bus = bus
        self._definition = definition
        self._memory = memory
        self._process = process
        self._meter: BusMeter = process.meter
        self._times = times or HostTimes()
        self._calls: dict[str, Requester] = {}
        self._subscriptions: list[Subscription] = []
        self._readers: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening = contextlib.AsyncExitStack()

    @property
    def in_hand(self) -> int:
        """How many requests it is at."""
        return len(self._tasks)

    @property
    def is_broken(self) -> bool:
        """Whether it no longer reads one of its inputs, as when a topic was deleted under it."""
        return any(reader.done() for reader in self._readers)

    async def start(self) -> None:
        """Make calls ready, then open the inputs. Raises ValueError for a topic that the blueprint lacks, BusError."""
        for call in self._definition.calls:
            self._open_call(call.name, call.request, call.response, optional=call.optional)
        for name in self._definition.outputs:
            self._topic(name)
        try:
            for an_input in self._definition.inputs:
                topic = self._topic(an_input.name)
                if not TopicName.parse(topic).is_shared:
                    await self._overhear(an_input, topic)
                    continue
                subscription = subscription_of(topic, self._definition.name, an_input.name)
                opened = await self._bus.subscribe(topic, subscription, an_input.concurrency)
                self._subscriptions.append(opened)
                self._readers.append(asyncio.create_task(self._read(an_input, opened)))
        except BaseException:
            await self.stop(0)
            raise

    async def _overhear(self, an_input: Input, topic: str) -> None:
        """Hear what every host hears. Raises ValueError where an answer is wanted, BusError."""
        if an_input.reply is not None:
            raise ValueError(f"nobody waits for an answer on {topic}: the input {an_input.name} has to have no reply")
        name = self._definition.name

        def context(heard: Heard) -> RunContext | None:
            message = heard.message
            return None if self._is_of_another(an_input, message) else self._context(an_input, message, heard.lost)

        listening = listening_to(self._bus, topic, f"{name}/{an_input.name}", self._process, an_input.on_overflow)
        overhearing = await self._listening.enter_async_context(listening)
        attendant = Attendant(name, an_input, context, self._meter)
        self._readers.append(asyncio.create_task(attendant.run(overhearing)))

    def _topic(self, name: str) -> str:
        topic = self.assignment.topics.get(name)
        if topic is None:
            raise ValueError(f"the blueprint gives {self._definition.name} no topic called {name}")
        return topic

    def _open_call(self, name: str, request: str, response: str, *, optional: bool) -> None:
        topics = self.assignment.topics
        if optional and (request not in topics or response not in topics):
            return
        route = Route(
            workspace_id=self.assignment.workspace_id or "",
            flow_id=self.assignment.flow_id,
            generation=self.assignment.generation,
            interface=f"{self._definition.name}-{name}",
            request=self._topic(request),
            response=self._topic(response),
        )
        self._calls[name] = Requester(self._bus, route, self._process)

    async def stop(self, drain_seconds: float = 5.0) -> None:
        """Read no more, let what is in hand end within that time, and give the rest back."""
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        if self._tasks and drain_seconds > 0:
            await asyncio.wait(self._tasks, timeout=drain_seconds)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for subscription in self._subscriptions:
            await subscription.close()
        await self._listening.aclose()
        gone = CallError("flow_stopped", "The flow was stopped.")
        for requester in self._calls.values():
            await requester.close(gone, 0)

    async def _read(self, an_input: Input, subscription: Subscription) -> None:
        serve = self._serve if an_input.reply is not None else self._work
        self._meter.reading(self._definition.name, an_input.name, 1)
        try:
            async for delivery in subscription:
                task = asyncio.create_task(serve(an_input, delivery))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except TopicMissingError as error:
            logger.info("the topic %s is gone", error)
        finally:
            self._meter.reading(self._definition.name, an_input.name, -1)

    async def _serve(self, an_input: Input, delivery: Delivery) -> None:
        """Answer a request; whatever goes wrong, this task alone ends of it."""
        began, outcome = time.monotonic(), "error"
        try:
            outcome = await self._answer_once(an_input, delivery)
        except asyncio.CancelledError:
            outcome = "cancelled"
            await delivery.reject(requeue=True)
            raise
        except Exception:
            logger.exception("serving %s failed", self._definition.name)
            await delivery.ack()
        finally:
            self._meter.consumed(self._definition.name, an_input.name, outcome, time.monotonic() - began)

    async def _answer_once(self, an_input: Input, delivery: Delivery) -> str:
        """Answer, unless that is under way or was done already, or nobody waits for it. Says what came of it."""
        message, memory = delivery.message, self._memory
        request_id = message.request_id
        if request_id is None:
            logger.warning("a request to %s has no id", self._definition.name)
            await delivery.ack()
            return "error"
        if memory.was_cancelled(request_id):
            await delivery.ack()
            return "cancelled"
        if _seconds_left(message) < -SKEW_SECONDS:
            await delivery.ack()
            return "expired"
        running = memory.running.get(request_id)
        if running is not None:
            running.delivery = delivery
            return "redelivered"
        running = Running(delivery)
        answered = memory.answered(request_id)
        if answered is not None:
            await self.publish_reply(an_input, answered, _seconds_left(message))
            await running.delivery.ack()
            return "redelivered"
        return await self._run(an_input, running)

    async def _run(self, an_input: Input, running: Running) -> str:
        message = running.delivery.message
        request_id = message.request_id or ""
        self._memory.running[request_id] = running
        continue_cause(message.text("wb-cause") or request_id, _trace_parent_of(message))
        running.task = asyncio.current_task()
        outcome = "ok"
        try:
            with self._process.tracer.run(self._definition.name, an_input.name):
                outcome = await self._reply(an_input, running)
        except asyncio.CancelledError:
            if not running.is_cancelled:
                raise
            outcome = "cancelled"
        finally:
            del self._memory.running[request_id]
        if running.last is not None:
            self._memory.remember(request_id, running.last)
        await running.delivery.ack()
        return outcome

    async def _reply(self, an_input: Input, running: Running) -> str:
        """Run the handler and send what it says; an error is an answer as well."""
        message = running.delivery.message
        sender = _Sender(self, an_input, running)
        left = min(max(_seconds_left(message), 0.05), WORK_SECONDS)
        try:
            data = self._read_request(an_input, message, running)
            async with asyncio.timeout(left), self._alive(sender):
                await self._handle(an_input, message, data, sender)
        except ServiceFailure as failure:
            await sender.fail(failure)
            return "error"
        except (TimeoutError, NoRouteError, TopicMissingError):
            # Nobody waits for it any more.
            return "expired"
        except Exception:
            error_id = uuid.uuid4().hex
            logger.exception("the service %s failed (%s)", self._definition.name, error_id)
            await sender.fail(ServiceFailure("internal", f"The service failed. ({error_id})"))
            return "error"
        return "ok"

    def _read_request(self, an_input: Input, message: Message, running: Running) -> Any:
        if self._is_of_another(an_input, message):
            raise ServiceFailure("workspace_mismatch", "The request is of another workspace.")
        if running.delivery.attempt > 1 and message.text("wb-on-redelivery") == "refuse":
            raise ServiceFailure("interrupted", "The service was interrupted while it worked on this.")
        try:
            return read_json(message.body)
        except msgspec.DecodeError:
            raise ServiceFailure("bad_request", "The request is not JSON.", category="invalid_request") from None

    def _is_of_another(self, an_input: Input, message: Message) -> bool:
        """Whether it names another workspace than its topic does."""
        workspace = self.assignment.workspace_by(an_input.name)
        return workspace is not None and message.text("wb-workspace") not in (None, workspace)

    async def _handle(self, an_input: Input, message: Message, data: Any, sender: "_Sender") -> None:
        """Run the handler, and again where it says that it is busy and has not begun to answer."""
        give_up = time.monotonic() + min(max(_seconds_left(message), 0), BUSY_LONGEST_SECONDS)
        wait = self._times.busy_first_seconds
        while True:
            try:
                async for item in results(an_input, data, self._context(an_input, message)):
                    await sender.take(item)
                await sender.finish()
            except BusyError as busy:
                pause = max(busy.retry_after_seconds or 0, wait * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load
                if sender.has_begun or time.monotonic() + pause > give_up:
                    raise ServiceFailure(
                        "rate_limited", str(busy), retryable=True, retry_after_seconds=busy.retry_after_seconds or wait
                    ) from busy
                self._meter.rate_limited(self._definition.name, an_input.name)
                await asyncio.sleep(pause)
                wait = min(wait * 2, BUSY_MOST_SECONDS)
            else:
                return

    def _context(self, an_input: Input, message: Message, lost: int = 0) -> RunContext:
        run = Run(message, self.assignment.workspace_by(an_input.name), lambda: _seconds_left(message), lost)
        means = HostMeans(self._bus, self._meter, self._calls)
        return RunContext(self.assignment, self._definition, run, means)

    @contextlib.asynccontextmanager
    async def _alive(self, sender: "_Sender") -> AsyncGenerator[None]:
        """Say now and then that somebody is at it, while there is nothing else to say."""

        async def beat() -> None:
            while True:
                silent = time.monotonic() - sender.said_at
                await asyncio.sleep(max(self._times.keepalive_seconds - silent, 0.01))
                if time.monotonic() - sender.said_at >= self._times.keepalive_seconds:
                    with contextlib.suppress(BusError, TimeoutError):
                        await sender.keep_alive()

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()

    async def publish_reply(self, an_input: Input, message: Message, seconds: float) -> None:
        """Send a reply, again and again while there is no connection: numbered, it does no harm twice."""
        topic = self._topic(an_input.reply or "")
        until = time.monotonic() + max(seconds, 1.0)
        while True:
            began, outcome = time.monotonic(), "unknown"
            try:
                await self._bus.publish(topic, message, max(until - began, 0.05))
                outcome = "ok"
            except (BusUnavailableError, BusBlockedError, BusFullError, PublishUnknownError) as error:
                outcome = error.code
                if time.monotonic() + RETRY_SECONDS > until:
                    raise TimeoutError from error
                await asyncio.sleep(RETRY_SECONDS)
            except BusError as error:
                outcome = error.code
                raise
            else:
                return
            finally:
                seconds = time.monotonic() - began
                self._meter.published(self._definition.name, an_input.reply or "", outcome, seconds)

    async def _work(self, an_input: Input, delivery: Delivery) -> None:
        """Do a piece of work that nobody waits for; one that fails is done again, a few times, ever later."""
        began, outcome = time.monotonic(), "ok"
        message = delivery.message
        try:
            if self._is_of_another(an_input, message):
                logger.warning("work of another workspace came to %s", self._definition.name)
                outcome = "error"
                await delivery.ack()
                return
            continue_cause(message.text("wb-cause") or message.request_id or "", _trace_parent_of(message))
            with self._process.tracer.run(self._definition.name, an_input.name):
                async with asyncio.timeout(WORK_SECONDS):
                    async for _ in results(an_input, read_json(message.body), self._context(an_input, message)):
                        pass
            await delivery.ack()
        except asyncio.CancelledError:
            outcome = "cancelled"
            await delivery.reject(requeue=True)
            raise
        except msgspec.DecodeError:
            outcome = "dead"
            await delivery.reject(requeue=False)
        except Exception:
            logger.exception("the service %s failed at work", self._definition.name)
            outcome = await self._hold(delivery)
        finally:
            self._meter.consumed(self._definition.name, an_input.name, outcome, time.monotonic() - began)

    async def _hold(self, delivery: Delivery) -> str:
        hold = self._times.hold_seconds
        await asyncio.sleep(hold[min(delivery.attempt - 1, len(hold) - 1)])
        await delivery.reject(requeue=True)
        return "dead" if delivery.attempt >= MAX_DELIVERIES else "error"


class _Sender:
    """Numbers the replies of one run, and folds them where the caller wants a single one."""

    def __init__(self, instance: ServiceInstance, an_input: Input, running: Running) -> None:
        self.said_at = time.monotonic()
        self._instance = instance
        self._input = an_input
        self._running = running
        self._message = running.delivery.message
        self._is_single = self._message.is_set("wb-single")
        self._parts: list[Any] = []
        self._bytes = 0
        self._final: Final | None = None

    @property
    def has_begun(self) -> bool:
        """Whether anything was said."""
        return self._running.seq > 0 or bool(self._parts)

    async def take(self, item: Any) -> None:
        """A thing that the handler says: a part, or what ends the answer."""
        if isinstance(item, Final):
            self._final = item
        elif self._is_single:
            self._bytes += len(msgspec.json.encode(item))
            if self._bytes > ANSWER_BYTES:
                raise ServiceFailure("reply_too_large", "The answer is larger than a limit.")
            self._parts.append(item)
        else:
            await self._say("part", {"data": item})

    async def finish(self) -> None:
        """Say that this was all."""
        final = self._final or Final()
        data = final.data
        if self._is_single:
            said = [*self._parts] if data is UNSET else [*self._parts, data]
            data = _fold_of(self._message).fold(said)
        elif data is UNSET and not self.has_begun:
            data = None
        body: dict[str, Any] = {} if data is UNSET else {"data": data}
        if final.usage is not UNSET:
            body["usage"] = final.usage
        await self._say("final", body)

    async def fail(self, failure: ServiceFailure) -> None:
        """Say what went wrong."""
        body: dict[str, Any] = {"code": failure.code, "message": failure.message[:1024], "retryable": failure.retryable}
        if failure.category is not None:
            body["category"] = failure.category
        if failure.retry_after_seconds is not None:
            body["retry_after_s"] = failure.retry_after_seconds
        with contextlib.suppress(NoRouteError, TopicMissingError, TimeoutError):
            await self._say("error", body)

    async def keep_alive(self) -> None:
        """Say that somebody is at it."""
        await self._publish("keepalive", b"", None)

    async def _say(self, kind: Kind, body: dict[str, Any]) -> None:
        self._running.seq += 1
        message = await self._publish(kind, msgspec.json.encode(body), self._running.seq)
        if kind != "part" and self._running.seq == 1:
            self._running.last = message

    async def _publish(self, kind: Kind, body: bytes, seq: int | None) -> Message:
        self.said_at = time.monotonic()
        headers: dict[str, Header] = {"wb-v": 1, "wb-kind": kind, "wb-run": self._running.run_id}
        headers |= {name: value for name, value in self._message.headers.items() if name in _STAMPS}
        if seq is not None:
            headers["wb-seq"] = seq
        if self._running.delivery.attempt > 1:
            headers["wb-redelivered"] = True
        message = Message(body=body, request_id=self._message.request_id, headers=headers)
        await self._instance.publish_reply(self._input, message, _seconds_left(self._message))
        return message


_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_STAMPS = frozenset({"wb-workspace", "wb-flow", "wb-gen", "wb-interface"})


def _fold_of(message: Message) -> Fold:
    text = message.text("wb-fold")
    try:
        return Fold() if text is None else msgspec.json.decode(text, type=Fold)
    except msgspec.MsgspecError:
        return Fold()


def _trace_parent_of(message: Message) -> str | None:
    """Where in a trace it was sent; who writes to a topic may have written anything."""
    given = message.text("traceparent")
    return given if given is not None and _TRACE_PARENT.fullmatch(given) else None


def _seconds_left(message: Message) -> float:
    deadline = message.number("wb-deadline")
    return WORK_SECONDS if deadline is None else deadline / 1000 - time.time()


def subscription_of(topic: str, service: str, input_name: str) -> str:
    """One queue for a topic and a service, whichever flows it serves: the topic says already whose it is."""
    return f"{topic}/{service}/{input_name}"
