"""`python -m benchmarks.growth [--conversations N] [--only KIND] [--write PAGE]`: what acts cost as a workspace grows.

One user's acts over HTTP, with a conversation or two in the workspace, and then with many of somebody else's: nothing of
which the user sees, so that nothing should cost more.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import uvloop
from sqlalchemy.engine import make_url

from benchmarks import deep, report, servers
from benchmarks.scenarios import Figure
from benchmarks.servers import Server
from workbench.adapters.clock import SystemClock
from workbench.adapters.sql.database import open_database
from workbench.adapters.sql.group_commit import GroupCommit
from workbench.adapters.sql.transactions import SqlTransactions
from workbench.domain.conversations.model import Conversation, NewConversation
from workbench.domain.ids import new_id
from workbench.domain.messages.events import message_created
from workbench.domain.messages.model import StoredMessage
from workbench.domain.participants.model import Participant

CONVERSATIONS = 20_000
MESSAGES = 5
"""In each of them, with an event each."""
BLOCK = 200
TIMES = 25
OWNER = "bob"

Act = Callable[[], Awaitable[httpx.Response]]


async def fill(database_url: str, count: int) -> None:
    """Set down so many conversations of somebody's, as the service sets them down, some hundred to a commit."""
    database = open_database(make_url(database_url), ssl_mode="disable")
    clock = SystemClock()
    transactions = SqlTransactions(database, GroupCommit(database, lambda _events: None), clock)
    for begin in range(0, count, BLOCK):
        made = [
            Conversation.created(new_id(), NewConversation(), OWNER, clock.now())
            for _ in range(begin, min(begin + BLOCK, count))
        ]
        async with transactions.write("default") as tx:
            for conversation in made:
                tx.conversations.add(conversation)
                tx.participants.add(Participant.of_user(conversation.id, OWNER, "Bob", None, clock.now()))
        async with transactions.write("default") as tx:
            for conversation in made:
                for number in range(MESSAGES):
                    message = deep.message_of(OWNER, number, clock.now())
                    stored = StoredMessage(conversation_id=conversation.id, message=message, debug_data={})
                    tx.messages.add(stored)
                    tx.events.record(message_created(conversation.id, message))
    await database.close()
    await deep.gather_statistics(database_url)


async def acting(server: Server) -> list[Figure]:
    """Do each act some times, one after the other; the median of each."""
    headers = {"Authorization": f"Bearer {server.token}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", headers=headers, timeout=60) as client:
        conversation = await _made(client)
        path = f"/conversations/{conversation}"
        share: dict[str, object] = {
            "conversation_id": conversation,
            "label": "",
            "conversation_permission": "read",
            "metadata": {},
        }
        acts: dict[str, Act] = {
            "make a conversation": lambda: client.post("/conversations", json={"title": "new"}),
            "read one": lambda: client.get(path),
            "change its title": lambda: client.patch(path, json={"title": "changed"}),
            "who takes part": lambda: client.get(f"{path}/participants"),
            "say what one is doing": lambda: client.patch(f"{path}/participants/me", json={"status": "typing"}),
            "post a message": lambda: client.post(f"{path}/messages", json={"content": "hello"}),
            "read 100 messages": lambda: client.get(f"{path}/messages?limit=100"),
            "list 20 conversations": lambda: client.get("/conversations?limit=20"),
            "upload a file": lambda: client.put(f"{path}/files", files={"files": ("note.txt", b"hello")}),
            "list files": lambda: client.get(f"{path}/files"),
            "share": lambda: client.post("/conversation-shares", json=share),
            "list its shares": lambda: client.get(f"/conversation-shares?conversation_id={conversation}"),
            "copy it": lambda: client.post(path, json={}),
            "export it": lambda: client.get(f"/conversations/export?id={conversation}"),
            "open its events": lambda: _opened(client, f"{path}/events"),
            "open one's own events": lambda: _opened(client, "/events"),
        }
        figures = [await _timed(name, act) for name, act in acts.items()]
        gone = iter([await _made(client) for _ in range(TIMES)])
        figures.append(await _timed("remove one", lambda: client.delete(f"/conversations/{next(gone)}")))
        return figures


async def _made(client: httpx.AsyncClient) -> str:
    """Make a conversation with a message."""
    conversation: str = (await client.post("/conversations", json={})).json()["id"]
    (await client.post(f"/conversations/{conversation}/messages", json={"content": "hello"})).raise_for_status()
    return conversation


async def _opened(client: httpx.AsyncClient, path: str) -> httpx.Response:
    """Open a stream, until its head is there."""
    async with client.stream("GET", path) as answer:
        return answer


async def _timed(name: str, act: Act) -> Figure:
    took: list[float] = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        answer = await act()
        took.append(time.perf_counter() - begun)
        answer.raise_for_status()
    return Figure(name, statistics.median(took) * 1e3, "ms")


def main() -> None:
    """Measure both databases."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth")
    parser.add_argument("--conversations", type=int, default=CONVERSATIONS, help="how many others there are then")
    parser.add_argument("--only", choices=servers.KINDS, help="one database only")
    report.add_options(parser)
    options = parser.parse_args()
    before = report.state_of_machine()
    columns: report.Columns = {}
    with tempfile.TemporaryDirectory(prefix="workbench-bench-", ignore_cleanup_errors=True) as folder:
        for kind in servers.KINDS:
            if options.only in (None, kind):
                with servers.databases(kind, Path(folder)) as create:
                    url = create("workbench")
                    with servers.workbench(kind, Path(folder) / f"data-{kind}", url) as server:
                        columns[kind] = report.by_name(uvloop.run(acting(server)))
                        asyncio.run(fill(url, options.conversations))
                        columns[f"{kind}, {options.conversations:,} more"] = report.by_name(uvloop.run(acting(server)))
    report.tell("growth", report.Results(before, columns), options)


if __name__ == "__main__":
    main()
