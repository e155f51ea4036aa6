"""Ending a turn, in one commit: the answer gets its place, its usage is settled, and its watchers hear of the end.

So whoever hears of an end finds everything stored.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from workbench.domain.messages.events import message_created
from workbench.domain.messages.model import Message, Sender, StoredMessage
from workbench.domain.participants.events import participant_updated
from workbench.domain.participants.model import ParticipantChange
from workbench.domain.parts.flattening import filenames_of, flattened
from workbench.domain.parts.folding import Folding
from workbench.domain.parts.model import Part, Parts
from workbench.domain.turns.events import message_updated, turn_status
from workbench.domain.turns.model import (
    TERMINAL,
    FinishReason,
    GoneTurn,
    LogSnapshot,
    Outcome,
    Turn,
    TurnError,
    UsageState,
    logged,
)
from workbench.domain.turns.ports import TurnTx
from workbench.domain.usage.bookkeeping import settle as settle_usage
from workbench.domain.usage.model import Bill, UsageSource, UsageSummary
from workbench.domain.usage.model import Settled as SettledUsage

PAGE = 500

ContentOutcome = Literal["written", "amended", "kept", "message_missing"]
Billed = SettledUsage | None
"""How the bill was settled; None where that was left for later."""


class Close(msgspec.Struct, frozen=True, kw_only=True):
    """How a turn ends, and with what."""

    outcome: Outcome
    reason: FinishReason | None = None
    error: TurnError | None = None
    parts: list[Part]
    content_type: str = "text/plain"
    revision: int | None = None
    metadata: dict[str, Any] = {}
    debug_data: dict[str, Any] = {}
    source: UsageSource = "external"
    provisional: bool = False
    """Whether its producer may still say what it took."""
    bill: bool = True
    """Whether what it took is settled with it, or later, by who looks after turns."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that has ended, what became of its content, and of its usage."""

    turn: Turn
    content: ContentOutcome
    usage: Billed


async def folded(tx: TurnTx, turn: Turn) -> Folding:
    """Fold everything that happened in a turn."""
    while True:
        kept = await tx.turns.snapshot(turn.pk)
        folding = begun_with(kept)
        if await _fold_on(tx, turn, folding, kept.up_to_seq if kept else 0):
            return folding
        # Its log was shortened meanwhile: what was to be read is in the snapshot by now.


def begun_with(kept: LogSnapshot | None) -> Folding:
    """A folding that goes on from a snapshot."""
    folding = Folding()
    if kept is not None:
        folding.take("turn.snapshot", kept.state)
    return folding


async def _fold_on(tx: TurnTx, turn: Turn, folding: Folding, after: int) -> bool:
    """Fold what happened behind a place; says whether nothing of it was missing."""
    begun, has_hole = after, False
    while True:
        page = await tx.turns.events(turn.pk, after, PAGE)
        for event in page:
            # An ending that was replaced leaves a hole as well.
            has_hole = has_hole or event.seq != after + 1
            after = event.seq
            folding.take(event.type, msgspec.json.decode(event.data))
        if len(page) < PAGE:
            break
    if not has_hole:
        return True
    kept = await tx.turns.snapshot(turn.pk)
    return kept is None or kept.up_to_seq == begun


async def made(tx: TurnTx, turn: Turn) -> Parts:
    """What was streamed, or, where that can no longer be told event by event, what is stored of it."""
    kept = await tx.turns.snapshot(turn.pk) if turn.log_floor else None
    if turn.is_published and turn.log_floor > (kept.up_to_seq if kept else 0):
        return (await tx.turns.parts_of([turn.output_message_id])).get(turn.output_message_id, [])
    return (await folded(tx, turn)).snapshot()


async def settle(tx: TurnTx, turn: Turn, close: Close, now: datetime) -> Ended:
    """Set down that a turn ends, or that its producer, coming back late, says how it really ended."""
    if not turn.is_active:
        tx.turns.supersede_ending(turn)
    billed = await bill(tx, turn, close, now) if close.bill else None
    cut = billed is not None and billed.row is not None and billed.row.truncated
    reason = close.reason or ("length" if cut and close.outcome == "completed" else None)
    ended = turn.ended(close.outcome, reason, turn.read_at, close.error)
    ended = msgspec.structs.replace(ended, usage_state=_state(turn, billed))
    if close.revision is not None:
        ended = msgspec.structs.replace(ended, revision=close.revision)
    content = await put_content(tx, ended, close, now)
    ended = msgspec.structs.replace(ended, is_published=True)
    summary = UsageSummary.of(billed.row, with_cost=False) if billed is not None and billed.row is not None else None
    ended, events = logged(ended, [ending_event(ended, close, summary)], now)
    tx.turns.change(ended)
    tx.turns.log(ended, events)
    tx.events.record(turn_status(ended))
    if turn.producer_kind == "builtin":
        await _clear_status(tx, turn, now)
    return Ended(turn=ended, content=content, usage=billed)


