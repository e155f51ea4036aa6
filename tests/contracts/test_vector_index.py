"""The promises of VectorIndex, whatever serves: a scan in memory, one page by page, or PostgreSQL with its extension."""

import math
import random
from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

import pytest
from tests.support.databases import Store, open_store
from tests.support.searching import add_sessions, add_space, put_vectors, remove_session

from workbench.adapters.sql.vector_memory import VectorMemory
from workbench.adapters.sql.vectors import PAGE, serving
from workbench.domain.embeddings.model import Space, packed
from workbench.domain.errors import InvalidError, StaleError

KINDS = ["sqlite-scan", "sqlite-pages", "postgresql-scan", "postgresql-pages", "postgresql-pgvector"]
TIGHT = 1
"""Bytes: no matrix fits."""


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A database, and in which of the ways its vectors are compared."""
    database, _, kind = request.param.partition("-")
    return request.getfixturevalue("sqlite_url" if database == "sqlite" else "postgres_url"), kind


@pytest.fixture
async def index(place: tuple[str, str]) -> AsyncGenerator[Store]:
    """A store on it."""
    url, kind = place
    async with open_store(url) as store:
        wanted = "auto" if kind == "pgvector" else "scan"
        store.group.remembered.vectors = VectorMemory(TIGHT if kind == "pages" else 1 << 30, wanted)
        served = await serving(store.database, store.group.remembered.vectors)
        assert served == ("pgvector" if kind == "pgvector" else "scan")
        yield store


def direction(number: int, dims: int) -> list[float]:
    """A vector of the length one, the same for the same number."""
    chance = random.Random(f"direction {number}")
    values = [chance.gauss(0, 1) for _ in range(dims)]
    length = math.sqrt(math.fsum(value * value for value in values))
    return [value / length for value in values]


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


async def nearest(
    store: Store, space: Space, vector: Sequence[float], limit: int, workspace: str = "default"
) -> list[tuple[UUID, float]]:
    async with store.transactions.read(workspace) as tx:
        return [*await tx.vectors.nearest(space, packed(vector), limit)]


async def filled(
    store: Store, count: int, dims: int, workspace: str = "default"
) -> tuple[Space, dict[UUID, list[float]]]:
    space = await add_space(store, dims, workspace)
    sessions = await add_sessions(store, ["It does not print"] * count, workspace)
    vectors = {session.id: direction(number, dims) for number, session in enumerate(sessions)}
    await put_vectors(store, space, list(vectors.items()), workspace)
    return space, vectors


@pytest.mark.parametrize("dims", [8, 1024])
async def test_50_the_nearest_are_those_that_are_nearest(index: Store, dims: int) -> None:
    space, vectors = await filled(index, 60, dims)
    asked = direction(-1, dims)
    found = await nearest(index, space, asked, 10)
    in_order = sorted(vectors, key=lambda each: -cosine(asked, vectors[each]))
    assert [session_id for session_id, _ in found] == in_order[:10]
    assert [near for _, near in found] == pytest.approx(
        [cosine(asked, vectors[each]) for each in in_order[:10]], abs=1e-5
    )


async def test_there_are_as_many_as_there_are(index: Store) -> None:
    space, vectors = await filled(index, 3, 8)
    assert {each for each, _ in await nearest(index, space, direction(-1, 8), 50)} == set(vectors)
    empty = await add_space_beside(index, space)
    assert await nearest(index, empty, direction(-1, 8), 50) == []


async def add_space_beside(store: Store, space: Space) -> Space:
    async with store.transactions.write("default") as tx:
        tx.spaces.remove(space)
    return await add_space(store, 8, model="another")


async def test_what_is_stored_later_is_found_and_replaces_what_was_there(index: Store) -> None:
    space, vectors = await filled(index, 5, 8)
    asked = direction(-1, 8)
    await nearest(index, space, asked, 5)
    last = min(vectors, key=lambda each: cosine(asked, vectors[each]))
    await put_vectors(index, space, [(last, asked)])
    (new,) = await add_sessions(index, ["It does not scan"])
    await put_vectors(index, space, [(new.id, [-value for value in asked])])
    found = await nearest(index, space, asked, 6)
    assert (found[0][0], found[-1][0], len(found)) == (last, new.id, 6)
    assert found[0][1] == pytest.approx(1.0, abs=1e-5)


async def test_more_than_a_page_are_taken_in_at_once(index: Store) -> None:
    space, vectors = await filled(index, PAGE + 3, 2)
    ids = list(vectors)
    asked = [1.0, 0.0]
    await put_vectors(index, space, [(ids[0], asked), (ids[-1], [0.9999, 0.014])])
    found = {each for each, _ in await nearest(index, space, asked, 20)}
    assert {ids[0], ids[-1]} <= found
    assert len(found) == 20


async def test_45_a_session_that_is_gone_is_not_found_and_makes_room_for_the_next(index: Store) -> None:
    space = await add_space(index, 8)
    sessions = await add_sessions(index, ["one", "two", "three", "four"])
    asked = direction(-1, 8)
    await put_vectors(index, space, [(session.id, asked) for session in sessions])
    assert len(await nearest(index, space, asked, 2)) == 2
    for session in sessions[:2]:
        await remove_session(index, session)
    assert {each for each, _ in await nearest(index, space, asked, 2)} == {session.id for session in sessions[2:]}


async def test_many_that_are_nearer_in_another_workspace_do_not_make_an_answer_short(index: Store) -> None:
    asked = direction(-1, 1024)
    theirs = await add_space(index, 1024, "elsewhere")
    others = await add_sessions(index, ["It does not print"] * 300, "elsewhere")
    await put_vectors(index, theirs, [(session.id, asked) for session in others], "elsewhere")
    space, vectors = await filled(index, 30, 1024)
    found = await nearest(index, space, asked, 25)
    in_order = sorted(vectors, key=lambda each: -cosine(asked, vectors[each]))
    assert [session_id for session_id, _ in found] == in_order[:25]


async def test_52_vectors_of_another_length_are_refused(index: Store) -> None:
    space, vectors = await filled(index, 2, 8)
    with pytest.raises(InvalidError) as refused:
        await nearest(index, space, direction(-1, 9), 2)
    assert refused.value.error_code == "dims_mismatch"
    with pytest.raises(InvalidError):
        await put_vectors(index, space, [(next(iter(vectors)), direction(-1, 9))])


async def test_52_spaces_are_never_mixed(index: Store) -> None:
    space, vectors = await filled(index, 2, 8)
    async with index.transactions.write("default") as tx:
        other = Space(
            id=UUID(int=7),
            descriptor=space.descriptor.__class__(provider="test", model="other", dims=8),
            state="building",
        )
        tx.spaces.begin(other)
    first, second = vectors
    await put_vectors(index, other, [(second, direction(-1, 8))])
    assert [each for each, _ in await nearest(index, other, direction(-1, 8), 9)] == [second]
    assert {each for each, _ in await nearest(index, space, direction(-1, 8), 9)} == {first, second}
    async with index.transactions.write("default") as tx:
        tx.spaces.activate(other)
    async with index.transactions.read("default") as tx:
        assert {each.id: each.state for each in await tx.spaces.all()} == {space.id: "retired", other.id: "active"}


async def test_a_vector_of_a_session_that_is_gone_is_not_stored(index: Store) -> None:
    space = await add_space(index, 8)
    with pytest.raises(StaleError):
        await put_vectors(index, space, [(UUID(int=9), direction(1, 8))])


async def test_another_process_sees_what_this_one_stores(index: Store, place: tuple[str, str]) -> None:
    space, vectors = await filled(index, 3, 8)
    async with open_store(place[0]) as other:
        other.group.remembered.vectors = VectorMemory(1 << 30, "scan")
        asked = direction(-1, 8)
        assert len(await nearest(other, space, asked, 9)) == 3
        (new,) = await add_sessions(index, ["It does not scan"])
        await put_vectors(index, space, [(new.id, asked)])
        assert (await nearest(other, space, asked, 9))[0][0] == new.id
        assert {each for each, _ in await nearest(other, space, asked, 9)} == {*vectors, new.id}
