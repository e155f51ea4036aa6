"""What commands that work on the database share: who gives them, the container, and how progress is shown."""

import asyncio
import contextlib
import getpass
import os
import signal
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import TypeVar

import rich_click as click
from dishka import Provider
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from workbench.domain.audit.model import Actor
from workbench.wiring.container import make_container
from workbench.wiring.settings import load_settings

S = TypeVar("S")
T = TypeVar("T")

EXIT_STOPPED = 128 + signal.SIGTERM
LINE_EVERY = 100
"""Without a terminal, a line is printed for so many steps."""


def operator() -> Actor:
    """Whoever gives the command, by their login on this machine."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        login = f"uid {os.getuid()}"
    return Actor(kind="operator", id=login)


def run(service: type[S], act: Callable[[S], Awaitable[T]], *providers: Provider) -> T:
    """Open the container that the settings describe, with these providers, and act with one of its services.

    Told to stop, the act is cancelled, so that it can take away what it has half done.
    """

    async def whole() -> T:
        _cancel_when_told_to_stop()
        async with opened(service, *providers) as it:
            return await act(it)

    try:
        return asyncio.run(whole())
    except asyncio.CancelledError:
        raise SystemExit(EXIT_STOPPED) from None


def _cancel_when_told_to_stop() -> None:
    task = asyncio.current_task()
    # Signals reach the main thread only; elsewhere whoever runs the thread looks after them.
    if task is not None and threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


@contextlib.asynccontextmanager
async def opened(service: type[S], *providers: Provider) -> AsyncGenerator[S]:
    """Open the container for the length of the block."""
    container = make_container(load_settings(), *providers)
    try:
        yield await container.get(service)
    finally:
        await container.close()


@contextlib.contextmanager
def progress(title: str, *, silent: bool) -> Generator[Callable[[str], None]]:
    """Show how far something is: a moving bar on a terminal, now and then a plain line elsewhere, on standard error.

    The block gets a function to be called at each step with words on how far it is.
    """
    console = Console(stderr=True)
    if silent or not console.is_terminal:
        yield _lines(title, silent=silent)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(title, total=None, words="")
        yield lambda words: shown.update(task, words=words)


@contextlib.contextmanager
def bar(*, silent: bool) -> Generator[Callable[[str, int, int | None], object]]:
    """Show on a terminal, on standard error, how far each stage is; nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    disabled = silent or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=disabled) as shown:
        task = shown.add_task("beginning", total=None)
        yield lambda stage, done, total: shown.update(task, description=stage, completed=done, total=total)


def _lines(title: str, *, silent: bool) -> Callable[[str], None]:
    steps = 0

    def step(words: str) -> None:
        nonlocal steps
        if not silent and steps % LINE_EVERY == 0:
            click.echo(f"{title}: {words}", err=True)
        steps += 1

    return step
