"""Giving out positions: to events and messages in their conversation, and to events in their workspace's log.

Whoever takes positions holds the rows that count them until the commit, so that the order of positions is the
order of commits, and there are no gaps: a block that fails gives its positions back.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Text, bindparam, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from workbench.adapters.sql.prepared import Prepared
from workbench.adapters.sql.schema import canonical
from workbench.adapters.sql.tables import workspaces
from workbench.adapters.sql.writes import RecordedEvent, Writes
from workbench.domain.errors import NotFoundError
from workbench.domain.events.model import Event

WAKEUP_CHANNEL = "workbench_log"
TURN_CHANNEL = "workbench_turns"
WAKEUP_SENDER = "current_setting('application_name')"
"""What a wake-up's sender says of itself, so that it need not heed its own word: it has the events already."""

_MOVE_FEED = Prepared(
    update(workspaces)
    .where(workspaces.c.workspace_id == bindparam("ws"))
    .values(event_head=workspaces.c.event_head + bindparam("new_events"))
    .returning(workspaces.c.event_head),
    "ws",
    "new_events",
)
_MOVE_HEADS_SQLITE = Prepared(
    text("""
        UPDATE conversations SET event_head = event_head + moves.events, message_head = message_head + moves.messages
        FROM (
            SELECT value ->> 'id' AS id, value ->> 'events' AS events, value ->> 'messages' AS messages
            FROM json_each(:moves)
        ) AS moves
        WHERE conversations.id = moves.id AND conversations.workspace_id = :ws
        RETURNING conversations.id, event_head, message_head
    """),
    "ws",
    "moves",
)
RECORDED_MOVES = """(
    SELECT * FROM json_to_recordset(CAST(:moves AS json)) AS r(id uuid, events bigint, messages bigint)
    LIMIT json_array_length(CAST(:moves AS json))
)"""
"""The moves as rows. PostgreSQL takes JSON to be a hundred of them, for which it would read all of a table that has some ten
thousand; of a limit that it does not know it expects a tenth."""
# One trip for all: conversations (locked in the order of their ids, so that two replicas do not lock each other
# out), the workspaces' logs, and the word to other replicas, which PostgreSQL sends out with the commit.
_MOVE_ALL_POSTGRESQL = Prepared(
    text(f"""
        WITH moves AS (
            SELECT c.id, m.events, m.messages
            FROM conversations AS c
            JOIN {RECORDED_MOVES} AS m
              ON c.id = m.id AND c.workspace_id = :ws
            ORDER BY c.id FOR UPDATE OF c
        ), heads AS (
            UPDATE conversations
            SET event_head = event_head + moves.events, message_head = message_head + moves.messages
            FROM moves WHERE conversations.id = moves.id
            RETURNING conversations.id, event_head, message_head
        ), feeds AS (
            UPDATE workspaces SET event_head = event_head + f.events
            FROM (SELECT CAST(:feed AS bigint) AS events) AS f
            WHERE workspaces.workspace_id = :ws AND f.events > 0
            RETURNING workspaces.workspace_id, event_head
        ), told AS (
            SELECT pg_notify('{WAKEUP_CHANNEL}', concat_ws(' ', workspace_id, event_head, {WAKEUP_SENDER})) FROM feeds
        )
        SELECT CAST(id AS text), event_head, message_head FROM heads
        UNION ALL
        SELECT workspace_id, event_head, NULL FROM feeds, (SELECT count(*) FROM told) AS all_told
    """),  # noqa: S608 - a constant of ours
    "ws",
    "moves",
    "feed",
)
_NEW_WORKSPACE = {
    "sqlite": sqlite.insert(workspaces).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(workspaces).on_conflict_do_nothing(),
}
_NOTIFY = select(func.pg_notify(WAKEUP_CHANNEL, bindparam("log", type_=Text) + " " + text(WAKEUP_SENDER)))


Heads = tuple[int, int]
"""How many events and messages a conversation has had."""


class Move(msgspec.Struct):
    """How many positions a group takes in one conversation."""

    id: UUID
    events: int = 0
    messages: int = 0


class Positions:
    """The positions that a group has taken, to be handed out one by one."""

    def __init__(self) -> None:
        self._events: dict[UUID, int] = {}
        self._messages: dict[UUID, int] = {}
        self._feeds: dict[str, int] = {}

    @classmethod
    def from_nothing(cls, moves: Iterable[Move], feeds: Mapping[str, int]) -> "Positions":
        """Count from 1 in every conversation and feed."""
        positions = cls()
        for move in moves:
            positions.took(move, move.events, move.messages)
        for workspace_id, count in feeds.items():
            positions.took_feed(workspace_id, count, count)
        return positions

    def took(self, move: Move, event_head: int, message_head: int) -> None:
        """Note what was taken in a conversation whose heads now stand so."""
        self._events[move.id] = event_head - move.events
        self._messages[move.id] = message_head - move.messages

    def took_feed(self, workspace_id: str, count: int, head: int) -> None:
        """Note what was taken in a workspace's log."""
        self._feeds[workspace_id] = head - count

    def next_event(self, conversation_id: UUID) -> int:
        """Hand out the next event position of the conversation."""
        position = self._events[conversation_id] + 1
        self._events[conversation_id] = position
        return position

    def next_message(self, conversation_id: UUID) -> int:
        """Hand out the next message position of the conversation."""
        position = self._messages[conversation_id] + 1
        self._messages[conversation_id] = position
        return position

    def next_in_feed(self, workspace_id: str) -> int:
        """Hand out the next position of the workspace's log."""
        self._feeds[workspace_id] += 1
        return self._feeds[workspace_id]

    def place(self, recorded: RecordedEvent, workspace_id: str) -> Event:
        """Give an event its places."""
        conversation_id = recorded.new.conversation_id
        position = 0 if conversation_id is None else self.next_event(conversation_id)
        return event_at(self.next_in_feed(workspace_id), position, recorded, workspace_id)


