"""What SQLite goes through to answer: nothing that an id leads to is looked for in a whole workspace."""

import asyncio
import re
import sqlite3
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url
from tests.contracts.test_workspace_wall import READS, WRITES, World, carried_out, fill
from tests.support.databases import Store, open_store

from workbench.adapters.sql import append_sqlite
from workbench.adapters.sql.advancing import _ADVANCE_SQLITE
from workbench.adapters.sql.schema import metadata
from workbench.adapters.sql.transactions import SqlTransaction
from workbench.domain.errors import NotFoundError, StaleError
from workbench.wiring import migrations
from workbench.wiring.settings import Settings

Act = Callable[[SqlTransaction, World], object]

FEW = "There are few of them in a workspace."
LIST = "It is a page of them all."
SELDOM = "It is asked for when a person is forgotten, and goes through what they may have left."
WHOLE_WORKSPACES = {
    "registrations.all_of": FEW,
    "budgets.counted": "What is reserved, and not spent yet.",
    "budgets.release": "What is reserved, and not spent yet.",
    "flows.made_of": FEW,
    "flows.page": LIST,
    "ticket_systems.all": FEW,
    "choices.own": FEW,
    "spaces.all": FEW,
    "spaces.activate": FEW,
    "playbooks.all": FEW,
    "playbooks.followed": FEW,
    "audit.entries": LIST,
    "searches.count": LIST,
    "searches.behind": LIST,
    "turns.gone_is_billed": "Turns that ended with their conversation, for as long as their bill may come.",
    "file_versions.of_user": SELDOM,
    "traces.count": SELDOM,
    "traces.mend": SELDOM,
    "imports.titles_like": "Titles have no index, nor have owners; it is asked once for a copy or an import.",
}


@pytest.fixture
def heard() -> Generator[list[str]]:
    """Every statement that SQLite runs, with its values."""
    statements: list[str] = []

    def listen(connection: sqlite3.Connection, _: object) -> None:
        connection.set_trace_callback(statements.append)

    event.listen(Engine, "connect", listen)
    yield statements
    event.remove(Engine, "connect", listen)


def goes_through_all(connection: sqlite3.Connection, statement: str) -> bool:
    """Whether a step of its plan is all of a table, or all that a workspace has in one."""
    if not re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", statement):
        return False
    steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    scanned = [found[1] for step in steps if (found := re.match(r"SCAN (\w+)", step))]
    partly = [found[1] for step in steps if (found := re.match(r"SEARCH (\w+) .*\(workspace_id=\?\)", step))]
    # Of workspaces themselves each has a single row.
    return any(name in metadata.tables and name != "workspaces" for name in scanned + partly)


def make_views(connection: sqlite3.Connection, heard: list[str]) -> None:
    """Make the temporary views and triggers that others have made."""
    for statement in heard:
        if statement.startswith("CREATE TEMP"):
            connection.execute(statement)


async def done(act: Act, store: Store, world: World) -> None:
    try:
        async with store.transactions.write(world.workspace) as tx:
            await carried_out(act, tx, world)
    except (NotFoundError, StaleError):
        pass


async def whole_workspaces(url: str, heard: list[str], acts: dict[str, Act]) -> set[str]:
    """The acts that go through all of one."""
    found: set[str] = set()
    plans = sqlite3.connect(make_url(url).database or "")
    async with open_store(url) as store:
        for name, act in acts.items():
            world = await fill(store, f"of-{name}")
            make_views(plans, heard)
            heard.clear()
            await done(act, store, world)
            make_views(plans, heard)
            if any(goes_through_all(plans, statement) for statement in list(heard)):
                found.add(name)
    plans.close()
    return found


def test_nor_is_it_by_what_a_trigger_does(sqlite_url: str) -> None:
    connection = sqlite3.connect(make_url(sqlite_url).database or "")
    for trigger in (append_sqlite.TRIGGER, _ADVANCE_SQLITE.trigger):
        parts = re.sub(r"NEW\.\w+", "'of the row'", trigger).split(";")
        steps = [step for step in parts if step.strip() and "RAISE" not in step]
        assert len(steps) > 1
        assert [step for step in steps if goes_through_all(connection, step)] == []
    connection.close()


async def test_what_an_id_leads_to_is_not_looked_for_in_a_whole_workspace(sqlite_url: str, heard: list[str]) -> None:
    reads: dict[str, Act] = {name: read for name, (read, _) in READS.items()}
    assert await whole_workspaces(sqlite_url, heard, reads | WRITES) == WHOLE_WORKSPACES.keys()


def test_without_the_statistics_it_would_be(sqlite_url: str, heard: list[str], tmp_path: Path) -> None:
    settings = Settings.of(data_root=tmp_path, db={"url": sqlite_url})
    with sqlite3.connect(make_url(sqlite_url).database or "") as connection:
        connection.execute("DROP TABLE sqlite_stat1")
    connection.close()
    removing = {"conversations.remove": WRITES["conversations.remove"]}
    assert asyncio.run(whole_workspaces(sqlite_url, heard, removing)) == removing.keys()
    assert [sentence.partition(":")[0] for sentence in migrations.check(settings)] == ["sqlite_stat1"]
    migrations.upgrade(settings)
    assert migrations.check(settings) == []
    recording = {"events.record": WRITES["events.record"]}
    assert asyncio.run(whole_workspaces(sqlite_url, heard, recording)) == set()
