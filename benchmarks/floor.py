"""The floor: a bare Litestar application that runs only the bare statement of each scenario, and nothing of ours.

Run as `python -m benchmarks.floor PORT DATABASE_URL`. It writes with one INSERT a request, one commit each. A frame for
streams is encoded once, and put into a queue of each; a file is written as it comes and read in blocks.
"""

import asyncio
import sys
import tempfile
import uuid
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from litestar import Litestar, Request, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import File, Stream
from sqlalchemy import Column, Index, Integer, MetaData, Select, String, Table, Text, event, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

TABLE = Table(
    "bare",
    MetaData(),
    Column("sequence", Integer, primary_key=True),
    Column("conversation", String(36)),
    Column("content", Text),
    Index("newest_of_conversation", "conversation", "sequence"),
)
BLOCK = 2000
NEWEST = select(TABLE.c.sequence, TABLE.c.content).order_by(TABLE.c.sequence.desc()).limit(100)
SQLITE_PATIENCE_SECONDS = 60
"""How long a writer waits for the others: a hundred that each commit alone wait for long."""


class Body(msgspec.Struct):
    """What is posted."""

    content: str


class Delta(msgspec.Struct):
    """A part of what a turn says."""

    delta: str


class Batch(msgspec.Struct):
    """What has gathered of a turn."""

    events: list[Delta]


class Streams:
    """Who follows what, each with a queue of frames; an empty frame is the end."""

    def __init__(self) -> None:
        self._queues: defaultdict[str, set[asyncio.Queue[bytes]]] = defaultdict(set)

    def follow(self, name: str) -> Stream:
        """Follow from now on."""
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._queues[name].add(queue)

        async def frames() -> AsyncGenerator[bytes]:
            try:
                while frame := await queue.get():
                    yield frame
            finally:
                self._queues[name].discard(queue)

        return Stream(frames(), media_type="text/event-stream")

    def tell(self, name: str, event: str, data: Any) -> None:
        """Encode once, for all who follow."""
        if name in self._queues:
            self._put(name, b"event: %b\ndata: %b\n\n" % (event.encode(), msgspec.json.encode(data)))

    def end(self, name: str) -> None:
        """Let everybody go."""
        self._put(name, b"")

    def _put(self, name: str, frame: bytes) -> None:
        for queue in self._queues[name]:
            queue.put_nowait(frame)


def make_app(url: str) -> Litestar:
    """Make the application over the database."""
    is_sqlite = url.startswith("sqlite")
    more = {"connect_args": {"timeout": SQLITE_PATIENCE_SECONDS}} if is_sqlite else {}
    engine: AsyncEngine = create_async_engine(url, pool_size=16, **more)
    if is_sqlite:

        @event.listens_for(engine.sync_engine, "connect")
        def _(connection: Any, _: object) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(TABLE.metadata.drop_all)
            await connection.run_sync(TABLE.metadata.create_all)
        yield
        await engine.dispose()

    streams = Streams()
    handlers = [*_writing(engine, streams), *_reading(engine), *_turning(engine, streams), *_keeping(), bare, ready]
    return Litestar(handlers, lifespan=[lifespan], openapi_config=None)


@get("/bare")
async def bare() -> dict[str, str]:
    """Answer, and no more."""
    return {"answer": "ok"}


@get("/readyz")
async def ready() -> str:
    """Say that it runs."""
    return "ok"


def _writing(engine: AsyncEngine, streams: Streams) -> list[HTTPRouteHandler]:
    @post("/conversations", status_code=200)
    async def create() -> dict[str, str]:
        return {"id": str(uuid.uuid4())}

    @post("/conversations/{conversation:str}/messages", status_code=200)
    async def add(conversation: FromPath[str], data: JSONBody[Body]) -> dict[str, str]:
        async with engine.begin() as connection:
            await connection.execute(insert(TABLE), {"conversation": conversation, "content": data.content})
        streams.tell(conversation, "message.created", data)
        return {"content": data.content}

    @get("/conversations/{conversation:str}/events")
    async def follow(conversation: FromPath[str]) -> Stream:
        return streams.follow(conversation)

    @post("/conversations/{conversation:str}/fill", status_code=200)
    async def fill(conversation: FromPath[str], data: JSONBody[Body]) -> dict[str, str]:
        for begin in range(0, int(data.content), BLOCK):
            numbers = range(begin, min(begin + BLOCK, int(data.content)))
            rows = [{"conversation": conversation, "content": f"message {number} " + "x" * 190} for number in numbers]
            async with engine.begin() as connection:
                await connection.execute(insert(TABLE), rows)
        return {"filled": data.content}

    return [create, add, follow, fill]


def _reading(engine: AsyncEngine) -> list[HTTPRouteHandler]:
    async def rows(statement: Select[Any]) -> list[tuple[int, str]]:
        async with engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(statement)]

    @get("/conversations/{conversation:str}/messages")
    async def newest(conversation: FromPath[str]) -> list[tuple[int, str]]:
        return await rows(NEWEST.where(TABLE.c.conversation == conversation))

    @get("/conversations")
    async def some(limit: FromQuery[int]) -> list[tuple[int, str]]:
        return await rows(NEWEST.limit(limit))

    @get("/conversations/{conversation:str}/dump")
    async def dump(conversation: FromPath[str], count: FromQuery[int]) -> list[tuple[int, str]]:
        return await rows(NEWEST.where(TABLE.c.conversation == conversation).limit(count))

    return [newest, some, dump]


def _turning(engine: AsyncEngine, streams: Streams) -> list[HTTPRouteHandler]:
    @put("/turns/{turn:str}/lease")
    async def take(turn: FromPath[str]) -> dict[str, str]:
        return {"turn": turn}

    @get("/turns/{turn:str}/stream")
    async def watch(turn: FromPath[str]) -> Stream:
        return streams.follow(turn)

    @post("/turns/{turn:str}/events", status_code=200)
    async def go_on(turn: FromPath[str], data: JSONBody[Batch]) -> dict[str, int]:
        said = "".join(event.delta for event in data.events)
        async with engine.begin() as connection:
            await connection.execute(insert(TABLE), {"conversation": turn, "content": said})
        streams.tell(turn, "text.delta", Delta(said))
        return {"events": len(data.events)}

    @post("/turns/{turn:str}/finalize", status_code=200)
    async def finalize(turn: FromPath[str]) -> dict[str, str]:
        streams.tell(turn, "turn.finalized", {})
        streams.end(turn)
        return {"turn": turn}

    return [take, watch, go_on, finalize]


def _keeping() -> list[HTTPRouteHandler]:
    folder = tempfile.TemporaryDirectory(prefix="workbench-floor-")

    @put("/conversations/{conversation:str}/files", request_max_body_size=None)
    async def upload(conversation: FromPath[str], request: Request[Any, Any, Any]) -> dict[str, str]:
        with Path(folder.name, conversation).open("wb") as file:  # noqa: ASYNC230 - a thread for each block would not be bare
            async for chunk in request.stream():
                file.write(chunk)
        return {"conversation": conversation}

    @get("/conversations/{conversation:str}/files/large")
    async def download(conversation: FromPath[str]) -> File:
        return File(Path(folder.name, conversation))

    return [upload, download]


if __name__ == "__main__":
    uvicorn.run(make_app(sys.argv[2]), port=int(sys.argv[1]), log_level="error", loop="uvloop", access_log=False)
