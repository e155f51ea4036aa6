"""The event log in SQL, and who may see what of it."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, func, or_, select, update

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id
from workbench.adapters.sql.tables import OUTSIDE, conversations, events, farewells, participants, workspaces
from workbench.adapters.sql.terms import Uncounted
from workbench.adapters.sql.writes import RecordedEvent
from workbench.domain.events.model import FEED_TYPES, Event, NewEvent, NewWorkspaceEvent
from workbench.domain.events.ports import EventKeeping, EventLog
from workbench.domain.ids import correlation_id, new_hex_id, trace_parent

_FIELDS = columns_of(
    events,
    "workspace_id",
    "feed_position",
    "conversation_id",
    "position",
    "id",
    "correlation_id",
    "type",
    "timestamp",
    "audience",
    "data",
    "trace_parent",
)
_EVENT = select(*_FIELDS).where(here(events)).limit(bindparam("limit"))
_HEAD = select(workspaces.c.event_head).where(here(workspaces))
_FLOOR = select(workspaces.c.event_floor).where(here(workspaces))
_CONVERSATION_HEAD = select(conversations.c.event_head).where(
    here(conversations), conversations.c.id == bindparam("conversation_id")
)
_OF_WORKSPACE = Query(Event, _EVENT.where(events.c.feed_position > bindparam("after")).order_by(events.c.feed_position))
_OUTSIDE = Query(
    Event,
    _EVENT.where(OUTSIDE, events.c.feed_position > bindparam("after")).order_by(events.c.feed_position),
)
_IN_CONVERSATION = and_(Uncounted(here(events)), events.c.conversation_id == bindparam("conversation_id", type_=Id))
_OF_CONVERSATION = Query(
    Event,
    select(*_FIELDS)
    .where(_IN_CONVERSATION, events.c.position > bindparam("after"))
    .order_by(events.c.position)
    .limit(bindparam("limit")),
)
_CONVERSATIONS_OF = select(participants.c.conversation_id).where(
    here(participants),
    participants.c.role == "user",
    participants.c.id == bindparam("user_id"),
    participants.c.active_participant,
)
_OF_USER = Query(
    Event,
    _EVENT.where(
        events.c.feed_position > bindparam("after"),
        events.c.type.in_(sorted(FEED_TYPES)),
        or_(
            events.c.conversation_id.in_(_CONVERSATIONS_OF),
            events.c.feed_position.in_(
                select(farewells.c.feed_position).where(
                    here(farewells),
                    farewells.c.user_id == bindparam("user_id"),
                    farewells.c.feed_position > bindparam("after"),
                )
            ),
        ),
    ).order_by(events.c.feed_position),
)
_FLOOR_OF_USER = select(func.max(conversations.c.event_floor)).where(
    here(conversations), conversations.c.id.in_(_CONVERSATIONS_OF)
)
_KEPT = select(workspaces.c.event_floor).where(here(workspaces), workspaces.c.event_head > workspaces.c.event_floor)
_OLDEST = (
    select(events.c.feed_position, events.c.timestamp)
    .where(here(events), events.c.feed_position > bindparam("after"))
    .order_by(events.c.feed_position)
    .limit(bindparam("limit"))
    .subquery()
)
_EXPIRED = select(func.max(_OLDEST.c.feed_position)).where(_OLDEST.c.timestamp < bindparam("before"))
_DELETE_EVENTS = delete(events).where(here(events), events.c.feed_position <= bindparam("upto"))
_DELETE_FAREWELLS = delete(farewells).where(here(farewells), farewells.c.feed_position <= bindparam("upto"))
# Never backwards: a step that another replica has overtaken must not make what is gone look kept.
_RAISE_FLOOR = (
    update(workspaces)
    .where(here(workspaces), workspaces.c.event_floor < bindparam("upto"))
    .values(event_floor=bindparam("upto"))
)
_OLDEST_THERE = (
    select(events.c.position, events.c.feed_position, events.c.timestamp)
    .where(_IN_CONVERSATION)
    .order_by(events.c.position)
    .limit(bindparam("limit"))
    .subquery()
)
_EXPIRED_THERE = select(func.max(_OLDEST_THERE.c.position), func.max(_OLDEST_THERE.c.feed_position)).where(
    _OLDEST_THERE.c.timestamp < bindparam("before")
)
_DELETE_THERE = delete(events).where(_IN_CONVERSATION, events.c.position <= bindparam("upto"))
_RAISE_FLOOR_THERE = (
    update(conversations)
    .where(
        here(conversations),
        conversations.c.id == bindparam("conversation_id", type_=Id),
        conversations.c.event_floor < bindparam("upto_feed"),
    )
    .values(event_floor=bindparam("upto_feed"))
)

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def ascii_json(value: object) -> str:
    """Encode as JSON in ASCII: some clients split lines at separators of Unicode that JSON allows raw."""
    text = msgspec.json.encode(value).decode()
    return text if text.isascii() else _NOT_ASCII.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


class SqlEventLog(Repository, EventLog):
    """The log of one workspace."""

    def record(self, event: NewEvent | NewWorkspaceEvent) -> None:
        """Append at commit; its JSON is made here, once, for whoever reads it."""
        self._writes.events.append(
            RecordedEvent(
                event,
                new_hex_id(),
                correlation_id.get(),
                self._context.clock.now(),
                ascii_json(event.data),
                trace_parent.get(),
            )
        )

    async def head(self) -> int:
        """The newest feed position."""
        return await self._scalar(_HEAD, {}) or 0

    async def floor(self) -> int:
        """The highest pruned feed position."""
        return await self._scalar(_FLOOR, {}) or 0

    async def floor_of_user(self, user_id: str) -> int:
        """The workspace's, or that of a conversation of theirs that keeps events shorter."""
        own = await self._scalar(_FLOOR_OF_USER, {"user_id": user_id}) or 0
        return max(own, await self.floor())

    async def conversation_head(self, conversation_id: UUID) -> int:
        """The conversation's newest position."""
        return await self._scalar(_CONVERSATION_HEAD, {"conversation_id": conversation_id}) or 0

    async def of_workspace(self, after: int, limit: int) -> Sequence[Event]:
        """A page of everything."""
        return await self._all(_OF_WORKSPACE, {"after": after, "limit": limit})

    async def outside(self, after: int, limit: int) -> Sequence[Event]:
        """A page of what belongs to no conversation, along its own index."""
        return await self._all(_OUTSIDE, {"after": after, "limit": limit})

    async def of_conversation(self, conversation_id: UUID, after: int, limit: int) -> Sequence[Event]:
        """A page of one conversation."""
        return await self._all(_OF_CONVERSATION, {"conversation_id": conversation_id, "after": after, "limit": limit})

    async def of_user(self, user_id: str, after: int, limit: int) -> Sequence[Event]:
        """A page of what one user may see."""
        return await self._all(_OF_USER, {"user_id": user_id, "after": after, "limit": limit})


