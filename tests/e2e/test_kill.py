"""A server process under load is killed again and again: nothing acknowledged is lost, no event is missed or repeated."""

import asyncio
import contextlib
from pathlib import Path

import httpx
import pytest
from tests.support.processes import ServerProcess, server_process
from tests.support.service import SseEvent, Stream

ROUNDS = 3
CLIENTS = 4


class Load:
    """Clients that post without a pause, and one that follows the stream through every break."""

    def __init__(self, url: str, token: str, path: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}"}
        self._url, self.path = url, path
        self.acknowledged: list[str] = []
        self.seen: list[SseEvent] = []
        self.ending = False

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self._url, headers=self._headers, timeout=10)

    async def post_on(self, who: int) -> None:
        number = 0
        while not self.ending:
            async with self.client() as client:
                with contextlib.suppress(httpx.HTTPError):
                    while not self.ending:
                        content = f"{who}-{number}"
                        number += 1
                        answer = await client.post(f"{self.path}/messages", json={"content": content})
                        if answer.status_code == 200:
                            self.acknowledged.append(content)
            await asyncio.sleep(0.02)

    async def follow(self) -> None:
        while True:
            last = {"Last-Event-ID": self.seen[-1].id if self.seen else "0"}
            async with self.client() as client:
                with contextlib.suppress(httpx.HTTPError, StopAsyncIteration):
                    async with client.stream("GET", f"{self.path}/events", headers=last) as response:
                        response.raise_for_status()
                        stream = Stream(response)
                        while True:
                            self.seen.append(await stream.next())
            await asyncio.sleep(0.02)


async def conversation_of(server: ServerProcess, token: str) -> str:
    async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {token}"}) as client:
        return f"/conversations/{(await client.post('/conversations', json={})).json()['id']}"


async def stored(load: Load) -> list[str]:
    async with load.client() as client:
        found: list[str] = []
        after = ""
        while True:
            page = (await client.get(f"{load.path}/messages?limit=500&order=asc{after}")).json()["messages"]
            found += [message["content"] for message in page]
            if len(page) < 500:
                return found
            after = f"&after={page[-1]['id']}"


@pytest.mark.timeout(120)
async def test_kills_lose_nothing_that_was_acknowledged(database_url: str, tmp_path: Path) -> None:
    async with server_process(tmp_path / "data", database_url) as server:
        token = await server.token()
        load = Load(server.url, token, await conversation_of(server, token))
        posting = [asyncio.create_task(load.post_on(who)) for who in range(CLIENTS)]
        following = asyncio.create_task(load.follow())
        for _ in range(ROUNDS):
            before = len(load.acknowledged)
            async with asyncio.timeout(20):
                while len(load.acknowledged) < before + 60:  # noqa: ASYNC110 - any moment will do
                    await asyncio.sleep(0.005)
            await server.kill()
            await server.start()
        load.ending = True
        await asyncio.gather(*posting)
        messages = await stored(load)
        async with asyncio.timeout(20):
            while len(load.seen) < len(messages) + 1:  # noqa: ASYNC110 - the stream comes by itself
                await asyncio.sleep(0.01)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert len(messages) == len(set(messages)), "a message is there twice"
    assert set(load.acknowledged) <= set(messages), "an acknowledged message is gone"
    assert [int(event.id) for event in load.seen] == list(range(1, len(messages) + 2))
    told = [event.data["data"]["message"]["content"] for event in load.seen[1:]]
    assert told == messages
