"""Rules of the house that no linter knows, each with a planted violation that shows that it can fail."""

import ast
import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from tests.support.databases import db_of

from workbench.wiring import migrations
from workbench.wiring.connecting import on_connection
from workbench.wiring.settings import Settings

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "workbench"
FORBIDDEN_WORDS = frozenset(
    "base abstract impl manager helper helpers util utils common misc dto vo".split()  # noqa: SIM905 - one line
)
NAMES_OF_LIBRARIES = frozenset({"load_dialect_impl"})


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


# Inside a block of a transaction only the transaction is awaited: anything else would keep it open.


def foreign_awaits(tree: ast.AST) -> Iterator[int]:
    """The lines in blocks where something else than the transaction is waited for."""
    for block in ast.walk(tree):
        if isinstance(block, ast.AsyncWith):
            for name in filter(None, map(opened_transaction, block.items)):
                for node in (inner for statement in block.body for inner in ast.walk(statement)):
                    waits = isinstance(node, ast.AsyncFor | ast.AsyncWith)
                    if waits or (isinstance(node, ast.Await) and not belongs_to(name, node.value)):
                        yield node.lineno


def opened_transaction(item: ast.withitem) -> str | None:
    """The name that `transactions.write(...)` or `.read(...)` is given in a with statement."""
    match item:
        case ast.withitem(ast.Call(ast.Attribute(opened, "write" | "read")), ast.Name(name)):
            return name if ast.unparse(opened).rpartition(".")[2].lstrip("_") == "transactions" else None
    return None


def belongs_to(name: str, awaited: ast.expr) -> bool:
    """Whether a method of the transaction is called, or a function that gets it first."""
    match awaited:
        case ast.Call(ast.Attribute() as method):
            first = next(node for node in ast.walk(method) if not isinstance(node, ast.Attribute | ast.Load))
            return isinstance(first, ast.Name) and first.id == name
        case ast.Call(_, [ast.Name(first), *_]):
            return first == name
    return False


def test_inside_a_block_only_the_transaction_is_awaited() -> None:
    files = python_files("src/workbench/domain")
    blocks = [item for path in files for node in ast.walk(parsed(path)) for item in getattr(node, "items", [])]
    assert sum(isinstance(item, ast.withitem) and opened_transaction(item) is not None for item in blocks) > 20
    assert [f"{path.relative_to(ROOT)}:{line}" for path in files for line in foreign_awaits(parsed(path))] == []


@pytest.mark.parametrize(
    "planted",
    [
        "await self._client.put(tx.name)",
        "await sleep(1)",
        "await self._other(1, tx)",
        "x = [await client.get() for _ in range(3)]",
        "async for page in pages: pass",
        "async with other: pass",
    ],
)
def test_a_call_out_inside_a_block_is_found(planted: str) -> None:
    block = "async def act(self):\n    async with self._transactions.write('w') as tx:\n"
    assert list(foreign_awaits(ast.parse(f"{block}        {planted}"))) == [3]
    assert list(foreign_awaits(ast.parse(f"{block}        await tx.users.find(1)\n        await meet(tx, 1)"))) == []
    assert list(foreign_awaits(ast.parse(f"{block}        pass\n    {planted}"))) == []


# Before Python 3.12 `asyncio.wait_for` can swallow a cancellation, and a duty that never ends keeps a process up.


def waits_that_swallow(tree: ast.AST) -> list[int]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "wait_for")
    return [call.lineno for call in calls if isinstance(call.value, ast.Name) and call.value.id == "asyncio"]


def test_every_wait_heeds_a_cancellation() -> None:
    files = python_files("src")
    assert [f"{path.relative_to(ROOT)}:{line}" for path in files for line in waits_that_swallow(parsed(path))] == []


def test_a_wait_that_may_not_heed_one_is_found() -> None:
    assert waits_that_swallow(ast.parse("async def act():\n    await asyncio.wait_for(one, 1)")) == [2]
    assert waits_that_swallow(ast.parse("async def act():\n    await bell.wait_for(one)")) == []


# The first thing in a file says why the file is there.


def has_reason(tree: ast.Module) -> bool:
    return bool(ast.get_docstring(tree))


def test_every_file_begins_with_its_reason() -> None:
    files = python_files("src", "tests", "migrations", "benchmarks", "docs")
    assert [str(path.relative_to(ROOT)) for path in files if not has_reason(parsed(path))] == []


