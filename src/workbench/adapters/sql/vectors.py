"""Vectors of sessions in SQL, and the two ways to find the nearest: a scan of all of them here, or PostgreSQL's own."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Integer,
    LargeBinary,
    String,
    and_,
    bindparam,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.repository import Query, Repository, here
from workbench.adapters.sql.schema import Id
from workbench.adapters.sql.search_tables import Floats, embedding_spaces, embeddings
from workbench.adapters.sql.vector_memory import IndexKind, Matrix, Row, VectorMemory, best
from workbench.domain.embeddings.model import Embedded, Space, Vector, unpacked
from workbench.domain.embeddings.ports import Spaces, VectorIndex

PAGE = 1000
WARNED_FROM = 20_000
"""Sessions of a workspace from which on PostgreSQL is told to be the better place to compare vectors."""
PGVECTOR = (0, 8)
"""An older one ends too early where most of the vectors near to one are other workspaces'."""
SEARCHED_LIST = 200
"""How many candidates PostgreSQL's index looks at: the more, the surer are the nearest among them."""
# The last is what a page costs that lies in memory or on an SSD: else the planner compares up to some ten thousand vectors
# one by one.
_TUNE = text(
    "SELECT set_config('hnsw.iterative_scan', 'strict_order', true),"
    f" set_config('hnsw.ef_search', '{SEARCHED_LIST}', true), set_config('random_page_cost', '1.1', true)"
)

logger = structlog.get_logger(__name__)

_SPACES = Query(
    Space,
    select(
        *(embedding_spaces.c[name] for name in ("id", "state", "provider", "model", "dims", "algo_version")),
    )
    .where(here(embedding_spaces))
    .order_by(embedding_spaces.c.created_at, embedding_spaces.c.id),
    lambda row: {
        "id": row[0],
        "state": row[1],
        "descriptor": {"provider": row[2], "model": row[3], "dims": row[4], "algo_version": row[5]},
    },
)
_THE_SPACE = and_(here(embedding_spaces), embedding_spaces.c.id == bindparam("of_space", type_=Id))
_RETIRE = (
    update(embedding_spaces)
    .where(here(embedding_spaces), embedding_spaces.c.id != bindparam("of_space", type_=Id))
    .values(state="retired")
)
_ACTIVATE = update(embedding_spaces).where(_THE_SPACE).values(state="active")
_REMOVE_SPACE = delete(embedding_spaces).where(_THE_SPACE)
_COUNT_ON = update(embedding_spaces).where(_THE_SPACE).values(head=embedding_spaces.c.head + 1)


class SqlSpaces(Repository, Spaces):
    """The spaces of one workspace."""

    async def all(self) -> Sequence[Space]:
        """By the primary key; there are a few at most."""
        return await self._all(_SPACES, {})

    def begin(self, space: Space) -> None:
        """Insert; a unique index tells where another did so."""
        row = {"id": space.id, "state": space.state, **msgspec.structs.asdict(space.descriptor)}
        self._writes.insert(embedding_spaces, {**row, "head": 0, "created_at": self._context.clock.now()})

    def activate(self, space: Space) -> None:
        """Retire the others first: an index allows for one that is active."""
        self._writes.change(_RETIRE, {"of_space": space.id})
        self._writes.change(_ACTIVATE, {"of_space": space.id}, must_hit=True)

    def remove(self, space: Space) -> None:
        """Delete."""
        self._writes.change(_REMOVE_SPACE, {"of_space": space.id})
        self._context.remembered.vectors.forget((self._writes.workspace_id, space.id))


def _put(dialect: str) -> Any:
    """Insert with the number that the space counts to now, or take the row over."""
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    names = ["workspace_id", "session_id", "space_id", "sequence", "dims", "text_hash", "floats"]
    values: tuple[ColumnElement[Any], ...] = (
        embedding_spaces.c.workspace_id,
        bindparam("of_session", type_=Id),
        embedding_spaces.c.id,
        embedding_spaces.c.head,
        embedding_spaces.c.dims,
        bindparam("new_hash", type_=String),
        bindparam("new_floats", type_=Floats),
    )
    row = select(*values).where(_THE_SPACE)
    statement = make(embeddings).from_select(names, row)
    new = {name: statement.excluded[name] for name in ("sequence", "dims", "text_hash", "floats")}
    keys = ["workspace_id", "session_id", "space_id"]
    return statement.on_conflict_do_update(index_elements=keys, set_=new)


