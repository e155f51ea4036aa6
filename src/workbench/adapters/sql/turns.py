"""Turns in SQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import and_, bindparam, delete, false, insert, or_, select, tuple_, update

from workbench.adapters.sql.clocks import GIVEN_NOW, SharedNow, shared_now
from workbench.adapters.sql.prepared import Prepared
from workbench.adapters.sql.repository import Context, Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id, Json, Moment
from workbench.adapters.sql.tables import assistant_services, assistants, messages
from workbench.adapters.sql.turn_tables import (
    ACTIVE,
    UNBILLED,
    gone_turns,
    message_parts,
    turn_events,
    turn_slots,
    turn_snapshots,
    turns,
)
from workbench.adapters.sql.writes import Step
from workbench.domain.messages.model import PendingAnswer
from workbench.domain.parts.model import Parts, Slot
from workbench.domain.turns.model import (
    RECOVERABLE,
    TERMINAL_TYPES,
    GoneTurn,
    LogSnapshot,
    Turn,
    TurnEvent,
)
from workbench.domain.turns.ports import TurnQuery, Turns

_FIELDS = [name for name in Turn.__struct_fields__ if name != "read_at"]
_KEPT = frozenset({"pk", "conversation_id", "turn_id", "created_at", "input_hash", "initiator_role", "initiator_id"})
_BESIDE = frozenset({"watched_until", "log_floor", "folded_bytes"})
"""What is written beside, without a version of the turn."""
_MUTABLE = [name for name in _FIELDS if name not in _KEPT | _BESIDE and name != "version"]
"""What a change may touch."""
_EVENT_FIELDS = TurnEvent.__struct_fields__
_IN_CONVERSATION = and_(here(turns), turns.c.conversation_id == bindparam("conversation_id", type_=Id))

_ALL = select(*columns_of(turns, *_FIELDS), SharedNow().label("read_at")).where(here(turns))
_ONE = Query(Turn, _ALL.where(_IN_CONVERSATION, turns.c.turn_id == bindparam("turn_id")))
_ACTIVE = Query(Turn, _ALL.where(_IN_CONVERSATION, ACTIVE).order_by(turns.c.created_at))
_ACTIVE_OF = Query(
    Turn, _ALL.where(_IN_CONVERSATION, ACTIVE, turns.c.assistant_id == bindparam("assistant_id", type_=Id))
)
_SLOT = select(turn_slots.c.message_id).where(
    here(turn_slots),
    turn_slots.c.conversation_id == bindparam("conversation_id", type_=Id),
    turn_slots.c.turn_id == bindparam("turn_id"),
    turn_slots.c.slot == bindparam("slot"),
)
_GONE = Query(
    GoneTurn,
    select(*columns_of(gone_turns, *GoneTurn.__struct_fields__)).where(
        here(gone_turns),
        gone_turns.c.conversation_id == bindparam("conversation_id", type_=Id),
        gone_turns.c.turn_id == bindparam("turn_id"),
    ),
)
_GONE_IS_BILLED = (
    update(gone_turns).where(here(gone_turns), gone_turns.c.pk == bindparam("of_pk", type_=Id)).values(is_billed=True)
)
_UNFINISHED = or_(
    ACTIVE,
    UNBILLED,
    and_(
        turns.c.status == "failed", turns.c.finish_reason.in_(sorted(RECOVERABLE)), turns.c.usage_state == "provisional"
    ),
)
_LEFT = ("workspace_id", *(name for name in GoneTurn.__struct_fields__ if name != "workspace_id"))
REMEMBER_GONE = insert(gone_turns).from_select(
    [*_LEFT, "gone_at", "is_billed"],
    select(*columns_of(turns, *_LEFT), bindparam("gone_at", type_=Moment), false()).where(
        here(turns), turns.c.conversation_id == bindparam("of_id", type_=Id), _UNFINISHED
    ),
)
"""What is left of the turns that are made in a conversation when it goes."""
_PENDING = Query(
    PendingAnswer,
    select(*columns_of(turns, *PendingAnswer.__struct_fields__)).where(
        _IN_CONVERSATION,
        ACTIVE,
        turns.c.output_message_id == bindparam("message_id", type_=Id),
        turns.c.is_published.is_(False),
    ),
)
_EVENTS = Query(
    TurnEvent,
    select(*columns_of(turn_events, *_EVENT_FIELDS))
    .where(
        here(turn_events),
        turn_events.c.turn_pk == bindparam("turn_pk", type_=Id),
        turn_events.c.seq > bindparam("after"),
        turn_events.c.is_superseded.is_(False),
    )
    .order_by(turn_events.c.seq)
    .limit(bindparam("limit")),
)
_SNAPSHOT = Query(
    LogSnapshot,
    select(*columns_of(turn_snapshots, *LogSnapshot.__struct_fields__)).where(
        here(turn_snapshots), turn_snapshots.c.turn_pk == bindparam("turn_pk", type_=Id)
    ),
)
_RAISE_FLOOR = (
    update(turns)
    .where(
        here(turns),
        turns.c.pk == bindparam("of_pk", type_=Id),
        turns.c.log_floor == bindparam("read_floor"),
        ACTIVE,
    )
    .values(log_floor=bindparam("new_floor"), folded_bytes=bindparam("new_folded"))
)
_PARTS = select(message_parts.c.message_id, message_parts.c.parts).where(
    here(message_parts), message_parts.c.message_id.in_(bindparam("message_ids", expanding=True))
)
_SUPERSEDE = (
    update(turn_events)
    .where(
        here(turn_events),
        turn_events.c.turn_pk == bindparam("of_pk", type_=Id),
        turn_events.c.type.in_(sorted(TERMINAL_TYPES)),
    )
    .values(is_superseded=True)
)
_REWRITE = (
    update(messages)
    .where(here(messages), messages.c.id == bindparam("of_id", type_=Id))
    .values(content=bindparam("new_content"), metadata=bindparam("new_metadata", type_=Json))
)
_REVISE = (
    update(message_parts)
    .where(here(message_parts), message_parts.c.message_id == bindparam("of_id", type_=Id))
    .values(
        parts=bindparam("new_parts", type_=Json),
        revision=message_parts.c.revision + 1,
        updated_at=bindparam("at", type_=Moment),
    )
)
FORGET_PARTS = delete(message_parts).where(
    here(message_parts), message_parts.c.message_id == bindparam("of_id", type_=Id)
)
_MARK = (
    update(assistant_services)
    .where(here(assistant_services), assistant_services.c.assistant_service_id == bindparam("of_service"))
    .values(makes_turns=True)
)
_MAKES = (
    select(assistant_services.c.makes_turns)
    .join(assistants, assistants.c.assistant_service_id == assistant_services.c.assistant_service_id)
    .where(here(assistants), assistants.c.id == bindparam("assistant_id", type_=Id))
)


@lru_cache(64)
def _change(names: tuple[str, ...]) -> Prepared:
    """Build the statement that stores some columns, where nobody stored another change since.

    It is run for each batch of each producer, many times a second.
    """
    as_read = (turns.c.pk == bindparam("of_pk", type_=Id), turns.c.version == bindparam("read_version"))
    new = {name: bindparam(f"new_{name}", type_=turns.c[name].type) for name in names}
    statement = update(turns).where(here(turns), *as_read).values(new).returning(turns.c.version)
    return Prepared(statement, "ws", "of_pk", "read_version", *(f"new_{name}" for name in names))


@lru_cache(8)
def _page(*, only_active: bool, of_assistant: bool, before: bool) -> Query[Turn]:
    conditions: list[Any] = [_IN_CONVERSATION]
    if only_active:
        conditions.append(ACTIVE)
    if of_assistant:
        conditions.append(turns.c.assistant_id == bindparam("assistant_id", type_=Id))
    if before:
        cursor = turns.alias("cursor")
        place = (
            select(cursor.c.created_at, cursor.c.pk)
            .where(
                cursor.c.workspace_id == turns.c.workspace_id,
                cursor.c.conversation_id == turns.c.conversation_id,
                cursor.c.turn_id == bindparam("before"),
            )
            .scalar_subquery()
        )
        conditions.append(tuple_(turns.c.created_at, turns.c.pk) < place)
    newest_first = (turns.c.created_at.desc(), turns.c.pk.desc())
    return Query(Turn, _ALL.where(*conditions).order_by(*newest_first).limit(bindparam("limit")))


class SqlTurns(Repository, Turns):
    """The turns of one workspace."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._read: dict[UUID, Turn] = {}

    async def now(self) -> datetime:
        """The database's, where it has a clock of its own."""
        return await shared_now(self._context.database, self._context.clock)

    async def find(self, conversation_id: UUID, turn_id: str) -> Turn | None:
        """By the unique index; remembered, so that a change stores only what it changes."""
        found = await self._found(_ONE, {"conversation_id": conversation_id, "turn_id": turn_id})
        for turn in found:
            self._read[turn.pk] = turn
            self._context.remembered.clock.seen(turn.read_at)
        return found[0] if found else None

    async def _found(self, query: Query[Turn], place: Mapping[str, Any]) -> Sequence[Turn]:
        return await self._all(query, {**place, GIVEN_NOW: self._context.clock.now()})

    async def gone(self, conversation_id: UUID, turn_id: str) -> GoneTurn | None:
        """By the primary key."""
        return await self._maybe(_GONE, {"conversation_id": conversation_id, "turn_id": turn_id})

    def gone_is_billed(self, pk: UUID) -> None:
        """Update."""
        self._writes.change(_GONE_IS_BILLED, {"of_pk": pk})

    async def pending(self, conversation_id: UUID, message_id: UUID) -> PendingAnswer | None:
        """Among the active ones of the conversation."""
        return await self._maybe(_PENDING, {"conversation_id": conversation_id, "message_id": message_id})

    def recall(self, conversation_id: UUID, turn_id: str) -> Turn | None:
        """From this process's memory, as if it were read now."""
        found = self._context.remembered.turns.find(self._writes.workspace_id, conversation_id, turn_id)
        now = self._context.remembered.clock.now()
        if self._context.database.dialect_name == "sqlite":
            now = self._context.clock.now()
        return None if found is None or now is None else msgspec.structs.replace(found, read_at=now)

    async def active(self, conversation_id: UUID, assistant_id: UUID | None = None) -> Sequence[Turn]:
        """By the index of active ones."""
        if assistant_id is None:
            return await self._found(_ACTIVE, {"conversation_id": conversation_id})
        return await self._found(_ACTIVE_OF, {"conversation_id": conversation_id, "assistant_id": assistant_id})

    async def page(self, conversation_id: UUID, query: TurnQuery) -> Sequence[Turn]:
        """Along the index on time."""
        given = {"assistant_id": query.assistant_id, "before": query.before}
        page = _page(
            only_active=query.only_active, of_assistant=query.assistant_id is not None, before=query.before is not None
        )
        place = {name: value for name, value in given.items() if value is not None}
        return await self._found(page, {"conversation_id": conversation_id, "limit": query.limit, **place})

    async def slot(self, conversation_id: UUID, turn_id: str, slot: Slot) -> UUID | None:
        """By the primary key."""
        found = await self._scalar(_SLOT, {"conversation_id": conversation_id, "turn_id": turn_id, "slot": slot})
        return None if found is None else UUID(str(found))

    async def events(self, pk: UUID, after: int, limit: int) -> Sequence[TurnEvent]:
        """Along the primary key."""
        return await self._all(_EVENTS, {"turn_pk": pk, "after": after, "limit": limit})

    async def parts_of(self, message_ids: Sequence[UUID]) -> dict[UUID, Parts]:
        """By the primary key."""
        if not message_ids:
            return {}
        return {UUID(str(row[0])): row[1] for row in await self._rows(_PARTS, {"message_ids": list(message_ids)})}

    async def snapshot(self, pk: UUID) -> LogSnapshot | None:
        """By the primary key."""
        return await self._maybe(_SNAPSHOT, {"turn_pk": pk})

    def shorten(self, turn: Turn, snapshot: LogSnapshot, folded_bytes: int) -> None:
        """Upsert, and update beside the turn's version: its producer does not notice."""
        self._writes.upsert(turn_snapshots, {"turn_pk": turn.pk, **msgspec.structs.asdict(snapshot)})
        new = {"new_floor": snapshot.up_to_seq, "new_folded": folded_bytes}
        self._writes.change(_RAISE_FLOOR, {"of_pk": turn.pk, "read_floor": turn.log_floor, **new}, must_hit=True)

    def add(self, turn: Turn) -> None:
        """Insert."""
        self._writes.insert(turns, {name: getattr(turn, name) for name in _FIELDS})

    def reserve(self, conversation_id: UUID, turn_id: str, slot: Slot, message_id: UUID) -> None:
        """Insert."""
        place = {"conversation_id": conversation_id, "turn_id": turn_id, "slot": slot}
        self._writes.insert(turn_slots, {**place, "message_id": message_id})

    def change(self, turn: Turn) -> None:
        """Update where the version is still the one that was read."""
        self._context.remembered.turns.forget(turn.pk)
        was = self._read.get(turn.pk)
        names = [name for name in _MUTABLE if was is None or getattr(turn, name) != getattr(was, name)]
        changed = {f"new_{name}": getattr(turn, name) for name in names}
        place = {"of_pk": turn.pk, "read_version": turn.version, **changed, "new_version": turn.version + 1}
        self._writes.change(_change((*names, "version")), place, must_hit=True)

    def advance(self, turn: Turn, events: Sequence[TurnEvent]) -> None:
        """Update where the version is still the one that was read, and insert."""
        self._writes.advance(Step(self._writes.workspace_id, turn, events))

    def log(self, turn: Turn, events: Sequence[TurnEvent]) -> None:
        """Insert, and announce at the commit."""
        self._writes.log_turn(turn.pk, events)

    def supersede_ending(self, turn: Turn) -> None:
        """Update."""
        self._writes.change(_SUPERSEDE, {"of_pk": turn.pk})

    def attach_parts(self, message_id: UUID, parts: Parts, at: datetime) -> None:
        """Insert with the message."""
        self._writes.attach(message_parts, {"message_id": message_id, "parts": parts, "revision": 0, "updated_at": at})

    def rewrite(self, message_id: UUID, content: str, metadata: dict[str, Any], parts: Parts, at: datetime) -> None:
        """Update both rows; the parts of a message that had none are added."""
        new = {"of_id": message_id, "new_content": content, "new_metadata": metadata}
        self._writes.change(_REWRITE, new, must_hit=True)
        self._writes.upsert(message_parts, {"message_id": message_id, "parts": parts, "updated_at": at})
        self._writes.change(_REVISE, {"of_id": message_id, "new_parts": parts, "at": at})

    def mark_producer(self, assistant_service_id: str) -> None:
        """Update."""
        self._writes.change(_MARK, {"of_service": assistant_service_id})

    async def makes_turns(self, assistant_id: UUID) -> bool:
        """By the primary keys."""
        return bool(await self._scalar(_MAKES, {"assistant_id": assistant_id}))
