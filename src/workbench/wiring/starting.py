"""What a start waits for: a database that may be up later than we are, and a schema that others bring up to date."""

import asyncio
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from itertools import chain, repeat
from typing import TypeVar

import structlog

from workbench.domain.errors import UnavailableError
from workbench.wiring import migrations
from workbench.wiring.connecting import UNREACHABLE
from workbench.wiring.logs import configure_logging
from workbench.wiring.settings import Settings

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.5
MOST_PAUSE_SECONDS = 5.0
ENDED_BY_SIGNAL = 128
"""What a shell adds to the number of the signal that ended a command."""
MAY_COME = frozenset({UNREACHABLE, migrations.BEHIND})

logger = structlog.get_logger(__name__)


class Patience:
    """How long one start goes on waiting, from now on."""

    def __init__(self, settings: Settings) -> None:
        self._seconds = settings.db.wait_seconds
        self._ends = time.monotonic() + self._seconds
        self._pause = FIRST_PAUSE_SECONDS

    def mends(self, error: UnavailableError) -> bool:
        """Whether it may be otherwise a little later."""
        return bool(self._seconds) and error.error_code in MAY_COME

    def pause_after(self, error: UnavailableError) -> float:
        """Say how long to wait before the next try, and tell the log; raises the error where waiting mends nothing."""
        if not self.mends(error):
            raise error
        left = self._ends - time.monotonic()
        if left <= 0:
            detail = f"{error.detail} (waited for {self._seconds:g} s, WORKBENCH__DB__WAIT_SECONDS)"
            raise UnavailableError(detail, code=error.error_code) from error
        logger.warning("waiting for the database", reason=error.detail, seconds_left=round(left))
        pause, self._pause = min(self._pause, left), min(2 * self._pause, MOST_PAUSE_SECONDS)
        return pause


async def patiently(settings: Settings, act: Callable[[], Awaitable[T]]) -> T:
    """Do it, and again while the database is not there yet, as long as the settings say. Raises UnavailableError."""
    patience = Patience(settings)
    while True:
        try:
            return await act()
        except UnavailableError as error:
            pause = patience.pause_after(error)
        await asyncio.sleep(pause)


def when_there(settings: Settings, act: Callable[[], T]) -> T:
    """The same in a process that does nothing else yet, and so has not said either where its log goes."""
    patience = Patience(settings)
    with _ending_when_told_to():
        while True:
            try:
                return act()
            except UnavailableError as error:
                if patience.mends(error):
                    configure_logging(settings)
                pause = patience.pause_after(error)
            time.sleep(pause)


@contextmanager
def _ending_when_told_to() -> Generator[None]:
    """End on SIGTERM, also as the first process of a container, which the system ends for no signal that it ignores."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, _frame: object) -> None:
    raise SystemExit(ENDED_BY_SIGNAL + number)


@contextmanager
def prepared_meanwhile(settings: Settings) -> Generator[None]:
    """Bring the schema up to date, if that is wanted here, and make sure of it and of the service's role.

    Begins on a thread, while the block does something else, and is done when it is left; only then is a database waited
    for that is not there yet. Raises UnavailableError, ForbiddenError.
    """
    first = _Preparation(settings)
    first.start()
    yield
    tries = chain([first.result], repeat(partial(_prepare, settings)))

    def prepare() -> None:
        next(tries)()

    when_there(settings, prepare)


class _Preparation(threading.Thread):
    """A try to prepare the database. It is a daemon: whoever ends meanwhile does not wait for it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self._settings = settings
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            _prepare(self._settings)
        except Exception as error:  # noqa: BLE001 - raised to whoever asks for the result
            self._error = error

    def result(self) -> None:
        """Wait for its end, and raise what it failed of."""
        self.join()
        if self._error is not None:
            raise self._error


def _prepare(settings: Settings) -> None:
    if settings.needs_owner:
        # So that nothing is made by a role that cannot stay. Where an owner is named, the role may still be to be made.
        migrations.require_role(settings)
    if settings.db.migrate_at_start:
        migrations.upgrade(settings)
    else:
        migrations.require_schema(settings)
    migrations.require_role(settings)
