"""Appending on SQLite in one statement: an INSERT into a view, whose trigger writes to all the tables.

SQLite has no statement that writes to several, but the trigger of one may. What that saves is the way from Python to
SQLite and back, with a wait for the interpreter's lock each time while the event loop is busy.

The statement reads where positions begin, and hands that to the trigger, which moves them. There are two, as on PostgreSQL.
"""

from sqlalchemy import bindparam, text

from workbench.adapters.sql.prepared import Triggering
from workbench.adapters.sql.schema import Id, Moment
from workbench.adapters.sql.seated import COUNT_SQLITE, MAY_WRITE

POST = Triggering(
    text(f"""
        INSERT INTO temp.new_post
        SELECT :workspace_id, w.event_head + 1, :conversation_id, c.event_head + 1, c.message_head + 1,
               :id, :sender_role, :sender_id, :message_type, :timestamp, :content_type, :content, :filenames, :metadata,
               :has_debug_data,
               :event_id, :event_correlation_id, :event_type, :event_timestamp, :event_audience, :event_data,
               :event_trace_parent
        FROM conversations AS c CROSS JOIN workspaces AS w
        WHERE c.id = :conversation_id AND c.workspace_id = :workspace_id AND w.workspace_id = :workspace_id AND EXISTS (
            SELECT 1 FROM participants AS p
            WHERE p.conversation_id = :conversation_id AND p.role = :writer_role AND p.id = :writer_id
              AND p.workspace_id = :workspace_id AND {MAY_WRITE}
        )
        RETURNING position, feed_position
    """).bindparams(  # noqa: S608 - a constant of ours
        bindparam("conversation_id", type_=Id),
        bindparam("id", type_=Id),
        bindparam("timestamp", type_=Moment),
        bindparam("event_timestamp", type_=Moment),
    ),
    view="new_post",
    columns="""
        workspace_id, feed_position, conversation_id, position, sequence,
        id, sender_role, sender_id, message_type, timestamp, content_type, content, filenames, metadata,
        has_debug_data,
        event_id, event_correlation_id, event_type, event_timestamp, event_audience, event_data,
        event_trace_parent
    """,
    trigger="""
        UPDATE conversations SET event_head = NEW.position, message_head = NEW.sequence
        WHERE id = NEW.conversation_id AND workspace_id = NEW.workspace_id;

        UPDATE workspaces SET event_head = NEW.feed_position WHERE workspace_id = NEW.workspace_id;

        INSERT INTO messages (workspace_id, conversation_id, sequence, id, sender_role, sender_id, message_type,
                              timestamp, content_type, content, filenames, metadata, has_debug_data)
        VALUES (NEW.workspace_id, NEW.conversation_id, NEW.sequence, NEW.id, NEW.sender_role, NEW.sender_id,
                NEW.message_type, NEW.timestamp, NEW.content_type, NEW.content, NEW.filenames, NEW.metadata,
                NEW.has_debug_data);

        INSERT INTO events (workspace_id, feed_position, conversation_id, position, id, correlation_id, type,
                            timestamp, audience, data, trace_parent)
        VALUES (NEW.workspace_id, NEW.feed_position, NEW.conversation_id, NEW.position, NEW.event_id,
                NEW.event_correlation_id, NEW.event_type, NEW.event_timestamp, NEW.event_audience, NEW.event_data,
                NEW.event_trace_parent);
    """,
)

APPEND = Triggering(
    text(f"""
        INSERT INTO temp.new_entries
        SELECT :ws, w.event_head, w.event_head + :feed, found.begins, :moves, :messages, :events
        FROM workspaces AS w CROSS JOIN (
            SELECT count(*) AS conversations, json_group_object(c.id, c.event_head) AS begins
            FROM json_each(:moves) AS m
            CROSS JOIN conversations AS c ON c.id = m.value ->> 'id' AND c.workspace_id = :ws
        ) AS found
        WHERE w.workspace_id = :ws AND found.conversations = :wanted AND ({COUNT_SQLITE}) = :seated
        RETURNING feed_begins, begins
    """),  # noqa: S608 - constants of ours
    view="new_entries",
    columns="workspace_id, feed_begins, feed_ends, begins, moves, messages, events",
    trigger="""
        INSERT INTO messages (workspace_id, conversation_id, sequence, id, sender_role, sender_id, message_type,
                              timestamp, content_type, content, filenames, metadata, has_debug_data)
        SELECT NEW.workspace_id, c.id, c.message_head + (r.value ->> 'place'), r.value ->> 'id',
               r.value ->> 'sender_role', r.value ->> 'sender_id', r.value ->> 'message_type',
               r.value ->> 'timestamp', r.value ->> 'content_type', r.value ->> 'content', r.value ->> 'filenames',
               r.value ->> 'metadata', r.value ->> 'has_debug_data'
        FROM json_each(NEW.messages) AS r
        CROSS JOIN conversations AS c
          ON c.id = r.value ->> 'conversation_id' AND c.workspace_id = NEW.workspace_id;

        INSERT INTO events (workspace_id, feed_position, conversation_id, position, id, correlation_id, type,
                            timestamp, audience, data, trace_parent)
        SELECT NEW.workspace_id, NEW.feed_begins + (r.value ->> 'feed_position'), c.id,
               c.event_head + (r.value ->> 'position'), r.value ->> 'id', r.value ->> 'correlation_id',
               r.value ->> 'type', r.value ->> 'timestamp', r.value ->> 'audience', r.value ->> 'data',
               r.value ->> 'trace_parent'
        FROM json_each(NEW.events) AS r
        CROSS JOIN conversations AS c
          ON c.id = r.value ->> 'conversation_id' AND c.workspace_id = NEW.workspace_id;

        UPDATE conversations SET event_head = event_head + (m.value ->> 'events'),
                                 message_head = message_head + (m.value ->> 'messages')
        FROM json_each(NEW.moves) AS m
        WHERE conversations.id = m.value ->> 'id' AND conversations.workspace_id = NEW.workspace_id;

        UPDATE workspaces SET event_head = NEW.feed_ends WHERE workspace_id = NEW.workspace_id;
    """,
)
