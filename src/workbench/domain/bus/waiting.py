"""One request in flight: which messages are its replies, in which order, and what makes it fail."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from msgspec import UNSET

from workbench.domain.bus.calls import CallLimits, Reply, Route, Usage
from workbench.domain.bus.errors import BusError, CallError
from workbench.domain.bus.mailboxes import Budget, Mailbox
from workbench.domain.bus.model import Message
from workbench.domain.bus.ports import BusMeter
from workbench.domain.texts import cleaned_text, read_json

MAX_MESSAGE_CHARACTERS = 1024

Cancel = Callable[[str, str | None, str], None]


class SharedByCalls(Protocol):
    """What a waiter needs of its process."""

    meter: BusMeter
    limits: CallLimits
    budget: Budget


class PartBody(msgspec.Struct, frozen=True):
    """What a part or a final says."""

    data: Any = UNSET
    usage: Usage | None = None


class ErrorBody(msgspec.Struct, frozen=True):
    """What a service says instead of a result."""

    code: str
    message: str = "The service failed."
    retryable: bool = False
    retry_after_s: float | None = None
    category: str | None = None


class Waiter:
    """Keeps the order of one request's replies."""

    def __init__(self, request_id: str, route: Route, process: SharedByCalls, cancel: Cancel) -> None:
        self.id = request_id
        self.mailbox = Mailbox(process.budget, process.limits)
        self.was_sent = False
        self.is_over = False
        self.is_done = False
        self.heard_at: float | None = None
        self.first_after: float | None = None
        self._made_at = asyncio.get_running_loop().time()
        self.run: str | None = None
        self._route = route
        self._process = process
        self._cancel = cancel
        self._old_runs: set[str | None] = set()
        self._last = 0
        self._bytes = 0
        self.count = 0

    @property
    def has_replied(self) -> bool:
        """Whether anything came at all."""
        return self.first_after is not None

    def hear(self, message: Message) -> None:
        """Take a message that names this request."""
        if self.is_over or self.mailbox.has_failed:
            self._drop("duplicate" if self.is_over else "late")
            return
        now = asyncio.get_running_loop().time()
        self.heard_at = now
        if self.first_after is None and message.kind != "keepalive":
            self.first_after = now - self._made_at
        if message.kind is None:
            self._hear_plain(message)
        elif message.kind == "keepalive":
            self._is_of_run(message)
        elif message.kind in ("part", "final", "error"):
            self._hear_native(message)
        else:
            self._drop("bad")

    def _hear_plain(self, message: Message) -> None:
        if self._route.dialect != "plain":
            self._fail("bad_reply", "The service answered in another dialect.")
            return
        try:
            data = read_json(message.body)
        except msgspec.DecodeError:
            self._fail("bad_reply", "The service answered what is not JSON.")
            return
        if self._is_as_promised(data):
            self._last += 1
            self._deliver(Reply(kind="plain", seq=self._last, data=data), len(message.body))

    def _hear_native(self, message: Message) -> None:
        if not self._is_of_run(message):
            return
        seq = message.number("wb-seq")
        if seq is None or seq < 1:
            self._fail("bad_reply", "The service does not number its replies.")
        elif seq <= self._last:
            self._drop("duplicate")
        elif seq > self._last + 1:
            self._fail("reply_gap", "A part of the answer was lost.", retryable=True)
        else:
            self._last = seq
            self._open(message, seq)

    def _is_of_run(self, message: Message) -> bool:
        """Whether it is of the run that counts. After its first host died, that is the run of the next."""
        run = message.text("wb-run")
        if self.run is None:
            self.run = run
        if run == self.run:
            return True
        if run in self._old_runs or not message.is_set("wb-redelivered"):
            self._drop("stale_run")
            return False
        self._old_runs.add(self.run)
        self._cancel(self.id, self.run, "another host took over")
        self.run, self._last, self._bytes, self.count = run, 0, 0, 0
        self.mailbox.empty()
        self._put(Reply(kind="reset"), 0)
        return True

    def _open(self, message: Message, seq: int) -> None:
        try:
            value: Any = read_json(message.body or b"{}")
            if message.kind == "error":
                self._end_with(msgspec.convert(value, ErrorBody))
                return
            body = msgspec.convert(value, PartBody)
        except (msgspec.DecodeError, msgspec.ValidationError):
            self._fail("bad_reply", "The service answered what cannot be understood.")
            return
        if not self._is_as_promised(body.data):
            return
        kind = "final" if message.kind == "final" else "part"
        self.is_over = kind == "final"
        self._deliver(Reply(kind=kind, seq=seq, data=body.data, usage=body.usage), len(message.body))

    def _is_as_promised(self, data: Any) -> bool:
        """Whether a reply is one that its interface may give; what is none fails the request."""
        check = self._route.reply_fault
        fault = None if check is None or data is UNSET else check(data)
        if fault is not None:
            self._fail("bad_reply", f"The service answered what its interface does not promise: {shown(fault)}")
        return fault is None

    def _end_with(self, body: ErrorBody) -> None:
        self.is_over = True
        code = {"too-many-requests": "rate_limited"}.get(body.code, body.code)
        known = code in ("rate_limited", "internal", "interrupted", "workspace_mismatch", "bad_request")
        error = CallError(
            code if known else "service_error",
            shown(body.message),
            outcome="answered",
            retryable=body.retryable,
            category=body.category,
            retry_after_seconds=body.retry_after_s,
        )
        error.service_code = shown(body.code)[:64]
        self.mailbox.fail(error)

    def _deliver(self, reply: Reply, size: int) -> None:
        limits = self._process.limits
        self._bytes += size
        self.count += 1
        if size > limits.reply_bytes or self._bytes > limits.answer_bytes or self.count > limits.answer_parts:
            self._fail("reply_too_large", "The answer is larger than a limit.")
            return
        self._put(reply, size)

    def _put(self, reply: Reply, size: int) -> None:
        if not self.mailbox.put(reply, size):
            self.mailbox.empty()
            self._process.meter.dropped(self._route.interface, "overflow")
            self._fail("slow_consumer", "Replies came faster than they were read.")

    def _fail(self, code: str, detail: str, *, retryable: bool = False) -> None:
        self.is_over = False
        if code == "bad_reply":
            self._drop("bad")
        self.mailbox.fail(CallError(code, detail, outcome="unknown", retryable=retryable))

    def _drop(self, reason: str) -> None:
        self._process.meter.dropped(self._route.interface, reason)


def bus_failure(error: BusError) -> CallError:
    """What a caller is told where the bus did not take the request."""
    details = {
        "no_service": "No service is bound to this interface.",
        "topic_missing": "The topic of this interface is gone.",
        "bus_full": "The service has more requests waiting than it can take.",
        "bus_blocked": "The message bus takes no messages at the moment.",
        "bus_interrupted": "The connection to the message bus was lost.",
    }
    detail = details.get(error.code, "The message bus cannot be reached.")
    return CallError(error.code, detail, outcome=error.outcome, retryable=error.outcome == "not_sent", phase="publish")


def shown(text: str) -> str:
    """A service's words as callers are shown them: no control characters, and not too long."""
    printable = "".join(letter if letter.isprintable() or letter in "\n\t" else " " for letter in cleaned_text(text))
    return printable[:MAX_MESSAGE_CHARACTERS]
