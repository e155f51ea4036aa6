"""Posts at a steady rate, whatever the server does: who answers late is not asked less."""

import asyncio
import time
from collections.abc import Sequence

from benchmarks.client import Connection
from benchmarks.servers import Server
from benchmarks.words import say

Due = tuple[float, str, int]
"""When to send, the conversation, and the number in it."""


class Posted:
    """What became of the posts."""

    def __init__(self, conversations: Sequence[str]) -> None:
        self.tried = dict.fromkeys(conversations, 0)
        self.failures: list[str] = []
        self.stored: set[tuple[str, int]] = set()
        self.took: list[float] = []
        """Seconds from when a post was due to its answer."""


async def post_at_pace(
    server: Server, conversations: Sequence[str], rate: float, seconds: float, clients: int = 16
) -> Posted:
    """Post to the conversations in turn; those of one conversation go through one connection, so in order."""
    posted = Posted(conversations)
    queues: list[asyncio.Queue[Due | None]] = [asyncio.Queue() for _ in range(clients)]
    tasks = [asyncio.create_task(_post_all(server, queue, posted)) for queue in queues]
    begun = time.monotonic()
    for number in range(int(rate * seconds)):
        due = begun + number / rate
        if (early := due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        place = number % len(conversations)
        conversation = conversations[place]
        queues[place % clients].put_nowait((due, conversation, posted.tried[conversation]))
        posted.tried[conversation] += 1
    for queue in queues:
        queue.put_nowait(None)
    await asyncio.gather(*tasks)
    return posted


async def _post_all(server: Server, queue: "asyncio.Queue[Due | None]", posted: Posted) -> None:
    connection = await Connection(server.port, server.token).open()
    while (due := await queue.get()) is not None:
        at, conversation, number = due
        try:
            status, answer = await connection.request(
                "POST", f"/conversations/{conversation}/messages", {"content": say(number)}
            )
        except (OSError, asyncio.IncompleteReadError) as error:
            posted.failures.append(repr(error))
            connection.close()
            connection = await Connection(server.port, server.token).open()
            continue
        posted.took.append(time.monotonic() - at)
        if status < 300:
            posted.stored.add((conversation, number))
        else:
            posted.failures.append(f"{status} {answer[:200]!r}")
    connection.close()
