"""Making a turn's answer: taking the turn, adding to it, and ending it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.errors import UnavailableError
from workbench.domain.identity.model import Principal
from workbench.domain.parts.capping import capped
from workbench.domain.parts.checking import kept_parts
from workbench.domain.parts.closing import Marker, closed
from workbench.domain.parts.events import ProducerEvent, producer_events
from workbench.domain.parts.model import Parts, Warned
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.turns.access import makes, produced_or_gone, produced_turn
from workbench.domain.turns.events import turn_status
from workbench.domain.turns.model import GoneTurn, ProducerKind, Turn, logged
from workbench.domain.turns.ports import TurnTx
from workbench.domain.turns.refusals import batch_gap, lease_held, stale_epoch, turn_gone, turn_over, unprocessable
from workbench.domain.turns.settling import Close, Ended, bill, bill_gone, folded, made, put_content, settle
from workbench.domain.turns.shapes import (
    Batch,
    BatchTaken,
    Ending,
    FinalizeReport,
    LeaseGrant,
    LeaseRequest,
    Settled,
    TurnView,
)
from workbench.domain.turns.shortening import ShorteningService
from workbench.domain.usage.bookkeeping import Bookkeeping
from workbench.domain.usage.model import ReportedCall, UsageSummary

DELTAS = frozenset({"text.delta", "reasoning.delta", "tool.args.delta"})


class ProducingService:
    """Acts of those who make answers."""

    def __init__(
        self, transactions: Transactions[TurnTx], books: Bookkeeping, shortening: ShorteningService, clock: Clock
    ) -> None:
        self._shortening = shortening
        self._transactions = transactions
        self._books = books
        self._clock = clock

    async def lease(
        self, principal: Principal, conversation_id: UUID, turn_id: str, wanted: LeaseRequest
    ) -> LeaseGrant:
        """Take a turn, or prolong it for the one that has it.

        A turn that is taken from one who was lost begins anew, unless the caller goes on with what is there. Raises
        NotFoundError, ForbiddenError, ConflictError (lease_held, turn_terminal).
        """
        return await retrying(lambda: self._lease(principal, conversation_id, turn_id, wanted))

    async def _lease(
        self, principal: Principal, conversation_id: UUID, turn_id: str, wanted: LeaseRequest
    ) -> LeaseGrant:
        ttl = timedelta(seconds=wanted.ttl_s)
        async with self._transactions.write(principal.workspace_id) as tx:
            turn = await produced_turn(tx, principal, conversation_id, turn_id)
            if not turn.is_active:
                raise turn_over(turn)
            parts: Parts = []
            expires_at = turn.read_at + ttl
            if turn.is_held(turn.read_at) and turn.producer_id == wanted.producer_id:
                turn = turn.renewed(turn.read_at, ttl)
            else:
                if turn.is_held(turn.read_at):
                    raise lease_held(turn)
                turn, parts = await _claim(tx, turn, wanted, ttl, self._clock.now())
            tx.turns.change(turn)
        return LeaseGrant(epoch=turn.epoch, lease_expires_at=expires_at, next_batch=turn.last_batch + 1, parts=parts)

    async def add(self, principal: Principal, conversation_id: UUID, turn_id: str, batch: Batch) -> BatchTaken:
        """Add what was made since the last batch; the same batch again is taken once.

        Raises NotFoundError, GoneError, ForbiddenError, ConflictError (stale_epoch, batch_gap, turn_terminal),
        UnprocessableError, UnavailableError (log_full), TooLargeError.
        """
        happened = producer_events(batch.events)
        calls = [_reported(event, place) for place, event in enumerate(happened) if event.type == "usage.call"]
        return await retrying(lambda: self._add(principal, conversation_id, turn_id, batch, happened, calls))

    async def _add(
        self,
        principal: Principal,
        conversation_id: UUID,
        turn_id: str,
        batch: Batch,
        happened: Sequence[ProducerEvent],
        calls: Sequence[ReportedCall],
    ) -> BatchTaken:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            turn = tx.turns.recall(conversation_id, turn_id)
            if turn is None or not (makes(principal, turn) and _is_plain(turn, batch)):
                # Only what is true may be a reason to refuse.
                turn = await produced_turn(tx, principal, conversation_id, turn_id)
            if batch.epoch != turn.epoch:
                raise stale_epoch(turn)
            if not turn.is_active:
                raise turn_over(turn)
            if batch.batch <= turn.last_batch:
                return _taken(turn, 0, duplicate=True)
            if batch.batch != turn.last_batch + 1:
                raise batch_gap(turn)
            self._shortening.require_room(turn)
            renewed = turn.renewed(turn.read_at)
            told = _merged(happened)
            tx.usage.record_calls(self._books.entered(calls, turn.pk, turn.epoch))
            changed, events = logged(msgspec.structs.replace(renewed, last_batch=batch.batch), told, now)
            tx.turns.advance(changed, events)
        self._shortening.note(changed)
        return _taken(changed, len(happened), duplicate=False)

    async def begin_anew(self, principal: Principal, conversation_id: UUID, turn_id: str, epoch: int) -> None:
        """Have the answer begin anew: who watches forgets what there was. Raises as `add`."""
        await retrying(lambda: self._begin_anew(principal, conversation_id, turn_id, epoch))

    async def _begin_anew(self, principal: Principal, conversation_id: UUID, turn_id: str, epoch: int) -> None:
        async with self._transactions.write(principal.workspace_id) as tx:
            turn = await produced_turn(tx, principal, conversation_id, turn_id)
            if epoch != turn.epoch:
                raise stale_epoch(turn)
            if not turn.is_active:
                raise turn_over(turn)
            happened = [("turn.reset", {"reason": "begun_anew"})]
            changed, events = logged(turn.renewed(turn.read_at), happened, self._clock.now())
            tx.turns.log(changed, events)
            tx.turns.change(changed)

    async def finalize(self, principal: Principal, conversation_id: UUID, turn_id: str, ending: Ending) -> Settled:
        """End a turn. The same again is safe: the content is what came last, and what was used is settled once.

        Raises NotFoundError, GoneError, ForbiddenError, ConflictError (stale_epoch).
        """
        calls = ending.usage.all_calls if ending.usage is not None else ()
        try:
            settled = await retrying(lambda: self._finalize(principal, conversation_id, turn_id, ending, calls))
        except UnavailableError:
            # The answer is worth more than the bill, which whoever looks after turns will write from the ledger (T3).
            settled = await retrying(
                lambda: self._finalize(principal, conversation_id, turn_id, ending, calls, bill_now=False)
            )
        return settled

    async def _finalize(
        self,
        principal: Principal,
        conversation_id: UUID,
        turn_id: str,
        ending: Ending,
        calls: Sequence[ReportedCall],
        *,
        bill_now: bool = True,
    ) -> Settled:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            turn = await produced_or_gone(tx, principal, conversation_id, turn_id)
            tx.usage.record_calls(self._books.entered(calls, turn.pk, ending.epoch))
            if isinstance(turn, GoneTurn):
                await bill_gone(tx, turn, "external", now)
                done = None
            else:
                is_stale = ending.epoch != turn.epoch
                done = None if is_stale else await _end(tx, turn, ending, now, bill_now=bill_now)
        if isinstance(turn, GoneTurn):
            raise turn_gone()
        if done is None:
            # What it took is written down all the same: it was spent (T5).
            raise stale_epoch(turn)
        if done.ended.usage is not None:
            self._books.tell(done.ended.usage)
        return done.told()


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an ending."""

    ended: Ended
    parts: Parts
    warnings: list[Warned]
    first: bool

    def told(self) -> Settled:
        """What its producer is told."""
        billed = self.ended.usage
        usage = None if billed is None or billed.row is None else UsageSummary.of(billed.row, with_cost=True)
        report = FinalizeReport(
            content=self.ended.content,
            usage="deferred" if billed is None else billed.outcome,
            first=self.first,
            warnings=self.warnings,
        )
        return Settled(turn=TurnView.of(self.ended.turn, self.parts, usage), report=report)


