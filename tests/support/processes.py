"""Real server processes, started by the console script, to be killed and started again."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
from tests.support.servers import ReservedPort

START_SECONDS = 60
WORKBENCH = str(Path(sys.executable).with_name("workbench"))


class ServerProcess:
    """`workbench serve` on a port of its own, which stays the same over restarts."""

    def __init__(
        self, folder: Path, database_url: str, *options: str, log: Path | None = None, **settings: str
    ) -> None:
        self._log = log
        self._reserved = ReservedPort()
        self.url = self._reserved.url
        self._options = options
        own = {name: value for name, value in os.environ.items() if not name.startswith("WORKBENCH__")}
        self.environment = {
            **own,
            # Where it is set, every start would compile everything anew, which takes longer than all else.
            "PYTHONDONTWRITEBYTECODE": "",
            "WORKBENCH__DATA_ROOT": str(folder),
            "WORKBENCH__DB__URL": database_url,
            "WORKBENCH__DB__POSTGRESQL_SSL_MODE": "disable",
            "WORKBENCH__LOGGING__LOG_LEVEL": "ERROR",
            **settings,
        }
        self._process: asyncio.subprocess.Process | None = None

    async def token(self, user: str = "ann") -> str:
        """A token by the command line."""
        command = [WORKBENCH, "token", "--user", user, "--name", user.title()]
        process = await asyncio.create_subprocess_exec(*command, env=self.environment, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        assert process.returncode == 0
        return output.decode().strip()

    async def start(self) -> None:
        """Start, and wait until it is ready."""
        self._reserved.release()
        port = str(self._reserved.number)
        with contextlib.ExitStack() as opened:
            log = opened.enter_context(self._log.open("ab")) if self._log else None
            self._process = await asyncio.create_subprocess_exec(
                *[WORKBENCH, "serve", "--port", port, *self._options],
                env=self.environment,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
            )
        async with httpx.AsyncClient() as client, asyncio.timeout(START_SECONDS):
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                assert self._process.returncode is None, "the server ended"
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """Kill it as a power cut would."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """Ask it to stop, and give its exit code."""
        return await self._end(signal.SIGTERM)

    def interrupt(self) -> None:
        """Press Ctrl+C."""
        self.tell(signal.SIGINT)

    async def _end(self, how: signal.Signals) -> int:
        self.tell(how)
        return await self.ended()

    def tell(self, what: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(what)

    async def ended(self) -> int:
        """Wait for its end, and give its exit code."""
        assert self._process is not None
        async with asyncio.timeout(20):
            return await self._process.wait()


@contextlib.asynccontextmanager
async def server_process(
    folder: Path, database_url: str, *options: str, log: Path | None = None, **settings: str
) -> AsyncGenerator[ServerProcess]:
    """Run a server, with these in its environment, and kill whatever is left of it at the end."""
    server = ServerProcess(folder, database_url, *options, log=log, **settings)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()
