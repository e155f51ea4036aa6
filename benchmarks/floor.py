"""The floor: a bare Litestar application that runs only the bare statement of each scenario, and nothing of ours.

Run as `python -m benchmarks.floor PORT DATABASE_URL`. It writes with one INSERT a request, one commit each.
"""

import sys
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import uvicorn
from litestar import Litestar, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
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


class Body(msgspec.Struct):
    """What is posted."""

    content: str


def make_app(url: str) -> Litestar:
    """Make the application over the database."""
    engine: AsyncEngine = create_async_engine(url, pool_size=16)
    if url.startswith("sqlite"):

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

    return Litestar([*_writing(engine), *_reading(engine), bare, ready], lifespan=[lifespan], openapi_config=None)


@get("/bare")
async def bare() -> dict[str, str]:
    """Answer, and no more."""
    return {"answer": "ok"}


@get("/readyz")
async def ready() -> str:
    """Say that it runs."""
    return "ok"


def _writing(engine: AsyncEngine) -> list[HTTPRouteHandler]:
    @post("/conversations", status_code=200)
    async def create() -> dict[str, str]:
        return {"id": str(uuid.uuid4())}

    @post("/conversations/{conversation:str}/messages", status_code=200)
    async def add(conversation: FromPath[str], data: JSONBody[Body]) -> dict[str, str]:
        async with engine.begin() as connection:
            await connection.execute(insert(TABLE), {"conversation": conversation, "content": data.content})
        return {"content": data.content}

    @post("/conversations/{conversation:str}/fill", status_code=200)
    async def fill(conversation: FromPath[str], data: JSONBody[Body]) -> dict[str, str]:
        for begin in range(0, int(data.content), BLOCK):
            numbers = range(begin, min(begin + BLOCK, int(data.content)))
            rows = [{"conversation": conversation, "content": f"message {number} " + "x" * 190} for number in numbers]
            async with engine.begin() as connection:
                await connection.execute(insert(TABLE), rows)
        return {"filled": data.content}

    return [create, add, fill]


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


if __name__ == "__main__":
    uvicorn.run(make_app(sys.argv[2]), port=int(sys.argv[1]), log_level="error", loop="uvloop", access_log=False)
