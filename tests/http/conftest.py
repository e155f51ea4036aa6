"""The service that the tests of the wire share: one on each kind of database, and each test in a part of its own.

To start a service takes some fifty times as long as to answer a request. What needs a service or a database for itself,
because it drains it, counts all rows or sees what other workspaces do, asks for `own_service`.
"""

import itertools
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.support.databases import copy_of_template
from tests.support.postgres import Postgres
from tests.support.service import Service, running_service

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service_on_sqlite(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service]:
    folder = tmp_path_factory.mktemp("shared")
    async with running_service(copy_of_template(sqlite_template, folder), folder / "data") as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service_on_postgresql(
    postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Service]:
    url = postgres_server.create()
    async with running_service(url, tmp_path_factory.mktemp("shared") / "data") as running:
        yield running
    postgres_server.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_service(request: pytest.FixtureRequest) -> Service:
    """The shared service; the test runs once on each kind of database."""
    return request.getfixturevalue(f"service_on_{request.param}")


@pytest.fixture
async def sqlite_service(service_on_sqlite: Service) -> AsyncGenerator[Service]:
    """The test's part of the shared service on SQLite, for what the wire says whatever the database."""
    part = service_on_sqlite.part(f"part-{next(_numbers)}")
    yield part
    await part.close()


@pytest.fixture
async def service(shared_service: Service) -> AsyncGenerator[Service]:
    """The test's part of the shared service, over real HTTP."""
    part = shared_service.part(f"part-{next(_numbers)}")
    yield part
    await part.close()
