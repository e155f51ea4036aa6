"""A start beside a database that is not there yet, as orchestrators start things in any order: wait, then serve or fail."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncGenerator, Generator, MutableMapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs
from tests.support.databases import db_of
from tests.support.pooling import pooled
from tests.support.postgres import Postgres
from tests.support.processes import START_SECONDS, WORKBENCH, ServerProcess
from tests.support.service import running_service

from workbench.wiring import migrations
from workbench.wiring.connecting import on_connection
from workbench.wiring.postgresql_connection import CONNECT_SECONDS
from workbench.wiring.settings import Settings

NOT_AT_ALL, SHORTLY, LONG = "0", "1", "60"


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder whose path is short enough for a socket."""
    with TemporaryDirectory() as name:
        yield Path(name)


def url_in(folder: Path, url: str) -> str:
    """The URL of the same database by way of the folder, whether or not anybody listens there."""
    return make_url(url).update_query_dict({"host": str(folder)}).render_as_string(hide_password=False)


Entry = MutableMapping[str, Any]


def waits(entries: Sequence[Entry]) -> list[Entry]:
    """Those that tell of waits."""
    return [entry for entry in entries if entry["event"] == "waiting for the database"]


class Started:
    """A command of the service, run as an operator would, with what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.said.append(line.decode())

    def waits(self) -> list[Entry]:
        """What the log tells of waits."""
        return waits([json.loads(line) for line in self.said if line.startswith("{")])

    async def has_waited(self) -> None:
        async with asyncio.timeout(START_SECONDS):
            while not self.waits():
                assert self.process.returncode is None, self.said
                await asyncio.sleep(0.02)

    async def end(self) -> int:
        async with asyncio.timeout(START_SECONDS):
            code = await self.process.wait()
            await self._reading
        return code


@contextlib.asynccontextmanager
async def started(
    tmp_path: Path, url: str, *command: str, seconds: str, **settings: str
) -> AsyncGenerator[tuple[Started, str]]:
    """Run a command; gives the address of a service as well."""
    server = ServerProcess(tmp_path / "data", url)
    port = server.url.rpartition(":")[2]
    environment = {**server.environment, "COLUMNS": "500"}
    given = {"DB__WAIT_SECONDS": seconds, "LOGGING__JSON_FORMAT": "true", "LOGGING__LOG_LEVEL": "INFO", **settings}
    environment |= {f"WORKBENCH__{name}": value for name, value in given.items()}
    server._reserved.release()
    process = await asyncio.create_subprocess_exec(
        *(WORKBENCH, *command),
        env=environment | {"WORKBENCH__SERVICE__PORT": port},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Started(process), server.url
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def is_ready(url: str) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"{url}/readyz")).status_code == 200
        except httpx.HTTPError:
            return False


async def ready(url: str) -> None:
    async with asyncio.timeout(START_SECONDS):
        while not await is_ready(url):  # noqa: ASYNC110 - every look is a call
            await asyncio.sleep(0.05)


async def test_a_service_waits_for_its_database_and_is_not_ready_meanwhile(
    postgres_url: str, folder: Path, tmp_path: Path
) -> None:
    url = url_in(folder, postgres_url)
    async with started(tmp_path, url, "serve", seconds=LONG) as (server, address):
        await server.has_waited()
        assert not await is_ready(address)
        async with pooled(postgres_url, folder):
            await ready(address)
        (first, *_) = server.waits()
        assert first["level"] == "warning"
        assert 50 <= first["seconds_left"] <= 60
        assert "cannot be reached" in first["reason"]


@pytest.mark.parametrize("command", [("serve",), ("db", "upgrade")])
async def test_who_has_waited_long_enough_says_so_and_fails(
    postgres_url: str, folder: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    async with started(tmp_path, url_in(folder, postgres_url), *command, seconds=SHORTLY) as (server, _):
        assert await server.end() == 8
        assert server.waits()
        words = " ".join("".join(server.said).replace("│", " ").split())
        assert "cannot be reached: [Errno 2] No such file or directory" in words
        assert "(waited for 1 s, WORKBENCH__DB__WAIT_SECONDS)" in words


async def test_who_waits_ends_at_once_when_told_to(postgres_url: str, folder: Path, tmp_path: Path) -> None:
    """By itself, as the first process of a container has to."""
    async with started(tmp_path, url_in(folder, postgres_url), "serve", seconds=LONG) as (server, _):
        await server.has_waited()
        server.process.terminate()
        assert await server.end() == 128 + signal.SIGTERM


async def test_who_is_not_answered_ends_at_once_when_told_to(postgres_url: str, folder: Path, tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            assert await reader.read(1)
            asked.set()
            await reader.read()

    async with (
        await asyncio.start_unix_server(say_nothing, folder / ".s.PGSQL.5432"),
        started(tmp_path, url_in(folder, postgres_url), "serve", seconds=LONG) as (server, _),
    ):
        await asyncio.wait_for(asked.wait(), START_SECONDS)
        # By then it has loaded the rest, and waits for the answer.
        await asyncio.sleep(2)
        begun = time.monotonic()
        server.process.terminate()
        assert await server.end() == 128 + signal.SIGTERM
        assert time.monotonic() - begun < CONNECT_SECONDS / 2


async def test_who_shall_not_wait_asks_a_database_that_hangs_up_only_once(
    postgres_url: str, folder: Path, tmp_path: Path
) -> None:
    asked = 0

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.close()

    async with (
        await asyncio.start_unix_server(hang_up, folder / ".s.PGSQL.5432"),
        started(tmp_path, url_in(folder, postgres_url), "serve", seconds=NOT_AT_ALL) as (server, _),
    ):
        assert await server.end() == 8
    assert asked == 1


async def test_what_the_database_refuses_is_not_waited_for(postgres_url: str, tmp_path: Path) -> None:
    missing = make_url(postgres_url).set(database="nowhere").render_as_string(hide_password=False)
    begun = time.monotonic()
    async with started(tmp_path, missing, "serve", seconds=LONG) as (server, _):
        assert await server.end() == 8
    assert time.monotonic() - begun < float(LONG) / 2
    assert server.waits() == []
    assert '"nowhere" does not exist' in " ".join(server.said)


async def test_replicas_wait_for_the_schema_that_another_step_brings(postgres_server: Postgres, tmp_path: Path) -> None:
    url = postgres_server.create_empty()
    given = {"DB__MIGRATE_AT_START": "false"}
    try:
        async with (
            started(tmp_path / "one", url, "serve", seconds=LONG, **given) as (one, of_one),
            started(tmp_path / "two", url, "serve", seconds=LONG, **given) as (two, of_two),
        ):
            await one.has_waited()
            await two.has_waited()
            assert "is at revision none, and this program needs" in one.waits()[0]["reason"]
            assert (await is_ready(of_one), await is_ready(of_two)) == (False, False)
            await asyncio.to_thread(migrations.upgrade, Settings.of(data_root=tmp_path, db=db_of(url)))
            await asyncio.gather(ready(of_one), ready(of_two))
    finally:
        postgres_server.drop(url)


async def test_a_schema_that_is_newer_will_do(postgres_server: Postgres, tmp_path: Path) -> None:
    url = postgres_server.create()
    try:
        await _rename_revision(url)
        async with started(tmp_path, url, "serve", seconds=NOT_AT_ALL, DB__MIGRATE_AT_START="false") as (_, address):
            await ready(address)
        async with started(tmp_path, url, "serve", seconds=NOT_AT_ALL) as (server, _):
            assert await server.end() == 2
            assert "newer program" in " ".join("".join(server.said).split())
    finally:
        postgres_server.drop(url)


async def _rename_revision(url: str) -> None:
    settings = Settings.of(db={**db_of(url), "url": db_of(url)["postgresql_owner_url"]})
    await on_connection(
        settings,
        lambda connection: (
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'of_tomorrow'"),
            connection.commit(),
        ),
    )


async def test_a_process_that_comes_while_the_database_is_away_waits_too(
    postgres_url: str, folder: Path, tmp_path: Path
) -> None:
    """As one of several workers does that takes the place of a dead one."""
    url = url_in(folder, postgres_url)
    with capture_logs() as logged:
        async with contextlib.AsyncExitStack() as stack:
            opening = asyncio.create_task(stack.enter_async_context(running_service(url, tmp_path / "data")))
            async with asyncio.timeout(START_SECONDS):
                while not waits(logged):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.02)
            assert not opening.done()
            await stack.enter_async_context(pooled(postgres_url, folder))
            service = await opening
            assert (await service.user("ann").get("/conversations")).status_code == 200
    assert len(waits(logged)) < float(LONG)


async def test_a_process_that_shall_not_wait_does_not(postgres_url: str, folder: Path, tmp_path: Path) -> None:
    db = {"wait_seconds": 0}
    with capture_logs() as logged, pytest.raises(RuntimeError, match="the server failed"):
        async with running_service(url_in(folder, postgres_url), tmp_path / "data", db=db):
            pass
    assert waits(logged) == []
