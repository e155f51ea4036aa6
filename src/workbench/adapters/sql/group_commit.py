"""Group commit: the writes of many blocks, stored and announced together.

On SQLite there is one writer, and a commit is shared by blocks of all workspaces, each of which is stored within its own.
On PostgreSQL, where writers do not wait for each other and a transaction is of one workspace, each has a group of its own.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from threading import Lock
from typing import Protocol, cast
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import Connection

from workbench.adapters.sql import append_postgresql, append_sqlite
from workbench.adapters.sql.advancing import advancing
from workbench.adapters.sql.chosen import Chosen, Together
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.refusals import (
    ConnectionLostError,
    DatabaseAwayError,
    lost_to_another,
    violates_integrity,
    was_refused,
)
from workbench.adapters.sql.remembered import Remembered
from workbench.adapters.sql.store import store
from workbench.adapters.sql.walls import Duty, UnscopedQueryError, enter
from workbench.adapters.sql.writes import Writes
from workbench.domain.errors import StaleError, UnavailableError, WorkbenchError
from workbench.domain.events.model import Event
from workbench.domain.turns.model import TurnEvent

MAX_GROUP = 256
WRITERS = 4
"""Groups that are stored at once at most, so that readers find connections free."""
AT_ONCE = {"postgresql": 1, "sqlite": WRITERS}
"""Groups of a lane that are at the database. On SQLite they wait there for each other: for as long, blocks still join the last,
and its turn does not depend on when the event loop comes round to it."""
APPENDING = {"postgresql": append_postgresql.appending, "sqlite": append_sqlite.appending}
DEADLOCK_TRIES = 3

Announce = Callable[[Sequence[Event]], None]
"""Called in the event loop with the events of one workspace, in their order, once they are committed."""

AnnounceStored = Callable[[Sequence[Sequence[Event]]], None]
"""The same for events of several workspaces, each in their order."""

AnnounceTurn = Callable[[UUID, Sequence[TurnEvent]], None]
"""The same for what happened in a turn."""

Outcome = Exception | None
"""What kept writes from being stored, if anything did."""

logger = structlog.get_logger(__name__)


class OutcomeUnknownError(UnavailableError):
    """The database went away, and nobody can say whether this was stored"""

    code = "outcome_unknown"


def _outcome(error: Exception) -> Exception:
    """What callers are told of a commit that failed."""
    if isinstance(error, UnscopedQueryError) or (
        isinstance(error, WorkbenchError) and not isinstance(error, ConnectionLostError)
    ):
        return error
    if violates_integrity(error):
        return StaleError()
    unavailable = (
        UnavailableError("the database cannot store this now")
        if was_refused(error)
        else OutcomeUnknownError("the database went away; whether this was stored is not known")
    )
    unavailable.__cause__ = error
    return unavailable


def _tell_nobody(_turn_pk: UUID, _events: Sequence[TurnEvent]) -> None:
    """Where nobody watches turns."""


class Group:
    """Blocks whose writes go into one commit. Others join until it is closed, which is when it can be stored at once."""

    def __init__(self, writes: Writes, done: asyncio.Future[None]) -> None:
        self._writes = [writes]
        self._done = [done]
        self._is_open = True
        # It is joined on the event loop's thread, and closed on the writer's.
        self._lock = Lock()

    def join(self, writes: Writes, done: asyncio.Future[None]) -> bool:
        """Put more writes in, and who is told how they fared; says no where it is closed or full."""
        with self._lock:
            is_joined = self._is_open and len(self._writes) < MAX_GROUP
            if is_joined:
                self._writes.append(writes)
                self._done.append(done)
        return is_joined

    def close(self) -> list[Writes]:
        """Let nobody join any more, and give the writes."""
        with self._lock:
            self._is_open = False
        return self._writes

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Tell whoever joined how their writes fared."""
        for done, outcome in zip(self._done, outcomes, strict=True):
            if done.done():
                continue
            if outcome is None:
                done.set_result(None)
            else:
                done.set_exception(outcome)


class Lane:
    """Where groups go to the database in the order in which they were opened, so many at once; meanwhile the next gathers."""

    def __init__(
        self, at_once: int, store_all: Callable[[Callable[[], list[Writes]]], Awaitable[list[Outcome]]]
    ) -> None:
        self._at_once = at_once
        self._store_all = store_all
        self._last: Group | None = None
        self._waiting = deque[Group]()
        self._running = set[asyncio.Task[None]]()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is stored or waits to be."""
        return not self._running

    async def pass_through(self, writes: Writes) -> None:
        """Wait until the writes are stored, or raise what kept them from being stored."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._last is None or not self._last.join(writes, done):
            self._last = Group(writes, done)
            self._waiting.append(self._last)
            if len(self._running) < self._at_once:
                self._running.add(asyncio.create_task(self._drain()))
        await done

    async def close(self) -> None:
        """Wait until everything that was handed in is stored."""
        while self._running:
            await asyncio.wait(self._running)

    async def _drain(self) -> None:
        try:
            while self._waiting:
                group = self._waiting.popleft()
                group.tell(await self._store_all(group.close))
        finally:
            self._running.discard(cast("asyncio.Task[None]", asyncio.current_task()))


class Commits(Protocol):
    """Whatever stores what blocks set down."""

    @property
    def remembered(self) -> Remembered:
        """What was just stored and need not be read."""
        ...

    async def commit(self, writes: Writes) -> None:
        """Store the writes, or raise what kept them from being stored."""
        ...


