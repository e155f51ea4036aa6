"""The part of the wall between workspaces that turns add: a turn with all that belongs to it, and every method on it."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from workbench.adapters.sql.transactions import SqlTransaction
from workbench.adapters.sql.turn_tables import gone_turns
from workbench.domain.ids import new_id
from workbench.domain.model_assistants.model import ModelConfig
from workbench.domain.turns.model import GoneTurn, LogSnapshot, Turn, TurnEvent, logged
from workbench.domain.turns.ports import TurnQuery


def some_turn(conversation_id: UUID, assistant_id: UUID, now: datetime) -> Turn:
    """A turn under way, in which one thing has happened."""
    turn = Turn(
        pk=new_id(),
        conversation_id=conversation_id,
        turn_id="t1",
        assistant_id=assistant_id,
        initiator_role="user",
        initiator_id="ann",
        user_id="ann",
        assistant_service_id=None,
        parent_turn_id=None,
        producer_kind="external",
        input_message_id=None,
        output_message_id=new_id(),
        input_hash="ab" * 32,
        options={},
        deadline_at=now + timedelta(hours=1),
        created_at=now,
        read_at=now,
    )
    return logged(turn, [("turn.finalized", {})], now)[0]


def add_turn(tx: SqlTransaction, conversation_id: UUID, assistant_id: UUID, message_id: UUID, now: datetime) -> Turn:
    """Put one into the workspace, with the parts of a message of the same block."""
    turn = some_turn(conversation_id, assistant_id, now)
    tx.turns.add(turn)
    tx.turns.log(turn, [an_event(1, now)])
    tx.turns.reserve(turn.conversation_id, turn.turn_id, "output", turn.output_message_id)
    left = {name: getattr(turn, name) for name in GoneTurn.__struct_fields__ if name != "workspace_id"}
    tx.writes.insert(gone_turns, {**left, "turn_id": "gone", "gone_at": now, "is_billed": False})
    tx.turns.attach_parts(message_id, [{"type": "text", "text": "said"}], now)
    tx.model_configs.put(assistant_id, "chat", ModelConfig())
    return turn


def an_event(seq: int, now: datetime) -> TurnEvent:
    """Something that happened."""
    return TurnEvent(seq=seq, epoch=0, type="turn.finalized", at=now, data="{}")


def other_turn(turn: Turn) -> Turn:
    """Another turn of another assistant."""
    return msgspec.structs.replace(turn, pk=UUID(int=8), turn_id="t2", assistant_id=UUID(int=8))


A_SNAPSHOT = LogSnapshot(up_to_seq=1, state={"parts": []})


async def recalled(tx: SqlTransaction, world: Any) -> Turn | None:
    """What this process has in mind of a turn."""
    return tx.turns.recall(world.conversation.id, "t1")


READS: dict[str, tuple[Any, object]] = {
    "turns.find": (lambda tx, w: tx.turns.find(w.conversation.id, "t1"), None),
    "turns.recall": (recalled, None),
    "turns.active": (lambda tx, w: tx.turns.active(w.conversation.id), []),
    "turns.page": (lambda tx, w: tx.turns.page(w.conversation.id, TurnQuery()), []),
    "turns.slot": (lambda tx, w: tx.turn_slots.slot(w.conversation.id, "t1", "output"), None),
    "turns.events": (lambda tx, w: tx.turns.events(w.turn.pk, 0, 10), []),
    "turns.gone": (lambda tx, w: tx.turns.gone(w.conversation.id, "gone"), None),
    "turns.pending": (lambda tx, w: tx.turn_slots.pending(w.conversation.id, w.turn.output_message_id), None),
    "turns.snapshot": (lambda tx, w: tx.turns.snapshot(w.turn.pk), None),
    "turns.parts_of": (lambda tx, w: tx.turns.parts_of([w.spare.id]), {}),
    "model_configs.find": (lambda tx, w: tx.model_configs.find(w.assistant.id), None),
    "turns.makes_turns": (lambda tx, w: tx.turns.makes_turns(w.assistant.id), False),
}
WITHOUT_AN_ID = {"turns.now"}
WRITES: dict[str, Any] = {
    "model_configs.put": lambda tx, w: tx.model_configs.put(w.assistant.id, "files", ModelConfig()),
    "model_configs.remove": lambda tx, w: tx.model_configs.remove(w.assistant.id),
    "turns.add": lambda tx, w: tx.turns.add(other_turn(w.turn)),
    "turns.reserve": lambda tx, w: tx.turns.reserve(w.conversation.id, "t2", "input", w.message.id),
    "turns.change": lambda tx, w: tx.turns.change(msgspec.structs.replace(w.turn, status="failed")),
    "turns.advance": lambda tx, w: tx.turns.advance(w.turn, [an_event(2, w.job.run_at)]),
    "turns.log": lambda tx, w: tx.turns.log(w.turn, [an_event(2, w.job.run_at)]),
    "turns.gone_is_billed": lambda tx, w: tx.turns.gone_is_billed(w.turn.pk),
    "turns.shorten": lambda tx, w: tx.turns.shorten(w.turn, A_SNAPSHOT, 1),
    "turns.supersede_ending": lambda tx, w: tx.turns.supersede_ending(w.turn),
    "turns.attach_parts": lambda tx, w: tx.turns.attach_parts(w.message.id, [], w.job.run_at),
    "turns.rewrite": lambda tx, w: tx.turns.rewrite(w.spare.id, "other", {}, [], w.job.run_at),
    "turns.mark_producer": lambda tx, w: tx.turns.mark_producer(w.service.assistant_service_id),
}
