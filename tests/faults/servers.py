"""Servers that start in no time: each is forked from a process that has everything loaded, and is then its own.

Hundreds of starts would otherwise be mostly the reading of libraries.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import httpx
from tests.faults.launcher import serve
from tests.support.servers import ReservedPort

START_SECONDS = 60
LOOK_SECONDS = 0.02

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.faults.launcher"])


def begin(environment: Mapping[str, str], log: Path, port: int) -> None:
    """Be the server."""
    os.environ.update(environment)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    serve(port)


class ForkedServer:
    """A server on a port of its own, which stays the same over restarts."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self._environment = dict(environment)
        self._reserved = ReservedPort()
        self.url = self._reserved.url
        self._process: ForkServerProcess | None = None

    @property
    def pid(self) -> int:
        """The process, which has been started."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it has been started, and is no more."""
        return self._process is not None and self._process.exitcode is not None

    async def start(self) -> None:
        """Start, and wait until it is ready. Raises RuntimeError where it ends instead."""
        self._reserved.release()
        self._process = FORKS.Process(target=begin, args=(self._environment, self.log, self._reserved.number))
        self._process.start()
        async with httpx.AsyncClient(verify=False) as client, asyncio.timeout(START_SECONDS):
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                if self.has_ended:
                    raise RuntimeError(f"the server ended; see {self.log}")
                await asyncio.sleep(LOOK_SECONDS)

    async def kill(self) -> None:
        """Kill it as a power cut would."""
        if not self.has_ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        while not self.has_ended:  # noqa: ASYNC110 - a process says nothing
            await asyncio.sleep(LOOK_SECONDS)
