"""Deliveries and dead letters in SQL."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import and_, bindparam, delete, func, or_, select, update

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import FIND_DELIVERIES
from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id, Moment
from workbench.adapters.sql.tables import conversations, dead_letters, deliveries, events
from workbench.domain.delivery.model import Backlog, DeadLetter, Delivery, DeliveryStatus
from workbench.domain.delivery.ports import Deliveries, DeliveryQueue, LetterFilter

MAX_ERROR_LENGTH = 2000

_FIELDS = ("workspace_id", "assistant_id", "conversation_id", "state", "position", "attempts", "retry_at")
_THIS_ONE = and_(
    here(deliveries),
    deliveries.c.assistant_id == bindparam("of_assistant"),
    deliveries.c.conversation_id == bindparam("in_conversation"),
)
_ONE = Query(Delivery, select(*columns_of(deliveries, *_FIELDS)).where(_THIS_ONE))
_FRESH = {"attempts": 0, "retry_at": None, "last_error": None}
# Not over a farewell: who left while joining is out. Failures still count, or a service that takes every
# joining and no event would be asked again without end at the first pause.
_CONNECT = update(deliveries).where(_THIS_ONE, deliveries.c.state != "leaving").values(state="live", retry_at=None)
_END = update(deliveries).where(_THIS_ONE).values(state="leaving", **_FRESH)
_REJOIN = update(deliveries).where(_THIS_ONE, deliveries.c.state == "live").values(state="rejoining")
_CANCEL = delete(deliveries).where(_THIS_ONE)
_FINISH = delete(deliveries).where(_THIS_ONE, deliveries.c.state == "leaving")
_END_ALL = (
    update(deliveries)
    .where(here(deliveries), deliveries.c.conversation_id == bindparam("in_conversation"))
    .values(state="leaving", **_FRESH)
)
# Never backwards: a worker that lost its lease in the middle of a call may still come here.
_ADVANCE = (
    update(deliveries)
    .where(_THIS_ONE, deliveries.c.position < bindparam("to_position"))
    .values(position=bindparam("to_position"), **_FRESH)
)
_FAIL = (
    update(deliveries)
    .where(_THIS_ONE)
    .values(
        attempts=deliveries.c.attempts + 1,
        retry_at=bindparam("at", type_=Moment),
        last_error=bindparam("error"),
    )
)
_HOLD = (
    update(deliveries).where(_THIS_ONE).values(retry_at=bindparam("at", type_=Moment), last_error=bindparam("error"))
)
_TO_DO = or_(
    deliveries.c.state == "leaving",
    and_(deliveries.c.state != "joining", conversations.c.event_head > deliveries.c.position),
)
_WAITING = (
    select(*columns_of(deliveries, *_FIELDS))
    .outerjoin(conversations, conversations.c.id == deliveries.c.conversation_id)
    .where(_TO_DO)
    .order_by(deliveries.c.retry_at.nulls_first())
    .limit(bindparam("limit"))
)
_ALL_WAITING = Query(Delivery, _WAITING)
_WAITING_IN = Query(
    Delivery, _WAITING.where(deliveries.c.conversation_id.in_(bindparam("conversation_ids", expanding=True)))
)


_STATUSES = (
    select(
        *columns_of(
            deliveries, "assistant_id", "conversation_id", "state", "position", "attempts", "retry_at", "last_error"
        ),
        func.coalesce(conversations.c.event_head, deliveries.c.position).label("head"),
        events.c.timestamp.label("oldest_waiting"),
    )
    .outerjoin(
        conversations,
        and_(
            conversations.c.id == deliveries.c.conversation_id,
            conversations.c.workspace_id == deliveries.c.workspace_id,
        ),
    )
    .outerjoin(
        events,
        and_(
            events.c.conversation_id == deliveries.c.conversation_id,
            events.c.position == deliveries.c.position + 1,
            events.c.workspace_id == deliveries.c.workspace_id,
        ),
    )
    .where(here(deliveries))
    .order_by(
        (func.coalesce(conversations.c.event_head, deliveries.c.position) - deliveries.c.position).desc(),
        deliveries.c.conversation_id,
    )
    .limit(bindparam("limit"))
)
_ALL_STATUSES = Query(DeliveryStatus, _STATUSES)
_STATUSES_OF = Query(DeliveryStatus, _STATUSES.where(deliveries.c.assistant_id == bindparam("assistant_id")))
_LETTER_FIELDS = (
    "id",
    "assistant_id",
    "conversation_id",
    "position",
    "event_id",
    "event_type",
    "envelope",
    "reason",
    "failed_datetime",
)
_LETTERS = select(*columns_of(dead_letters, *_LETTER_FIELDS)).where(here(dead_letters))
_LETTER = Query(DeadLetter, _LETTERS.where(dead_letters.c.id == bindparam("id")))
_COUNT_LETTERS = select(func.count()).where(
    here(dead_letters), dead_letters.c.assistant_id == bindparam("assistant_id")
)
_DROP = delete(dead_letters).where(here(dead_letters), dead_letters.c.id == bindparam("of_id"))


@lru_cache(4)
def _letters(*, of_one: bool, from_cursor: bool) -> Query[DeadLetter]:
    """Build the list statement of one form; there are four."""
    newest_first = (dead_letters.c.failed_datetime.desc(), dead_letters.c.id.desc())
    statement = _LETTERS.order_by(*newest_first).limit(bindparam("limit"))
    if of_one:
        statement = statement.where(dead_letters.c.assistant_id == bindparam("assistant_id"))
    if from_cursor:
        older = dead_letters.c.failed_datetime < bindparam("failed", type_=Moment)
        as_old = dead_letters.c.failed_datetime == bindparam("failed", type_=Moment)
        statement = statement.where(or_(older, and_(as_old, dead_letters.c.id < bindparam("behind", type_=Id))))
    return Query(DeadLetter, statement)


_BACKLOG = (
    select(func.sum(conversations.c.event_head - deliveries.c.position), func.min(events.c.timestamp))
    .select_from(deliveries)
    .join(conversations, conversations.c.id == deliveries.c.conversation_id)
    .outerjoin(
        events,
        and_(events.c.conversation_id == deliveries.c.conversation_id, events.c.position == deliveries.c.position + 1),
    )
    .where(deliveries.c.state != "leaving", conversations.c.event_head > deliveries.c.position)
)
_ALL_LETTERS = select(func.count()).select_from(dead_letters)


class SqlDeliveries(Repository, Deliveries):
    """The deliveries of one workspace."""

    async def find(self, assistant_id: UUID, conversation_id: UUID) -> Delivery | None:
        """One delivery."""
        return await self._maybe(_ONE, _place(assistant_id, conversation_id))

    def begin(self, assistant_id: UUID, conversation_id: UUID, position: int) -> None:
        """Insert, or start over."""
        row = {"assistant_id": assistant_id, "conversation_id": conversation_id, "state": "joining"}
        self._writes.upsert(deliveries, {**row, "position": position, **_FRESH})

    def introduce(self, assistant_id: UUID, conversation_id: UUID, not_before: datetime) -> None:
        """Insert as one that its service has forgotten."""
        row = {"assistant_id": assistant_id, "conversation_id": conversation_id, "state": "rejoining", "position": 0}
        self._writes.upsert(deliveries, {**row, **_FRESH, "retry_at": not_before})

    def connect(self, assistant_id: UUID, conversation_id: UUID) -> None:
        """Let it flow."""
        self._writes.change(_CONNECT, _place(assistant_id, conversation_id))

    def cancel(self, assistant_id: UUID, conversation_id: UUID) -> None:
        """Delete."""
        self._writes.change(_CANCEL, _place(assistant_id, conversation_id))

    def end(self, assistant_id: UUID, conversation_id: UUID) -> None:
        """Turn it into a farewell."""
        self._writes.change(_END, _place(assistant_id, conversation_id))

    def end_all(self, conversation_id: UUID) -> None:
        """Turn all of a conversation into farewells."""
        self._writes.change(_END_ALL, {"in_conversation": conversation_id})

    def advance(self, delivery: Delivery, position: int) -> None:
        """Move forward."""
        self._writes.change(_ADVANCE, {**_place(*delivery.key), "to_position": position})

    def fail(self, delivery: Delivery, retry_at: datetime, error: str) -> None:
        """Count a failure."""
        self._writes.change(_FAIL, {**_place(*delivery.key), "at": retry_at, "error": error[:MAX_ERROR_LENGTH]})

    def hold(self, delivery: Delivery, retry_at: datetime, reason: str) -> None:
        """Count nothing."""
        self._writes.change(_HOLD, {**_place(*delivery.key), "at": retry_at, "error": reason[:MAX_ERROR_LENGTH]})

    def rejoin(self, delivery: Delivery) -> None:
        """Introduce it anew before the next event."""
        self._writes.change(_REJOIN, _place(*delivery.key))

    def finish(self, delivery: Delivery) -> None:
        """Delete what has said its farewell."""
        self._writes.change(_FINISH, _place(*delivery.key))

    def set_aside(self, letter: DeadLetter) -> None:
        """Insert a dead letter."""
        row = msgspec.structs.asdict(letter)
        self._writes.insert(dead_letters, {**row, "reason": letter.reason[:MAX_ERROR_LENGTH]})

    async def statuses(self, assistant_id: UUID | None, limit: int) -> Sequence[DeliveryStatus]:
        """How far each is, in one statement."""
        if assistant_id is None:
            return await self._all(_ALL_STATUSES, {"limit": limit})
        return await self._all(_STATUSES_OF, {"assistant_id": assistant_id, "limit": limit})

    async def letters(self, wanted: LetterFilter) -> Sequence[DeadLetter]:
        """A page of dead letters."""
        parameters: dict[str, Any] = {"limit": wanted.limit}
        if wanted.assistant_id is not None:
            parameters["assistant_id"] = wanted.assistant_id
        if wanted.behind is not None:
            parameters |= {"failed": wanted.behind.created_datetime, "behind": wanted.behind.id}
        query = _letters(of_one=wanted.assistant_id is not None, from_cursor=wanted.behind is not None)
        return await self._all(query, parameters)

    async def letter(self, letter_id: UUID) -> DeadLetter | None:
        """One dead letter."""
        return await self._maybe(_LETTER, {"id": letter_id})

    async def count_letters(self, assistant_id: UUID) -> int:
        """How many there are."""
        return int(await self._scalar(_COUNT_LETTERS, {"assistant_id": assistant_id}) or 0)

    def drop(self, letter_id: UUID) -> None:
        """Delete a dead letter."""
        self._writes.change(_DROP, {"of_id": letter_id})


class SqlDeliveryQueue(DeliveryQueue):
    """What waits, across workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def backlog(self) -> Backlog:
        """Two sums."""
        (lag, oldest), (letters,) = [
            (await self._database.rows(each, within=FIND_DELIVERIES))[0] for each in (_BACKLOG, _ALL_LETTERS)
        ]
        found = {"lag_events": int(lag or 0), "oldest_waiting": oldest, "dead_letters": letters}
        return msgspec.convert(found, Backlog)

    async def waiting(self, conversation_ids: Collection[UUID] | None, limit: int) -> Sequence[Delivery]:
        """What there is to do, whether or not its time has come."""
        if conversation_ids is None:
            return await self._found(_ALL_WAITING, {"limit": limit})
        return await self._found(_WAITING_IN, {"conversation_ids": list(conversation_ids), "limit": limit})

    async def _found(self, query: Query[Delivery], place: dict[str, Any]) -> Sequence[Delivery]:
        return query.convert(await self._database.rows(query.statement, place, FIND_DELIVERIES))


def _place(assistant_id: UUID, conversation_id: UUID) -> dict[str, Any]:
    return {"of_assistant": assistant_id, "in_conversation": conversation_id}
