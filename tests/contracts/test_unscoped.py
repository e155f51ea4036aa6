"""A statement on rows of workspaces that does not keep to the one it is run for is not sent, whoever asks."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, delete, insert, select, text
from sqlalchemy.engine import make_url
from tests.contracts.test_transactions import message, new_conversation, post
from tests.support.databases import Store

from workbench.adapters.metrics.prometheus import PrometheusMeter
from workbench.adapters.sql.database import Database, open_database
from workbench.adapters.sql.duties import CLAIM_JOBS
from workbench.adapters.sql.jobs import SqlJobQueue
from workbench.adapters.sql.prepared import Prepared, Triggering
from workbench.adapters.sql.repository import here
from workbench.adapters.sql.tables import conversations, farewells, jobs, leases, users
from workbench.adapters.sql.walls import UnscopedQueryError
from workbench.domain.errors import InvalidError, NotFoundError
from workbench.domain.jobs.model import NewJob

ALL = select(users.c.id)
OF_IDS = select(users.c.id).where(users.c.id.in_(bindparam("ids", expanding=True)))
MINE = ALL.where(here(users))
RAW = text("SELECT id FROM users")
FAREWELL = {"user_id": "ann", "feed_position": 1}


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    opened = open_database(make_url(database_url), ssl_mode="disable")
    yield opened
    await opened.close()


@pytest.mark.parametrize(("statement", "place"), [(ALL, {}), (OF_IDS, {"ids": ["ann"]}), (RAW, {})])
@pytest.mark.parametrize("within", [None, "default"])
async def test_a_reading_statement_that_keeps_to_none_is_refused(
    database: Database, statement: Any, place: dict[str, Any], within: str | None
) -> None:
    with pytest.raises(UnscopedQueryError, match="users"):
        await database.rows(statement, place, within)
    assert database.written.unscoped == 1


async def test_one_that_keeps_to_another_workspace_is_refused(database: Database) -> None:
    assert await database.rows(MINE, {"ws": "default"}, "default") == []
    with pytest.raises(UnscopedQueryError, match="default"):
        await database.rows(MINE, {"ws": "elsewhere"}, "default")
    with pytest.raises(UnscopedQueryError, match="no workspace"):
        await database.rows(MINE, {"ws": "default"})


async def test_what_is_nobodys_needs_no_workspace_and_a_duty_needs_none_either(database: Database) -> None:
    assert await database.rows(select(leases.c.name)) == []
    assert await database.rows(select(jobs.c.key), within=CLAIM_JOBS) == []
    assert database.written.unscoped == 0


ADD = Prepared(insert(farewells), *farewells.columns.keys())
WRITES: list[Callable[[Connection], Any]] = [
    lambda connection: connection.execute(delete(users)),
    lambda connection: connection.execute(insert(farewells), [{"workspace_id": "elsewhere", **FAREWELL}]),
    lambda connection: connection.exec_driver_sql("DELETE FROM users"),
    lambda connection: ADD.many(connection, [{"workspace_id": each, **FAREWELL} for each in ("default", "elsewhere")]),
    lambda connection: Prepared(text("DELETE FROM users")).one(connection, {}),
]


@pytest.mark.parametrize("work", WRITES)
async def test_a_writing_statement_that_keeps_to_none_is_refused(
    database: Database, work: Callable[[Connection], Any]
) -> None:
    with pytest.raises(UnscopedQueryError):
        await database.transact(work, "default")
    with pytest.raises(UnscopedQueryError):
        await database.read_at_once(work, "default")
    assert await database.rows(select(farewells.c.user_id).where(here(farewells)), {"ws": "default"}, "default") == []


def test_a_trigger_whose_steps_keep_to_none_cannot_be_made() -> None:
    inserting = text("INSERT INTO temp.seen SELECT :ws, :id")
    made = {"view": "seen", "columns": ("workspace_id", "id")}
    kept = "UPDATE users SET name = NEW.id WHERE id = NEW.id AND workspace_id = NEW.workspace_id"
    Triggering(inserting, **made, trigger=f"{kept};")
    with pytest.raises(UnscopedQueryError, match="DELETE FROM users"):
        Triggering(inserting, **made, trigger=f"{kept}; DELETE FROM users WHERE id = NEW.id;")


async def test_34_it_is_refused_in_a_block_and_in_a_job_and_its_caller_hears_what_is_wrong(store: Store) -> None:
    async with store.transactions.write("default") as tx:
        tx.jobs.enqueue(NewJob(kind="k", key="a", payload={}, run_at=store.clock.now()))
    (job,) = await SqlJobQueue(store.database).claim(["k"], store.clock.now(), 1)
    with pytest.raises(UnscopedQueryError):
        async with store.transactions.write(job.workspace_id) as tx:
            tx.writes.change(delete(users), {})
    with pytest.raises(UnscopedQueryError):
        async with store.transactions.read(job.workspace_id) as tx:
            await tx.users._rows(ALL, {})
    assert store.database.written.unscoped == 2


async def test_34_what_was_refused_is_counted() -> None:
    meter = PrometheusMeter()
    meter.refused_unscoped(2)
    assert b"\nunscoped_query_total 2.0\n" in meter.exposition()


async def test_36_a_job_of_nobody_is_refused(store: Store) -> None:
    async with store.transactions.write("") as tx:
        with pytest.raises(InvalidError, match="belongs to a workspace"):
            tx.jobs.enqueue(NewJob(kind="k", key="a", payload={}, run_at=store.clock.now()))
    assert await SqlJobQueue(store.database).claim(["k"], store.clock.now(), 1) == []


async def test_36_a_job_of_one_workspace_cannot_read_another(store: Store) -> None:
    theirs = await new_conversation(store, "elsewhere")
    async with store.transactions.write("default") as tx:
        tx.jobs.enqueue(NewJob(kind="k", key=str(theirs), payload={"id": str(theirs)}, run_at=store.clock.now()))
    (job,) = await SqlJobQueue(store.database).claim(["k"], store.clock.now(), 1)
    async with store.transactions.read(job.workspace_id) as tx:
        with pytest.raises(NotFoundError):
            await tx.conversations.require(theirs)
        with pytest.raises(UnscopedQueryError):
            await store.database.rows(select(conversations.c.id), {}, job.workspace_id)


async def test_a_block_cannot_be_talked_into_another_workspace(store: Store) -> None:
    """Neither by a parameter nor by a row."""
    conversation = await new_conversation(store, "elsewhere")
    async with store.transactions.read("default") as tx:
        assert await tx.users._rows(select(conversations.c.id).where(here(conversations)), {"ws": "elsewhere"}) == []
    async with store.transactions.write("default") as tx:
        tx.writes.insert(farewells, {"workspace_id": "elsewhere", **FAREWELL})
    assert [row[0] for row in await store.database.rows(select(farewells.c.workspace_id))] == ["default"]
    with pytest.raises(NotFoundError):
        await post(store, conversation, message(store))
