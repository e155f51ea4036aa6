"""Processes that take part in a measurement, each at the other end of a pipe."""

import contextlib
import multiprocessing
from collections.abc import Callable, Generator
from typing import Any, Protocol


class Pipe(Protocol):
    """One end of a pipe."""

    def send(self, obj: Any, /) -> None: ...

    def recv(self) -> Any: ...

    def fileno(self) -> int: ...


@contextlib.contextmanager
def spawned(target: Callable[..., None], *arguments: object) -> Generator[Pipe]:
    """Call the target with a pipe and the arguments in a process of its own, until the end of the block."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=target, args=(there, *arguments), daemon=True)
    process.start()
    # Ours alone now is the other's end: a process that dies is then the end of the pipe, rather than silence.
    there.close()
    try:
        yield here
    finally:
        process.terminate()
        process.join()
        here.close()
