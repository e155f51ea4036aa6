"""Fills a conversation with a deep history, by the same statements that the service writes with."""

import asyncio
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.engine import make_url

from benchmarks.client import Connection
from benchmarks.servers import Server
from workbench.adapters.clock import SystemClock
from workbench.adapters.sql.database import Database, open_database
from workbench.adapters.sql.group_commit import GroupCommit
from workbench.adapters.sql.transactions import SqlTransactions
from workbench.adapters.sql.walls import Duty
from workbench.domain.ids import new_id
from workbench.domain.messages.model import Message, Sender, StoredMessage

BLOCK = 2000
BARE = "deep"
"""The conversation of that many rows in the floor's table."""

ANALYSE = Duty(name="analyse", places=(), reason="Statistics are of all rows; the owner alone may gather them.")


async def deepen(database_url: str, conversation: str, count: int) -> None:
    """Append so many messages of 200 bytes, without events, some thousands to a commit."""
    database = open_database(make_url(database_url), ssl_mode="disable")
    group = GroupCommit(database, lambda _events: None)
    clock = SystemClock()
    transactions = SqlTransactions(database, group, clock)
    for begin in range(0, count, BLOCK):
        async with transactions.write("default") as tx:
            for number in range(begin, min(begin + BLOCK, count)):
                message = message_of("ann", number, clock.now())
                tx.messages.add(StoredMessage(conversation_id=UUID(conversation), message=message, debug_data={}))
    await database.close()
    await gather_statistics(database_url)


def message_of(user_id: str, number: int, at: datetime) -> Message:
    """Make a message of 200 bytes."""
    return Message(
        id=new_id(),
        sender=Sender(participant_role="user", participant_id=user_id),
        message_type="chat",
        timestamp=at,
        content_type="text/plain",
        content=f"message {number} " + "x" * 190,
        filenames=[],
        metadata={},
        has_debug_data=False,
    )


async def gather_statistics(database_url: str) -> None:
    """Open the database, and have it analysed."""
    database = open_database(make_url(database_url), ssl_mode="disable")
    await analyse(database)
    await database.close()


async def analyse(database: Database) -> None:
    """Do what PostgreSQL's autovacuum does by itself within a minute: many rows at once leave the planner without any.

    SQLite never does.
    """
    if database.dialect_name == "postgresql":
        await database.transact(lambda connection: connection.execute(text("ANALYZE")), ANALYSE)


async def fill_bare(server: Server, count: int) -> None:
    """Have the floor add so many rows of the same size to its table."""
    connection = await Connection(server.port, server.token).open()
    await connection.json("POST", f"/conversations/{BARE}/fill", {"content": str(count)})
    connection.close()


def fill(database_url: str, conversation: str, count: int) -> None:
    """Do it to the end."""
    asyncio.run(deepen(database_url, conversation, count))
