"""What all tests share: databases of both kinds, and the running service on either."""

import gc
import os
import signal
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
import structlog
from tests.support.buses import BusBench, in_process_bench, rabbit_bench
from tests.support.databases import Store, copy_of_template, open_store
from tests.support.postgres import Postgres
from tests.support.rabbitmq import Broker, shared_broker
from tests.support.service import Service, running_service

from workbench.wiring import migrations
from workbench.wiring.settings import Settings

# As the service itself does. What structlog does unasked draws each frame of a trace with its variables, for seconds.
structlog.configure(
    processors=[
        structlog.stdlib.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)
# A shell has what runs in its background ignore Ctrl+C; the programs that tests start and interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Tests call nobody outside. Without this every service, client and process that they start, also those that start
# processes of their own, reads the certificates of all authorities, which takes longer than most tests.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "support" / "authority.pem")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    folder = tmp_path_factory.mktemp("sqlite")
    migrations.upgrade(Settings.of(data_root=folder))
    path = folder / "workbench.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


@pytest.fixture(scope="session")
def postgres_folder(testrun_uid: str) -> Path:
    """Where the run's one PostgreSQL server keeps its data, the same for all test processes.

    Not below pytest's own folder, which another run on the machine may clear away.
    """
    folder = Path(tempfile.gettempdir()) / f"workbench-tests-{testrun_uid}"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def postgres_server(postgres_folder: Path, worker_id: str) -> Postgres:
    """The server, with a migrated template database."""
    server = Postgres(postgres_folder, worker_id)
    server.prepare()
    return server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of the test's own; the test runs once on each kind."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Generator[str]:
    """A migrated PostgreSQL database, for what only it can show."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite database, for what only it can show."""
    return copy_of_template(sqlite_template, tmp_path)


@pytest.fixture
async def store(database_url: str) -> AsyncGenerator[Store]:
    """Transactions on the database, with a clock that stands still."""
    async with open_store(database_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def broker(testrun_uid: str, worker_id: str) -> Generator[Broker]:
    """The run's one RabbitMQ."""
    with shared_broker(Path(tempfile.gettempdir()) / f"workbench-rabbit-{testrun_uid}", worker_id) as running:
        yield running


@pytest.fixture
def rabbit_url(broker: Broker, worker_id: str) -> str:
    """A virtual host of this test process's own."""
    return broker.url(worker_id)


@pytest.fixture(params=["in-process", "rabbitmq"])
async def bench(request: pytest.FixtureRequest) -> AsyncGenerator[BusBench]:
    """A bus; the test runs once on each kind."""
    if request.param == "in-process":
        async with in_process_bench() as opened:
            yield opened
    else:
        async with rabbit_bench(request.getfixturevalue("rabbit_url")) as opened:
            yield opened


@pytest.fixture
async def own_service(database_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    """The whole service over real HTTP, on a database of the test's own."""
    async with running_service(database_url, tmp_path / "data") as running:
        yield running


@pytest.fixture
def service(own_service: Service) -> Service:
    """The whole service over real HTTP; some folders share one."""
    return own_service


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while everything is imported, pass over what is loaded by then, and come by less often."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        gc.enable()
