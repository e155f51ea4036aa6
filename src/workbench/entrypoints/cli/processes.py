"""The demo's own processes: started, listened to, and ended with it."""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

import httpx
import rich_click as click

T = TypeVar("T")

START_SECONDS = 30.0
STOP_SECONDS = 10.0
# From a connection that breaks to the news that the process behind it is dead.
NEWS_SECONDS = 1.0
LINES_KEPT = 20
LONGEST_LINE_BYTES = 1 << 20


class Life(Protocol):
    """What goes on for as long as all is well."""

    async def run(self) -> NoReturn:
        """Go on. Raises when that ends, and says why."""
        ...


class Child:
    """A process of ours; what it prints tells when it is ready, and why it ended."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process
        self.url = ""
        self._last_lines: deque[str] = deque(maxlen=LINES_KEPT)

    async def says_where(self, words: str) -> None:
        """Wait for the line that has its URL behind these words. Raises ClickException when none comes."""
        try:
            async with asyncio.timeout(START_SECONDS):
                while (line := await self._next_line()) is not None:
                    if words in line:
                        self.url = line.partition(words)[2].split()[0]
                        return
        except TimeoutError:
            raise self._failure(f"is not ready after {START_SECONDS:g} s") from None
        raise await self._death()

    async def run(self) -> NoReturn:
        """Listen, so that it never waits for us. Raises ClickException when it ends, with what it said last."""
        while await self._next_line() is not None:
            pass
        raise await self._death()

    async def stop(self) -> None:
        """End it, kindly first; who cannot wait for that, has it killed."""
        if self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.process.communicate()
        except TimeoutError:
            await self._kill()
        except asyncio.CancelledError:
            await self._kill()
            raise

    async def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def _next_line(self) -> str | None:
        stream = self.process.stdout
        line = await stream.readline() if stream is not None else b""
        if not line:
            return None
        self._last_lines.append(line.decode(errors="replace").rstrip())
        return self._last_lines[-1]

    async def _death(self) -> click.ClickException:
        code = await self.process.wait()
        return self._failure(f"was ended by signal {-code}" if code < 0 else f"ended, with exit code {code}")

    def last_words(self) -> str:
        """Tell what it printed last."""
        return f"What {self.name} printed last:\n\n" + ("\n".join(self._last_lines) or "(nothing)")

    def _failure(self, what: str) -> click.ClickException:
        return click.ClickException(f"{self.name.capitalize()} {what}. {self.last_words()}")


@asynccontextmanager
async def child(name: str, command: Sequence[str], folder: Path, settings: dict[str, str]) -> AsyncGenerator[Child]:
    """Run a command, with none of the settings that the caller may have for another service."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**_surroundings(), **settings},
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=LONGEST_LINE_BYTES,
        # Ctrl-C is for the demo, which then ends its processes in good order.
        start_new_session=True,
    )
    started = Child(name, process)
    try:
        yield started
    finally:
        await started.stop()


async def while_alive(work: Coroutine[Any, Any, T], lives: Sequence[Life]) -> T:
    """Do the work. A life that ends before ends the work too, and is the reason given."""
    task = asyncio.create_task(work)
    living = [asyncio.create_task(life.run()) for life in lives]
    try:
        await asyncio.wait([task, *living], return_when=asyncio.FIRST_COMPLETED)
        if task.done() and isinstance(task.exception(), httpx.HTTPError):
            await asyncio.wait(living, timeout=NEWS_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for life in living:
            if life.done():
                life.result()
        return task.result()
    finally:
        for one in (task, *living):
            one.cancel()
        await asyncio.gather(task, *living, return_exceptions=True)


def _surroundings() -> dict[str, str]:
    """Our environment without our settings; what is on this machine is not asked for by way of a proxy."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("WORKBENCH__")}
    direct = ",".join(filter(None, (os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), "127.0.0.1")))
    return {**kept, "NO_PROXY": direct, "no_proxy": direct}
