"""PostgreSQL's own wall: what a connection sees and may store, whatever its statements say."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.engine import make_url
from tests.contracts.test_transactions import new_conversation
from tests.contracts.test_workspace_wall import fill
from tests.support.clocks import SettableClock
from tests.support.databases import OWNER, SERVICE, Store, open_store
from tests.support.pooling import pooled

from workbench.adapters.sql.duties import CLAIM_JOBS
from workbench.adapters.sql.postgresql import Held, PostgresDatabase
from workbench.adapters.sql.repository import here
from workbench.adapters.sql.tables import assistant_services, conversations, users
from workbench.adapters.sql.walls import UnscopedQueryError, facing, is_tenants
from workbench.domain.identity.model import EVERYWHERE
from workbench.wiring import migrations

MINE = select(conversations.c.workspace_id).where(here(conversations))


async def connected(url: str, role: str = SERVICE) -> Any:
    parsed = make_url(url)
    return await asyncpg.connect(user=role, database=parsed.database, host=parsed.query["host"])


@pytest.fixture
async def raw(postgres_url: str) -> AsyncGenerator[Any]:
    """A connection as the service's role, with a workspace of rows behind the wall."""
    async with open_store(postgres_url) as store:
        for workspace in ("here", "there"):
            await fill(store, workspace)
    connection = await connected(postgres_url)
    yield connection
    await connection.close()


async def counted(raw: Any, table: str = "conversations") -> int:
    return await raw.fetchval(f"SELECT count(*) FROM {table}")


def tables() -> list[str]:
    """The tables of tenants; of one only the migrations know, since it is kept by a trigger."""
    return ["session_words", *named_in_models()]


def named_in_models() -> list[str]:
    return [table.name for table in migrations.whole_metadata().sorted_tables if is_tenants(table)]


async def test_35_who_says_nothing_sees_nothing_in_any_table(raw: Any) -> None:
    assert {table: await counted(raw, table) for table in tables()} == dict.fromkeys(tables(), 0)


async def test_35_after_a_transaction_of_a_workspace_there_is_nothing_to_see_either(raw: Any) -> None:
    async with raw.transaction():
        await raw.execute(facing("here", local=True))
        assert await counted(raw) == 2
    assert await raw.fetchval("SELECT current_setting('app.workspace_id', true)") == ""
    assert await counted(raw) == 0


async def test_a_workspace_sees_its_own_rows_alone_and_what_is_everybodys(raw: Any) -> None:
    filled = 0
    for table in tables():
        await raw.execute(facing("here", local=False))
        seen = {row[0] for row in await raw.fetch(f"SELECT DISTINCT workspace_id FROM {table}")}
        assert seen <= ({"here", EVERYWHERE} if table == assistant_services.name else {"here"}), table
        await raw.execute(facing(CLAIM_JOBS, local=False))
        everybody = {row[0] for row in await raw.fetch(f"SELECT workspace_id FROM {table}")}
        assert {"here", "there"} <= everybody or not everybody, table
        filled += bool(everybody)
    assert filled > 35
    await raw.execute(facing("nowhere", local=False))
    assert await counted(raw, "assistant_services") == 2
    assert await counted(raw, "flow_blueprints") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO farewells VALUES ('there', 'ann', 1)",
        f"INSERT INTO farewells VALUES ('{EVERYWHERE}', 'ann', 1)",
        "UPDATE users SET workspace_id = 'there' WHERE id = 'ann'",
        f"UPDATE users SET workspace_id = '{EVERYWHERE}' WHERE id = 'ann'",
    ],
)
async def test_35_what_is_another_workspaces_cannot_be_stored(raw: Any, statement: str) -> None:
    await raw.execute(facing("here", local=False))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await raw.execute(statement)


@pytest.mark.parametrize("within", [None, "", EVERYWHERE])
async def test_nobody_stores_what_is_everybodys_but_a_duty(raw: Any, within: str | None) -> None:
    insert_it = f"INSERT INTO farewells VALUES ('{EVERYWHERE}', 'ann', 1)"
    await raw.execute(facing(within, local=False))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await raw.execute(insert_it)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await raw.execute("INSERT INTO farewells VALUES ('', 'ann', 1)")
    await raw.execute(facing(CLAIM_JOBS, local=False))
    assert await raw.execute(insert_it) == "INSERT 0 1"


async def test_what_is_another_workspaces_is_neither_changed_nor_deleted(raw: Any) -> None:
    await raw.execute(facing("here", local=False))
    assert await raw.execute("UPDATE assistant_services SET name = 'x' WHERE workspace_id <> 'here'") == "UPDATE 0"
    assert await raw.execute("DELETE FROM users WHERE workspace_id = 'there'") == "DELETE 0"
    assert await raw.execute("DELETE FROM users") == "DELETE 3"


