"""The wall between workspaces in the code: every statement keeps to one, or is registered with a reason."""

from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Table, Text
from tests.support.statements import Code, Found, Module

from workbench.adapters.sql.duties import CROSS_TENANT_REGISTRY, ELSEWHERE, GLOBAL_TABLES, WORKSPACE_IN_ROWS
from workbench.adapters.sql.walls import Duty, is_tenants, tenant_tables_in
from workbench.wiring import migrations

PACKAGE = Path(__file__).parents[2] / "src" / "workbench"
ROOMS = ("adapters", "entrypoints", "wiring")
SHORTEST_REASON = 40
TABLES = '''
"""Planted."""
letters = Table("letters", metadata, workspace_column(), Column("id", Id))
clocks = Table("clocks", metadata, Column("id", Id))
'''


@pytest.fixture(scope="module")
def code() -> Code:
    return Code.of(PACKAGE, *ROOMS)


def registered() -> dict[str, Duty]:
    return {place: duty for duty in CROSS_TENANT_REGISTRY for place in duty.places}


def faults(found: list[Found]) -> list[Found]:
    allowed = {**registered(), **WORKSPACE_IN_ROWS, **ELSEWHERE}
    return [each for each in found if each.place not in allowed]


def test_33_every_statement_keeps_to_a_workspace_or_is_registered(code: Code) -> None:
    assert faults(code.unscoped()) == []


def test_every_place_that_is_registered_is_still_there(code: Code) -> None:
    """It holds a statement that keeps to no workspace, or hands one over to the duty."""
    found = {each.place for each in code.unscoped()}
    of_duties = {
        f"{module.name}:{unit}"
        for module in code.modules.values()
        for unit, node in module.units()
        for duty in CROSS_TENANT_REGISTRY
        if module.names(node) & {duty.name.upper()}
    }
    assert [place for place in registered() if place not in found | of_duties] == []
    assert [place for place in {**WORKSPACE_IN_ROWS, **ELSEWHERE} if place not in found] == []


def test_every_duty_is_used_and_says_why(code: Code) -> None:
    used = {name for module in code.modules.values() if module.name != "duties" for name in module.names(module.tree)}
    assert [duty.name for duty in CROSS_TENANT_REGISTRY if duty.name.upper() not in used] == []
    assert [duty.name for duty in CROSS_TENANT_REGISTRY if not (duty.places and duty.reviewer)] == []
    assert [duty.name for duty in CROSS_TENANT_REGISTRY if len(duty.reason) < SHORTEST_REASON] == []
    assert len({duty.name for duty in CROSS_TENANT_REGISTRY}) == len(CROSS_TENANT_REGISTRY)


def planted(statement: str) -> list[Found]:
    modules = [Module("tables", TABLES)]
    source = '"""Planted."""\nfrom workbench.adapters.sql.tables import clocks, letters\n\n\n'
    modules.append(Module("planted", f"{source}{statement}"))
    return faults(Code(modules).unscoped())


@pytest.mark.parametrize(
    "statement",
    [
        "_ALL = select(letters)",
        "_ONE = select(letters.c.id).where(letters.c.id == bindparam('id'))",
        "_OTHERS = select(letters).where(letters.c.workspace_id != 'mine')",
        "_JOINED = select(clocks.c.id).join(letters, letters.c.id == clocks.c.id)",
        "_its = letters.alias('its')\n_ANY = select(exists().where(_its.c.id == 1))",
        "_GONE = delete(letters).where(letters.c.id == bindparam('of_id'))",
        "_CHANGE = update(letters).values(id=1)",
        "_NEW = insert(letters)",
        "_NEW = postgresql.insert(letters).on_conflict_do_nothing()",
        "_RAW = text('SELECT id FROM letters')",
        "def find(session, key):\n    return session.get(letters, key)",
        "def find(self, key):\n    return self._db.get(letters, key)",
        "def act(connection):\n    connection.exec_driver_sql('DELETE FROM letters')",
        "class Room:\n    def act(self, table):\n        return select(table)",
        "def act(connection):\n    mine = letters\n    connection.execute(delete(mine))",
    ],
)
def test_33_a_statement_that_keeps_to_no_workspace_is_found(statement: str) -> None:
    assert [found.place.partition(":")[0] for found in planted(statement)] == ["planted"]


@pytest.mark.parametrize(
    "statement",
    [
        "_ALL = select(letters).where(here(letters))",
        "_MINE = and_(here(letters), letters.c.id == 1)\n_ONE = select(letters).where(_MINE)",
        "_RAW = text('SELECT id FROM letters WHERE workspace_id = :ws')",
        "_CLOCKS = select(clocks)",
        "def act(self, row):\n    self._writes.insert(letters, row)",
        "def act(limit):\n    wanted = [here(letters)]\n    return select(letters).where(*wanted)",
    ],
)
def test_a_statement_that_keeps_to_its_workspace_is_not(statement: str) -> None:
    assert planted(statement) == []


# Every table is a workspace's, or says why it is nobody's.


def of_nobody(metadata: MetaData) -> list[str]:
    return [
        table.name
        for table in metadata.tables.values()
        if table.name not in GLOBAL_TABLES and (not is_tenants(table) or table.columns["workspace_id"].nullable)
    ]


def test_every_table_has_a_workspace_or_a_reason_to_have_none(code: Code) -> None:
    tables = migrations.whole_metadata()
    assert of_nobody(tables) == []
    assert set(tables.tables) > set(GLOBAL_TABLES)
    assert [column.name for column in tables.tables["workspaces"].primary_key] == ["workspace_id"]
    assert {name for name, table in tables.tables.items() if is_tenants(table)} == code.table_names()


def test_33_a_new_table_without_either_is_found() -> None:
    metadata = MetaData()
    Table("notes", metadata, Column("id", Text, primary_key=True))
    Table("letters", metadata, Column("workspace_id", Text))
    Table("books", metadata, Column("workspace_id", Text, nullable=False))
    assert of_nobody(metadata) == ["notes", "letters"]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("SELECT a.events, users.id FROM jobs AS a, users WHERE x = :messages", {"users", "jobs"}),
        ("INSERT INTO users(id) VALUES ('jobs')", {"users"}),
        ('DELETE FROM "messages"', {"messages"}),
        ("SELECT name FROM leases", set()),
    ],
)
def test_the_tables_of_a_statement_are_found_in_its_words(statement: str, named: set[str]) -> None:
    assert tenant_tables_in(statement) == named
