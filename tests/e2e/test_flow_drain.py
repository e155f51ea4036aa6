"""SIGTERM under load: who calls a flow is answered or told to come back, and nobody waits for long."""

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.flows.services import BLUEPRINT
from tests.support.processes import ServerProcess, server_process

CALLERS = 16
TRY = "/flows/f/services/try"
SERVICES = {
    "WORKBENCH__FLOWS__SERVICES": "tests.flows.services:services",
    "PYTHONPATH": str(Path(__file__).parents[2]),
}


class Load:
    """Callers who ask again as soon as they are answered, and some whose answers take too long."""

    def __init__(self, server: ServerProcess, token: str) -> None:
        self._url = server.url
        self._headers = {"Authorization": f"Bearer {token}"}
        self.answers: list[tuple[int, str]] = []
        self.refused = 0

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self._url, headers=self._headers, timeout=30)

    async def start(self) -> None:
        async with self.client() as ann:
            (await ann.put("/flow-parameter-types/mark", json={"default": "!"})).raise_for_status()
            (await ann.put("/flow-blueprints/trials", json=BLUEPRINT)).raise_for_status()
            (await ann.post("/flows?wait=ready", json={"flow_id": "f", "blueprint": "trials"})).raise_for_status()

    async def ask_on(self) -> None:
        while not self.refused:
            async with self.client() as client:
                try:
                    while True:
                        self._note(await client.post(TRY, json={"sleep": 0.05, "say": 1}))
                except httpx.ConnectError:
                    self.refused += 1
                except (httpx.RemoteProtocolError, httpx.ReadError):
                    # The server closes a connection behind its last answer; what came at that moment was not taken.
                    await asyncio.sleep(0.01)

    async def ask_for_long(self) -> tuple[int, str]:
        async with self.client() as client:
            return _told(await client.post(TRY, json={"sleep": 60}))

    def _note(self, answer: httpx.Response) -> None:
        self.answers.append(_told(answer))


def _told(answer: httpx.Response) -> tuple[int, str]:
    body: dict[str, Any] = answer.json()
    return answer.status_code, body.get("code", "")


@pytest.fixture(params=["in-process", "rabbitmq"])
def bus_url(request: pytest.FixtureRequest) -> str:
    return "inprocess://" if request.param == "in-process" else request.getfixturevalue("rabbit_url")


async def test_a_server_under_load_ends_in_time_and_owes_nobody_an_answer(
    sqlite_url: str, tmp_path: Path, bus_url: str
) -> None:
    settings = {**SERVICES, "WORKBENCH__BUS__URL": bus_url}
    async with server_process(tmp_path / "data", sqlite_url, **settings) as server:
        load = Load(server, await server.token())
        await load.start()
        asking = [asyncio.create_task(load.ask_on()) for _ in range(CALLERS)]
        waiting = [asyncio.create_task(load.ask_for_long()) for _ in range(4)]
        async with asyncio.timeout(20):
            while len(load.answers) < CALLERS * 3:  # noqa: ASYNC110 - what is waited for is elsewhere
                await asyncio.sleep(0.02)
        told_at = time.monotonic()
        assert await server.stop() == 0
        assert time.monotonic() - told_at < 10
        async with asyncio.timeout(10):
            assert await asyncio.gather(*waiting) == [(503, "closed")] * 4
            await asyncio.gather(*asking)
    assert {status for status, _ in load.answers} <= {200, 503}
    assert {code for status, code in load.answers if status == 503} <= {"draining", "closed"}