def event_at(feed_position: int, position: int, recorded: RecordedEvent, workspace_id: str) -> Event:
    """An event in its places: in the workspace's log, and in its conversation's."""
    return Event(
        workspace_id=workspace_id,
        feed_position=feed_position,
        conversation_id=recorded.new.conversation_id,
        position=position,
        id=recorded.id,
        correlation_id=recorded.correlation_id,
        type=recorded.new.type,
        timestamp=recorded.timestamp,
        audience=recorded.new.audience,
        data=recorded.data,
        trace_parent=recorded.trace_parent,
    )


def take_positions(connection: Connection, group: Sequence[Writes]) -> Positions:
    """Take as many positions as the events and messages of a workspace's group need.

    Raises NotFoundError for a lost conversation.
    """
    moves = count_moves(group)
    positions = Positions()
    workspace_id, count = group[0].workspace_id, sum(len(writes.events) for writes in group)
    if not moves and not count:
        return positions
    heads, feed_head = _move(connection, workspace_id, list(moves.values()), count)
    if len(heads) != len(moves):
        raise NotFoundError
    for conversation_id, (event_head, message_head) in heads.items():
        positions.took(moves[conversation_id], event_head, message_head)
    if count:
        positions.took_feed(workspace_id, count, feed_head or _open_feed(connection, workspace_id, count))
    return positions


def take_in_feed(connection: Connection, workspace_id: str) -> int:
    """Take one position in a workspace's log for what belongs to no conversation, and let other replicas know."""
    head = _move_feed(connection, workspace_id, 1)
    if not head:
        return _open_feed(connection, workspace_id, 1)
    _tell_others(connection, workspace_id, head)
    return head


def count_feeds(group: Sequence[Writes]) -> Counter[str]:
    """Count what each workspace's log needs."""
    feeds = Counter[str]()
    for writes in group:
        if writes.events:
            feeds[writes.workspace_id] += len(writes.events)
    return feeds


def count_moves(group: Sequence[Writes]) -> dict[str, Move]:
    """Count what each conversation, by its id as text, needs."""
    moves: dict[str, Move] = {}
    for writes in group:
        for recorded in writes.events:
            conversation_id = recorded.new.conversation_id
            if conversation_id is not None:
                _move_of(moves, conversation_id).events += 1
        for row in writes.messages:
            _move_of(moves, row["conversation_id"]).messages += 1
    return moves


def _move_of(moves: dict[str, Move], conversation_id: UUID) -> Move:
    name = canonical(conversation_id)
    move = moves.get(name)
    if move is None:
        moves[name] = move = Move(conversation_id)
    return move


def _move(connection: Connection, workspace_id: str, moves: list[Move], count: int) -> tuple[dict[str, Heads], int]:
    """Move all heads, and the log's by so many; answer with the new ones, 0 where the workspace has no log yet."""
    wanted = msgspec.json.encode(moves).decode()
    if connection.dialect.name == "postgresql":
        rows = _MOVE_ALL_POSTGRESQL.one(connection, {"ws": workspace_id, "moves": wanted, "feed": count})
        heads = {row[0]: (row[1], row[2]) for row in rows if row[2] is not None}
        return heads, next((row[1] for row in rows if row[2] is None), 0)
    moved = _MOVE_HEADS_SQLITE.one(connection, {"ws": workspace_id, "moves": wanted})
    head = _move_feed(connection, workspace_id, count) if count else 0
    return {row[0]: (row[1], row[2]) for row in moved}, head


def _move_feed(connection: Connection, workspace_id: str, count: int) -> int:
    moved = _MOVE_FEED.one(connection, {"ws": workspace_id, "new_events": count})
    return moved[0][0] if moved else 0


def _open_feed(connection: Connection, workspace_id: str, count: int) -> int:
    """Begin a workspace's log, which is there from its first event on."""
    connection.execute(_NEW_WORKSPACE[connection.dialect.name], {"workspace_id": workspace_id})
    head = _move_feed(connection, workspace_id, count)
    _tell_others(connection, workspace_id, head)
    return head


def _tell_others(connection: Connection, workspace_id: str, head: int) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(_NOTIFY, {"log": f"{workspace_id} {head}"})
