"""Messages in SQL."""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import BindParameter, ColumnElement, FromClause, Select, and_, bindparam, delete, select, true

from workbench.adapters.sql.prepared import POSTGRESQL, Values
from workbench.adapters.sql.repository import Query, Repository, here
from workbench.adapters.sql.tables import conversations, message_debug, messages
from workbench.adapters.sql.terms import ReadTime, Uncounted
from workbench.domain.messages.model import (
    MAX_WORDS,
    SEARCHED,
    Message,
    MessageQuery,
    MessageType,
    Sender,
    StoredMessage,
)
from workbench.domain.messages.ports import Messages

MESSAGE_FIELDS = (
    "id",
    "sender_role",
    "sender_id",
    "message_type",
    "timestamp",
    "content_type",
    "content",
    "filenames",
    "metadata",
    "has_debug_data",
)


def message_columns(source: FromClause) -> list[ColumnElement[Any]]:
    """The columns that `messages_of` reads, of the table or of a subquery that has them all."""
    return [ReadTime(source.c[name]).label(name) if name == "timestamp" else source.c[name] for name in MESSAGE_FIELDS]


def messages_of(rows: Sequence[Values]) -> list[Message]:
    """Make messages of rows that begin with `message_columns`, in its order, which is that of Message and Sender.

    Each column is converted at once, and no message has a line of Python run for it: there may be 500 on a page.
    """
    if not rows:
        return []
    columns = list(zip(*rows, strict=True))[: len(MESSAGE_FIELDS)]
    ids, roles, senders, types, times, *others = columns
    return list(
        map(
            Message,
            msgspec.convert(ids, list[UUID]),
            map(Sender, roles, senders),
            types,
            msgspec.convert(times, list[datetime], strict=False),
            *others,
        )
    )


def _stored(row: Values) -> dict[str, Any]:
    (message,) = messages_of([row])
    return {"message": message, "conversation_id": row[-2], "debug_data": row[-1] or {}}


_ONE = Query(
    StoredMessage,
    select(*message_columns(messages), messages.c.conversation_id, message_debug.c.debug_data)
    .outerjoin(
        message_debug,
        and_(message_debug.c.workspace_id == messages.c.workspace_id, message_debug.c.message_id == messages.c.id),
    )
    .where(here(messages), messages.c.id == bindparam("id")),
    _stored,
)
_IN_CONVERSATION = and_(Uncounted(here(messages)), messages.c.conversation_id == bindparam("conversation_id"))
_PLACE_OF = select(messages.c.id, messages.c.sequence).where(
    _IN_CONVERSATION, messages.c.id.in_(bindparam("ids", expanding=True))
)
_LIKE_SIGNS = re.compile("[%_/]")
_REMOVE = delete(messages).where(here(messages), messages.c.id == bindparam("of_id"))


@lru_cache(128)
def _page(filters: frozenset[str], *, oldest_first: bool) -> Query[Message]:
    """Build the page statement of one form: which filters there are, and from which end it reads."""
    conditions = {
        "roles": messages.c.sender_role.in_(bindparam("roles", expanding=True)),
        "senders": messages.c.sender_id.in_(bindparam("senders", expanding=True)),
        "types": messages.c.message_type.in_(bindparam("types", expanding=True)),
        "before": messages.c.sequence < bindparam("before"),
        "after": messages.c.sequence > bindparam("after"),
    }
    sequence = messages.c.sequence
    statement: Select[Any] = (
        select(*message_columns(messages))
        .where(_IN_CONVERSATION, *(conditions[name] for name in sorted(filters)))
        .order_by(sequence.asc() if oldest_first else sequence.desc())
        .limit(bindparam("limit"))
    )
    return Query(Message, statement, make=messages_of)


@lru_cache(MAX_WORDS + 1)
def _containing(words: int) -> Query[Message]:
    """Build the statement for so many words: a walk over the newest messages, which ends at some point."""
    newest = (
        select(messages).where(_IN_CONVERSATION).order_by(messages.c.sequence.desc()).limit(SEARCHED).subquery("newest")
    )
    said = [newest.c.content.icontains(bindparam(f"word{place}"), escape="/") for place in range(words)]
    return Query(
        Message,
        select(*message_columns(newest)).where(*said).order_by(newest.c.sequence.desc()).limit(bindparam("limit")),
        make=messages_of,
    )


