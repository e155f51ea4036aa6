"""Appending on PostgreSQL in one statement, and so in one trip: each part of it writes to another table.

There are two of them: for any group, and for a single message, which is what a quiet service's groups hold (measured,
with the commit: 680 against 380 us; the difference is JSON and joins, which pay from the second message on).
"""

from sqlalchemy import text

from workbench.adapters.sql.positions import RECORDED_MOVES, WAKEUP_CHANNEL, WAKEUP_SENDER
from workbench.adapters.sql.prepared import Prepared
from workbench.adapters.sql.seated import COUNT_POSTGRESQL, MAY_WRITE

# Where one of the conversations is gone, or one who writes has lost their seat, `moves` is empty, and so nothing at all is
# changed.
APPEND = Prepared(
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
        SELECT feeds.events, CAST((SELECT json_object_agg(id, events) FROM heads) AS text)
        FROM feeds, (SELECT count(*) FROM told) AS all_told
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

POST = Prepared(
    text(f"""
        WITH head AS (
            UPDATE conversations SET event_head = event_head + 1, message_head = message_head + 1
            WHERE id = :conversation_id AND workspace_id = :workspace_id AND EXISTS (
                SELECT 1 FROM participants AS p
                WHERE p.conversation_id = :conversation_id AND p.role = :writer_role AND p.id = :writer_id
                  AND p.workspace_id = :workspace_id AND {MAY_WRITE}
            )
            RETURNING event_head, message_head
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
        SELECT head.event_head, feed.event_head FROM head, feed, (SELECT count(*) FROM told) AS all_told
    """),  # noqa: S608 - a constant of ours
)