class GroupCommit(Commits):
    """One writer, so that under load the cost of a commit, a sync of the disk, is shared by many requests.

    Where the database has more than one, so does each workspace, and another for batches of answers. These take no
    positions in any conversation, so that nobody can tell whether they came before or after what else is stored; and
    they need a single statement, which would otherwise wait for the many of others.
    """

    def __init__(
        self,
        database: Database,
        announce: Announce,
        announce_turn: AnnounceTurn | None = None,
        remembered: Remembered | None = None,
    ) -> None:
        self._database = database
        self._remembered = remembered or Remembered()
        self._announce = announce
        self._announce_turn = announce_turn or _tell_nobody
        self._lanes: dict[tuple[str, bool], Lane] = {}
        self._writers = asyncio.Semaphore(WRITERS)

    @property
    def remembered(self) -> Remembered:
        """What was just stored and need not be read."""
        return self._remembered

    async def commit(self, writes: Writes) -> None:
        """Store the writes, or raise what kept them from being stored."""
        try:
            await self._pass_through(writes)
        except UnavailableError as error:
            # Logged here and not where it is stored, so that the entry names the request that it is about.
            logger.error("commit failed", exc_info=error.__cause__)  # noqa: TRY400 - the cause is what is of interest
            raise

    async def _pass_through(self, writes: Writes) -> None:
        one_for_all = self._database.dialect_name == "sqlite"
        key = ("", False) if one_for_all else (writes.workspace_id, writes.only_steps)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(AT_ONCE[self._database.dialect_name], self._in_turn)
        try:
            await lane.pass_through(writes)
        finally:
            # There may be many workspaces, most of which write nothing just now.
            if lane.is_idle and self._lanes.get(key) is lane:
                del self._lanes[key]

    async def close(self) -> None:
        """Wait until everything that was handed in is stored."""
        for lane in list(self._lanes.values()):
            await lane.close()

    async def _in_turn(self, close: Callable[[], list[Writes]]) -> list[Outcome]:
        async with self._writers:
            return await self._store_all(close)

    async def _store_all(self, close: Callable[[], list[Writes]]) -> list[Outcome]:
        """Store a group in one commit; where that fails, each by itself, so that only the one at fault fails.

        Not where it may be stored already: a repetition would then fail, and its caller store the same thing anew.
        Nor where there is no database.
        """
        outcome = await self._try(close)
        group = close()
        self._remember(group, outcome)
        if outcome is None or len(group) == 1 or isinstance(outcome, OutcomeUnknownError | DatabaseAwayError):
            return [outcome] * len(group)
        return [(await self._store_all(lambda alone=writes: [alone]))[0] for writes in group]

    def _remember(self, group: list[Writes], outcome: Exception | None) -> None:
        """Keep in mind who writes, and how turns were stored; who was not up to date has to read."""
        writers = self._remembered.writers
        for place in [(writes.workspace_id, writer) for writes in group for writer in writes.writers]:
            if outcome is None:
                writers.keep(place, True)
            else:
                writers.forget(place)
        for step in [step for writes in group for step in writes.steps]:
            if outcome is None:
                stored = msgspec.structs.replace(step.turn, version=step.turn.version + 1)
                self._remembered.turns.keep(step.workspace_id, stored)
            else:
                self._remembered.turns.forget(step.turn.pk)

    async def _try(self, close: Callable[[], list[Writes]]) -> Exception | None:
        for tries_left in reversed(range(DEADLOCK_TRIES)):
            try:
                stored = await self._database.write(lambda: self._choose(close()))
            except Exception as error:  # noqa: BLE001 - each who waits is told, and logs it
                if lost_to_another(error) and tries_left:
                    continue
                return _outcome(error)
            self.announce_all(stored)
            self._announce_turns(close())
            return None
        return None

    def _choose(self, group: list[Writes]) -> Chosen[list[list[Event]]]:
        """How the group is stored: in one statement where it needs no more."""
        dialect = self._database.dialect_name
        is_of_one = all(writes.within == group[0].within for writes in group)
        in_one = (APPENDING[dialect](group) or advancing(group, dialect)) if is_of_one else None
        return in_one or Together(partial(_store_by_workspace, group=group), group[0].within)

    def announce_all(self, stored: Sequence[Sequence[Event]]) -> None:
        """Let whoever listens know of what was stored, here or beside the group."""
        for of_workspace in stored:
            try:
                self._announce(of_workspace)
            except Exception:
                # It is stored: a listener at fault may neither fail the caller nor stop the commits to come.
                logger.exception("announcing failed")

    def _announce_turns(self, group: list[Writes]) -> None:
        for pk, happened in [item for writes in group for item in writes.happened_in_turns]:
            try:
                self._announce_turn(pk, happened)
            except Exception:
                logger.exception("announcing failed")


def _store_by_workspace(connection: Connection, group: Sequence[Writes]) -> list[list[Event]]:
    """Carry out the writes of each workspace within it."""
    parts: defaultdict[str | Duty, list[Writes]] = defaultdict(list)
    for writes in group:
        parts[writes.within].append(writes)
    stored: list[list[Event]] = []
    for within, part in parts.items():
        enter(connection, within)
        stored += store(connection, part)
    return stored