async def test_the_wall_stands_for_the_owner_of_the_tables_too(raw: Any, postgres_url: str) -> None:
    owner = await connected(postgres_url, OWNER)
    assert {table: await counted(owner, table) for table in tables()} == dict.fromkeys(tables(), 0)
    await owner.close()
    assert await counted(raw) == 0


async def test_every_tenant_table_has_the_wall(raw: Any) -> None:
    rows = await raw.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        " AND relrowsecurity AND relforcerowsecurity"
    )
    assert {row[0] for row in rows} == set(tables())
    policies = await raw.fetch("SELECT tablename, policyname FROM pg_policies WHERE policyname <> 'shared'")
    assert {tuple(row) for row in policies} == {(table, name) for table in tables() for name in ("wall", "duties")}


async def test_the_services_role_changes_rows_and_nothing_else(raw: Any) -> None:
    for statement in (
        "CREATE TABLE mine (id int)",
        "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
        "DROP POLICY wall ON users",
        "TRUNCATE users CASCADE",
        "UPDATE alembic_version SET version_num = 'x'",
        "SET ROLE workbench_owner",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await raw.execute(statement)


async def test_a_literal_cannot_be_left(raw: Any) -> None:
    for strange in ("it's", "a\\", "a\\'; DROP TABLE users; --", "$$", "ü"):
        for conforming in ("on", "off"):
            await raw.execute(f"SET standard_conforming_strings = {conforming}")
            await raw.execute(facing(strange, local=False))
            assert await raw.fetchval("SELECT current_setting('app.workspace_id')") == strange


# A pool of connections serves all workspaces at once.


async def many(store: Store, workspaces: list[str]) -> None:
    """Read and write in many workspaces at once, more than there are connections."""
    for workspace in workspaces:
        await new_conversation(store, workspace)

    async def look(workspace: str) -> None:
        for _ in range(5):
            async with store.transactions.read(workspace) as tx:
                assert [row[0] for row in await tx.users._rows(MINE, {})] == [workspace]
            await asyncio.sleep(0)

    await asyncio.gather(*(look(workspace) for workspace in workspaces * 3))
    await asyncio.gather(*(new_conversation(store, workspace) for workspace in workspaces * 2))
    for workspace in workspaces:
        async with store.transactions.read(workspace) as tx:
            assert len(await tx.users._rows(MINE, {})) == 3


async def test_connections_of_the_pool_show_each_workspace_its_own(postgres_url: str) -> None:
    async with open_store(postgres_url) as store:
        await many(store, [f"w{number}" for number in range(20)])


async def test_behind_a_proxy_that_lends_connections_nothing_outlasts_a_transaction(
    postgres_url: str, tmp_path: Path
) -> None:
    async with pooled(postgres_url, tmp_path) as proxied:
        database = PostgresDatabase(make_url(proxied), 2, "disable", make_url(postgres_url))
        store = Store(database, SettableClock())
        await many(store, ["one", "two", "three"])

        async def look(held: Held) -> tuple[bool, str]:
            return held.is_lent, await held.driver.fetchval("SELECT current_setting('app.workspace_id', true)")

        assert await database._on_connection(None, look) == (True, "")
        assert database.written.facings == 0
        await store.group.close()
        await database.close()


async def test_a_read_in_the_same_workspace_costs_one_statement_and_another_workspace_one_more(
    postgres_url: str,
) -> None:
    database = PostgresDatabase(make_url(postgres_url), 1, "disable")
    for workspace, facings in (("a", 1), ("a", 1), ("b", 2), ("b", 2), ("a", 3)):
        await database.rows(MINE, {"ws": workspace}, workspace)
        assert database.written.facings == facings
    await database.rows(text("SELECT 1"))
    assert database.written.facings == 3
    await database.close()


async def test_a_connection_that_shows_the_rows_already_goes_before_others(postgres_url: str) -> None:
    database = PostgresDatabase(make_url(postgres_url), 2, "disable")
    sleeping = select(text("pg_sleep(0.05)")).select_from(conversations).where(here(conversations))
    await asyncio.gather(*(database.rows(sleeping, {"ws": workspace}, workspace) for workspace in ("a", "b")))
    assert database.written.facings == 2
    for workspace in ("a", "b", "b", "a"):
        await database.rows(MINE, {"ws": workspace}, workspace)
    assert database.written.facings == 2
    await database.close()


async def test_what_fails_between_leaves_the_connection_as_it_was(postgres_url: str) -> None:
    database = PostgresDatabase(make_url(postgres_url), 1, "disable")
    await database.rows(MINE, {"ws": "a"}, "a")
    stray = insert(users).values(
        workspace_id="b",
        id="eve",
        name="Eve",
        service_user=False,
        name_is_chosen=False,
        created_datetime=SettableClock().now(),
    )
    with pytest.raises(UnscopedQueryError):
        await database.transact(lambda it: it.execute(stray), "a")
    assert await database.rows(MINE, {"ws": "a"}, "a") == []
    assert database.written.facings == 1
    await database.close()
