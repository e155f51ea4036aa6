"""Links between rows of workspaces: none can be stored that leads into another, and the upgrade to that keeps every row."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Table, insert, inspect, select, text, update
from sqlalchemy.exc import IntegrityError
from tests.contracts.test_transactions import new_conversation
from tests.contracts.test_workspace_wall import World, fill
from tests.support.databases import Store, db_of, open_store

from workbench.adapters.sql.schema import metadata
from workbench.adapters.sql.tables import assistant_services, assistants, conversations, shares
from workbench.adapters.sql.turn_tables import turn_slots
from workbench.adapters.sql.walls import is_tenants
from workbench.domain.events.model import Event
from workbench.domain.identity.model import EVERYWHERE, MODEL_SERVICE_ID
from workbench.domain.ids import new_id
from workbench.wiring import migrations
from workbench.wiring.connecting import on_connection
from workbench.wiring.settings import Settings

BEFORE = "0016"
GONE_SINCE = {"ix_flows_holding_updated_at"}
"""Indexes that later steps take away."""


async def refused(store: Store, statement: Any) -> bool:
    try:
        await store.database.transact(lambda connection: connection.execute(statement))
    except IntegrityError:
        return True
    return False


def slot(workspace: str, conversation_id: UUID) -> Any:
    place = {"workspace_id": workspace, "conversation_id": conversation_id, "turn_id": "t", "slot": "input"}
    return insert(turn_slots).values(**place, message_id=new_id())


async def test_a_row_cannot_hang_on_another_workspaces(store: Store) -> None:
    conversation_id = await new_conversation(store, "elsewhere")
    assert await refused(store, slot("default", conversation_id))
    assert not await refused(store, slot("elsewhere", conversation_id))
    assert await refused(store, slot("elsewhere", new_id()))


@pytest.mark.parametrize("table", [conversations, shares], ids=lambda table: table.name)
async def test_what_others_hang_on_cannot_move_to_another_workspace(store: Store, table: Table) -> None:
    world = await fill(store, "here")
    key = world.conversation.id if table is conversations else world.share.id
    assert await refused(store, update(table).where(table.c.id == key).values(workspace_id="elsewhere"))


async def test_what_a_row_hangs_on_takes_it_along(store: Store) -> None:
    conversation_id = await new_conversation(store)
    assert not await refused(store, slot("default", conversation_id))
    async with store.transactions.write("default") as tx:
        tx.conversations.remove(conversation_id)
    assert await store.database.rows(select(turn_slots.c.slot)) == []


def of_service(world: World, service_id: str, workspace: str) -> Any:
    row = {"workspace_id": workspace, "id": new_id(), "owner_id": "ann", "template_id": "default", "name": "Robot"}
    times = {"created_datetime": world.assistant.created_datetime, "metadata": {}}
    return insert(assistants).values(**row, **times, assistant_service_id=service_id)


async def test_an_assistants_service_is_its_workspaces_or_everybodys(store: Store) -> None:
    world = await fill(store, "here")
    theirs = world.service.assistant_service_id
    assert await refused(store, of_service(world, theirs, "elsewhere"))
    assert not await refused(store, of_service(world, theirs, "here"))
    for workspace in ("here", "elsewhere"):
        assert not await refused(store, of_service(world, MODEL_SERVICE_ID, workspace))
    homes = select(assistants.c.service_workspace_id).where(assistants.c.assistant_service_id == MODEL_SERVICE_ID)
    assert {row[0] for row in await store.database.rows(homes)} == {EVERYWHERE}
    # Not even where it says so itself.
    assert await refused(store, of_service(world, theirs, "elsewhere").values(service_workspace_id="here"))
    assert await refused(store, of_service(world, theirs, "elsewhere").values(service_workspace_id=EVERYWHERE))


def test_every_link_between_rows_of_workspaces_names_the_workspace() -> None:
    links = [
        (table, constraint)
        for table in migrations.whole_metadata().sorted_tables
        for constraint in table.foreign_key_constraints
        if is_tenants(table) and is_tenants(constraint.referred_table)
    ]
    assert len(links) > 20
    loose = {
        (table.name, constraint.referred_table.name)
        for table, constraint in links
        if constraint.elements[0].column.name != "workspace_id"
        or (constraint.column_keys[0] != "workspace_id" and table is not assistants)
    }
    assert loose == set()


async def everything(store: Store, shape: Mapping[str, Collection[str]]) -> dict[str, list[Any]]:
    """All rows, of these columns of these tables."""
    found: dict[str, list[Any]] = {}
    for table in metadata.sorted_tables:
        columns = [column for column in table.columns if column.name in shape.get(table.name, ())]
        if columns:
            rows = await store.database.rows(select(*columns))
            found[table.name] = sorted((tuple(row) for row in rows), key=repr)
    return found


async def outside_of(store: Store, workspace: str) -> Sequence[Event]:
    async with store.transactions.read(workspace) as tx:
        return await tx.events.outside(0, 100)


def shape_of(connection: Connection) -> dict[str, list[str]]:
    """Which columns each table has."""
    seen = inspect(connection)
    return {table: [column["name"] for column in seen.get_columns(table)] for table in seen.get_table_names()}


def indexes(connection: Connection) -> dict[str, Any]:
    """Every index of every table, with its columns and its condition."""
    seen = inspect(connection)
    return {
        str(index["name"]): (table, index["column_names"], index["unique"], condition_of(index))
        for table in seen.get_table_names()
        for index in seen.get_indexes(table)
    }


def condition_of(index: Any) -> str:
    options = index.get("dialect_options", {})
    return str(options.get("sqlite_where", options.get("postgresql_where", "")))


def laid(connection: Connection) -> set[str]:
    """The tables whose rows are laid by their key, where it is SQLite."""
    wanted = text("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%WITHOUT ROWID%'")
    return {row[0] for row in connection.execute(wanted)} if connection.dialect.name == "sqlite" else set()


async def test_a_filled_database_of_the_schema_before_is_brought_up_with_every_row(
    database_url: str, tmp_path: Path
) -> None:
    settings = Settings.of(data_root=tmp_path, db=db_of(database_url))
    await asyncio.to_thread(migrations.downgrade, settings, BEFORE)
    shape = await on_connection(settings, shape_of)
    await asyncio.to_thread(migrations.upgrade, settings)
    async with open_store(database_url) as store:
        for workspace in ("here", "there"):
            world = await fill(store, workspace)
            await refused(store, of_service(world, MODEL_SERVICE_ID, workspace))
        filled = await everything(store, shape)
        # The schema before knows no events outside conversations: the way down forgets them.
        outside = {event.id for ws in ("here", "there") for event in await outside_of(store, ws)}
        assert outside
        filled["events"] = [row for row in filled["events"] if not outside & set(row)]
    whole = [await on_connection(settings, look) for look in (indexes, laid)]
    await asyncio.to_thread(migrations.downgrade, settings, BEFORE)
    before = await on_connection(settings, indexes)
    conditional = {name: index for name, index in before.items() if index[-1]}
    assert len(conditional) > 5
    await asyncio.to_thread(migrations.upgrade, settings)
    assert await asyncio.to_thread(migrations.check, settings) == []
    assert [await on_connection(settings, look) for look in (indexes, laid)] == whole
    changed = {name for name, index in conditional.items() if index != whole[0].get(name)}
    assert changed == GONE_SINCE
    async with open_store(database_url) as store:
        found = await everything(store, shape)
        # What the upgrade leaves to be done besides stands there as jobs.
        there = found.pop("jobs")
        assert [job for job in filled.pop("jobs") if job not in there] == []
        assert found == filled
        homes = select(assistant_services.c.assistant_service_id, assistants.c.service_workspace_id).join(
            assistants, assistants.c.assistant_service_id == assistant_services.c.assistant_service_id
        )
        assert {tuple(row) for row in await store.database.rows(homes)} == {
            ("here.example", "here"),
            ("there.example", "there"),
            (MODEL_SERVICE_ID, EVERYWHERE),
        }


async def test_a_link_that_led_into_another_workspace_keeps_the_upgrade_from_being_made(
    sqlite_url: str, tmp_path: Path
) -> None:
    settings = Settings.of(data_root=tmp_path, db={"url": sqlite_url})
    async with open_store(sqlite_url) as store:
        conversation_id = await new_conversation(store, "elsewhere")
    await asyncio.to_thread(migrations.downgrade, settings, BEFORE)

    def stray(connection: Connection) -> None:
        connection.execute(slot("default", conversation_id))
        connection.commit()

    await on_connection(settings, stray, writes=True)
    with pytest.raises(RuntimeError, match="not in their workspace"):
        await asyncio.to_thread(migrations.upgrade, settings)
    assert await asyncio.to_thread(migrations.current, settings) == BEFORE
