"""Appending on PostgreSQL in one trip: most groups only add messages and events, and need no more than a statement.

The statement does what `store` does in several, in the same order and under the same locks; being one, it is
atomic without BEGIN and COMMIT. A group that does anything else goes through `store`.

There are two of them: for any group, and for a single message, which is what a quiet service's groups hold (measured,
with the commit: 680 against 380 us; the difference is JSON and joins, which pay from the second message on).
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import text

from workbench.adapters.sql.chosen import Alone
from workbench.adapters.sql.positions import (
    RECORDED_MOVES,
    WAKEUP_CHANNEL,
    WAKEUP_SENDER,
    Positions,
    count_feeds,
    count_moves,
    event_at,
)
from workbench.adapters.sql.prepared import Prepared, Values
from workbench.adapters.sql.schema import canonical
from workbench.adapters.sql.seated import COUNT_POSTGRESQL, MAY_WRITE, distinct_writers
from workbench.adapters.sql.writes import Row, Writer, Writes
from workbench.domain.errors import NotFoundError, StaleError
from workbench.domain.events.model import Event

# Where one of the conversations is gone, or one who writes has lost their seat, `moves` is empty, and so nothing at all is
# changed.
_APPEND = Prepared(
    text(f"""
        WITH locked AS (
            SELECT c.id, m.events, m.messages
            FROM conversations AS c
            JOIN {RECORDED_MOVES} AS m
              ON c.id = m.id AND c.workspace_id = :ws
            ORDER BY c.id FOR UPDATE OF c
        ), moves AS (
            SELECT * FROM locked WHERE (SELECT count(*) FROM locked) = CAST(:wanted AS bigint)
              AND ({COUNT_POSTGRESQL}) = CAST(:seated AS bigint)
        ), heads AS (
            UPDATE conversations
            SET event_head = event_head + moves.events, message_head = message_head + moves.messages
            FROM moves WHERE conversations.id = moves.id
            RETURNING conversations.id, event_head - moves.events AS events, message_head - moves.messages AS messages
        ), feeds AS (
            UPDATE workspaces SET event_head = event_head + f.events
            FROM (SELECT CAST(:feed AS bigint) AS events) AS f
            WHERE workspaces.workspace_id = :ws AND EXISTS (SELECT 1 FROM moves)
            RETURNING workspaces.workspace_id, event_head, event_head - f.events AS events
        ), told AS (
            SELECT pg_notify('{WAKEUP_CHANNEL}', concat_ws(' ', workspace_id, event_head, {WAKEUP_SENDER})) FROM feeds
        ), new_messages AS (
            INSERT INTO messages (workspace_id, conversation_id, sequence, id, sender_role, sender_id, message_type,
                                  timestamp, content_type, content, filenames, metadata, has_debug_data)
            SELECT r.workspace_id, r.conversation_id, heads.messages + r.place, r.id, r.sender_role, r.sender_id,
                   r.message_type, r.timestamp, r.content_type, r.content, r.filenames, r.metadata, r.has_debug_data
            FROM json_to_recordset(CAST(:messages AS json)) AS r(
                workspace_id text, conversation_id uuid, place bigint, id uuid, sender_role text, sender_id text,
                message_type text, timestamp timestamptz, content_type text, content text, filenames text,
                metadata text, has_debug_data boolean)
            JOIN heads ON heads.id = r.conversation_id
        ), new_events AS (
            INSERT INTO events (workspace_id, feed_position, conversation_id, position, id, correlation_id, type,
                                timestamp, audience, data, trace_parent)
            SELECT r.workspace_id, feeds.events + r.feed_position, r.conversation_id, heads.events + r.position, r.id,
                   r.correlation_id, r.type, r.timestamp, r.audience, r.data, r.trace_parent
            FROM json_to_recordset(CAST(:events AS json)) AS r(
                workspace_id text, feed_position bigint, conversation_id uuid, position bigint, id text,
                correlation_id text, type text, timestamp timestamptz, audience text, data text,
                trace_parent text)
            JOIN heads ON heads.id = r.conversation_id
            JOIN feeds ON feeds.workspace_id = r.workspace_id
        )
        SELECT CAST(id AS text), events FROM heads
        UNION ALL
        SELECT workspace_id, events FROM feeds, (SELECT count(*) FROM told) AS all_told
    """),  # noqa: S608 - a constant of ours
    "ws",
    "moves",
    "wanted",
    "writers",
    "seated",
    "feed",
    "messages",
    "events",
)

_POST = Prepared(
    text(f"""
        WITH head AS (
            UPDATE conversations SET event_head = event_head + 1, message_head = message_head + 1
            WHERE id = :conversation_id AND workspace_id = :workspace_id AND EXISTS (
                SELECT 1 FROM participants AS p
                WHERE p.conversation_id = :conversation_id AND p.role = :writer_role AND p.id = :writer_id
                  AND p.workspace_id = :workspace_id AND {MAY_WRITE}
            )
            RETURNING CAST(id AS text) AS id, event_head, message_head
        ), feed AS (
            UPDATE workspaces SET event_head = event_head + 1
            WHERE workspace_id = :workspace_id AND EXISTS (SELECT 1 FROM head)
            RETURNING workspace_id, event_head
        ), told AS (
            SELECT pg_notify('{WAKEUP_CHANNEL}', concat_ws(' ', workspace_id, event_head, {WAKEUP_SENDER})) FROM feed
        ), new_message AS (
            INSERT INTO messages (workspace_id, conversation_id, sequence, id, sender_role, sender_id, message_type,
                                  timestamp, content_type, content, filenames, metadata, has_debug_data)
            SELECT :workspace_id, :conversation_id, message_head, :id, :sender_role, :sender_id, :message_type,
                   :timestamp, :content_type, :content, :filenames, :metadata, :has_debug_data
            FROM head
        ), new_event AS (
            INSERT INTO events (workspace_id, feed_position, conversation_id, position, id, correlation_id, type,
                                timestamp, audience, data, trace_parent)
            SELECT :workspace_id, feed.event_head, :conversation_id, head.event_head, :event_id, :event_correlation_id,
                   :event_type, :event_timestamp, :event_audience, :event_data, :event_trace_parent
            FROM head, feed
        )
        SELECT id, event_head - 1 FROM head
        UNION ALL
        SELECT workspace_id, event_head - 1 FROM feed, (SELECT count(*) FROM told) AS all_told
    """),  # noqa: S608 - a constant of ours
)


def appending(group: Sequence[Writes]) -> Alone[list[list[Event]]] | None:
    """How to append everything, which is of one workspace; None where that is not all there is to do.

    The events are answered as they were stored, by workspace. Raises StaleError then, with nothing stored, where one who
    writes may not any more, and NotFoundError where a conversation is gone.
    """
    if not all(map(_only_appends, group)):
        return None
    if len(group) == 1 and group[0].is_post:
        return _appending_post(group[0])
    moves, feeds = count_moves(group), count_feeds(group)
    # Places within the group; the statement adds where they begin.
    places = Positions.from_nothing(moves.values(), feeds)
    messages = [_message(row, places) for writes in group for row in writes.messages]
    events = [_event(writes, number, places) for writes in group for number in range(len(writes.events))]
    writers = distinct_writers(group)
    parameters = {
        "moves": _json(list(moves.values())),
        "wanted": len(moves),
        "writers": _json(writers),
        "seated": len(writers),
        "ws": group[0].workspace_id,
        "feed": len(events),
        "messages": _json(messages),
        "events": _json(events),
    }

    def read(rows: Sequence[Values]) -> list[list[Event]]:
        begins = _begins(rows, writers)
        return [[_placed(event, begins) for event in events]]

    return Alone(_APPEND, parameters, group[0].within, read)


def _only_appends(writes: Writes) -> bool:
    """Whether a block adds messages and events to conversations that are there, and does nothing else."""
    return (
        bool(writes.events)
        and not (writes.steps or writes.does_more)
        and not any(recorded.new.farewell or recorded.new.conversation_id is None for recorded in writes.events)
    )


def _appending_post(post: Writes) -> Alone[list[list[Event]]]:
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

    def read(rows: Sequence[Values]) -> list[list[Event]]:
        begins = _begins(rows, post.writers)
        place = begins[post.workspace_id] + 1, begins[canonical(writer.conversation_id)] + 1
        return [[event_at(*place, recorded, post.workspace_id)]]

    return Alone(_POST, parameters, post.within, read)


def _begins(rows: Sequence[Values], writers: Sequence[Writer]) -> dict[str, int]:
    """Where positions begin, by workspace and by conversation, as the statement answers with."""
    if rows:
        return {row[0]: row[1] for row in rows}
    # It does not say which of the two it was: who reads again is told.
    raise StaleError if writers else NotFoundError


def _message(row: Row, places: Positions) -> Row:
    written = {name: _json(row[name]) for name in ("filenames", "metadata")}
    return {**row, **written, "place": places.next_message(row["conversation_id"])}


def _event(writes: Writes, number: int, places: Positions) -> Event:
    return places.place(writes.events[number], writes.workspace_id)


def _placed(event: Event, begins: dict[str, int]) -> Event:
    return msgspec.structs.replace(
        event,
        feed_position=event.feed_position + begins[event.workspace_id],
        position=event.position + begins[str(event.conversation_id)],
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
