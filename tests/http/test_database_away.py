"""While the database is away every caller is told so, and not that the service has a defect; then all goes on."""

from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import httpx
from tests.support.pooling import pooled
from tests.support.service import running_service


async def answers(ann: httpx.AsyncClient, robot: httpx.AsyncClient, path: str) -> list[tuple[int, str]]:
    """What readers, writers and an assistant service are answered."""
    asked = [
        await ann.get(f"{path}/messages"),
        await ann.post(f"{path}/messages", json={"id": str(uuid4()), "content": "hello"}),
        await ann.get("/conversations"),
        await robot.get(path),
        await robot.post(f"{path}/messages", json={"content": "hello"}),
    ]
    return [(answer.status_code, answer.json().get("code", "")) for answer in asked]


async def test_while_the_database_is_away_everybody_is_told_so(postgres_url: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        proxy = AsyncExitStack()
        url = await proxy.enter_async_context(pooled(postgres_url, folder))
        service = await stack.enter_async_context(running_service(url, tmp_path / "data"))
        recorder = await stack.enter_async_context(service.recorder())
        ann = service.user("ann")
        assistant = (
            await ann.post("/assistants", json={"assistant_service_id": recorder.service_id, "name": "Robot"})
        ).json()["id"]
        path = f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}"
        (await ann.put(f"{path}/participants/{assistant}", json={})).raise_for_status()
        robot = service.assistant(assistant)
        assert await answers(ann, robot, path) == [(200, "")] * 5
        await proxy.aclose()
        assert await answers(ann, robot, path) == [(503, "unavailable")] * 5
        assert "database" in (await ann.get("/readyz")).json()["failing"]
        await stack.enter_async_context(pooled(postgres_url, folder))
        assert await answers(ann, robot, path) == [(200, "")] * 5
