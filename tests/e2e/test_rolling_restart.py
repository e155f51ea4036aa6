"""Replicas behind a load balancer are restarted one after the other: no request fails, and no event is lost."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from tests.faults.load import BREATH_SECONDS, Follower, until
from tests.faults.outside import Outside
from tests.faults.records import Stream
from tests.support.balancer import balanced
from tests.support.processes import ServerProcess, server_process

REPLICAS = 2
CLIENTS = 4
NOTICED = {"WORKBENCH__SERVICE__DRAIN_DELAY_SECONDS": "2"}
"""Many times what the load balancer takes to look around, on a machine that is busy."""


class Client:
    """Posts without a pause. What fails on a connection that was used before is repeated once, on a new one."""

    def __init__(self, url: str, token: str, path: str) -> None:
        self._url, self._path = url, path
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http: httpx.AsyncClient | None = None
        self.acknowledged: list[str] = []
        self.failed: list[str] = []
        self.drained = 0
        self.is_ending = False

    async def run(self) -> None:
        while not self.is_ending:
            body = {"id": str(uuid4()), "content": f"{id(self)}-{len(self.acknowledged)}"}
            try:
                await self._post(body)
                self.acknowledged.append(body["content"])
            except httpx.HTTPError as error:
                self.failed.append(repr(error))
            await asyncio.sleep(BREATH_SECONDS)
        await self._hang_up()

    async def _post(self, body: dict[str, str]) -> None:
        is_new = self._http is None
        self._http = self._http or httpx.AsyncClient(
            base_url=self._url, headers=self._headers, verify=False, timeout=15
        )
        try:
            (await self._http.post(f"{self._path}/messages", json=body)).raise_for_status()
        except httpx.TransportError:
            await self._hang_up()
            if is_new:
                raise
            self.drained += 1
            await self._post(body)

    async def _hang_up(self) -> None:
        if self._http is not None:
            await self._http.aclose()
        self._http = None


async def restart_all(servers: list[ServerProcess], clients: list[Client]) -> None:
    """One after the other, each once there was some work in between."""
    for server in servers:
        enough = len(clients[0].acknowledged) + 10
        assert await until(lambda enough=enough: len(clients[0].acknowledged) >= enough, 30)
        assert await server.stop() == 0
        await server.start()


@pytest.mark.timeout(240)
async def test_a_rolling_restart_fails_nobody(postgres_url: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(server_process(tmp_path / "data", postgres_url, **NOTICED))
            for _ in range(REPLICAS)
        ]
        token = await servers[0].token()
        url = await stack.enter_async_context(balanced([server.url for server in servers]))
        unexpected: list[str] = []
        ann = Outside([url], {"Authorization": f"Bearer {token}"}, 0, unexpected)
        stack.push_async_callback(ann.close)
        conversation = (await ann.insist("POST", "/conversations", json={}))["id"]
        path = f"/conversations/{conversation}"
        streams = [Stream(f"stream {number}", conversation) for number in range(3)]
        following = [asyncio.create_task(Follower(ann, f"{path}/events", stream).run()) for stream in streams]
        clients = [Client(url, token, path) for _ in range(CLIENTS)]
        posting = [asyncio.create_task(client.run()) for client in clients]
        await restart_all(servers, clients)
        for client in clients:
            client.is_ending = True
        await asyncio.gather(*posting)
        said = [content for client in clients for content in client.acknowledged]
        assert await until(lambda: all(len(stream.seen) > len(said) for stream in streams), 30)
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
    assert [failure for client in clients for failure in client.failed] == []
    assert unexpected == []
    for stream in streams:
        assert [place for place, _ in stream.seen] == list(range(1, len(said) + 2))
        assert sorted(content for _, content in stream.seen if content) == sorted(said)
    # Each client had at most one connection to the replica that stopped.
    assert all(client.drained <= REPLICAS for client in clients)
