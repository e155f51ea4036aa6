"""A script that is run on PostgreSQL in one trip is run wholly, or not at all."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError
from tests.support.databases import db_of

from workbench.wiring.connecting import on_connection
from workbench.wiring.postgresql_connection import run_script
from workbench.wiring.settings import Settings

TWO_TABLES = "CREATE TABLE first (n integer);\n\nCREATE TABLE second (n integer);\n"

Run = Callable[[Callable[[Connection], None]], Awaitable[None]]


@pytest.fixture(params=["in no transaction", "in a transaction"])
def run(request: pytest.FixtureRequest, postgres_url: str) -> Run:
    """Run it on a connection that changes the schema, on which a transaction may have begun."""
    settings = Settings.of(db=db_of(postgres_url))

    def begun(act: Callable[[Connection], None], connection: Connection) -> None:
        if request.param == "in a transaction":
            connection.exec_driver_sql("SELECT 1")
        act(connection)

    return lambda act: on_connection(settings, lambda connection: begun(act, connection), writes=True)


def tables(connection: Connection) -> set[str]:
    return {"first", "second"} & set(inspect(connection).get_table_names())


async def test_all_of_it_is_there_afterwards(run: Run) -> None:
    def act(connection: Connection) -> None:
        run_script(connection, TWO_TABLES + "INSERT INTO first VALUES (1), (2)")
        connection.commit()
        assert tables(connection) == {"first", "second"}
        assert connection.exec_driver_sql("SELECT sum(n) FROM first").scalar_one() == 3

    await run(act)


async def test_one_that_fails_says_why_and_leaves_nothing(run: Run) -> None:
    def act(connection: Connection) -> None:
        with pytest.raises(DBAPIError, match="nowhere") as failed:
            run_script(connection, TWO_TABLES + "ALTER TABLE nowhere ADD COLUMN m integer")
        assert getattr(failed.value.orig, "sqlstate", None) == "42P01"
        connection.rollback()
        assert tables(connection) == set()

    await run(act)
