"""Services that come and go: users are told once of each change, whoever notices it, and assistants are not told."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.support.assistants import RecordingAssistantService
from tests.support.databases import open_store
from tests.support.service import Service, open_stream, running_service

QUICK = {"assistant_service_online_check_interval_seconds": 0.05}


@pytest.fixture
async def recorder() -> AsyncGenerator[RecordingAssistantService]:
    async with RecordingAssistantService() as running:
        yield running


async def seat_robot(service: Service, recorder: RecordingAssistantService, seats: int = 1) -> list[str]:
    """Put an assistant into some conversations, and give their paths."""
    ann = service.user("ann")
    (await recorder.announce(service.url)).raise_for_status()
    new = {"assistant_service_id": recorder.service_id, "name": "Robot"}
    assistant = (await ann.post("/assistants", json=new)).json()["id"]
    paths: list[str] = []
    for _ in range(seats):
        paths.append(f"/conversations/{(await ann.post('/conversations', json={})).json()['id']}")
        (await ann.put(f"{paths[-1]}/participants/{assistant}", json={})).raise_for_status()
    return paths


async def told(service: Service, workspace: str = "default") -> list[bool]:
    """What users were told of the service in their log: there, or not."""
    async with open_store(service.database_url) as store, store.transactions.read(workspace) as tx:
        events = await tx.events.of_workspace(0, 500)
    updates = [event for event in events if event.type == "participant.updated" and event.audience == "users"]
    return ['"online":true' in event.data.split('"participants"', maxsplit=1)[0] for event in updates]


async def test_users_are_told_when_a_service_goes_and_comes(database_url: str, tmp_path: Path) -> None:
    async with (
        RecordingAssistantService() as recorder,
        running_service(database_url, tmp_path / "data", service=QUICK) as service,
    ):
        (path,) = await seat_robot(service, recorder)
        await recorder.wait_for(1)
        async with open_stream(service.user("ann"), f"{path}/events") as stream:
            (await recorder.announce(service.url, expires_seconds=0)).raise_for_status()
            gone = await stream.next()
            (await recorder.announce(service.url)).raise_for_status()
            back = await stream.next()
        assert [event.name for event in (gone, back)] == ["participant.updated"] * 2
        assert [event.data["data"]["participant"]["online"] for event in (gone, back)] == [False, True]
        assert [event.data["data"]["participants"][1]["online"] for event in (gone, back)] == [False, True]
        await service.user("ann").post(f"{path}/messages", json={"content": "there?"})
        await recorder.wait_for(2)
        kinds = [event["event"] for event in recorder.events()]
        assert kinds == ["participant.created", "message.created"]


async def test_a_heartbeat_that_goes_on_tells_nothing(sqlite_url: str, tmp_path: Path) -> None:
    async with (
        RecordingAssistantService() as recorder,
        running_service(sqlite_url, tmp_path / "data", service=QUICK) as service,
    ):
        await seat_robot(service, recorder)
        for _ in range(5):
            (await recorder.announce(service.url)).raise_for_status()
        assert await told(service) == []


async def test_every_seat_of_every_assistant_is_told_of(sqlite_url: str, tmp_path: Path) -> None:
    async with (
        RecordingAssistantService() as recorder,
        running_service(sqlite_url, tmp_path / "data", service=QUICK) as service,
    ):
        await seat_robot(service, recorder, 3)
        await seat_robot(service, recorder, 2)
        (await recorder.announce(service.url, expires_seconds=0)).raise_for_status()
        async with asyncio.timeout(8):
            while len(found := await told(service)) < 5:  # noqa: ASYNC110 - written by another event loop
                await asyncio.sleep(0.02)
        assert found == [False] * 5


async def test_of_many_replicas_one_tells(
    database_url: str, tmp_path: Path, recorder: RecordingAssistantService
) -> None:
    async with (
        running_service(database_url, tmp_path / "data", service=QUICK) as one,
        running_service(database_url, tmp_path / "data", service=QUICK) as two,
        running_service(database_url, tmp_path / "data", service=QUICK) as three,
    ):
        await seat_robot(one, recorder, 2)
        for _ in range(4):
            before = len(await told(one))
            (await recorder.announce(two.url, expires_seconds=0)).raise_for_status()
            async with asyncio.timeout(8):
                while len(await told(one)) < before + 2:  # noqa: ASYNC110 - written by another event loop
                    await asyncio.sleep(0.02)
            answers = await asyncio.gather(*(recorder.announce(each.url) for each in (one, two, three)))
            assert {answer.status_code for answer in answers} == {200}
        assert await told(three) == ([False] * 2 + [True] * 2) * 4
