"""Transactions in SQL: reads happen at once, writes when the block ends, many blocks in one commit."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import Connection, Table, bindparam, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError

from workbench.adapters.keys.cipher import KeyCipher
from workbench.adapters.sql.assistants import SqlAssistants, SqlRecipients, SqlRegistrations
from workbench.adapters.sql.conversations import SqlConversations
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.deliveries import SqlDeliveries
from workbench.adapters.sql.events import SqlEventLog
from workbench.adapters.sql.messages import SqlMessages
from workbench.adapters.sql.participants import SqlParticipants
from workbench.adapters.sql.prepared import Prepared
from workbench.adapters.sql.repository import Context, Repository
from workbench.adapters.sql.schema import metadata
from workbench.adapters.sql.tables import events, farewells, messages, workspaces
from workbench.adapters.sql.users import SqlUsers
from workbench.adapters.sql.writes import Change, Row, Writes
from workbench.domain.clock import Clock
from workbench.domain.errors import NotFoundError, StaleError, UnavailableError, WorkbenchError
from workbench.domain.events.model import Event

MAX_GROUP = 256
DEADLOCK_TRIES = 3
WAKEUP_CHANNEL = "workbench_log"
RETRYABLE_STATES = frozenset({"40001", "40P01"})

Announce = Callable[[Sequence[Event]], None]
"""Called in the event loop with the events of one workspace, in their order, once they are committed."""

logger = structlog.get_logger(__name__)

_TABLE_ORDER = {table: place for place, table in enumerate(metadata.sorted_tables)}
# Both answer with each conversation's new heads. The two databases differ in how they read JSON.
_MOVE_HEADS = {
    "sqlite": Prepared(
        text("""
        UPDATE conversations SET event_head = event_head + moves.events, message_head = message_head + moves.messages
        FROM (
            SELECT value ->> 'id' AS id, value ->> 'ws' AS ws, value ->> 'events' AS events,
                   value ->> 'messages' AS messages
            FROM json_each(:moves)
        ) AS moves
        WHERE conversations.id = moves.id AND conversations.workspace_id = moves.ws
        RETURNING conversations.id, event_head, message_head
    """),
        "moves",
    ),
    "postgresql": Prepared(
        text("""
        WITH moves AS (
            SELECT c.id, m.events, m.messages
            FROM conversations AS c
            JOIN json_to_recordset(CAST(:moves AS json)) AS m(id uuid, ws text, events bigint, messages bigint)
              ON c.id = m.id AND c.workspace_id = m.ws
            ORDER BY c.id FOR UPDATE OF c
        )
        UPDATE conversations SET event_head = event_head + moves.events, message_head = message_head + moves.messages
        FROM moves WHERE conversations.id = moves.id
        RETURNING conversations.id, event_head, message_head
    """),
        "moves",
    ),
}
_MOVE_FEED = Prepared(
    update(workspaces)
    .where(workspaces.c.workspace_id == bindparam("of_workspace"))
    .values(event_head=workspaces.c.event_head + bindparam("new_events"))
    .returning(workspaces.c.event_head),
    "of_workspace",
    "new_events",
)
_ADD_MESSAGES = Prepared(insert(messages), *messages.columns.keys())
_ADD_EVENTS = Prepared(insert(events), *events.columns.keys())
_NEW_WORKSPACE = {
    "sqlite": sqlite.insert(workspaces).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(workspaces).on_conflict_do_nothing(),
}
_NOTIFY = select(func.pg_notify(WAKEUP_CHANNEL, bindparam("payload")))


R = TypeVar("R", bound=Repository)


class SqlTransaction:
    """Every repository there is, all bound to one workspace and one set of writes, each made when first asked for."""

    def __init__(self, context: Context) -> None:
        self.writes = context.writes
        self._context = context
        self._made: dict[type[Repository], Any] = {}

    def _the(self, kind: type[R]) -> R:
        made: R | None = self._made.get(kind)
        if made is None:
            made = self._made[kind] = kind(self._context)
        return made

    @property
    def users(self) -> SqlUsers:
        """People."""
        return self._the(SqlUsers)

    @property
    def registrations(self) -> SqlRegistrations:
        """Assistant services."""
        return self._the(SqlRegistrations)

    @property
    def assistants(self) -> SqlAssistants:
        """Assistants."""
        return self._the(SqlAssistants)

    @property
    def recipients(self) -> SqlRecipients:
        """Assistants, as delivery sees them."""
        return self._the(SqlRecipients)

    @property
    def conversations(self) -> SqlConversations:
        """Conversations."""
        return self._the(SqlConversations)

    @property
    def participants(self) -> SqlParticipants:
        """Seats."""
        return self._the(SqlParticipants)

    @property
    def nameplates(self) -> SqlParticipants:
        """The names on seats."""
        return self._the(SqlParticipants)

    @property
    def sight(self) -> SqlParticipants:
        """What seats let see."""
        return self._the(SqlParticipants)

    @property
    def messages(self) -> SqlMessages:
        """Messages."""
        return self._the(SqlMessages)

    @property
    def events(self) -> SqlEventLog:
        """The log."""
        return self._the(SqlEventLog)

    @property
    def deliveries(self) -> SqlDeliveries:
        """Who is told of what."""
        return self._the(SqlDeliveries)


class Block:
    """One block: opens a transaction's repositories, and commits what was set down when it is left in peace."""

    __slots__ = ("_group", "_transaction")

    def __init__(self, transaction: SqlTransaction, group: "GroupCommit | None") -> None:
        self._transaction = transaction
        self._group = group

    async def __aenter__(self) -> SqlTransaction:
        return self._transaction

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._group is not None and self._transaction.writes:
            await self._group.commit(self._transaction.writes)


