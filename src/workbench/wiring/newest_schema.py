"""A new database gets the newest schema as a whole, from a script, instead of going through what it was at each revision.

The scripts are what the revisions end with (`make schema` writes them from it, and a test holds them to it).
"""

from pathlib import Path

from sqlalchemy import Connection

BETWEEN = "\n\n"
"""What stands between two statements; there is none within one."""


def make_newest(connection: Connection, scripts: Path) -> None:
    """Make everything that the newest revision has, in a database that has nothing of ours; whoever calls it commits."""
    kind = connection.dialect.name
    script = (scripts / "newest" / f"{kind}.sql").read_text(encoding="utf-8")
    if kind == "postgresql":
        from workbench.wiring.postgresql_connection import run_script  # noqa: PLC0415 - SQLite does without what it loads

        run_script(connection, script)
        return
    # Python's way to run a script commits before it begins.
    for statement in script.split(BETWEEN):
        connection.exec_driver_sql(statement)
