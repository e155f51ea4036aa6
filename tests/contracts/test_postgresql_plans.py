"""PostgreSQL reads the rows of a conversation in the order of their index, however little it knows of them."""

import re
from typing import Any

import pytest
from sqlalchemy import Connection, Executable, func, select, text
from sqlalchemy.dialects.postgresql import asyncpg
from tests.contracts.test_transactions import message, new_conversation, post
from tests.support.databases import Store, open_store, owner_of

from workbench.adapters.sql import events, messages, retention
from workbench.adapters.sql.duties import MIGRATE
from workbench.adapters.sql.prepared import Statements
from workbench.domain.ids import new_id

MANY, WORKSPACES = 20_000, 300
OTHERS = [
    f"""
    INSERT INTO {table} SELECT (jsonb_populate_record(one, {changed})).*
    FROM {table} AS one, generate_series(1, {WORKSPACES}) AS number WHERE one.workspace_id = 'default'
    """
    for table, changed in (
        ("workspaces", "jsonb_build_object('workspace_id', 'other' || number)"),
        ("conversations", "jsonb_build_object('workspace_id', 'other' || number, 'id', md5(number::text)::uuid)"),
    )
]
"""Many workspaces with a conversation each, so that by the numbers a workspace has few of all rows."""
PLACED = {
    "messages": ("sequence", "jsonb_build_object('id', gen_random_uuid(), 'sequence', number + 1)"),
    "events": (
        "position",
        "jsonb_build_object('id', md5(random()::text), 'position', number + 10, 'feed_position', number + 10)",
    ),
}
LAST = "one.workspace_id = 'default' AND one.{0} = (SELECT max({0}) FROM {1} WHERE workspace_id = 'default')"
FILL = [
    f"""
    INSERT INTO {table} SELECT (jsonb_populate_record(one, {changed})).*
    FROM {table} AS one, generate_series(1, {MANY}) AS number WHERE {LAST.format(place, table)}
    """
    for table, (place, changed) in PLACED.items()
]
IN_OTHERS = [
    f"""
    INSERT INTO {table} SELECT (jsonb_populate_record(one, {changed} || jsonb_build_object(
        'workspace_id', c.workspace_id, 'conversation_id', c.id))).*
    FROM {table} AS one, conversations AS c, generate_series(1, 2) AS number
    WHERE c.workspace_id <> 'default' AND {LAST.format(place, table)}
    """
    for table, (place, changed) in PLACED.items()
]
LONG = ("messages", "events")
READING: dict[str, tuple[Executable, dict[str, Any]]] = {
    "a page": (messages._page(frozenset(), oldest_first=False), {}),
    "a page of what came after": (messages._page(frozenset({"after"}), oldest_first=True), {}),
    "a search": (messages._containing(1), {}),
    "the newest": (messages._latest(one_type=True, dialect="postgresql"), {"conversation_ids": [new_id()]}),
    "events of a conversation": (events._OF_CONVERSATION, {}),
    "events that have expired": (events._EXPIRED_THERE, {}),
    "messages that have expired": (select(func.max(retention._FIRST.c.sequence)), {}),
}
PLACED_TOO = {"a page of what came after", "events of a conversation"}
"""What names a place in the conversation, too, is better read so only once PostgreSQL knows how many rows there are."""


async def run(store: Store, *statements: str) -> None:
    for statement in statements:
        await store.database.transact(lambda connection, what=statement: connection.execute(text(what)), MIGRATE)


async def plan(store: Store, statement: Any, row: dict[str, Any]) -> list[str]:
    """The plan that is kept for any parameters, as the service's role has it."""
    found = Statements(asyncpg.dialect()).find(getattr(statement, "statement", statement), row)
    assert found is not None
    nothing = ", ".join(["NULL"] * max(map(int, re.findall(r"\$(\d+)", found.text))))

    def explain(connection: Connection) -> list[str]:
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        connection.exec_driver_sql(f"PREPARE asked AS {found.text}")
        steps = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN EXECUTE asked ({nothing})")]
        connection.exec_driver_sql("DEALLOCATE asked")
        return steps

    return await store.database.transact(explain, MIGRATE)


@pytest.mark.parametrize("known", ["nothing", "many workspaces"])
async def test_the_order_is_that_of_the_index(postgres_url: str, known: str) -> None:
    async with open_store(postgres_url) as store, open_store(owner_of(postgres_url)) as owner:
        await post(store, await new_conversation(store), message(store))
        for table in LONG:
            await run(owner, f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        await run(owner, *OTHERS, *IN_OTHERS, *FILL)
        if known != "nothing":
            await run(owner, "ANALYZE")
        left_out = PLACED_TOO if known == "nothing" else set[str]()
        for name in READING.keys() - left_out:
            statement, row = READING[name]
            steps = await plan(store, statement, row)
            looks = [step for step in steps if any(f" on {table} " in step for table in LONG)]
            assert looks, (name, steps)
            assert all("Index Scan" in step or "Index Only Scan" in step for step in looks), (name, steps)
            sorts = [step for step in steps if "Sort" in step]
            assert not sorts, (name, steps)
