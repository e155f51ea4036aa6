"""A database that was made at once is the one that the revisions come to."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.support.databases import db_of
from tests.support.newest_schema import place_of, schema_of_postgresql, schema_of_sqlite, script, through_all_revisions
from tests.support.postgres import Postgres

from workbench.wiring import migrations
from workbench.wiring.connecting import on_connection
from workbench.wiring.newest_schema import BETWEEN
from workbench.wiring.settings import Settings

ADVICE = "the migrations were changed: run `make schema`"


def written(kind: str) -> str:
    return place_of(kind).read_text(encoding="utf-8")


def rows_of_sqlite(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    names = connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").scalars()
    return {
        name: sorted((tuple(row) for row in connection.exec_driver_sql(f'SELECT * FROM "{name}"')), key=str)
        for name in names.all()
    }


def test_on_sqlite_it_is_what_the_revisions_come_to(tmp_path: Path) -> None:
    stepped, made = (Settings.of(data_root=tmp_path / name) for name in ("stepped", "made"))
    through_all_revisions(stepped)
    migrations.upgrade(made)
    assert schema_of_sqlite(made) == schema_of_sqlite(stepped), ADVICE
    # Among them its version, what SQLite's planner is told, and the settings of the index of words.
    rows = asyncio.run(on_connection(made, rows_of_sqlite))
    assert rows == asyncio.run(on_connection(stepped, rows_of_sqlite)), ADVICE
    assert all(rows[name] for name in ("alembic_version", "sqlite_stat1", "assistant_services"))
    assert migrations.check(made) == []
    assert written("sqlite") == script(schema_of_sqlite(stepped), "sqlite"), ADVICE


@pytest.mark.parametrize("extensions", [(), ("vector",)], ids=["alone", "with pgvector"])
def test_on_postgresql_it_is_what_the_revisions_come_to(
    postgres_server: Postgres, tmp_path: Path, extensions: tuple[str, ...]
) -> None:
    urls = [postgres_server.create_empty(*extensions) for _ in range(2)]
    try:
        stepped, made = (Settings.of(data_root=tmp_path, db=db_of(url)) for url in urls)
        through_all_revisions(stepped)
        migrations.upgrade(made)
        schema = schema_of_postgresql(postgres_server, urls[0])
        assert schema_of_postgresql(postgres_server, urls[1]) == schema, ADVICE
        assert any("hnsw" in statement for statement in schema) == bool(extensions)
        assert migrations.check(made) == []
        assert migrations.current(made) == migrations.head()
        if not extensions:
            assert written("postgresql") == script(schema, "postgresql"), ADVICE
    finally:
        for url in urls:
            postgres_server.drop(url)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_blank_lines_part_whole_statements(kind: str) -> None:
    statements = written(kind).rstrip("\n").split(BETWEEN)
    assert len(statements) > 100
    assert all(statement.endswith(";") for statement in statements)
    if kind == "sqlite":
        assert all(sqlite3.complete_statement(statement) for statement in statements)


def test_one_that_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = tmp_path / "scripts"
    (scripts / "newest").mkdir(parents=True)
    (scripts / "newest" / "sqlite.sql").write_text("CREATE TABLE a (b);\n\nCREATE TABLE a (c);\n", encoding="utf-8")
    settings = Settings.of(data_root=tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "scripts_folder", lambda: scripts)
        with pytest.raises(Exception, match="already exists"):
            migrations._move(settings, "upgrade", migrations.NEWEST)
    assert asyncio.run(on_connection(settings, rows_of_sqlite)) == {}
    migrations.upgrade(settings)
    assert migrations.check(settings) == []
