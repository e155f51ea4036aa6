"""What goes on while faults happen: people post, streams are followed, an assistant answers in a turn."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
from tests.faults.outside import Outside
from tests.faults.records import Post, Stream, Turn
from tests.support.service import Stream as Frames

RETRY_SECONDS = 0.05
BREATH_SECONDS = 0.015
"""Between two messages of one person, so that servers that start get their share of a small machine."""
DELTA_SECONDS = 0.02


class Poster:
    """Posts one message after the other. With ids of its own it repeats each until it is acknowledged."""

    def __init__(self, outside: Outside, conversation: str, who: str, *, repeats: bool, size: int = 0) -> None:
        self._outside = outside
        self._conversation = conversation
        self._who = who
        self._repeats = repeats
        self._filling = "x" * size
        self.posts: list[Post] = []
        self.is_ending = False

    async def run(self) -> None:
        """Post until told to end; the last one is seen through."""
        while not self.is_ending:
            content = f"{self._who}-{len(self.posts)}{self._filling}"
            post = Post(self._conversation, self._who, content)
            self.posts.append(post)
            body: dict[str, Any] = {"content": post.content}
            path = f"/conversations/{self._conversation}/messages"
            if self._repeats:
                await self._outside.insist("POST", path, json={**body, "id": str(uuid4())})
                post.acknowledged = True
            elif await self._outside.try_once("POST", path, json=body) is not None:
                post.acknowledged = True
            await asyncio.sleep(BREATH_SECONDS)


class Follower:
    """Follows a stream through every break, from where it was. One that rests reads nothing for a while."""

    def __init__(self, outside: Outside, path: str, stream: Stream) -> None:
        self._outside = outside
        self._path = path
        self.stream = stream
        self.times_behind = 0
        """How often the service let it go because it was too slow."""
        self.may_read = asyncio.Event()
        self.may_read.set()

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            with contextlib.suppress(httpx.HTTPError, StopAsyncIteration):
                last = self.stream.seen[-1][0] if self.stream.seen else self.stream.begins
                async with self._outside.stream(self._path, last) as response:
                    await self._read(Frames(response))
            await self.may_read.wait()
            await asyncio.sleep(RETRY_SECONDS)

    async def _read(self, frames: Frames) -> None:
        try:
            while True:
                event = await frames.next()
                self.stream.seen.append((int(event.id), _content_of(event.data)))
                await self.may_read.wait()
        finally:
            self.times_behind += any("fell behind" in comment for comment in frames.comments)


class TurnWatcher:
    """Watches a turn to its end, through every break."""

    def __init__(self, outside: Outside, path: str, turn: Turn) -> None:
        self._outside = outside
        self._path = path
        self._turn = turn

    async def run(self) -> None:
        """Watch until the turn has ended."""
        ended = False
        while not ended:
            with contextlib.suppress(httpx.HTTPError, StopAsyncIteration):
                last = self._turn.watched[-1][0] if self._turn.watched else 0
                async with self._outside.stream(f"{self._path}/stream", last) as response:
                    frames = Frames(response)
                    while not ended:
                        event = await frames.next()
                        if not event.id:
                            continue  # it only says how soon to come back
                        delta = event.data.get("delta") if event.name == "text.delta" else None
                        self._turn.watched.append((int(event.id), delta))
                        ended = event.name == "turn.finalized"
            await asyncio.sleep(0 if ended else RETRY_SECONDS)


class Producer:
    """An assistant that answers in a turn, word by word, and repeats each batch until it is taken."""

    def __init__(self, outside: Outside, path: str, turn: Turn) -> None:
        self._outside = outside
        self._path = path
        self._turn = turn
        self.is_ending = False

    async def run(self) -> None:
        """Answer until told to end, then end the turn."""
        lease = await self._outside.insist("PUT", f"{self._path}/lease", json={"producer_id": "p"})
        epoch, number = lease["epoch"], 0
        while not self.is_ending:
            number += 1
            word = f"word{number} "
            self._turn.sent.append(word)
            said = {"type": "text.delta", "id": "t", "delta": word}
            batch = {"epoch": epoch, "batch": number, "events": [said]}
            await self._outside.insist("POST", f"{self._path}/events", json=batch)
            self._turn.acknowledged.append(word)
            await asyncio.sleep(DELTA_SECONDS)
        ending = {"epoch": epoch, "outcome": "completed"}
        await self._outside.insist("POST", f"{self._path}/finalize", json=ending)
        self._turn.has_ended = True


async def until(true: Callable[[], object], timeout_seconds: float) -> bool:
    """Wait until something has become true; whether it has."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_seconds):
            while not true():  # noqa: ASYNC110 - it becomes true in many ways
                await asyncio.sleep(0.01)
    return bool(true())


def _content_of(data: Any) -> str | None:
    message = data["data"].get("message") if data else None
    return message["content"] if message else None