@lru_cache(4)
def _latest(*, one_type: bool, dialect: str) -> Select[Any]:
    """Build the statement for the newest message of each conversation: a step down an index for each, no scan.

    One type is compared with `=`, which both databases answer from the index on type and place; an `IN` would
    keep SQLite from it. PostgreSQL, asked as SQLite is, reads all messages that there are, and SQLite knows no LATERAL.
    """
    fields = [*message_columns(messages), messages.c.conversation_id]
    ids: BindParameter[UUID] = bindparam("conversation_ids", expanding=True)
    if dialect == POSTGRESQL:
        newest = (
            select(*fields)
            .where(
                Uncounted(here(messages)),
                messages.c.conversation_id == conversations.c.id,
                _is_wanted(messages, one_type),
            )
            .order_by(messages.c.sequence.desc())
            .limit(1)
            .lateral("newest")
        )
        return (
            select(newest)
            .join_from(conversations, newest, true())
            .where(here(conversations), conversations.c.id.in_(ids))
        )
    candidate = messages.alias("candidate")
    place = (
        select(candidate.c.sequence)
        .where(
            candidate.c.workspace_id == conversations.c.workspace_id,
            candidate.c.conversation_id == conversations.c.id,
            _is_wanted(candidate, one_type),
        )
        .order_by(candidate.c.sequence.desc())
        .limit(1)
        .scalar_subquery()
    )
    its_newest = and_(messages.c.conversation_id == conversations.c.id, messages.c.sequence == place)
    return (
        select(*fields)
        .join_from(conversations, messages, its_newest)
        .where(here(messages), conversations.c.id.in_(ids))
    )


def _is_wanted(table: FromClause, one_type: bool) -> ColumnElement[bool]:
    if one_type:
        return table.c.message_type == bindparam("type")
    return table.c.message_type.in_(bindparam("types", expanding=True))


class SqlMessages(Repository, Messages):
    """The messages of one workspace."""

    async def find(self, message_id: UUID) -> StoredMessage | None:
        """One message with its debug data."""
        return await self._maybe(_ONE, {"id": message_id})

    async def page(self, conversation_id: UUID, query: MessageQuery) -> list[Message]:
        """A page; a cursor that is not of this conversation counts for nothing."""
        if query.limit == 0:
            return []
        parameters: dict[str, Any] = {}
        if query.before or query.after:
            parameters |= await self._places(conversation_id, query)
        for name, values in (
            ("roles", query.participant_roles),
            ("senders", query.participant_ids),
            ("types", query.message_types),
        ):
            if values:
                parameters[name] = list(values)
        page = _page(frozenset(parameters), oldest_first=query.oldest_first)
        parameters |= {"conversation_id": conversation_id, "limit": query.limit}
        found = await self._all(page, parameters)
        return found if query.oldest_first else found[::-1]

    async def _places(self, conversation_id: UUID, query: MessageQuery) -> dict[str, int]:
        """Where the cursors' messages stand."""
        cursors = {"before": query.before, "after": query.after}
        ids = [message_id for message_id in cursors.values() if message_id]
        rows = await self._rows(_PLACE_OF, {"conversation_id": conversation_id, "ids": ids})
        places = {str(row[0]): row[1] for row in rows}
        return {name: places[str(cursor)] for name, cursor in cursors.items() if str(cursor) in places}

    async def containing(self, conversation_id: UUID, words: Sequence[str], limit: int) -> list[Message]:
        """Search."""
        wanted = {f"word{place}": _LIKE_SIGNS.sub(r"/\g<0>", word) for place, word in enumerate(words)}
        return await self._all(_containing(len(words)), {"conversation_id": conversation_id, "limit": limit, **wanted})

    async def latest_of_each(
        self, conversation_ids: Sequence[UUID], message_types: Sequence[MessageType]
    ) -> dict[UUID, Message]:
        """The newest of each conversation, from the index on type and place."""
        if not conversation_ids:
            return {}
        kinds = {"type": message_types[0]} if len(message_types) == 1 else {"types": list(message_types)}
        statement = _latest(one_type=len(message_types) == 1, dialect=self._context.database.dialect_name)
        rows = await self._rows(statement, {"conversation_ids": list(conversation_ids), **kinds})
        ids = msgspec.convert([row[-1] for row in rows], list[UUID])
        return dict(zip(ids, messages_of(rows), strict=True))

    def add(self, stored: StoredMessage) -> None:
        """Append, with its debug data beside it."""
        message = stored.message
        row = msgspec.structs.asdict(message)
        sender = row.pop("sender")
        del row["parts"]
        row |= {
            "conversation_id": stored.conversation_id,
            "sender_role": sender.participant_role,
            "sender_id": sender.participant_id,
        }
        self._writes.append_message(row)
        if stored.debug_data:
            self._writes.attach(message_debug, {"message_id": message.id, "debug_data": stored.debug_data})

    def remove(self, message_id: UUID) -> None:
        """Delete; its debug data goes with it."""
        self._writes.change(_REMOVE, {"of_id": message_id}, must_hit=True)
