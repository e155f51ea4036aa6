"""How long things are kept, in SQL: the rules, and what their age makes due.

What is due is found without an index on time. A conversation's messages lie in the order of their commits, so the
first one tells whether any is due: a look at each conversation, and none at the messages that stay.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET
from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    func,
    select,
    true,
    tuple_,
)

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.documents import BLANK_TALK, MAKE_ANEW, walk_place
from workbench.adapters.sql.duties import KEEP_TERMS
from workbench.adapters.sql.lifecycle_tables import audit, conversation_retention, workspace_retention
from workbench.adapters.sql.repository import Repository, here
from workbench.adapters.sql.schema import Id, Moment
from workbench.adapters.sql.tables import (
    conversations,
    dead_letters,
    events,
    file_versions,
    files,
    messages,
    workspaces,
)
from workbench.adapters.sql.terms import Uncounted
from workbench.domain.lifecycle.model import Cutoffs, Expired, OwnTerms, Terms, WorkspaceRules
from workbench.domain.lifecycle.ports import AgedMessages, RetentionRules

DAY = 86_400
KINDS = ("messages", "files", "events")
_BEFORE = bindparam("before", type_=Moment)
_SINCE = bindparam("since", type_=Moment)
_CONVERSATION = bindparam("conversation_id", type_=Id)
_NO_ID = UUID(int=0)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

_OF_WORKSPACE = select(workspace_retention.c.kind, workspace_retention.c.seconds).where(here(workspace_retention))
_OWN = select(
    conversation_retention.c.conversation_id, conversation_retention.c.kind, conversation_retention.c.seconds
).where(here(conversation_retention))
_OF_CONVERSATION = _OWN.where(conversation_retention.c.conversation_id == _CONVERSATION)
_NEXT_OWN = (
    select(conversation_retention.c.conversation_id)
    .where(here(conversation_retention), conversation_retention.c.conversation_id > bindparam("after", type_=Id))
    .distinct()
    .order_by(conversation_retention.c.conversation_id)
    .limit(bindparam("limit"))
)
_OWN_OF_NEXT = _OWN.where(conversation_retention.c.conversation_id.in_(_NEXT_OWN)).order_by(
    conversation_retention.c.conversation_id
)
_FOLLOW_SETTINGS = delete(workspace_retention).where(
    here(workspace_retention), workspace_retention.c.kind == bindparam("of_kind")
)
_FOLLOW_WORKSPACE = delete(conversation_retention).where(
    here(conversation_retention),
    conversation_retention.c.conversation_id == bindparam("of_conversation", type_=Id),
    conversation_retention.c.kind == bindparam("of_kind"),
)

_WORKSPACES = select(workspaces.c.workspace_id).order_by(workspaces.c.workspace_id)
_FIRST_SAID = (
    select(messages.c.timestamp)
    .where(Uncounted(here(messages)), messages.c.conversation_id == conversations.c.id)
    .order_by(messages.c.sequence)
    .limit(1)
    .scalar_subquery()
)
_AGED = (
    select(conversations.c.id)
    .where(here(conversations), conversations.c.id > bindparam("after", type_=Id), _FIRST_SAID < _BEFORE)
    .order_by(conversations.c.id)
    .limit(bindparam("limit"))
)
_IN_CONVERSATION = and_(Uncounted(here(messages)), messages.c.conversation_id == _CONVERSATION)
_FIRST = (
    select(messages.c.sequence, messages.c.timestamp)
    .where(_IN_CONVERSATION)
    .order_by(messages.c.sequence)
    .limit(bindparam("limit"))
    .subquery()
)
_REMOVE = delete(messages).where(
    _IN_CONVERSATION, messages.c.sequence <= select(func.max(_FIRST.c.sequence)).scalar_subquery(),
    messages.c.timestamp < _BEFORE,
)  # fmt: skip


def _oldest(table: Table, time: ColumnElement[Any], *conditions: ColumnElement[bool]) -> Executable:
    """Delete the oldest rows of a table, so many at most."""
    keys = list(table.primary_key)
    oldest = select(*keys).where(time < _BEFORE, *conditions).order_by(time).limit(bindparam("limit"))
    return delete(table).where(tuple_(*keys).in_(oldest))


_LETTERS = {
    False: _oldest(dead_letters, dead_letters.c.failed_datetime, here(dead_letters)),
    True: _oldest(
        dead_letters,
        dead_letters.c.failed_datetime,
        here(dead_letters),
        dead_letters.c.conversation_id == _CONVERSATION,
    ),
}
_AUDIT = _oldest(audit, audit.c.at)
_COUNT_AUDIT = select(func.count()).select_from(audit).where(audit.c.at < _BEFORE)


def _count(table: Table, time: str, conversation: ColumnElement[bool]) -> Select[Any]:
    column = table.c[time]
    return select(func.count()).select_from(table).where(here(table), column < _BEFORE, column >= _SINCE, conversation)


_OF_FILES_THERE = file_versions.c.file_id.in_(
    select(files.c.id).where(here(files), files.c.conversation_id == _CONVERSATION)
)
# By kind; of all conversations, and of one.
_COUNTS = {
    "messages": (
        _count(messages, "timestamp", true()),
        _count(messages, "timestamp", messages.c.conversation_id == _CONVERSATION),
    ),
    "dead_letters": (
        _count(dead_letters, "failed_datetime", true()),
        _count(dead_letters, "failed_datetime", dead_letters.c.conversation_id == _CONVERSATION),
    ),
    "events": (
        _count(events, "timestamp", true()),
        _count(events, "timestamp", events.c.conversation_id == _CONVERSATION),
    ),
    "files": (
        _count(file_versions, "created_datetime", true()),
        _count(file_versions, "created_datetime", _OF_FILES_THERE),
    ),
}


class SqlRetentionRules(Repository, RetentionRules):
    """The rules of one workspace."""

    async def of_workspace(self) -> WorkspaceRules:
        """A row a kind."""
        rows = await self._rows(_OF_WORKSPACE, {})
        return WorkspaceRules(**{_field(kind): _days(seconds) for kind, seconds in rows})

    async def of_conversation(self, conversation_id: UUID) -> Terms:
        """A row a kind."""
        rows = await self._rows(_OF_CONVERSATION, {"conversation_id": conversation_id})
        return Terms(**{_field(kind): _days(seconds) for _, kind, seconds in rows})

    async def own_terms(self, after: UUID | None, limit: int) -> Sequence[OwnTerms]:
        """Along the index on workspace and conversation."""
        rows = await self._rows(_OWN_OF_NEXT, {"after": after or _NO_ID, "limit": limit})
        found: dict[str, dict[str, float | None]] = {}
        for conversation_id, kind, seconds in rows:
            found.setdefault(str(conversation_id), {})[_field(kind)] = _days(seconds)
        return [OwnTerms(conversation_id=UUID(key), terms=Terms(**terms)) for key, terms in found.items()]

    def set_workspace(self, rules: WorkspaceRules) -> None:
        """Write the rows that are given, delete the others."""
        for kind in KINDS:
            days = getattr(rules, _field(kind))
            if days is UNSET:
                self._writes.change(_FOLLOW_SETTINGS, {"of_kind": kind})
            else:
                self._writes.upsert(workspace_retention, {"kind": kind, "seconds": _seconds(days)})

    def set_conversation(self, conversation_id: UUID, terms: Terms) -> None:
        """Write the rows that are given, delete the others."""
        for kind in KINDS:
            days = getattr(terms, _field(kind))
            row = {"conversation_id": conversation_id, "kind": kind, "seconds": _seconds(days)}
            if days is None:
                self._writes.change(_FOLLOW_WORKSPACE, {"of_conversation": conversation_id, "of_kind": kind})
            else:
                self._writes.upsert(conversation_retention, row)


class SqlAgedMessages(AgedMessages):
    """What is due, across workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def workspaces(self) -> Sequence[str]:
        """A row each, from the first event on."""
        return [str(row[0]) for row in await self._database.rows(_WORKSPACES, within=KEEP_TERMS)]

    async def conversations(
        self, workspace_id: str, before: datetime, after: UUID | None, limit: int
    ) -> Sequence[UUID]:
        """Along the index on workspaces, with a step down that of messages for each."""
        place = {"ws": workspace_id, "before": before, "after": after or _NO_ID, "limit": limit}
        rows = await self._database.rows(_AGED, place, workspace_id)
        return msgspec.convert([row[0] for row in rows], list[UUID])

    async def remove(self, workspace_id: str, conversation_id: UUID, before: datetime, limit: int) -> int:
        """Of the first so many; debug data goes with its message, and so do words by which a session was found."""
        place = {"ws": workspace_id, "conversation_id": conversation_id, "before": before, "limit": limit}

        def work(connection: Connection) -> int:
            removed = connection.execute(_REMOVE, place).rowcount
            talk = {"ws": workspace_id, "of_conversation": conversation_id}
            if removed and connection.execute(BLANK_TALK, talk).rowcount:
                connection.execute(MAKE_ANEW, {"ws": workspace_id, **walk_place()})
            return removed

        return await self._database.transact(work, workspace_id)

    async def remove_letters(
        self, workspace_id: str, conversation_id: UUID | None, before: datetime, limit: int
    ) -> int:
        """The oldest first."""
        statement = _LETTERS[conversation_id is not None]
        return await self._delete(statement, workspace_id, conversation_id, before, limit)

    async def remove_audit_entries(self, before: datetime, limit: int) -> int:
        """Along the index on time."""
        place = {"before": before, "limit": limit}
        return await self._database.transact(lambda connection: connection.execute(_AUDIT, place).rowcount, KEEP_TERMS)

    async def _delete(
        self, statement: Executable, workspace_id: str, conversation_id: UUID | None, before: datetime, limit: int
    ) -> int:
        place: dict[str, Any] = {"ws": workspace_id, "before": before, "limit": limit}
        if conversation_id is not None:
            place["conversation_id"] = conversation_id
        return await self._database.transact(
            lambda connection: connection.execute(statement, place).rowcount, workspace_id
        )

    async def count(self, workspace_id: str, conversation_id: UUID | None, before: Cutoffs, since: Cutoffs) -> Expired:
        """Read all of what there is: for a look before a run, not for the run."""
        of_kind = {"messages": "messages", "dead_letters": "messages", "events": "events", "files": "files"}
        found: dict[str, int] = {}
        for name, kind in of_kind.items():
            upto = getattr(before, kind)
            if upto is None:
                continue
            place = {"ws": workspace_id, "before": upto, "since": getattr(since, kind) or _LONG_AGO}
            if conversation_id is not None:
                place["conversation_id"] = conversation_id
            counting = _COUNTS[name][conversation_id is not None]
            found[name] = (await self._database.rows(counting, place, workspace_id))[0][0]
        return Expired(**found)

    async def count_audit_entries(self, before: datetime) -> int:
        """Along the index on time."""
        return (await self._database.rows(_COUNT_AUDIT, {"before": before}, KEEP_TERMS))[0][0]


def _field(kind: str) -> str:
    return f"{kind}_days"


def _days(seconds: int | None) -> float | None:
    return None if seconds is None else seconds / DAY


def _seconds(days: float | None) -> int | None:
    return None if days is None else max(1, round(days * DAY))
