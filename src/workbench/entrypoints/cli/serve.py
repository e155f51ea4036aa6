"""`workbench serve`: the HTTP service, alone or in several worker processes, which drain before they stop."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import asyncio
import contextlib
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
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from workbench.entrypoints.cli.staying import imported_to_stay, made_to_stay
from workbench.entrypoints.http.corked import CorkedProtocol
from workbench.wiring.local_tokens import require_local_key
from workbench.wiring.logs import configure_logging
from workbench.wiring.measures import forget_process, measured_together
from workbench.wiring.settings import Settings, load_settings
from workbench.wiring.starting import prepared_meanwhile

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
ENDING = {signal.SIGINT, signal.SIGTERM}
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
            http=CorkedProtocol,
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


class Worker(Process):
    """A worker process with a draining server in it."""

    def __init__(self, config: ServiceConfig, sockets: list[socket.socket]) -> None:
        """Prepare the process; `start` begins it."""
        super().__init__(config, sockets)
        self.service = config

    def start(self) -> None:
        """Start the process, and leave its end of the pipe to it alone: then a read ends where the process has died."""
        super().start()
        self.child_conn.close()

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, in the worker process itself."""
        self.parent_conn.close()
        self._server = DrainingServer(self.service)
        super().target(sockets)

    def always_pong(self) -> None:
        """Answer the supervisor as long as it is there, and drain when it is gone: nobody else would end or replace this."""
        with contextlib.suppress(EOFError, OSError):
            super().always_pong()
        self.server.should_exit = True


class Supervisor(Multiprocess):
    """uvicorn's supervisor over our workers: it replaces those that die."""

    def __init__(self, config: ServiceConfig, sockets: list[socket.socket]) -> None:
        """Prepare; `run` starts the workers and returns when all have ended."""
        super().__init__(config, sockets)
        self.service = config
        self.was_ready = False
        self.has_failed = False

    def init_processes(self) -> None:
        """Start the workers and announce them when the first is ready."""
        self.processes = [self._started() for _ in range(self.service.worker_count)]
        self.was_ready = any(process.wait_until_ready(START_SECONDS) for process in self.processes)
        if self.was_ready:
            click.echo(self.service.announcement)

    def keep_subprocess_alive(self) -> None:
        """Replace workers that died or hang; give up when one cannot even start."""
        for index, process in enumerate(self.processes):
            if process.is_alive(self.config.timeout_worker_healthcheck):
                continue
            process.kill()
            process.join()
            forget_process(process.pid)
            if process.exitcode == STARTUP_FAILURE or not self.was_ready:
                self.has_failed = True
                self.should_exit.set()
                return
            self.processes[index] = self._started()

    def restart_all(self) -> None:
        """Replace the workers one after the other (SIGHUP), until told to end."""
        for index, old in enumerate(self.processes):
            if not ENDING.isdisjoint(self.signal_queue):
                return
            new = self._started()
            if not new.wait_until_ready(START_SECONDS, self.should_exit):
                new.kill()
                new.join()
                return
            old.terminate()
            old.join()
            forget_process(old.pid)
            self.processes[index] = new

    def handle_ttin(self) -> None:
        """Add a worker (SIGTTIN)."""
        self.processes_num += 1
        self.processes.append(self._started())

    def handle_ttou(self) -> None:
        """Take a worker away (SIGTTOU), but never the last."""
        last = self.processes[-1]
        super().handle_ttou()
        if last not in self.processes:
            forget_process(last.pid)

    def _started(self) -> Worker:
        worker = Worker(self.service, self.sockets)
        worker.start()
        return worker


@click.command()
@click.option("--host", help="Address to listen on. [default: WORKBENCH__SERVICE__HOST, 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0: a free one. [default: WORKBENCH__SERVICE__PORT, 3000]")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Worker processes.")
def serve(host: str | None, port: int | None, workers: int) -> None:
    """Run the service until it is told to stop (SIGTERM or Ctrl+C); then drain. Ctrl+C once more ends it at once."""
    given = {"host": host, "port": port}
    settings = load_settings(service={name: value for name, value in given.items() if value is not None})
    settings.require_safe_address()
    with _listen(settings) as listening:
        settings = _with_port(settings, listening.getsockname()[1])
        require_local_key(settings)
        with prepared_meanwhile(settings):
            if workers == 1:
                imported_to_stay("workbench.entrypoints.http.app")
        settings = _prepared(settings)
        _run(ServiceConfig(settings, workers=workers, announcement=_announcement(settings)), [listening])


def _prepared(settings: Settings) -> Settings:
    """Let workers find the schema as it is: it was looked after once, before any of them starts."""
    return settings.model_copy(update={"db": settings.db.model_copy(update={"migrate_at_start": False})})


def _run(config: ServiceConfig, sockets: list[socket.socket]) -> None:
    if config.worker_count > 1:
        with measured_together():
            supervisor = Supervisor(config, sockets)
            supervisor.run()
        has_failed = supervisor.has_failed
    else:
        has_failed = _run_alone(config, sockets) == STARTUP_FAILURE
    if has_failed:
        raise click.ClickException("The service could not start; the log says why.")


def _run_alone(config: ServiceConfig, sockets: list[socket.socket]) -> int:
    try:
        SingleServer(config).run(sockets)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.service.host.strip("[]"), settings.service.port
    try:
        return _bound(host, port)
    except OSError as error:
        remedy = "Choose another with --host and --port, or WORKBENCH__SERVICE__HOST and WORKBENCH__SERVICE__PORT."
        raise click.ClickException(f"Cannot listen on {host} port {port}: {error.strerror}. {remedy}") from error


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    listening.set_inheritable(True)
    return listening


def _with_port(settings: Settings, port: int) -> Settings:
    return settings.model_copy(update={"service": settings.service.model_copy(update={"port": port})})


def _announcement(settings: Settings) -> str:
    host = settings.service.host.strip("[]")
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{settings.service.port}"
    return f"Workbench is serving on {address} ({settings.database_kind}, {settings.service.assistant_keys} mode)"