class SqlTransactions:
    """Opens blocks."""

    def __init__(self, database: Database, group: "GroupCommit", clock: Clock, cipher: KeyCipher) -> None:
        self._database = database
        self._group = group
        self._clock = clock
        self._cipher = cipher

    def read(self, workspace_id: str) -> Block:
        """Open a block that only reads; what it sets down is never stored."""
        return Block(SqlTransaction(Context(self._database, self._clock, self._cipher, workspace_id)), None)

    def write(self, workspace_id: str) -> Block:
        """Open a block that commits."""
        return Block(SqlTransaction(Context(self._database, self._clock, self._cipher, workspace_id)), self._group)


class GroupCommit:
    """One writer; whatever has gathered while it was busy goes into its next commit.

    Under load the cost of a commit, a sync of the disk, is so shared by many requests.
    """

    def __init__(self, database: Database, announce: Announce) -> None:
        self._database = database
        self._announce = announce
        self._waiting: list[tuple[Writes, asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None
        self.commits = 0

    async def commit(self, writes: Writes) -> None:
        """Store the writes, or raise what kept them from being stored."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((writes, done))
        if self._running is None:
            self._running = asyncio.create_task(self._drain())
        await done

    async def close(self) -> None:
        """Wait until everything that was handed in is stored."""
        if self._running is not None:
            await self._running

    async def _drain(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
            outcomes = await self._store_all([writes for writes, _ in group])
            for (_, done), outcome in zip(group, outcomes, strict=True):
                if done.done():
                    continue
                if outcome is None:
                    done.set_result(None)
                else:
                    done.set_exception(outcome)
        self._running = None

    async def _store_all(self, group: list[Writes]) -> list[Exception | None]:
        """Store the group in one commit; where that fails, each by itself, so that only the one at fault fails."""
        outcome = await self._try(group)
        if outcome is None or len(group) == 1:
            return [outcome] * len(group)
        return [await self._try([writes]) for writes in group]

    async def _try(self, group: list[Writes]) -> Exception | None:
        for tries_left in reversed(range(DEADLOCK_TRIES)):
            try:
                stored = await self._database.transact(lambda connection: store(connection, group))
            except WorkbenchError as error:
                return error
            except IntegrityError:
                return StaleError()
            except Exception as error:
                if _is_lock_conflict(error) and tries_left:
                    continue
                logger.exception("commit failed")
                return UnavailableError("the database cannot store this now")
            self.commits += 1
            for of_workspace in stored:
                self._announce(of_workspace)
            return None
        return None


def _is_lock_conflict(error: BaseException) -> bool:
    """Whether the database gave way to another writer (deadlock, serialization), so that a repeat may pass."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in RETRYABLE_STATES


def store(connection: Connection, group: Sequence[Writes]) -> list[list[Event]]:
    """Carry out the writes of a group; answer with the events as they were stored, by workspace.

    Raises StaleError, NotFoundError (a conversation that is gone) and whatever the database raises.
    """
    _insert_all(connection, [item for writes in group for item in writes.inserts])
    for table, rows in _by_table([item for writes in group for item in writes.upserts]):
        connection.execute(_upsert(table, tuple(rows[0]), connection.dialect.name), rows)
    _carry_out(connection, [change for writes in group for change in writes.changes])
    places = _take_places(connection, group)
    stored = _place_events(connection, group, places)
    _place_messages(connection, group, places)
    _carry_out(connection, [change for writes in group for change in writes.removals])
    return stored


def _insert_all(connection: Connection, items: list[tuple[Table, Row]]) -> None:
    for table, rows in _by_table(items):
        connection.execute(insert(table), rows)


def _by_table(items: list[tuple[Table, Row]]) -> list[tuple[Table, list[Row]]]:
    """Sort rows by table, referenced tables first."""
    if not items:
        return []
    rows: defaultdict[Table, list[Row]] = defaultdict(list)
    for table, row in items:
        rows[table].append(row)
    return sorted(rows.items(), key=lambda item: _TABLE_ORDER[item[0]])


def _upsert(table: Table, names: tuple[str, ...], dialect: str) -> Any:
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    keys = [column.name for column in table.primary_key]
    statement = make(table)
    new = {name: statement.excluded[name] for name in names if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=new)


def _carry_out(connection: Connection, changes: list[Change]) -> None:
    for change in changes:
        result = connection.execute(change.statement, change.parameters)
        if change.must_hit and result.rowcount == 0:
            raise StaleError


class Places:
    """The next free positions of one conversation."""

    __slots__ = ("event", "message")

    def __init__(self, event: int, message: int) -> None:
        self.event = event
        self.message = message


def _take_places(connection: Connection, group: Sequence[Writes]) -> dict[UUID, Places]:
    """Reserve positions by moving each conversation's heads, which holds its row until the commit.

    One statement moves them all. On PostgreSQL it takes the rows in the order of their ids, so that two replicas do
    not lock each other out. Raises NotFoundError where a conversation is gone.
    """
    new_events = Counter(
        (recorded.new.conversation_id, writes.workspace_id) for writes in group for recorded in writes.events
    )
    new_messages = Counter((row["conversation_id"], writes.workspace_id) for writes in group for row in writes.messages)
    wanted: dict[str, dict[str, Any]] = {
        str(key[0]): {"id": key[0], "ws": key[1], "events": new_events[key], "messages": new_messages[key]}
        for key in new_events.keys() | new_messages.keys()
    }
    if not wanted:
        return {}
    moves = msgspec.json.encode(list(wanted.values())).decode()
    moved = _MOVE_HEADS[connection.dialect.name].one(connection, {"moves": moves})
    if len(moved) != len(wanted):
        raise NotFoundError
    places: dict[UUID, Places] = {}
    for conversation_id, event_head, message_head in moved:
        move = wanted[str(conversation_id)]
        places[move["id"]] = Places(event_head - move["events"] + 1, message_head - move["messages"] + 1)
    return places


def _place_messages(connection: Connection, group: Sequence[Writes], places: dict[UUID, Places]) -> None:
    rows = [row for writes in group for row in writes.messages]
    for row in rows:
        place = places[row["conversation_id"]]
        row["sequence"] = place.message
        place.message += 1
    if rows:
        _ADD_MESSAGES.many(connection, rows)
    _insert_all(connection, [item for writes in group for item in writes.attachments])


def _place_events(connection: Connection, group: Sequence[Writes], places: dict[UUID, Places]) -> list[list[Event]]:
    by_workspace: defaultdict[str, list[Event]] = defaultdict(list)
    counts = Counter[str]()
    for writes in group:
        counts[writes.workspace_id] += len(writes.events)
    goodbyes: list[Row] = []
    feeds = _take_feed_places(connection, counts)
    for writes in group:
        for recorded in writes.events:
            place = places[recorded.new.conversation_id]
            event = Event(
                workspace_id=writes.workspace_id,
                feed_position=feeds[writes.workspace_id],
                conversation_id=recorded.new.conversation_id,
                position=place.event,
                id=recorded.id,
                correlation_id=recorded.correlation_id,
                type=recorded.new.type,
                timestamp=recorded.timestamp,
                audience=recorded.new.audience,
                data=recorded.data,
            )
            feeds[writes.workspace_id] += 1
            place.event += 1
            by_workspace[writes.workspace_id].append(event)
            goodbyes += [
                {"workspace_id": writes.workspace_id, "user_id": user, "feed_position": event.feed_position}
                for user in recorded.new.farewell
            ]
    rows = [msgspec.structs.asdict(event) for stored in by_workspace.values() for event in stored]
    if rows:
        _ADD_EVENTS.many(connection, rows)
    if goodbyes:
        connection.execute(insert(farewells), goodbyes)
    return list(by_workspace.values())


def _take_feed_places(connection: Connection, counts: Counter[str]) -> dict[str, int]:
    """Reserve positions in the workspaces' logs, last of all, so that their rows are held for the shortest time."""
    first: dict[str, int] = {}
    for workspace_id, count in sorted(counts.items()):
        if count == 0:
            continue
        head = _move_feed(connection, workspace_id, count)
        first[workspace_id] = head - count + 1
        if connection.dialect.name == "postgresql":
            connection.execute(_NOTIFY, {"payload": f"{workspace_id} {head}"})
    return first


def _move_feed(connection: Connection, workspace_id: str, count: int) -> int:
    """Move the head of a workspace's log; a workspace is there from its first event on."""
    move = {"of_workspace": workspace_id, "new_events": count}
    moved = _MOVE_FEED.one(connection, move)
    if not moved:
        connection.execute(_NEW_WORKSPACE[connection.dialect.name], {"workspace_id": workspace_id})
        moved = _MOVE_FEED.one(connection, move)
    return moved[0][0]
