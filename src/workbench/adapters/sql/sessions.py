"""Troubleshooting sessions in SQL."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select, tuple_, union, update

from workbench.adapters.sql.documents import add_document, change_document
from workbench.adapters.sql.repository import IDS, Context, Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id, Json, Moment
from workbench.adapters.sql.session_tables import OPEN_ESCALATION, session_escalations, session_lanes, sessions
from workbench.adapters.sql.ticket_tables import session_tickets
from workbench.adapters.sql.word_search import fits, queries
from workbench.domain.troubleshooting.model import Session
from workbench.domain.troubleshooting.ports import Lanes, SessionFilter, SessionPage, Sessions, StoredLane

SESSION_FIELDS = [name for name in Session.__struct_fields__ if name != "ticket"]
_FIXED = frozenset({"id", "conversation_id", "owner_id", "session_type", "intake", "created_at", "version"})
_MUTABLE = [name for name in SESSION_FIELDS if name not in _FIXED]

IS_THERE = sessions.c.deleted_at.is_(None)
"""A deleted session is nobody's to find, from the moment on that it is; what is left of it is for the duty that removes it."""

_TICKET = ("psa_ticket_id", "connection_id", "ticket_data")
_ITS_TICKET = and_(
    session_tickets.c.workspace_id == sessions.c.workspace_id, session_tickets.c.session_id == sessions.c.id
)
_ALL = (
    select(*columns_of(sessions, *SESSION_FIELDS), *columns_of(session_tickets, *_TICKET))
    .outerjoin(session_tickets, _ITS_TICKET)
    .where(here(sessions))
)


def _with_ticket(row: Sequence[Any]) -> dict[str, Any]:
    *values, ticket_id, connection_id, data = row
    session = dict(zip(SESSION_FIELDS, values, strict=True))
    if ticket_id is not None:
        session["ticket"] = {"id": ticket_id, "connection_id": connection_id, "data": data}
    return session


_ANY = _ALL.where(sessions.c.id == bindparam("id", type_=Id))
_ONE = Query(Session, _ANY.where(IS_THERE), _with_ticket)
_DELETED = Query(Session, _ANY.where(~IS_THERE), _with_ticket)
_VERSIONS = select(sessions.c.id, sessions.c.version).where(here(sessions), sessions.c.id.in_(IDS), IS_THERE)
_CHANGE = (
    update(sessions)
    .where(
        here(sessions),
        sessions.c.id == bindparam("of_id", type_=Id),
        sessions.c.version == bindparam("read_version"),
    )
    .values(
        version=sessions.c.version + 1,
        **{name: bindparam(f"new_{name}", type_=sessions.c[name].type) for name in _MUTABLE},
    )
)

_PERSON: ColumnElement[str] = bindparam("person_id")
_OWNS = sessions.c.owner_id == _PERSON
_HANDLES = sessions.c.handler_id == _PERSON
_ASKED = session_escalations.c.requested_by == _PERSON
_PICKED = session_escalations.c.picked_up_by == _PERSON
_MEANT = and_(OPEN_ESCALATION, session_escalations.c.target_user_id == _PERSON)


