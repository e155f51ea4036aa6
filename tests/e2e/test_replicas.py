"""Two replicas as processes on one PostgreSQL: while one is killed under load, an assistant hears everything in order."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update
from tests.support.assistants import RecordingAssistantService
from tests.support.databases import open_store
from tests.support.processes import server_process
from tests.support.servers import eventually

from workbench.adapters.sql.tables import leases
from workbench.domain.delivery.service import BATCH
from workbench.entrypoints.workers.delivery import lease_name

MESSAGES = [str(number) for number in range(80)]


async def holder(url: str, assistant: str) -> str:
    """Who delivers to the assistant."""
    async with open_store(url) as store:
        held = select(leases.c.holder).where(leases.c.name == lease_name(UUID(assistant)))
        return (await store.database.rows(held))[0][0]


async def end_leases_of(url: str, dead: str) -> None:
    """Let what the dead held run out now, and not in half a minute."""
    async with open_store(url) as store:
        over = update(leases).where(leases.c.holder == dead).values(expires_at=datetime.now(UTC))
        await store.database.transact(lambda connection: connection.execute(over))


async def say(client: httpx.AsyncClient, path: str) -> None:
    for content in MESSAGES:
        (await client.post(f"{path}/messages", json={"content": content})).raise_for_status()


def heard(recorder: RecordingAssistantService, path: str) -> list[str]:
    """What was said, as the assistant heard it; an event that came twice counts once."""
    events = {event["id"]: event for event in recorder.events(conversation_id=path.removeprefix("/conversations/"))}
    return [event["data"]["message"]["content"] for event in events.values() if event["event"] == "message.created"]


@pytest.mark.timeout(120)
async def test_while_a_replica_is_killed_an_assistant_hears_everything_in_order(
    postgres_url: str, tmp_path: Path
) -> None:
    async with RecordingAssistantService() as recorder, server_process(tmp_path / "data", postgres_url) as doomed:
        headers = {"Authorization": f"Bearer {await doomed.token()}"}
        (await recorder.announce(doomed.url)).raise_for_status()
        async with httpx.AsyncClient(base_url=doomed.url, headers=headers) as ann:
            new = {"assistant_service_id": recorder.service_id, "name": "Robot"}
            assistant = (await ann.post("/assistants", json=new)).json()["id"]
            paths = [f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}" for _ in range(2)]
            for path in paths:
                (await ann.put(f"{path}/participants/{assistant}", json={})).raise_for_status()
        await recorder.wait_for(2)
        deliverer = await holder(postgres_url, assistant)
        async with (
            server_process(tmp_path / "data", postgres_url) as living,
            httpx.AsyncClient(base_url=living.url, headers=headers) as ann,
        ):
            posting = [asyncio.create_task(say(ann, path)) for path in paths]
            await eventually(lambda: all(len(heard(recorder, path)) > 5 for path in paths))
            assert await holder(postgres_url, assistant) == deliverer
            await doomed.kill()
            await end_leases_of(postgres_url, deliverer)
            await asyncio.gather(*posting)
            await eventually(
                lambda: all(len(heard(recorder, path)) == len(MESSAGES) for path in paths), timeout_seconds=20
            )
            assert await holder(postgres_url, assistant) != deliverer
    assert [heard(recorder, path) for path in paths] == [MESSAGES] * 2
    ids = [event["id"] for event in recorder.events()]
    # What was brought after the last stored position may come again: less than a batch for each conversation.
    assert len(ids) - len(set(ids)) <= BATCH * len(paths)
