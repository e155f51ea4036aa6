"""Writes `migrations/newest/`: the schema as the revisions leave it, for databases that have nothing yet.

`python -m tests.support.newest_schema` (`make schema`) goes through all revisions on both databases, and writes down what
is there then. What hangs on the database's version cannot be read off: it is written by hand, at the end of each script.
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

HEAD = (
    "-- What revision {} has, for a database that has nothing. `make schema` writes it, to where it is by hand.\n"
    "-- Blank lines part statements.\n"
)
AT = "INSERT INTO alembic_version (version_num) VALUES ('{}');"
BY_HAND = "-- By hand:"
"""Begins the line behind which nothing is read off a database: what hangs on its version."""

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
    """Write the script that makes it in an empty database; what was written by hand at its end stays."""
    at = migrations.head()
    _, mark, by_hand = place_of(kind).read_text(encoding="utf-8").partition(BY_HAND)
    return HEAD.format(at) + BETWEEN.join([*statements, AT.format(at), mark + by_hand])


def place_of(kind: str) -> Path:
    """Say where the script for this kind of database stands."""
    return migrations.scripts_folder() / "newest" / f"{kind}.sql"


def _as_text(found: re.Match[str]) -> str:
    return f"ARRAY[{found[1].replace('::character varying', '::text')}]"


def _tidied(statement: str) -> str:
    """Write it without blank lines, and without blanks before the end of a line."""
    return re.sub(r"\s*\n", "\n", statement.strip())


def _write() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as at:
        settings = Settings.of(data_root=Path(at) / "data")
        through_all_revisions(settings)
        place_of("sqlite").write_text(script(schema_of_sqlite(settings), "sqlite"), encoding="utf-8")
        postgres = Postgres(Path(at) / "postgresql", "newest")
        try:
            postgres.prepare_owner()
            # Nobody but who runs the server may make the extension, so that it is not among what is written down.
            url = postgres.create_empty()
            through_all_revisions(Settings.of(data_root=Path(at) / "data", db=db_of(url)))
            whole = script(schema_of_postgresql(postgres, url), "postgresql")
            place_of("postgresql").write_text(whole, encoding="utf-8")
        finally:
            postgres.stop("immediate")


if __name__ == "__main__":
    _write()
