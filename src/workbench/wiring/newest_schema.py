"""A new database gets the newest schema as a whole, from a script, instead of going through what it was at each revision.

The scripts are what the revisions end with (`make schema` writes them from it, and a test holds them to it).
"""

from pathlib import Path

from sqlalchemy import Connection

BETWEEN = "\n\n"
"""What stands between two statements; there is none within one."""


def make_newest(connection: Connection, scripts: Path) -> None:
    """Make everything that the newest revision has, in a database that has nothing of ours; whoever calls it commits."""
    script = (scripts / "newest" / f"{connection.dialect.name}.sql").read_text(encoding="utf-8")
    for statement in script.split(BETWEEN):
        connection.exec_driver_sql(statement)
