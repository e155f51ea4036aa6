"""Turns that are ours to make: how one is taken, and what is sent to the workbench for as long as we have it."""

from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import msgspec

from workbench.sdk.calls import Calls
from workbench.sdk.errors import CallError, TurnLostError
from workbench.sdk.model import Json, Message
from workbench.sdk.turn_model import LeaseGrant, OpenedTurn, TurnError

LEASE_SECONDS = 60
LOST = frozenset({"stale_epoch", "turn_terminal", "lease_held", "batch_gap", "turn_gone"})
NOT_OURS = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


class _Taken(msgspec.Struct):
    next_batch: int
    cancel_requested: bool


class _Slot(msgspec.Struct):
    turn_id: str
    slot: str


class Closing(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How an answer ends, as it is sent."""

    epoch: int
    outcome: str
    finish_reason: str | None = None
    content_type: str = "text/plain"
    error: TurnError | None = None
    metadata: Json = {}
    debug_data: Json = {}


class Hold:
    """A turn that is ours, until it ends or somebody else gets it. Raises TurnLostError when that is so."""

    def __init__(self, calls: Calls, path: str, turn_id: str, grant: LeaseGrant) -> None:
        """Have what was granted; batches are counted from there."""
        self.turn_id = turn_id
        self.epoch = grant.epoch
        self.parts = grant.parts
        self.is_cancelled = False
        self._calls = calls
        self._path = path
        self._batch = grant.next_batch

    async def add(self, events: list[Any]) -> None:
        """Send what was made, or nothing: this too prolongs the lease, and tells whether we shall end.

        What may have been lost is sent again under its number, and is taken once.
        """
        body = {"epoch": self.epoch, "batch": self._batch, "events": events}
        with _telling_of_loss():
            taken = await self._calls.send("POST", f"{self._path}/events", body, _Taken)
        self._batch = taken.next_batch
        self.is_cancelled = self.is_cancelled or taken.cancel_requested

    async def close(self, closing: Closing) -> None:
        """End the turn; the same again is safe."""
        with _telling_of_loss():
            await self._calls.send("POST", f"{self._path}/finalize", closing, dict)


async def take_turn(
    calls: Calls, path: str, turn_id: str, *, lease_seconds: int = LEASE_SECONDS, resume: bool = False
) -> Hold:
    """Take a turn that is open. Raises TurnLostError when it has ended, or another producer has it."""
    return await _taken(calls, path, turn_id, {**_producer("ttl_s", lease_seconds), "mode": _mode(resume=resume)})


async def take_answer(calls: Calls, path: str, message: Message, *, lease_seconds: int = LEASE_SECONDS) -> Hold:
    """Take the turn that a message asks us in, or open one of our own to answer it.

    Raises TurnLostError when it was answered, or is just now; CallError (`turn_active`) when we answer something else.
    """
    if (asked := turn_asked_in(message)) is not None:
        try:
            return await take_turn(calls, path, asked, lease_seconds=lease_seconds)
        except CallError as error:
            if error.status not in NOT_OURS:  # others hear of what one assistant is asked
                raise
    assistant_id = calls.headers.get("X-Assistant-ID")
    if assistant_id is None:
        raise ValueError("only an assistant answers a message: see WorkbenchClient.as_assistant")
    # Two assistants may answer one message, each in a turn of its own.
    turn_id, producer = f"{message.id}~{assistant_id}", _producer("lease_s", lease_seconds)
    new = {"turn_id": turn_id, "assistant_id": assistant_id, "input": {"message_id": message.id}, "producer": producer}
    with _telling_of_loss():
        opened = await calls.send("POST", path, new, OpenedTurn)
    if opened.lease is not None and not opened.replayed:
        return Hold(calls, f"{path}/{turn_id}", turn_id, opened.lease)
    # By us, if the answer to the first attempt was lost, or by somebody else: the workbench knows.
    lease = {"producer_id": producer["producer_id"], "ttl_s": lease_seconds}
    return await _taken(calls, path, turn_id, lease)


def turn_asked_in(message: Message) -> str | None:
    """Give the id of the turn whose question the message is, if it is one."""
    try:
        turn = msgspec.convert(message.metadata.get("turn"), _Slot)
    except msgspec.ValidationError:  # anybody may write anything there
        return None
    return turn.turn_id if turn.slot == "input" else None


async def _taken(calls: Calls, path: str, turn_id: str, lease: Json) -> Hold:
    place = f"{path}/{quote(turn_id, safe='')}"
    with _telling_of_loss():
        grant = await calls.send("PUT", f"{place}/lease", lease, LeaseGrant)
    return Hold(calls, place, turn_id, grant)


def _producer(seconds_name: str, seconds: int) -> Json:
    # New for each answer: one that was begun by a process that died must not be taken for ours.
    return {"producer_id": uuid4().hex, seconds_name: seconds}


def _mode(*, resume: bool) -> str:
    return "continue" if resume else "reset"


@contextmanager
def _telling_of_loss() -> Generator[None]:
    try:
        yield
    except CallError as error:
        if error.code not in LOST:
            raise
        raise TurnLostError(error.status, error.detail, error.request, error.code) from error
