"""Writes `migrations/newest/`: the schema as the revisions leave it, for databases that have nothing yet.

`python -m tests.support.newest_schema` (`make schema`) goes through all revisions on both databases, and writes down what
is there then. What hangs on the database's version cannot be read off: it is written here, and asked for at each start.
"""

import asyncio
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from tests.support.databases import db_of
from tests.support.postgres import Postgres

from workbench.wiring import migrations
from workbench.wiring.connecting import on_connection
from workbench.wiring.newest_schema import BETWEEN
from workbench.wiring.settings import Settings

HEAD = "-- `make schema` writes this: what revision {} has, for a database that has nothing. Blank lines part statements.\n"
AT = "INSERT INTO alembic_version (version_num) VALUES ('{}');"
LAST = {
    # Since version 3.42 SQLite can take words out of its index at once, instead of when it tidies up.
    "sqlite": """\
INSERT INTO session_words (session_words, rank)
SELECT 'secure-delete', 1 WHERE CAST(substr(sqlite_version(), 3) AS INTEGER) >= 42;""",
    # Where it may not be made, all vectors are compared by the service. An extension older than 0.8 has no way to go on
    # where most of what is near belongs to other workspaces.
    "postgresql": """\
DO $vectors$
DECLARE
    dims int;
    version text := (
        SELECT coalesce(installed_version, default_version) FROM pg_available_extensions WHERE name = 'vector'
    );
BEGIN
    IF version IS NULL OR (string_to_array(version, '.'))[1:2]::int[] < ARRAY[0, 8] THEN RETURN; END IF;
    BEGIN
        CREATE EXTENSION IF NOT EXISTS vector;
    EXCEPTION WHEN OTHERS THEN
        RAISE NOTICE 'no extension vector: %', SQLERRM;
        RETURN;
    END;
    FOREACH dims IN ARRAY ARRAY[384, 768, 1024, 1536] LOOP
        EXECUTE format(
            'CREATE INDEX ix_embeddings_hnsw_%s ON embeddings'
            ' USING hnsw ((floats::vector(%s)) vector_cosine_ops) WHERE dims = %s', dims, dims, dims
        );
    END LOOP;
END
$vectors$;""",
}

# What is kept by SQLite for an index of words is made with it, and the statistics after each change of the schema.
_MADE_BY_OTHERS = (
    "name LIKE 'sqlite\\_%' ESCAPE '\\' OR (type <> 'trigger' AND name LIKE 'session\\_words\\_%' ESCAPE '\\')"
)
# Alembic makes the indexes of a table that it copied in any order.
_OF_SQLITE = f"""
    SELECT name, type, sql FROM sqlite_schema WHERE sql IS NOT NULL AND NOT ({_MADE_BY_OTHERS})
    ORDER BY tbl_name, type <> 'table', name
"""
_NOT_OURS = re.compile(r"^(?:--|\\|SET |SELECT pg_catalog\.set_config).*\n", re.MULTILINE)
# PostgreSQL writes this down otherwise than it reads it again.
_OF_TEXTS = re.compile(r"\(ARRAY\[([^]]*)\]\)::text\[\]")


def through_all_revisions(settings: Settings) -> None:
    """Make the newest schema in an empty database, one revision after the other."""
    migrations.upgrade(settings, migrations.head())


def schema_of_sqlite(settings: Settings) -> list[str]:
    """Give the statements that make what is there, rows that all have included."""

    def read(connection: Connection) -> list[str]:
        found = connection.exec_driver_sql(_OF_SQLITE).all()
        statements = [f"{_tidied(statement)};" for _, _, statement in found]
        for name, kind, _ in found:
            if kind == "table" and name not in ("alembic_version", "session_words"):
                statements += _insertions(connection, name)
        return statements

    return asyncio.run(on_connection(settings, read))


def _insertions(connection: Connection, table: str) -> list[str]:
    names = connection.exec_driver_sql(f"SELECT name FROM pragma_table_info('{table}')").scalars().all()
    values = " || ', ' || ".join(f'quote("{name}")' for name in names)
    rows = connection.exec_driver_sql(f'SELECT {values} FROM "{table}" ORDER BY 1').scalars()
    return [f"INSERT INTO {table} ({', '.join(names)}) VALUES ({row});" for row in rows]


def schema_of_postgresql(postgres: Postgres, url: str) -> list[str]:
    """Give the statements that make what is there, as `pg_dump` does, for whatever schema comes first."""
    parsed = make_url(url)
    # As one who sees all rows.
    place = {"PGHOST": str(parsed.query["host"]), "PGUSER": "postgres", "PGDATABASE": str(parsed.database)}
    done = subprocess.run(
        [
            postgres.programs / "pg_dump",
            "--no-owner",
            "--no-privileges",
            "--column-inserts",
            "--exclude-table-data=alembic_version",
        ],
        env={**os.environ, **place},
        capture_output=True,
        text=True,
        check=True,
    )
    named = _OF_TEXTS.sub(_as_text, _NOT_OURS.sub("", done.stdout).replace("public.", ""))
    return [
        f"{_tidied(statement)};"
        for statement in re.split(r";\n(?:\n+|(?=INSERT INTO ))", named.strip().removesuffix(";"))
    ]


def script(statements: Sequence[str], kind: str) -> str:
    """Write the script that makes it in an empty database."""
    at = migrations.head()
    whole = [*statements, AT.format(at), LAST[kind]]
    return HEAD.format(at) + BETWEEN.join(whole) + "\n"


def _as_text(found: re.Match[str]) -> str:
    return f"ARRAY[{found[1].replace('::character varying', '::text')}]"


def _tidied(statement: str) -> str:
    """Write it without blank lines, and without blanks before the end of a line."""
    return re.sub(r"\s*\n", "\n", statement.strip())


def _write() -> None:
    folder = migrations.scripts_folder() / "newest"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as at:
        settings = Settings.of(data_root=Path(at) / "data")
        through_all_revisions(settings)
        (folder / "sqlite.sql").write_text(script(schema_of_sqlite(settings), "sqlite"), encoding="utf-8")
        postgres = Postgres(Path(at) / "postgresql", "newest")
        try:
            postgres.prepare_owner()
            # Nobody but who runs the server may make the extension, so that it is not among what is written down.
            url = postgres.create_empty()
            through_all_revisions(Settings.of(data_root=Path(at) / "data", db=db_of(url)))
            whole = script(schema_of_postgresql(postgres, url), "postgresql")
            (folder / "postgresql.sql").write_text(whole, encoding="utf-8")
        finally:
            postgres.stop("immediate")


if __name__ == "__main__":
    _write()
