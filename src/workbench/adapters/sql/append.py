"""Appending in one statement: most groups only add messages and events, and need no more.

The statement does what `store` does in several, in the same order and under the same locks; being one, it is
atomic without BEGIN and COMMIT. Where one of the conversations is gone, or one who writes has lost their seat, it changes
nothing and answers with nothing. A group that does anything else goes through `store`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from workbench.adapters.sql import append_postgresql, append_sqlite
from workbench.adapters.sql.chosen import Alone
from workbench.adapters.sql.positions import Positions, count_feeds, count_moves, event_at
from workbench.adapters.sql.prepared import Values
from workbench.adapters.sql.schema import in_utc
from workbench.adapters.sql.seated import distinct_writers
from workbench.adapters.sql.writes import Row, Writer, Writes
from workbench.domain.errors import NotFoundError, StaleError
from workbench.domain.events.model import Event

_POST = {"sqlite": append_sqlite.POST, "postgresql": append_postgresql.POST}
_APPEND = {"sqlite": append_sqlite.APPEND, "postgresql": append_postgresql.APPEND}

Stored = list[list[Event]]


def only_appends(group: Sequence[Writes]) -> bool:
    """Whether the group adds messages and events to conversations of one workspace, and does nothing else."""
    workspace_id = group[0].workspace_id
    return all(
        writes.events
        and writes.workspace_id == workspace_id
        and not (writes.steps or writes.does_more)
        and not any(recorded.new.farewell or recorded.new.conversation_id is None for recorded in writes.events)
        for writes in group
    )


def appending(group: Sequence[Writes], dialect: str) -> Alone[Stored]:
    """How to append everything; it answers with the events as they were stored, by workspace, of which there is one.

    It raises StaleError, with nothing stored, where one who writes may not any more, and NotFoundError where a
    conversation is gone.
    """
    if (post := _only_post(group)) is not None:
        return _appending_post(post, dialect)
    moves, feeds = count_moves(group), count_feeds(group)
    # Places within the group; the statement adds where they begin.
    places = Positions.from_nothing(moves.values(), feeds)
    messages = [_message(row, places) for writes in group for row in writes.messages]
    events = [places.place(recorded, writes.workspace_id) for writes in group for recorded in writes.events]
    writers = distinct_writers(group)
    parameters = {
        "moves": _json(list(moves.values())),
        "wanted": len(moves),
        "writers": _json(writers),
        "seated": len(writers),
        "ws": group[0].workspace_id,
        "feed": len(events),
        "messages": _json(messages),
        "events": _json([_event(event) for event in events]),
    }

    def read(rows: Sequence[Values]) -> Stored:
        feed_begins, begins = _only(rows, writers)
        heads = msgspec.json.decode(begins)
        return [[_placed(event, feed_begins, heads[str(event.conversation_id)]) for event in events]]

    return Alone(_APPEND[dialect], parameters, group[0].within, read)


def _only_post(group: Sequence[Writes]) -> Writes | None:
    """The block that is the whole group, if it posts a single message; that is the most frequent group of all."""
    if len(group) != 1 or not len(group[0].messages) == len(group[0].events) == len(group[0].writers) == 1:
        return None
    conversation_id = group[0].messages[0]["conversation_id"]
    is_one = conversation_id == group[0].events[0].new.conversation_id == group[0].writers[0].conversation_id
    return group[0] if is_one else None


def _appending_post(post: Writes, dialect: str) -> Alone[Stored]:
    (message,), (recorded,), (writer,) = post.messages, post.events, post.writers
    parameters = {
        **message,
        "filenames": _json(message["filenames"]),
        "metadata": _json(message["metadata"]),
        "writer_role": writer.role,
        "writer_id": writer.id,
        "event_id": recorded.id,
        "event_correlation_id": recorded.correlation_id,
        "event_type": recorded.new.type,
        "event_timestamp": recorded.timestamp,
        "event_audience": recorded.new.audience,
        "event_data": recorded.data,
        "event_trace_parent": recorded.trace_parent,
    }

    def read(rows: Sequence[Values]) -> Stored:
        position, feed_position = _only(rows, post.writers)
        return [[event_at(feed_position, position, recorded, post.workspace_id)]]

    return Alone(_POST[dialect], parameters, post.within, read)


def _only(rows: Sequence[Values], writers: Sequence[Writer]) -> Values:
    """The row that the statement answers with where it stored all."""
    if rows:
        return rows[0]
    # It does not say which of the two it was: who reads again is told.
    raise StaleError if writers else NotFoundError


def _message(row: Row, places: Positions) -> Row:
    return {
        **row,
        "timestamp": in_utc(row["timestamp"]),
        "filenames": _json(row["filenames"]),
        "metadata": _json(row["metadata"]),
        "place": places.next_message(row["conversation_id"]),
    }


def _event(event: Event) -> Row:
    return {**msgspec.structs.asdict(event), "timestamp": in_utc(event.timestamp)}


def _placed(event: Event, feed_begins: int, begins: int) -> Event:
    return msgspec.structs.replace(
        event, feed_position=feed_begins + event.feed_position, position=begins + event.position
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