async def _end(tx: TurnTx, turn: Turn, ending: Ending, now: datetime, *, bill_now: bool) -> Done:
    """End a turn, or put later content in the place of what it ended with."""
    close, warnings = await _close(tx, turn, ending, bill=bill_now)
    is_open = turn.is_active or turn.can_be_healed
    ended = await settle(tx, turn, close, now) if is_open else await _amend(tx, turn, close, now)
    return Done(ended=ended, parts=close.parts, warnings=warnings, first=turn.is_active)


async def _close(tx: TurnTx, turn: Turn, ending: Ending, *, bill: bool) -> tuple[Close, list[Warned]]:
    """What the turn ends with: the parts that are given, or else what was streamed."""
    given, warnings = kept_parts(ending.parts) if ending.parts is not None else (await made(tx, turn), [])
    parts, cut = capped(closed(given, _marker(ending)))
    close = Close(
        outcome=ending.outcome,
        reason=ending.finish_reason,
        error=ending.error,
        parts=parts,
        content_type=ending.content_type,
        revision=ending.revision,
        metadata=ending.metadata,
        debug_data=ending.debug_data,
        source="server" if turn.producer_kind == "builtin" else "external",
        bill=bill,
    )
    return close, [*warnings, *cut]


def _merged(happened: Sequence[ProducerEvent]) -> list[tuple[str, dict[str, Any]]]:
    """What happened, with each run of deltas of one block as one: the bounds of events are not those of tokens (4.1)."""
    told: list[tuple[str, dict[str, Any]]] = []
    last: tuple[str, dict[str, Any]] | None = None
    for event in happened:
        block = (event.type, {**event.payload, "delta": None}) if event.type in DELTAS else None
        if block is not None and block == last:
            told[-1][1]["delta"] += event.payload["delta"]
        else:
            payload = dict(event.payload)
            # What it cost is not for everybody who watches.
            payload.pop("cost_usd", None)
            told.append((event.type, payload))
        last = block
    return told


