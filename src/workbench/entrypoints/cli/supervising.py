"""Several worker processes behind one socket, and the one that looks after them."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import contextlib
import signal
import socket

import rich_click as click
import structlog
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from workbench.entrypoints.cli.draining import START_SECONDS, DrainingServer, ServiceConfig
from workbench.wiring.measures import forget_process

logger = structlog.get_logger(__name__)

ENDING = {signal.SIGINT, signal.SIGTERM}


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
            logger.warning("a worker ended and was replaced", pid=process.pid, exit_code=process.exitcode)

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