_PUT = {dialect: _put(dialect) for dialect in ("sqlite", "postgresql")}
_IN_SPACE = and_(here(embeddings), embeddings.c.space_id == bindparam("of_space", type_=Id))
_THESE = embeddings.c.session_id.in_(bindparam("ids", expanding=True, type_=Id))
_REMOVE = delete(embeddings).where(_IN_SPACE, _THESE)
_OF = select(embeddings.c.session_id, embeddings.c.text_hash, embeddings.c.floats).where(_IN_SPACE, _THESE)
_THERE = select(embeddings.c.session_id).where(_IN_SPACE, _THESE)
_SOME = select(embeddings.c.session_id).where(_IN_SPACE).limit(bindparam("limit"))
_COUNT = select(func.count()).select_from(embeddings).where(_IN_SPACE)


def _newer(dialect: str) -> Executable:
    """Vectors behind a number, in the order of their numbers; PostgreSQL's as it sends arrays, which need not be unpacked."""
    floats = embeddings.c.floats
    if dialect == "postgresql":
        floats = func.array_send(floats, type_=LargeBinary)  # type: ignore[assignment]
    return (
        select(embeddings.c.session_id, embeddings.c.sequence, floats)
        .where(_IN_SPACE, embeddings.c.sequence > bindparam("after"))
        .order_by(embeddings.c.sequence)
        .limit(PAGE)
    )


_NEWER = {dialect: _newer(dialect) for dialect in ("sqlite", "postgresql")}


class SqlVectors(Repository, VectorIndex):
    """The vectors of one workspace's sessions."""

    @property
    def _memory(self) -> VectorMemory:
        return self._context.remembered.vectors

    async def of(self, space: Space, session_ids: Collection[UUID]) -> Mapping[UUID, Embedded]:
        """By the primary key."""
        if not session_ids:
            return {}
        found = await self._rows(_OF, {"of_space": space.id, "ids": list(session_ids)})
        return {each.session_id: each for each in _embedded(found)}

    async def nearest(self, space: Space, vector: Vector, limit: int) -> Sequence[tuple[UUID, float]]:
        """By whatever serves."""
        space.require_fit(vector)
        if await serving(self._context.database, self._memory) == "pgvector":
            return await self._ask_postgres(space, vector, limit)
        return await self._scan(space, vector, limit)

    async def some(self, space: Space, limit: int) -> Sequence[UUID]:
        """Along an index."""
        rows = await self._rows(_SOME, {"of_space": space.id, "limit": limit})
        return msgspec.convert([row[0] for row in rows], list[UUID])

    def put(self, space: Space, embedded: Embedded) -> None:
        """Take a number in the space, and insert or update. Who takes one waits for who took the one before."""
        space.require_fit(embedded.vector)
        place = {"of_space": space.id}
        self._writes.change(_COUNT_ON, place, must_hit=True)
        new = {"of_session": embedded.session_id, "new_hash": embedded.text_hash, "new_floats": embedded.vector}
        self._writes.change(_PUT[self._context.database.dialect_name], {**place, **new}, must_hit=True)

    def remove(self, space: Space, session_ids: Collection[UUID]) -> None:
        """Delete."""
        self._writes.change(_REMOVE, {"of_space": space.id, "ids": list(session_ids)})

    async def _ask_postgres(self, space: Space, vector: Vector, limit: int) -> Sequence[tuple[UUID, float]]:
        """By an index, if the planner finds that better; where that comes to an end early, all of them are compared."""
        dims = space.descriptor.dims
        near, all_of_them = _nearest(dims), _nearest_of_all(dims)
        asked = {"ws": self._writes.workspace_id, "space": space.id, "limit": limit, "vector": _written(vector)}

        def work(connection: Connection) -> Sequence[Any]:
            connection.execute(_TUNE)
            found = connection.execute(near, asked).all()
            return found if len(found) == limit else connection.execute(all_of_them, asked).all()

        rows = await self._context.database.read_at_once(work, self._writes.workspace_id)
        return best(((UUID(str(row[0])), float(row[1])) for row in rows), limit)

    async def _scan(self, space: Space, vector: Vector, limit: int) -> Sequence[tuple[UUID, float]]:
        """Compare all of them in memory. One whose session is gone is found out when it is among the nearest."""
        key = (self._writes.workspace_id, space.id)
        async with self._memory.turn(key):
            matrix = await self._up_to_date(space)
        if matrix is None:
            return await self._scan_in_pages(space, vector, limit)
        while True:
            found = await asyncio.to_thread(matrix.nearest, vector, limit)
            ids = [session_id for session_id, _ in found]
            gone = set(ids) - await self._there(space, ids)
            if not gone:
                return [(UUID(session_id), cosine) for session_id, cosine in found]
            await asyncio.to_thread(matrix.drop, gone)

    async def _there(self, space: Space, ids: Sequence[str]) -> set[str]:
        if not ids:
            return set()
        rows = await self._rows(_THERE, {"of_space": space.id, "ids": [UUID(each) for each in ids]})
        return {str(row[0]) for row in rows}

    async def _up_to_date(self, space: Space) -> Matrix | None:
        """The space's matrix with all that was stored since it was asked last; None where it does not fit."""
        key, dims = (self._writes.workspace_id, space.id), space.descriptor.dims
        matrix = self._memory.find(key)
        if matrix is None:
            if not self._memory.fits(await self._count(space), dims):
                return None
            matrix = await asyncio.to_thread(_empty, dims)
        while page := await self._page(space, matrix.seen):
            await asyncio.to_thread(matrix.take, page)
            if len(page) < PAGE:
                break
        self._memory.keep(key, matrix)
        return matrix

    async def _count(self, space: Space) -> int:
        count = int(await self._scalar(_COUNT, {"of_space": space.id}))
        if count > WARNED_FROM:
            logger.warning("many vectors are compared in memory", workspace_id=self._writes.workspace_id, vectors=count)
        return count

    async def _page(self, space: Space, after: int) -> list[Row]:
        dialect = self._context.database.dialect_name
        rows = await self._rows(_NEWER[dialect], {"of_space": space.id, "after": after})
        if dialect == "sqlite":
            return [(row[0], row[1], row[2]) for row in rows]
        return await asyncio.to_thread(_received, rows, space.descriptor.dims)

    async def _scan_in_pages(self, space: Space, vector: Vector, limit: int) -> Sequence[tuple[UUID, float]]:
        found: list[tuple[UUID, float]] = []
        after = 0
        while page := await self._page(space, after):
            matrix = await asyncio.to_thread(_empty, space.descriptor.dims)
            await asyncio.to_thread(matrix.take, page)
            near = await asyncio.to_thread(matrix.nearest, vector, limit)
            found = best([*found, *((UUID(session_id), cosine) for session_id, cosine in near)], limit)
            after = page[-1][1]
        return found