def _escalated(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a session has such an escalation."""
    of_this_one = and_(
        session_escalations.c.workspace_id == sessions.c.workspace_id, session_escalations.c.session_id == sessions.c.id
    )
    return select(session_escalations.c.id).where(of_this_one, condition).exists()


def _sessions_with(condition: ColumnElement[bool]) -> Select[Any]:
    return select(sessions.c.id).where(here(sessions), condition)


def _escalations_with(condition: ColumnElement[bool]) -> Select[Any]:
    return select(session_escalations.c.session_id).where(here(session_escalations), condition)


# As sets to begin with, each part of them along an index of its own: what is asked of each session would be asked of all.
_THEIRS = (_sessions_with(_OWNS), _sessions_with(_HANDLES), _escalations_with(_ASKED), _escalations_with(_PICKED))
_ROLES: dict[str, ColumnElement[bool]] = {
    "owner": _OWNS,
    "handler": _HANDLES,
    "any": sessions.c.id.in_(union(*_THEIRS)),
}
# Whose session is meant for them to take over may look into it (`access.standing` says so of one session).
VISIBLE: ColumnElement[bool] = or_(_OWNS, _HANDLES, _escalated(or_(_ASKED, _PICKED)), _escalated(_MEANT))
"""Which sessions a person, `person_id`, may see: the twin of `access.standing`."""
VISIBLE_IDS = union(*_THEIRS, _escalations_with(_MEANT)).cte("visible")
"""The same as a set."""
_FILTERS: dict[str, ColumnElement[bool]] = {
    "statuses": sessions.c.status.in_(bindparam("statuses", expanding=True)),
    "problem_domain": sessions.c.problem_domain == bindparam("problem_domain"),
    "matched_flow_id": sessions.c.matched_flow_id == bindparam("matched_flow_id", type_=Id),
    "confidence_tier": sessions.c.confidence_tier == bindparam("confidence_tier"),
    "session_type": sessions.c.session_type == bindparam("session_type"),
    "ticket_id": session_tickets.c.psa_ticket_id == bindparam("ticket_id"),
    "created_from": sessions.c.created_at >= bindparam("created_from", type_=Moment),
    "created_to": sessions.c.created_at <= bindparam("created_to", type_=Moment),
}
_WITH_WORDS = {"sqlite": "words on SQLite", "postgresql": "words on PostgreSQL"}
_CONDITIONS: dict[str, ColumnElement[bool]] = {
    **_FILTERS,
    **{name: fits(dialect, sessions.c.id) for dialect, name in _WITH_WORDS.items()},
}
_BEHIND = tuple_(sessions.c.created_at, sessions.c.id) < tuple_(
    bindparam("behind_at", type_=Moment), bindparam("behind_id", type_=Id)
)


def _conditions(role: str, given: frozenset[str]) -> ColumnElement[bool]:
    return and_(here(sessions), IS_THERE, _ROLES[role], *(_CONDITIONS[name] for name in sorted(given)))


@lru_cache(64)
def _page(role: str, given: frozenset[str], *, behind: bool) -> Query[Session]:
    statement = _ALL.where(_conditions(role, given))
    if behind:
        statement = statement.where(_BEHIND)
    newest_first = (sessions.c.created_at.desc(), sessions.c.id.desc())
    statement = statement.order_by(*newest_first).limit(bindparam("limit")).offset(bindparam("skip"))
    return Query(Session, statement, _with_ticket)


@lru_cache(64)
def _count(role: str, given: frozenset[str]) -> Any:
    counted = sessions.outerjoin(session_tickets, _ITS_TICKET)
    return select(func.count()).select_from(counted).where(_conditions(role, given))


def _given(wanted: SessionFilter) -> dict[str, Any]:
    named = {name: getattr(wanted, name) for name in _FILTERS}
    given = {name: value for name, value in named.items() if value not in (None, ())}
    return {**given, "statuses": list(wanted.statuses)} if wanted.statuses else given


class SqlSessions(Repository, Sessions):
    """The sessions of one workspace. What they are found and compared by is set down with them."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._read: dict[UUID, Session] = {}

    async def find(self, session_id: UUID) -> Session | None:
        """By the primary key."""
        found = await self._maybe(_ONE, {"id": session_id})
        if found is not None:
            self._read[session_id] = found
        return found

    async def find_deleted(self, session_id: UUID) -> Session | None:
        """By the primary key."""
        return await self._maybe(_DELETED, {"id": session_id})

    async def page(self, wanted: SessionFilter, stretch: SessionPage) -> Sequence[Session]:
        """Of what the indexes on owners, handlers and escalations lead to."""
        (names, given), behind = self._given(wanted), stretch.behind
        place = {} if behind is None else {"behind_at": behind.created_datetime, "behind_id": behind.id}
        query = _page(wanted.role, names, behind=behind is not None)
        return await self._all(query, {**given, **place, "limit": stretch.limit, "skip": stretch.skip})

    async def count(self, wanted: SessionFilter) -> int:
        """The same without an order."""
        names, given = self._given(wanted)
        return int(await self._scalar(_count(wanted.role, names), given))

    async def versions(self, session_ids: Sequence[UUID]) -> dict[UUID, int]:
        """By the primary key."""
        return await self._by_id(_VERSIONS, session_ids, dict[UUID, int])

    def _given(self, wanted: SessionFilter) -> tuple[frozenset[str], dict[str, Any]]:
        """Which conditions there are, and with what values."""
        given, dialect = _given(wanted), self._context.database.dialect_name
        names = frozenset(given)
        if wanted.words is not None:
            names |= {_WITH_WORDS[dialect]}
            given |= queries(self._writes.workspace_id, wanted.words, dialect)
        return names, {**given, "person_id": wanted.person_id}

    def add(self, session: Session) -> None:
        """Insert."""
        self._writes.insert(sessions, {name: _written(getattr(session, name)) for name in SESSION_FIELDS})
        add_document(self._context, session)

    def change(self, session: Session) -> None:
        """Update where the version is still the one that was read."""
        new = {f"new_{name}": _written(getattr(session, name)) for name in _MUTABLE}
        self._writes.change(_CHANGE, {"of_id": session.id, "read_version": session.version, **new}, must_hit=True)
        change_document(self._context, session, self._read.get(session.id))


_LANE = Query(
    StoredLane,
    select(*columns_of(session_lanes, "rev", "lane")).where(
        here(session_lanes), session_lanes.c.session_id == bindparam("session_id", type_=Id)
    ),
)
_REVS = select(session_lanes.c.session_id, session_lanes.c.rev).where(
    here(session_lanes), session_lanes.c.session_id.in_(IDS)
)
_PUT_LANE = (
    update(session_lanes)
    .where(
        here(session_lanes),
        session_lanes.c.session_id == bindparam("of_id", type_=Id),
        session_lanes.c.rev == bindparam("read_rev"),
    )
    .values(rev=bindparam("new_rev"), lane=bindparam("new_lane", type_=Json))
)


class SqlLanes(Repository, Lanes):
    """The task lanes of one workspace."""

    async def find(self, session_id: UUID) -> StoredLane | None:
        """By the primary key."""
        return await self._maybe(_LANE, {"session_id": session_id})

    async def revs_of_each(self, session_ids: Sequence[UUID]) -> dict[UUID, int]:
        """By the primary key, without the lanes themselves."""
        return await self._by_id(_REVS, session_ids, dict[UUID, int])

    def put(self, session_id: UUID, lane: StoredLane, read_rev: int) -> None:
        """Insert, or update over the revision that was read."""
        written = msgspec.to_builtins(lane.lane)
        if read_rev == 0:
            self._writes.insert(session_lanes, {"session_id": session_id, "rev": lane.rev, "lane": written})
            return
        place = {"of_id": session_id, "read_rev": read_rev, "new_rev": lane.rev, "new_lane": written}
        self._writes.change(_PUT_LANE, place, must_hit=True)


def _written(value: Any) -> Any:
    """A Struct as what JSON has for it."""
    return msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value
