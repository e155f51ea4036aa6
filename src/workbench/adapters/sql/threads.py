"""Threads that coroutines have calls made on, such as those that wait for a disk.

An executor of the standard library makes a future of its own for each call, with a lock, and hands the outcome from one
future to the other. Here a call is one future and two messages (measured: 7 to 9 posts on SQLite more in a hundred).
"""

import asyncio
import contextlib
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")

SHUT_DOWN = "these threads were shut down"

Call = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[..., Any], tuple[Any, ...]]


class Threads:
    """So many threads, which take calls in the order in which they came; they are started by the first."""

    def __init__(self, count: int, name: str) -> None:
        self._calls = SimpleQueue[Call | None]()
        # Not waited for when the process ends, as an executor's are: whoever needs what is under way, shuts down.
        self._threads = [Thread(target=self._serve, name=f"{name}-{number}", daemon=True) for number in range(count)]
        self._has_started = False
        self._has_ended = False

    async def call(self, work: Callable[..., T], *arguments: Any) -> T:
        """Have the work done, and answer with what it returns or raises. Who is cancelled before it began calls it off.

        Raises RuntimeError where the threads were shut down.
        """
        if self._has_ended:
            raise RuntimeError(SHUT_DOWN)
        if not self._has_started:
            self._has_started = True
            for thread in self._threads:
                thread.start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._calls.put((loop, done, work, arguments))
        return await done

    def shut_down(self) -> None:
        """Wait until all calls are answered, and end the threads."""
        self._has_ended = True
        if not self._has_started:
            return
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()
        with contextlib.suppress(Empty):
            # Who came in the same moment must not wait for ever.
            while call := self._calls.get_nowait():
                _tell(call[0], _fail, call[1], RuntimeError(SHUT_DOWN))

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            _answer(*call)
            # What it was given lives no longer than the call.
            del call


def _answer(
    loop: asyncio.AbstractEventLoop,
    done: "asyncio.Future[Any]",
    work: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    if done.cancelled():
        return
    try:
        outcome = (_succeed, done, work(*arguments))
    except BaseException as error:  # noqa: BLE001 - whoever called gets it
        outcome = (_fail, done, error)
    _tell(loop, *outcome)
    # An error knows the frames that it passed, and so this one, which would know it in turn.
    del outcome, done


def _tell(loop: asyncio.AbstractEventLoop, how: Callable[..., None], done: "asyncio.Future[Any]", what: Any) -> None:
    # A loop that is closed has nobody left who waits.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(how, done, what)


def _succeed(done: "asyncio.Future[Any]", result: Any) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: "asyncio.Future[Any]", error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)
