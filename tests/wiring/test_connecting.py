"""Changes of PostgreSQL's schema, which are sent together: nobody can tell, but for the time that it takes."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError
from tests.support.databases import db_of

from workbench.wiring.connecting import on_connection
from workbench.wiring.settings import Settings

FIRST, SECOND = (f"CREATE TABLE {name} (n integer)" for name in ("first", "second"))
FAILING = "ALTER TABLE nowhere ADD COLUMN m integer"

Run = Callable[[Callable[[Connection], None]], Awaitable[None]]


@pytest.fixture
def run(postgres_url: str) -> Run:
    """Run it on a connection that changes the schema, within a transaction."""
    settings = Settings.of(db=db_of(postgres_url))

    def begun(act: Callable[[Connection], None], connection: Connection) -> None:
        connection.exec_driver_sql("SELECT 1")
        act(connection)

    return lambda act: on_connection(settings, lambda connection: begun(act, connection), writes=True)


def tables(connection: Connection) -> set[str]:
    return {"first", "second"} & set(inspect(connection).get_table_names())


async def test_what_was_changed_is_there_for_the_next_statement_and_stays(run: Run) -> None:
    def act(connection: Connection) -> None:
        connection.exec_driver_sql(FIRST)
        connection.exec_driver_sql(SECOND)
        connection.exec_driver_sql("INSERT INTO first VALUES (1), (2)")
        connection.exec_driver_sql("ALTER TABLE first ADD COLUMN m integer DEFAULT 7")
        assert connection.exec_driver_sql("SELECT sum(n), sum(m) FROM first").one() == (3, 14)
        connection.exec_driver_sql("DROP TABLE second")
        connection.commit()
        connection.rollback()
        assert tables(connection) == {"first"}

    await run(act)


async def test_a_change_that_fails_says_so_at_the_commit_and_leaves_nothing(run: Run) -> None:
    def act(connection: Connection) -> None:
        connection.exec_driver_sql(FIRST)
        connection.exec_driver_sql(FAILING)
        with pytest.raises(DBAPIError, match="nowhere"):
            connection.commit()
        connection.rollback()
        assert tables(connection) == set()

    await run(act)


async def test_what_is_rolled_back_is_not_sent_later(run: Run) -> None:
    def act(connection: Connection) -> None:
        connection.exec_driver_sql(FIRST)
        connection.rollback()
        connection.exec_driver_sql("SELECT 1")
        connection.exec_driver_sql(SECOND)
        connection.commit()
        assert tables(connection) == {"second"}

    await run(act)


async def test_in_a_savepoint_a_change_that_fails_says_so_at_once(run: Run) -> None:
    def act(connection: Connection) -> None:
        connection.exec_driver_sql(FIRST)
        with pytest.raises(DBAPIError, match="nowhere"), connection.begin_nested():
            connection.exec_driver_sql(FAILING)
        connection.exec_driver_sql(SECOND)
        connection.commit()
        assert tables(connection) == {"first", "second"}

    await run(act)
