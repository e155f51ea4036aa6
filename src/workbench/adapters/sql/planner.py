"""What SQLite's planner is told of our indexes, which on its own it takes to be about workspaces of ten rows each.

That is what SQLite assumes of the first column of any index that was never analysed. Nearly all of ours begin with the
workspace, and an embedded database often has a single one: to find a conversation by its id, SQLite would go through all
of its workspace. So it is told that a workspace is large, which holds for every database, also a new one that ANALYZE
would find nothing in.

https://www.sqlite.org/fileformat2.html#stat1tab says what the rows mean.
"""

from sqlalchemy import Connection

TABLE_ROWS = 1 << 20
"""How large SQLite takes a table to be that was never analysed."""
WORKSPACE_ROWS = TABLE_ROWS >> 4
"""A workspace is large, but not all there is: what is read of one as a whole is still found by an index."""
ROWS_BY_FURTHER_COLUMN = (10, 9, 8, 7, 6)
"""What SQLite assumes that an index's columns leave one after the other; then it is FEWEST_ROWS."""
FEWEST_ROWS = 5

_MADE_BY = "alembic_version"
"""Only ANALYZE can make the table of statistics, and this is the smallest there is to analyse."""
_IS_MADE = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'"
_TOLD = "SELECT tbl, idx, stat FROM sqlite_stat1"
# The primary key of a table without row ids goes by the table's name.
_INDEXES = """
    SELECT t.name, CASE WHEN i.origin = 'pk' AND t.sql LIKE '%WITHOUT ROWID%' THEN t.name ELSE i.name END,
           (SELECT count(*) FROM pragma_index_info(i.name)), i."unique", i.partial
    FROM sqlite_schema AS t, pragma_index_list(t.name) AS i
    WHERE t.type = 'table'
      AND (SELECT c.name FROM pragma_index_info(i.name) AS c WHERE c.seqno = 0) = 'workspace_id'
"""

Statistics = set[tuple[str, str, str]]
"""Table, index and how many rows it leaves, as SQLite writes it."""


def tell_planner(connection: Connection) -> None:
    """Write the statistics of the schema as it is now, where others are there; connections opened later go by them."""
    wanted = _wanted(connection)
    if _told(connection) == wanted:
        return
    if wanted:
        connection.exec_driver_sql(f"ANALYZE {_MADE_BY}")
        connection.exec_driver_sql("DELETE FROM sqlite_stat1")
        connection.exec_driver_sql("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", sorted(wanted))
    else:
        connection.exec_driver_sql("DROP TABLE sqlite_stat1")


def is_told(connection: Connection) -> bool:
    """Whether the statistics are those of the schema as it is now."""
    return _told(connection) == _wanted(connection)


def _told(connection: Connection) -> Statistics | None:
    is_made = connection.exec_driver_sql(_IS_MADE).scalar_one()
    return {(row[0], row[1], row[2]) for row in connection.exec_driver_sql(_TOLD)} if is_made else None


def _wanted(connection: Connection) -> Statistics | None:
    """Give what is to be there; None in a database without tables."""
    return {
        (table, index, _rows_left(columns, is_unique=bool(is_unique), is_partial=bool(is_partial)))
        for table, index, columns, is_unique, is_partial in connection.exec_driver_sql(_INDEXES)
    } or None


def _rows_left(columns: int, *, is_unique: bool, is_partial: bool) -> str:
    """Say how many rows there are, and how many each column of an index on the workspace leaves of them."""
    further = (*ROWS_BY_FURTHER_COLUMN, *[FEWEST_ROWS] * columns)[: columns - 1]
    rows = TABLE_ROWS // 2 if is_partial else TABLE_ROWS
    left = [rows, WORKSPACE_ROWS, *further]
    if is_unique:
        left[-1] = 1
    # To skip to each workspace by itself is no good where one has most rows.
    return " ".join([*map(str, left), "noskipscan"])