class SqlEventKeeping(EventKeeping):
    """Retention, across workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def prune(self, workspace_id: str, before: datetime, limit: int) -> int:
        """Forget the oldest events in the order of the log, and remember how far that went."""
        kept = await self._database.rows(_KEPT, {"ws": workspace_id}, workspace_id)
        if not kept:
            return 0
        place = {"ws": workspace_id, "after": kept[0][0], "before": before, "limit": limit}
        newest = (await self._database.rows(_EXPIRED, place, workspace_id))[0][0]
        if newest is None:
            return 0
        place["upto"] = newest
        return await self._database.transact(lambda connection: _prune(connection, place), workspace_id)

    async def prune_conversation(self, workspace_id: str, conversation_id: UUID, before: datetime, limit: int) -> int:
        """The same along the conversation's own positions."""
        place = {"ws": workspace_id, "conversation_id": conversation_id, "before": before, "limit": limit}
        newest, newest_in_feed = (await self._database.rows(_EXPIRED_THERE, place, workspace_id))[0]
        if newest is None:
            return 0
        place |= {"upto": newest, "upto_feed": newest_in_feed}
        return await self._database.transact(lambda connection: _prune_conversation(connection, place), workspace_id)


def _prune(connection: Connection, place: dict[str, Any]) -> int:
    gone = connection.execute(_DELETE_EVENTS, place).rowcount
    connection.execute(_DELETE_FAREWELLS, place)
    connection.execute(_RAISE_FLOOR, place)
    return gone


def _prune_conversation(connection: Connection, place: dict[str, Any]) -> int:
    gone = connection.execute(_DELETE_THERE, place).rowcount
    connection.execute(_RAISE_FLOOR_THERE, place)
    return gone
