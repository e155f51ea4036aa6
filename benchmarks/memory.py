"""The memory of a server over time, and how fast it grows."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from benchmarks.servers import Server

SAMPLE_SECONDS = 1.0
WARM_UP_SHARE = 0.2
"""Of the samples, the first are left out: caches fill, pools open."""

Sample = tuple[float, float]
"""Seconds, and MiB."""


def settled(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Leave the warm-up out."""
    return samples[int(len(samples) * WARM_UP_SHARE) :]


def slope_an_hour(samples: Sequence[Sample]) -> float:
    """By how many MiB memory grows in an hour: the line with the least squares through the samples.

    Raises ValueError where there are not two moments to lay a line through.
    """
    middle = sum(at for at, _ in samples) / max(len(samples), 1)
    spread = sum((at - middle) ** 2 for at, _ in samples)
    if not spread:
        raise ValueError("a slope needs samples of two moments")
    return 3600 * sum((at - middle) * mib for at, mib in samples) / spread


@asynccontextmanager
async def sampled(server: Server) -> AsyncGenerator[list[Sample]]:
    """Sample the server's own memory while the block runs."""
    samples: list[Sample] = []

    async def sample() -> None:
        while True:
            samples.append((time.monotonic(), server.own_memory_mib()))
            await asyncio.sleep(SAMPLE_SECONDS)

    task = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