def _reported(event: ProducerEvent, place: int) -> ReportedCall:
    """Read a call of a model. Raises UnprocessableError, which names the event."""
    try:
        return msgspec.convert(event.payload, ReportedCall)
    except msgspec.ValidationError as error:
        raise unprocessable("invalid_event", str(error), f"events[{place}]") from None


def _marker(ending: Ending) -> Marker | None:
    if ending.outcome == "completed":
        return None
    if ending.outcome == "aborted":
        return Marker(code="cancelled")
    return Marker(code="error", error_code=ending.error.code if ending.error else None)


async def _amend(tx: TurnTx, turn: Turn, close: Close, now: datetime) -> Ended:
    """Put later content in the place of what is there, unless it is older than that (T4)."""
    billed = await bill(tx, turn, close, now) if close.bill else None
    if close.revision is not None and close.revision <= turn.revision:
        return Ended(turn=turn, content="kept", usage=billed)
    content = await put_content(tx, turn, close, now)
    changed = msgspec.structs.replace(turn, revision=close.revision or turn.revision)
    tx.turns.change(changed)
    return Ended(turn=changed, content=content, usage=billed)


def _taken(turn: Turn, accepted: int, *, duplicate: bool) -> BatchTaken:
    return BatchTaken(
        accepted=accepted,
        duplicate=duplicate,
        last_seq=turn.last_seq,
        next_batch=turn.last_batch + 1,
        cancel_requested=turn.cancel_requested_at is not None,
        lease_expires_at=turn.lease_expires_at,
    )


def _is_plain(turn: Turn, batch: Batch) -> bool:
    """Whether a batch can be added to a turn as it is remembered: its answer may have gone, or its log been shortened."""
    return turn.awaits(batch.epoch, batch.batch) and not (turn.is_published or turn.is_log_long)


async def _claim(tx: TurnTx, turn: Turn, wanted: LeaseRequest, ttl: timedelta, now: datetime) -> tuple[Turn, Parts]:
    began = turn.last_seq > 1
    goes_on = began and wanted.mode == "continue"
    parts = (await folded(tx, turn)).snapshot() if goes_on else []
    kind: ProducerKind = "builtin" if turn.producer_kind == "builtin" else "external"
    claimed = msgspec.structs.replace(turn.claimed(wanted.producer_id, ttl, turn.read_at), producer_kind=kind)
    happened = [("turn.started", {"producer_kind": kind})]
    if began and not goes_on:
        happened.insert(0, ("turn.reset", {"reason": "producer_lost"}))
    claimed, events = logged(claimed, happened, now)
    tx.turns.log(claimed, events)
    tx.events.record(turn_status(claimed))
    if kind == "external" and turn.assistant_service_id is not None:
        tx.turns.mark_producer(turn.assistant_service_id)
    return claimed, parts