async def bill(tx: TurnTx, turn: Turn, close: Close, now: datetime) -> SettledUsage:
    """Settle what the calls of a turn took, all of them, whoever made them (U1), in place of what was reserved."""
    if turn.is_budgeted:
        tx.budgets.release(str(turn.pk), now)
    found = await tx.messages.find(turn.output_message_id) if turn.is_published else None
    is_there = found is not None or not turn.is_published
    return await settle_usage(
        tx,
        Bill(
            source=close.source,
            provisional=close.provisional,
            conversation_id=turn.conversation_id,
            user_id=turn.user_id,
            turn_pk=turn.pk,
            message_id=turn.output_message_id if is_there else None,
            assistant_id=turn.assistant_id,
            assistant_service_id=turn.assistant_service_id,
        ),
        now,
    )


async def bill_gone(
    tx: TurnTx, gone: GoneTurn, source: UsageSource, now: datetime, *, provisional: bool = False
) -> SettledUsage:
    """Settle what the calls of a turn took that went with its conversation."""
    tx.turns.gone_is_billed(gone.pk)
    tx.budgets.release(str(gone.pk), now)
    bill = Bill(
        source=source,
        provisional=provisional,
        conversation_id=gone.conversation_id,
        user_id=gone.user_id,
        turn_pk=gone.pk,
        assistant_id=gone.assistant_id,
        assistant_service_id=gone.assistant_service_id,
    )
    return await settle_usage(tx, bill, now)


async def _clear_status(tx: TurnTx, turn: Turn, now: datetime) -> None:
    """Have our own assistant no longer say that it is at work; others look after that themselves (4.2)."""
    everyone = await tx.participants.all_of(turn.conversation_id)
    seat = next((one for one in everyone if one.id == str(turn.assistant_id)), None)
    if seat is not None and seat.status is not None:
        idle = seat.changed(ParticipantChange(), now)
        tx.participants.change(idle)
        tx.events.record(participant_updated(idle, everyone))


def _state(turn: Turn, billed: SettledUsage | None) -> UsageState:
    if billed is None:
        return "pending"
    if billed.row is None:
        return turn.usage_state
    return "provisional" if billed.row.provisional else "recorded"


async def put_content(tx: TurnTx, turn: Turn, close: Close, now: datetime) -> ContentOutcome:
    """Publish the answer, or put it in the place of what was published."""
    metadata, content = {**close.metadata, "turn": turn.told_in("output")}, flattened(close.parts)
    if turn.is_published:
        published = await tx.messages.find(turn.output_message_id)
        if published is None:
            return "message_missing"
        kept = {**published.message.metadata, **metadata}
        tx.turns.rewrite(turn.output_message_id, content, kept, close.parts, now)
        amended = msgspec.structs.replace(published.message, content=content, metadata=kept)
        tx.events.record(message_updated(turn, amended))
        return "amended"
    message = Message(
        id=turn.output_message_id,
        sender=Sender(participant_role="assistant", participant_id=str(turn.assistant_id)),
        message_type="chat",
        timestamp=now,
        content_type=close.content_type,
        content=content,
        filenames=filenames_of(close.parts),
        metadata=metadata,
        has_debug_data=bool(close.debug_data),
    )
    tx.messages.add(StoredMessage(conversation_id=turn.conversation_id, message=message, debug_data=close.debug_data))
    tx.turns.attach_parts(message.id, close.parts, now)
    tx.events.record(message_created(turn.conversation_id, message))
    return "written"


def ending_event(turn: Turn, close: Close, usage: UsageSummary | None) -> tuple[str, dict[str, Any]]:
    """The last thing that happens."""
    payload = {
        "finish_reason": turn.finish_reason,
        "parts": close.parts,
        "usage": msgspec.to_builtins(usage),
        "error": msgspec.to_builtins(turn.error),
    }
    return TERMINAL[turn.status], payload


def opened_event(turn: Turn, warnings: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """The first thing that happens: both messages have their ids."""
    return "turn.opened", {
        "conversation_id": str(turn.conversation_id),
        "assistant_id": str(turn.assistant_id),
        "input_message_id": str(turn.input_message_id) if turn.input_message_id else None,
        "output_message_id": str(turn.output_message_id),
        "status": "opened",
        "warnings": msgspec.to_builtins(list(warnings)),
    }
