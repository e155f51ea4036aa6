"""One connection to RabbitMQ, kept up: made again when it is lost, and given up when it only seems to be there.

The library's own way of connecting again is not used: its channels declare anew every exchange they ever saw, so that
a topic that was deleted would come back as soon as somebody publishes to it.
"""

import asyncio
import contextlib
import random
import time
from typing import Literal

import aio_pika
import msgspec
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelNotFoundEntity,
    InvalidFrameError,
    ProbableAuthenticationError,
)

from workbench.domain.bus.errors import BusError, BusUnavailableError
from workbench.domain.bus.ports import BusMeter

FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 15.0
CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 2.0
LOOK_SECONDS = 0.5
GLANCE_SECONDS = 0.05

Role = Literal["publish", "consume"]
Cause = Literal["closed", "probe", "blocked"]

AWAY = (AMQPError, OSError, RuntimeError, asyncio.TimeoutError)
"""What the library raises, one way or another, where a connection or a channel is gone."""

REFUSALS = (AuthenticationError, ProbableAuthenticationError, InvalidFrameError)
"""What it raises where the broker lets us not in; the last where it closes the door instead of opening the virtual host."""

logger = structlog.get_logger(__name__)


class RabbitTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How patient a connection is, and how long queues may be."""

    heartbeat_seconds: int = 60
    probe_seconds: float = 20.0
    probe_patience_seconds: float = 10.0
    blocked_seconds: float = 300.0
    blocked_notice_seconds: float = 5.0
    queue_length: int = 10_000
    replies_length: int = 20_000


async def ended(task: "asyncio.Task[None]") -> None:
    """End a task. The library in between may swallow a cancellation, so that it can take more than one."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=LOOK_SECONDS)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.warning("a task of the bus had failed", reason=str(error) or type(error).__name__)


class RefusedError(BusError):
    """The broker does not let us in, and will not by trying again."""


class RabbitLink:
    """A connection in one role."""

    def __init__(self, role: Role, url: str, times: RabbitTimes, meter: BusMeter) -> None:
        self._role = role
        self._url = url
        self._times = times
        self._meter = meter
        self._connection: AbstractConnection | None = None
        self._up = asyncio.Event()
        self._blocked_since: float | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def is_up(self) -> bool:
        """Whether it is there."""
        return self._up.is_set()

    @property
    def is_blocked(self) -> bool:
        """Whether the broker has taken nothing for so long that nothing more should be given to it."""
        since = self._blocked_since
        return since is not None and time.monotonic() - since >= self._times.blocked_notice_seconds

    async def start(self) -> None:
        """Connect, and keep it so. A broker that is away is waited for; raises RefusedError where it refuses us."""
        first: AbstractConnection | None = None
        try:
            first = await self._connect()
        except REFUSALS as error:
            raise RefusedError("RabbitMQ refuses the user, the password or the virtual host") from error
        except AWAY as error:
            logger.warning("RabbitMQ is away", role=self._role, reason=str(error) or type(error).__name__)
        self._keeping = asyncio.create_task(self._keep(first))

    async def channel(self, *, confirms: bool = False) -> AbstractChannel:
        """Open a channel. Raises BusUnavailableError."""
        connection = self._connection
        if connection is None:
            raise BusUnavailableError("there is no connection to RabbitMQ")
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
        except AWAY as error:
            raise BusUnavailableError("the connection to RabbitMQ was lost") from error

    async def has_queue(self, name: str) -> bool:
        """Whether there is such a queue. Asked on a channel of its own, which a no closes."""
        channel = await self.channel()
        try:
            await channel.declare_queue(name, passive=True)
        except ChannelNotFoundEntity:
            return False
        await channel.close()
        return True

    async def wait_until_up(self) -> None:
        """Return when it is there."""
        await self._up.wait()

    async def _connect(self) -> AbstractConnection:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await aio_pika.connect(self._url, heartbeat=self._times.heartbeat_seconds)

    async def _keep(self, connection: AbstractConnection | None) -> None:
        wait = FIRST_BACKOFF_SECONDS
        cause: Cause | None = None
        while True:
            if connection is None:
                try:
                    connection = await self._connect()
                except AWAY as error:
                    logger.info("RabbitMQ is away", role=self._role, reason=str(error) or type(error).__name__)
                    await asyncio.sleep(wait * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load
                    wait = min(wait * 2, MAX_BACKOFF_SECONDS)
                    continue
            wait = FIRST_BACKOFF_SECONDS
            if cause is not None:
                self._meter.reconnected(self._role, cause)
            cause = await self._use(connection)
            connection = None
            logger.warning("the connection to RabbitMQ is lost", role=self._role, cause=cause)

    async def _use(self, connection: AbstractConnection) -> Cause:
        """Let it be used until it is lost; says why it was."""
        lost = asyncio.Event()

        def closed(*_: object) -> None:
            lost.set()

        connection.close_callbacks.add(closed)
        self._connection = connection
        self._up.set()
        self._meter.connection(self._role, is_up=True)
        try:
            return await self._watch(connection, lost)
        finally:
            self._up.clear()
            self._connection = None
            self._notice_block(None)
            self._meter.connection(self._role, is_up=False)
            with contextlib.suppress(*AWAY):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await connection.close()

    async def _watch(self, connection: AbstractConnection, lost: asyncio.Event) -> Cause:
        """Look again and again: a block is told to the library alone, and a silent cut to nobody."""
        probed_at = time.monotonic()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await lost.wait()
            if lost.is_set() or connection.is_closed:
                return "closed"
            if await self._is_ready(connection):
                self._notice_block(None)
            else:
                since = self._blocked_since or time.monotonic()
                self._notice_block(since)
                if time.monotonic() - since > self._times.blocked_seconds:
                    return "blocked"
                continue
            if time.monotonic() - probed_at >= self._times.probe_seconds:
                if not await self._answers(connection):
                    return "probe"
                probed_at = time.monotonic()

    async def _is_ready(self, connection: AbstractConnection) -> bool:
        transport = connection.transport
        if transport is None:
            return False
        try:
            async with asyncio.timeout(GLANCE_SECONDS):
                await transport.ready()
        except TimeoutError:
            return False
        return True

    async def _answers(self, connection: AbstractConnection) -> bool:
        try:
            async with asyncio.timeout(self._times.probe_patience_seconds):
                channel = await connection.channel(publisher_confirms=False)
                await channel.close()
        except AWAY:
            return False
        return True

    def _notice_block(self, since: float | None) -> None:
        if (since is None) != (self._blocked_since is None) and self._role == "publish":
            self._meter.blocked(is_blocked=since is not None)
        self._blocked_since = since

    async def close(self) -> None:
        """Let go."""
        if self._keeping is not None:
            await ended(self._keeping)
            self._keeping = None
