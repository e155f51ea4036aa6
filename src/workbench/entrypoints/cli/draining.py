"""A server that lets those finish whom it has taken in before it ends."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Awaitable
from types import FrameType
from typing import Any, Protocol

import rich_click as click
import structlog
import uvicorn

from workbench.entrypoints.cli.staying import made_to_stay
from workbench.entrypoints.http.patience import PatientProtocol
from workbench.wiring.logs import configure_logging
from workbench.wiring.settings import Settings

logger = structlog.get_logger(__name__)

START_SECONDS = 60.0
KEEP_ALIVE_SECONDS = 75
"""How long an idle connection is kept: longer than balancers keep theirs, most of them for 60 seconds, and HTTP clients. Who
closes first may do so while the other is sending a request, which then fails."""
GIVE_WAY_SECONDS = 0.001
"""How long the event loop may hold the interpreter's lock while a thread waits for it. SQLite's writer does so twice a commit,
and while it waits everybody does: with Python's own five milliseconds there are a sixth fewer posts from sixteen clients."""
LOOK_SECONDS = 0.1
"""How often a server that waits looks whether it still should."""
LEAVE_SECONDS = 1.0
"""How long who was cut off has to notice."""
# Of the time to drain, what streams may take to say goodbye; requests in flight have the rest.
GOODBYE_SHARE = 0.5


class Draining(Protocol):
    """What the application offers on `app.state.drain`."""

    async def begin(self) -> None:
        """Turn readiness off and end every stream with a hint to reconnect."""
        ...

    def hurry(self) -> None:
        """Cut short what else is under way."""
        ...


class ServiceConfig(uvicorn.Config):
    """uvicorn's configuration for our application; it is sent to worker processes, which build it there."""

    def __init__(self, settings: Settings, *, workers: int, announcement: str) -> None:
        """Keep what a worker needs; `announcement` is printed once the first is ready."""
        self.settings = settings
        self.worker_count = workers
        self.announcement = announcement
        self.drain: Draining | None = None
        super().__init__(
            "workbench.entrypoints.http.app:create_app",
            factory=True,
            loop="asyncio" if sys.platform == "win32" else "uvloop",
            http=PatientProtocol,
            ws="none",
            lifespan="on",
            workers=workers,
            access_log=False,
            server_header=False,
            # Nothing asks for the caller's address or scheme.
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_worker_healthcheck=int(START_SECONDS),
        )

    def configure_logging(self) -> None:
        """Log as the settings say, in the parent and in each worker."""
        configure_logging(self.settings)

    def load_app(self) -> Any:
        """Build the application, and remember how to drain it."""
        sys.setswitchinterval(GIVE_WAY_SECONDS)
        with made_to_stay():
            from workbench.entrypoints.http.app import create_app  # noqa: PLC0415 - who only looks after workers does without

            app = create_app(self.settings)
        self.drain = app.state.drain
        return lambda: app


class DrainingServer(uvicorn.Server):
    """A server that says goodbye before it closes its connections, all within the time to drain."""

    def __init__(self, config: ServiceConfig) -> None:
        """Serve the application of the configuration."""
        super().__init__(config)
        self.service = config
        self.is_hurried = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End; told again by Ctrl+C, wait for nobody."""
        self.is_hurried = self.is_hurried or (self.should_exit and sig == signal.SIGINT)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that this is the end, end streams, then let requests in flight finish.

        Who is still here when the time to drain is over, or when Ctrl+C comes once more, is cut off.
        """
        times = self.service.settings.service
        hurrying = asyncio.create_task(self._hurry())
        noticed = asyncio.create_task(asyncio.sleep(times.drain_delay_seconds))
        began = time.monotonic()
        if self.service.drain is not None:
            await self._patiently(self.service.drain.begin(), times.drain_seconds * GOODBYE_SHARE)
        if not noticed.done():
            # Who connects before a load balancer has looked is served; refusing begins behind this.
            await self._patiently(noticed, times.drain_delay_seconds)
            began = time.monotonic()
        left = began + times.drain_seconds - time.monotonic()
        over = asyncio.get_running_loop().call_later(left, self._end_waiting)
        await super().shutdown(sockets)
        over.cancel()
        if self.force_exit:
            await self._cut_off()
            await self.lifespan.shutdown()
        hurrying.cancel()
        # uvicorn would raise the signal once more; a service that has drained did what it was told.
        self._captured_signals.clear()

    async def _patiently(self, what: Awaitable[None], seconds: float) -> None:
        """Wait for it so long at most, and no more once in a hurry."""
        waiting = asyncio.ensure_future(what)
        end = time.monotonic() + seconds
        while not (waiting.done() or self.is_hurried) and (left := end - time.monotonic()) > 0:
            await asyncio.wait({waiting}, timeout=min(left, LOOK_SECONDS))
        waiting.cancel()
        await asyncio.wait({waiting})
        if not waiting.cancelled():
            waiting.result()

    async def _hurry(self) -> None:
        """Once in a hurry, have the application end what it gives time to by itself."""
        while not self.is_hurried:  # noqa: ASYNC110 - a signal sets it, between any two lines
            await asyncio.sleep(LOOK_SECONDS)
        if self.service.drain is not None:
            self.service.drain.hurry()

    def _end_waiting(self) -> None:
        self.force_exit = True

    async def _cut_off(self) -> None:
        """End every request as if its client had left, and what does not notice by itself."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        if tasks := set(self.server_state.tasks):
            logger.warning("requests were cut off", requests=len(tasks))
            _, deaf = await asyncio.wait(tasks, timeout=LEAVE_SECONDS)
            for task in deaf:
                task.cancel()
            await asyncio.wait(tasks, timeout=LEAVE_SECONDS)


class SingleServer(DrainingServer):
    """The only server, which says itself that it is ready."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then announce."""
        await super().startup(sockets)
        if self.started:
            click.echo(self.service.announcement)
