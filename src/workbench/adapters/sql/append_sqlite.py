"""Appending on SQLite in one statement: most groups only post messages, and need no more.

SQLite has no statement that writes to several tables, but the trigger of one may: this is an INSERT into a view, whose
trigger stores a post. What that saves is the way from Python to SQLite and back, each time with a wait for the
interpreter's lock while the event loop is busy. It is atomic without BEGIN and COMMIT.

The statement reads where positions begin before the trigger moves them. Where one who writes has lost their seat, and so
where a conversation is gone, it fails whole. A group that does anything else goes through `store`.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from operator import itemgetter
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text

from workbench.adapters.sql.chosen import Alone
from workbench.adapters.sql.messages import MESSAGE_FIELDS
from workbench.adapters.sql.positions import event_at
from workbench.adapters.sql.prepared import Triggering, Values
from workbench.adapters.sql.schema import canonical, in_utc
from workbench.adapters.sql.seated import MAY_WRITE
from workbench.adapters.sql.writes import Writes
from workbench.domain.events.model import Event

MAX_POSTS = 64
"""Of more at once what is saved is little beside the rest."""

_PLACES = ("feed_place", "conversation_id", "place")
_STORED = (
    *MESSAGE_FIELDS,
    "event_id",
    "event_correlation_id",
    "event_type",
    "event_timestamp",
    "event_audience",
    "event_data",
    "event_trace_parent",
)
_GIVEN = (*_PLACES, *_STORED, "writer_role", "writer_id")
"""What is given of each post; its places count within the group, from 1."""

TRIGGER = """
    SELECT RAISE(ABORT, 'may not write') WHERE NOT NEW.may_write;

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
"""


@cache
def _posts(count: int) -> tuple[Triggering, list[str]]:
    """The statement for so many posts, and what the values of each are called, one post after the other."""
    names = [[f"{name}_{number}" for name in _GIVEN] for number in range(count)]
    values = ", ".join("(" + ", ".join(f":{name}" for name in row) + ")" for row in names)
    statement = text(f"""
        WITH posts ({", ".join(_GIVEN)}) AS (VALUES {values})
        INSERT INTO temp.new_posts
        SELECT w.workspace_id, w.event_head + posts.feed_place, c.id, c.event_head + posts.place,
               c.message_head + posts.place,
               EXISTS (
                   SELECT 1 FROM participants AS p
                   WHERE p.conversation_id = posts.conversation_id AND p.role = posts.writer_role
                     AND p.id = posts.writer_id AND p.workspace_id = :ws AND {MAY_WRITE}
               ),
               {", ".join(f"posts.{name}" for name in _STORED)}
        FROM posts
        CROSS JOIN workspaces AS w ON w.workspace_id = :ws
        LEFT JOIN conversations AS c ON c.id = posts.conversation_id AND c.workspace_id = :ws
        WHERE posts.id IS NOT NULL
        RETURNING feed_position, position
    """)  # noqa: S608 - constants of ours
    columns = ("workspace_id", "feed_position", "conversation_id", "position", "sequence", "may_write", *_STORED)
    return Triggering(statement, view="new_posts", columns=columns, trigger=TRIGGER), [n for row in names for n in row]


def appending(group: Sequence[Writes]) -> Alone[list[list[Event]]] | None:
    """How to append everything, which is of one workspace; None where there are not only posts.

    The events are answered as they were stored, by workspace. Where one who writes may not any more, it hurts the
    integrity of the database, and nothing is stored.
    """
    if len(group) > MAX_POSTS or not all(writes.is_post for writes in group):
        return None
    workspace_id = group[0].workspace_id
    places = Counter[UUID]()
    given: list[Any] = []
    for number, post in enumerate(group, 1):
        conversation_id = post.writers[0].conversation_id
        places[conversation_id] += 1
        given += (number, canonical(conversation_id), places[conversation_id], *_given(post))
    # A power of two, so that they are few; what is too much is empty.
    count = 1 << (len(group) - 1).bit_length()
    given += [None] * (len(_GIVEN) * (count - len(group)))
    statement, names = _posts(count)
    row = dict(zip(names, given, strict=True))
    row["ws"] = workspace_id

    def read(rows: Sequence[Values]) -> list[list[Event]]:
        # They come in no order that is promised; the posts of the group were given theirs.
        stored = zip(sorted(rows, key=itemgetter(0)), group, strict=True)
        return [
            [
                event_at(feed_position, position, post.events[0], workspace_id)
                for (feed_position, position), post in stored
            ]
        ]

    return Alone(statement, row, group[0].within, read)


def _given(post: Writes) -> tuple[Any, ...]:
    """What is given of a post but its places, as the columns have it."""
    (message,), (recorded,), (writer,) = post.messages, post.events, post.writers
    return (
        canonical(message["id"]),
        message["sender_role"],
        message["sender_id"],
        message["message_type"],
        in_utc(message["timestamp"]),
        message["content_type"],
        message["content"],
        msgspec.json.encode(message["filenames"]).decode(),
        msgspec.json.encode(message["metadata"]).decode(),
        message["has_debug_data"],
        recorded.id,
        recorded.correlation_id,
        recorded.new.type,
        in_utc(recorded.timestamp),
        recorded.new.audience,
        recorded.data,
        recorded.trace_parent,
        writer.role,
        writer.id,
    )