@pytest.mark.parametrize("planted", ["", "import os\n", "import os\n'''Too late.'''\n", "# a comment\nx = 1\n"])
def test_a_file_without_a_reason_is_found(planted: str) -> None:
    assert not has_reason(ast.parse(planted))


# Names say what a thing is; these words say nothing.


def empty_names(tree: ast.AST, stem: str) -> list[str]:
    definitions = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    names = [stem, *(node.name for node in ast.walk(tree) if isinstance(node, definitions))]
    found = [name for name in names if words_of(name) & FORBIDDEN_WORDS or re.match(r"I[A-Z][a-z]", name)]
    return [name for name in found if name not in NAMES_OF_LIBRARIES]


def words_of(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def test_names_have_no_empty_words() -> None:
    files = python_files("src", "migrations", "benchmarks", "docs", "tests/support")
    assert {
        str(path.relative_to(ROOT)): found for path in files if (found := empty_names(parsed(path), path.stem))
    } == {}
    folders = {path.name for path in SOURCE.rglob("*") if path.is_dir()}
    assert [name for name in folders if words_of(name) & FORBIDDEN_WORDS] == []


@pytest.mark.parametrize(
    "name", ["BaseService", "AbstractStore", "StoreImpl", "LeaseManager", "url_helper", "UserDTO", "IClock", "utils"]
)
def test_an_empty_name_is_found(name: str) -> None:
    assert empty_names(ast.parse(f"class {name}: pass"), "module") == [name]
    assert empty_names(ast.parse(f"async def {name}(): pass"), "module") == [name]
    assert empty_names(ast.parse(""), name) == [name]
    assert empty_names(ast.parse("class Database: pass\nclass Issuer: pass"), "database") == []


# What the tables are in the code is what the migrations make.


def test_down_and_up_ends_where_the_tables_are(database_url: str, tmp_path: Path) -> None:
    settings = Settings.of(data_root=tmp_path, db=db_of(database_url))
    assert migrations.check(settings) == []
    migrations.downgrade(settings, "base")
    assert migrations.current(settings) is None
    migrations.upgrade(settings)
    assert migrations.check(settings) == []


def test_a_table_that_differs_is_found(database_url: str, tmp_path: Path) -> None:
    settings = Settings.of(data_root=tmp_path, db=db_of(database_url))

    def plant(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE users ADD COLUMN shoe_size INTEGER"))
        connection.commit()

    asyncio.run(on_connection(settings, plant, writes=True))
    differences = migrations.check(settings)
    assert len(differences) == 1
    assert "shoe_size" in differences[0]


# The contracts on imports hold something: each breaks on an import planted against it.

PLANTED = {
    "rooms": ("adapters/clock.py", "import workbench.entrypoints.http.drain"),
    "the domain is pure": ("domain/clock.py", "import httpx"),
    "only wiring names an adapter": ("entrypoints/http/drain.py", "import workbench.adapters.clock"),
    "SQL and outbound HTTP stay in their rooms": ("entrypoints/http/health.py", "import sqlalchemy"),
    "capabilities form a ladder": ("domain/users/model.py", "import workbench.domain.messages.model"),
    "inside a capability: service, ports, events, model": (
        "domain/messages/model.py",
        "import workbench.domain.messages.service",
    ),
    "controllers stand alone": ("entrypoints/http/errors.py", "import workbench.entrypoints.http.gate"),
    "examples stand on nothing of the service": ("examples/echo_assistant.py", "import workbench.domain.ids"),
    "the SDK stands on nothing of the service": ("sdk/model.py", "import workbench.domain.ids"),
}


def test_every_contract_on_imports_breaks_on_a_planted_import(tmp_path: Path) -> None:
    shutil.copytree(SOURCE, tmp_path / "workbench", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, planted in PLANTED.values():
        path = tmp_path / "workbench" / file
        path.write_text(f"{path.read_text(encoding='utf-8')}\n{planted}\n", encoding="utf-8")
    linter = Path(sys.executable).with_name("lint-imports")
    command = [linter, "--no-cache"]
    ran = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": "."}, capture_output=True, text=True, check=False)
    outcomes = dict(re.findall(r"^(.+?) (KEPT|BROKEN)", ran.stdout, re.MULTILINE))
    assert outcomes == dict.fromkeys(PLANTED, "BROKEN"), ran.stdout + ran.stderr
