"""`python -m benchmarks.similar [--sessions N] [--only KIND] [--write PAGE]`: how fast one session is found among many.

Sessions are set down as the service sets them down, with vectors of hashed words; then the service's own code is asked, in
this process and without HTTP, which limits how often one may ask.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import uvloop
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from benchmarks import deep, report, servers
from benchmarks.client import quantile
from benchmarks.scenarios import Figure
from workbench.adapters.clock import SystemClock
from workbench.adapters.embeddings.chosen import ChosenEmbedders
from workbench.adapters.embeddings.hashed import HASHED, HashedEmbedder
from workbench.adapters.sql.database import Database, open_database
from workbench.adapters.sql.group_commit import GroupCommit
from workbench.adapters.sql.transactions import SqlTransactions
from workbench.adapters.sql.vector_memory import VectorMemory
from workbench.domain.conversations.model import Conversation, NewConversation
from workbench.domain.embeddings.model import Embedded, Space, Vector
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.participants.model import Participant
from workbench.domain.troubleshooting.documents import problem_hash, problem_text
from workbench.domain.troubleshooting.finding import FindingService
from workbench.domain.troubleshooting.likening import CANDIDATES, LikeningService, SharingPolicy
from workbench.domain.troubleshooting.model import Branch, Intake, Resolution, Session
from workbench.wiring import migrations
from workbench.wiring.settings import Settings

SESSIONS = 50_000
BLOCK = 500
ASKED = 300
WORDS = 6000
LEVEL = 20
"""How much the first words are alike (Mandelbrot's law): none is in more than some fifth of the reports, since words that
say little, which are in each, are not looked up."""
PROBLEMS = 500
"""As many kinds of problems come again and again, each with words of its own."""
WORDS_OF_ONE = 30
OWN = 0.5
"""The share of what is said of a problem that is in its own words."""
OWNERS = 50
"""Each has as many sessions as the others."""
LOOK_SECONDS = 0.001
RECALLED = 20
WORKSPACE = "default"
INDEX = "ix_embeddings_hnsw_1024"


Near = Callable[[int], Awaitable[Sequence[tuple[UUID, float]]]]


class Many:
    """A database with many sessions, and the services that look for them."""

    def __init__(self, database: Database, owned: Database) -> None:
        """`owned` is the same database for who owns the tables."""
        self.database = database
        self.owned = owned
        self.clock = SystemClock()
        self.group = GroupCommit(database, lambda _events: None)
        self.transactions = SqlTransactions(database, self.group, self.clock)
        self.space = Space(id=new_id(), descriptor=HASHED, state="active")
        self.sessions: list[Session] = []
        self._chance = random.Random(7)
        self.words = [_word(self._chance) for _ in range(WORDS)]
        self._weights = list(accumulate(1 / (rank + LEVEL) for rank in range(1, WORDS + 1)))
        self._problems = [self._chance.sample(self.words, WORDS_OF_ONE) for _ in range(PROBLEMS)]

    async def fill(self, count: int) -> float:
        """Set sessions down, some hundred to a commit; says how many a second."""
        embedder = HashedEmbedder()
        begun = time.perf_counter()
        async with self.transactions.write(WORKSPACE) as tx:
            tx.spaces.begin(self.space)
        async with without_index(self.owned):
            for begin in range(0, count, BLOCK):
                new = [self._session(number) for number in range(begin, min(begin + BLOCK, count))]
                vectors = await embedder.embed([problem_text(session) for session in new])
                await self._store(new, vectors)
        await deep.analyse(self.owned)
        return count / (time.perf_counter() - begun)

    async def _store(self, new: Sequence[Session], vectors: Sequence[Vector | None]) -> None:
        async with self.transactions.write(WORKSPACE) as tx:
            for session in new:
                conversation = Conversation.created(
                    session.conversation_id, NewConversation(), session.owner_id, session.created_at
                )
                tx.conversations.add(conversation)
                tx.participants.add(
                    Participant.of_user(conversation.id, session.owner_id, "Ann", None, session.created_at)
                )
                tx.sessions.add(session)
                root = Branch(id=session.active_branch_id or new_id(), label="Start", created_at=session.created_at)
                tx.session_steps.branch(session.id, root)
        async with self.transactions.write(WORKSPACE) as tx:
            for session, vector in zip(new, vectors, strict=True):
                if vector is not None:
                    embedded = Embedded(session_id=session.id, text_hash=problem_hash(session), vector=vector)
                    tx.vectors.put(self.space, embedded)
        self.sessions += new

    def _session(self, number: int) -> Session:
        now = self.clock.now()
        owner = f"user{number % OWNERS}"
        problem = self._chance.choice(self._problems)
        said = self._said(problem, self._chance.randint(12, 60))
        done = Resolution(summary=self._said(problem, 8), action="fixed") if number % 2 else None
        return Session(
            id=new_id(),
            conversation_id=new_id(),
            owner_id=owner,
            handler_id=owner,
            session_type="guided",
            intake=Intake(text=said),
            created_at=now,
            last_activity_at=now,
            title=self._said(problem, 6),
            status="resolved" if done else "active",
            resolution=done,
            active_branch_id=new_id(),
        )

    def _said(self, problem: Sequence[str], count: int) -> str:
        """Words of a problem, and others, of which the first come often and most of them hardly ever, as in any language."""
        own = sum(self._chance.random() < OWN for _ in range(count))
        words = self._chance.choices(problem, k=own)
        words += self._chance.choices(self.words, cum_weights=self._weights, k=count - own)
        self._chance.shuffle(words)
        return " ".join(words)


def _word(chance: random.Random) -> str:
    return "".join(chance.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(chance.randint(4, 9)))


@asynccontextmanager
async def without_index(database: Database) -> AsyncGenerator[None]:
    """Make PostgreSQL's index over vectors after they are there: in one go that takes a fraction of the time."""
    if database.dialect_name == "sqlite":
        yield
        return
    made = await database.rows(text("SELECT indexdef FROM pg_indexes WHERE indexname = :name"), {"name": INDEX})
    await database.transact(lambda connection: connection.exec_driver_sql(f"DROP INDEX {INDEX}"))
    yield

    def make(connection: Connection) -> None:
        # What does not fit is built many times slower.
        connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '1GB'")
        connection.exec_driver_sql(made[0][0])

    await database.transact(make)


async def asked(name: str, ask: Callable[[int], Awaitable[object]], *, first: bool = False) -> list[Figure]:
    """Ask again and again, one after the other; and see for how long the event loop was held up meanwhile."""
    figures: list[Figure] = []
    if first:
        begun = time.perf_counter()
        await ask(0)
        figures.append(Figure(f"{name}, first time", (time.perf_counter() - begun) * 1e3, "ms"))
    took: list[float] = []
    holds: list[float] = []
    looking = asyncio.create_task(_see_holds(holds))
    for number in range(ASKED):
        begun = time.perf_counter()
        await ask(number)
        took.append(time.perf_counter() - begun)
    looking.cancel()
    return [
        *figures,
        Figure(f"{name}, p50", quantile(took, 0.5) * 1e3, "ms"),
        Figure(f"{name}, p99", quantile(took, 0.99) * 1e3, "ms"),
        Figure(f"{name}, event loop held up, p99", quantile(holds, 0.99) * 1e3, "ms"),
    ]


async def _see_holds(holds: list[float]) -> None:
    """Note how much later than asked for one is woken."""
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(LOOK_SECONDS)
        holds.append(time.perf_counter() - begun - LOOK_SECONDS)


async def measured(url: str, count: int) -> list[Figure]:
    """Fill the database, then ask for what is near to a vector, for what is similar, and for words."""
    owned = open_database(make_url(url), ssl_mode="disable")
    database = open_database(make_url(servers.of_service(url)), ssl_mode="disable")
    many = Many(database, owned)
    figures = [Figure("sessions set down, with their vectors", await many.fill(count), "/s")]
    before = _memory_mib()
    embedder = HashedEmbedder()
    chance = random.Random(11)
    chosen = [chance.choice(many.sessions) for _ in range(ASKED)]
    vectors = [vector for vector in await embedder.embed([problem_text(each) for each in chosen]) if vector]

    async def near(number: int) -> Sequence[tuple[UUID, float]]:
        async with many.transactions.read(WORKSPACE) as tx:
            return await tx.vectors.nearest(many.space, vectors[number % len(vectors)], CANDIDATES)

    title = f"nearest {CANDIDATES} of {count:,} vectors"
    figures += await asked(title, near, first=True)
    figures.append(Figure("memory for vectors", max(0.0, _memory_mib() - before), "MiB"))
    likening = LikeningService(many.transactions, ChosenEmbedders(embedder), SharingPolicy(), SystemClock())
    finding = FindingService(many.transactions)

    async def alike(number: int) -> object:
        session = chosen[number % ASKED]
        return await likening.similar(_owner(session), session.id, 5)

    async def worded(number: int) -> object:
        session = chosen[number % ASKED]
        return await finding.search(_owner(session), " ".join((session.title or "").split()[:2]), 5)

    async def frequent(number: int) -> object:
        session = chosen[number % ASKED]
        return await finding.search(_owner(session), " ".join(many.words[:2]), 5)

    figures += await asked(f"similar to one of {count:,} sessions", alike)
    figures += await asked(f"two words among {count:,} sessions", worded)
    figures += await asked("the two commonest words", frequent)
    figures.append(Figure(f"{title}, share of the truly nearest", 100 * await _recall(many, near), "%"))
    await many.group.close()
    await database.close()
    await owned.close()
    return figures


async def _recall(many: Many, near: Near) -> float:
    """Which share of the truly nearest is found: those that a comparison with every vector has."""
    found = [{each for each, _ in await near(number)} for number in range(RECALLED)]
    many.group.remembered.vectors = VectorMemory(1 << 30, "scan")
    truly = [{each for each, _ in await near(number)} for number in range(RECALLED)]
    return sum(len(one & other) for one, other in zip(found, truly, strict=True)) / sum(map(len, truly))


def _owner(session: Session) -> Principal:
    return Principal(workspace_id=WORKSPACE, role="user", id=session.owner_id, name="Ann")


def _memory_mib() -> float:
    """Memory of this process itself, without the pages of files, which the system takes back when it likes."""
    info: Any = psutil.Process().memory_info()
    return (info.rss - getattr(info, "shared", 0)) / (1 << 20)


def main() -> None:
    """Measure on both databases."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.similar")
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--only", choices=servers.KINDS, help="one database only")
    report.add_options(parser)
    options = parser.parse_args()
    before = report.state_of_machine()
    columns: report.Columns = {}
    with tempfile.TemporaryDirectory(prefix="workbench-similar-", ignore_cleanup_errors=True) as folder:
        for kind in servers.KINDS:
            if options.only in (None, kind):
                with servers.databases(kind, Path(folder)) as create:
                    url = create("workbench")
                    owner = {} if kind == "sqlite" else {"postgresql_owner_url": url}
                    settings = {"url": servers.of_service(url), "postgresql_ssl_mode": "disable", **owner}
                    migrations.upgrade(Settings.of(data_root=Path(folder) / kind, db=settings))
                    figures = uvloop.run(measured(url, options.sessions))
                    columns[kind] = report.by_name(figures)
    report.tell("similar", report.Results(before, columns), options)


if __name__ == "__main__":
    main()
