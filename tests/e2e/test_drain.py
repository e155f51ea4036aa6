"""SIGTERM ends a server well; several workers are one service."""

import asyncio
import time
from pathlib import Path

import httpx
import pytest
from tests.support.processes import server_process
from tests.support.service import open_stream


def user(url: str, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=15)


async def test_a_server_that_is_told_to_stop_says_goodbye(sqlite_url: str, tmp_path: Path) -> None:
    async with server_process(tmp_path / "data", sqlite_url) as server:
        async with user(server.url, await server.token()) as ann:
            path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"
            async with open_stream(ann, f"{path}/events") as stream, open_stream(ann, "/events") as feed:
                begun = time.monotonic()
                stopping = asyncio.create_task(server.stop())
                assert (await stream.until_end(), await feed.until_end()) == ([], [])
            assert any("reconnect" in comment for comment in stream.comments)
            assert await stopping == 0
            assert time.monotonic() - begun < 10
            with pytest.raises(httpx.ConnectError):
                await ann.get("/readyz")


async def test_requests_in_flight_are_answered(sqlite_url: str, tmp_path: Path) -> None:
    async with server_process(tmp_path / "data", sqlite_url) as server:
        async with user(server.url, await server.token()) as ann:
            path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"

            async def slowly() -> object:
                yield b'{"content": "'
                await asyncio.sleep(0.5)
                yield b'in flight"}'

            posting = asyncio.create_task(ann.post(f"{path}/messages", content=slowly()))
            await asyncio.sleep(0.2)
            stopping = asyncio.create_task(server.stop())
            answer = await posting
            assert (answer.status_code, answer.json()["content"]) == (200, "in flight")
            assert await stopping == 0


async def test_workers_are_one_service(database_url: str, tmp_path: Path) -> None:
    async with server_process(tmp_path / "data", database_url, "--workers", "2") as server:
        token = await server.token()
        async with user(server.url, token) as ann:
            path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"
            # Each of many connections lands on either worker, so that most events cross from one to the other.
            clients = [user(server.url, token) for _ in range(6)]
            streams = [
                await ann_too.send(ann_too.build_request("GET", f"{path}/events"), stream=True) for ann_too in clients
            ]
            for number in range(8):
                async with user(server.url, token) as another:
                    await another.post(f"{path}/messages", json={"content": str(number)})
            for response in streams:
                ids: list[int] = []
                async for line in response.aiter_lines():
                    if line.startswith("id: "):
                        ids.append(int(line[4:]))
                    if len(ids) == 8:
                        break
                assert ids == list(range(2, 10))
                await response.aclose()
            for client in clients:
                await client.aclose()
        assert await server.stop() == 0