async def serving(database: Database, memory: VectorMemory) -> IndexKind:
    """What compares vectors here; looked up once."""
    if memory.serves is None:
        memory.serves = "pgvector" if await _has_extension(database) else "scan"
    return memory.serves


async def _has_extension(database: Database) -> bool:
    if database.dialect_name == "sqlite":
        return False
    found = await database.rows(text("SELECT extversion FROM pg_extension WHERE extname = 'vector'"))
    return bool(found) and tuple(map(int, str(found[0][0]).split(".")[:2])) >= PGVECTOR


_COMPARED = "CAST(floats AS vector({dims})) <=> CAST(CAST(:vector AS text) AS vector({dims}))"


@cache
def _nearest(dims: int) -> Executable:
    """As the index over vectors of that length has it: the same expression and the same condition."""
    compared = _COMPARED.format(dims=int(dims))
    return text(
        f"SELECT session_id, 1 - ({compared}) FROM embeddings"  # noqa: S608 - numbers of ours
        f" WHERE workspace_id = :ws AND space_id = :space AND dims = {int(dims)} ORDER BY {compared} LIMIT :limit"
    ).bindparams(bindparam("space", type_=Id), bindparam("limit", type_=Integer))


@cache
def _nearest_of_all(dims: int) -> Executable:
    compared = _COMPARED.format(dims=int(dims))
    return text(
        "WITH mine AS MATERIALIZED (SELECT session_id, floats FROM embeddings"  # noqa: S608 - numbers of ours
        f" WHERE workspace_id = :ws AND space_id = :space) SELECT session_id, 1 - ({compared}) FROM mine"
        f" ORDER BY {compared} LIMIT :limit"
    ).bindparams(bindparam("space", type_=Id), bindparam("limit", type_=Integer))


def _written(vector: Vector) -> str:
    """A vector as PostgreSQL reads it."""
    return f"[{','.join(map(repr, unpacked(vector)))}]"


def _embedded(rows: Sequence[Any]) -> list[Embedded]:
    """By hand: what is bytes would be taken for Base64."""
    return [Embedded(session_id=UUID(str(row[0])), text_hash=row[1], vector=row[2]) for row in rows]


def _empty(dims: int) -> Matrix:
    return _numpy().NumpyMatrix(dims)


def _received(rows: Sequence[Any], dims: int) -> list[Row]:
    return _numpy().received(rows, dims)


def _numpy() -> Any:
    """Loaded in a thread, and only where vectors are compared here."""
    from workbench.adapters.sql import vector_matrix  # noqa: PLC0415 - takes a tenth of a second to load

    return vector_matrix
