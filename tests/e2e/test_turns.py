"""A turn over two replicas: one is killed in the middle, and nobody who watches misses or sees anything twice."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.http.test_turns import Frames
from tests.support.assistants import RecordingAssistantService
from tests.support.processes import server_process
from tests.support.servers import eventually

WORDS = [f"word{number} " for number in range(60)]


class Watching:
    """Watches a turn, and comes back elsewhere from where it was when it is cut off."""

    def __init__(self, *clients: httpx.AsyncClient) -> None:
        self.seen: list[dict[str, Any]] = []
        self._clients = clients

    async def run(self, path: str) -> None:
        """Watch until the end."""
        for client in self._clients:
            last = {"Last-Event-ID": str(self.seen[-1]["place"])} if self.seen else {}
            with suppress(httpx.HTTPError):
                async with client.stream("GET", f"{path}/stream", headers=last, timeout=30) as response:
                    frames = Frames(response)
                    while (frame := await frames.next()) is not None:
                        self.seen.append(frame)
                    return


async def send(clients: list[httpx.AsyncClient], path: str, body: Any) -> None:
    """Send a batch until somebody has taken it: it may have been taken before the answer was lost."""
    for client in clients * 20:
        with suppress(httpx.HTTPError):
            answer = await client.post(f"{path}/events", json=body)
            if answer.status_code == 200:
                return
        await asyncio.sleep(0.05)
    raise AssertionError("nobody took it")


async def ask(ann: httpx.AsyncClient, service_id: str) -> tuple[str, str, Any]:
    """Ask an assistant; gives its id, where turns are, and what was opened."""
    new = {"assistant_service_id": service_id, "name": "Robot"}
    assistant = (await ann.post("/assistants", json=new)).json()["id"]
    path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"
    (await ann.put(f"{path}/participants/{assistant}", json={})).raise_for_status()
    asked = {"turn_id": "t1", "assistant_id": assistant, "input": {"content": "hello"}}
    return assistant, f"{path}/turns", (await ann.post(f"{path}/turns", json=asked)).json()


@pytest.mark.timeout(120)
async def test_a_replica_that_is_killed_costs_nobody_a_word(postgres_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with (
        RecordingAssistantService() as recorder,
        server_process(folder, postgres_url) as doomed,
        server_process(folder, postgres_url) as living,
    ):
        as_ann = {"Authorization": f"Bearer {await doomed.token()}"}
        (await recorder.announce(doomed.url)).raise_for_status()
        async with (
            httpx.AsyncClient(base_url=doomed.url, headers=as_ann) as there,
            httpx.AsyncClient(base_url=living.url, headers=as_ann) as here,
        ):
            assistant, turns, opened = await ask(there, recorder.service_id)
            path = f"{turns}/t1"
            as_robot = {"X-Assistant-Service-ID": recorder.service_id, "X-Assistant-ID": assistant, "X-API-Key": ""}
            async with (
                httpx.AsyncClient(base_url=doomed.url, headers=as_robot) as robot_there,
                httpx.AsyncClient(base_url=living.url, headers=as_robot) as robot_here,
            ):
                (await robot_there.put(f"{path}/lease", json={"producer_id": "p"})).raise_for_status()
                steady, moved = Watching(here), Watching(there, here)
                watching = [asyncio.create_task(each.run(path)) for each in (steady, moved)]
                for number, word in enumerate(WORDS, 1):
                    said = {"type": "text.delta", "id": "t", "delta": word}
                    if number == len(WORDS) // 2:
                        await eventually(lambda: len(moved.seen) > 10)
                        await doomed.kill()
                    await send([robot_there, robot_here], path, {"epoch": 1, "batch": number, "events": [said]})
                ending = await robot_here.post(f"{path}/finalize", json={"epoch": 1, "outcome": "completed"})
                assert ending.status_code == 200
                await asyncio.wait_for(asyncio.gather(*watching), 30)
            messages = (await here.get(turns.replace("turns", "messages"))).json()["messages"]
    whole = "".join(WORDS)
    for each in (steady, moved):
        assert [frame["place"] for frame in each.seen] == list(range(1, len(WORDS) + 4))
        assert "".join(frame["delta"] for frame in each.seen if frame["event"] == "text.delta") == whole
        assert each.seen[-1]["event"] == "turn.finalized"
    assert steady.seen == moved.seen
    answers = [message for message in messages if message["id"] == opened["output_message"]["id"]]
    assert [answer["content"] for answer in answers] == [whole]
