"""Calls to services that fail, drip, lie or lead astray, as our callers see them."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import hang, status
from tests.support.databases import open_store
from tests.support.service import Service, running_service
from tests.workers.test_delivery import begin, hears, status_of

from workbench.adapters.sql.tables import dead_letters

BREAKER = {"breaker_failures": 3, "breaker_open_seconds": 0.3, "breaker_max_open_seconds": 0.3}
QUICK = {"first_retry_seconds": 0.02, "max_retry_seconds": 0.05, "timeout_seconds": 1, **BREAKER}


@pytest.fixture
async def recorder() -> AsyncGenerator[RecordingAssistantService]:
    async with RecordingAssistantService() as service:
        yield service


@pytest.fixture
async def quick(database_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    async with running_service(database_url, tmp_path / "data", delivery=QUICK) as service:
        yield service


async def test_a_service_that_fails_repeatedly_is_left_alone_until_a_probe_passes(
    quick: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(quick, recorder)
    await recorder.wait_for(1)
    url = f"/assistants/{talk.assistant}/config"
    recorder.answer(Kind.GET_CONFIG, then=status(503))
    assert [(await talk.ann.get(url)).status_code for _ in range(3)] == [503] * 3
    called = len(recorder.requests)
    refused = await talk.ann.get(url)
    assert (refused.status_code, refused.json()["code"]) == (424, "assistant_not_called")
    assert refused.headers["retry-after"] == "1"
    assert len(recorder.requests) == called
    assert (await talk.ann.get(f"/assistants/{talk.assistant}/delivery")).json()["circuit"] == "open"
    recorder.behave()
    async with asyncio.timeout(8):
        while (await talk.ann.get(url)).status_code != 200:
            pass
    assert (await talk.ann.get(f"/assistants/{talk.assistant}/delivery")).json()["circuit"] == "closed"


async def test_refusals_are_answers_and_open_no_circuit(quick: Service, recorder: RecordingAssistantService) -> None:
    talk = await begin(quick, recorder)
    recorder.answer(Kind.GET_CONFIG, then=status(409))
    codes = [(await talk.ann.get(f"/assistants/{talk.assistant}/config")).status_code for _ in range(6)]
    assert codes == [409] * 6


async def test_a_heartbeat_lets_a_service_be_called_at_once(
    sqlite_url: str, tmp_path: Path, recorder: RecordingAssistantService
) -> None:
    patient = {**QUICK, "breaker_open_seconds": 600, "breaker_max_open_seconds": 600}
    async with running_service(sqlite_url, tmp_path / "data", delivery=patient) as service:
        talk = await begin(service, recorder)
        await recorder.wait_for(1)
        recorder.answer(Kind.EVENT, then=status(500))
        await talk.say("one")
        await recorder.wait_for(4)
        async with asyncio.timeout(8):
            while "not called" not in ((await status_of(talk))["last_error"] or ""):
                pass
        recorder.behave()
        assert (await recorder.announce(service.url)).status_code == 200
        await hears(recorder, talk, "one")


async def test_what_waits_behind_an_open_circuit_burns_no_attempts(
    quick: Service, recorder: RecordingAssistantService
) -> None:
    talk = await begin(quick, recorder)
    await recorder.wait_for(1)
    recorder.answer(Kind.EVENT, then=status(500))
    await talk.say("one")
    await recorder.wait_for(7)
    attempts = (await status_of(talk))["attempts"]
    assert attempts <= len(recorder.events()) - 1
    recorder.behave()
    await hears(recorder, talk, "one")
    async with open_store(quick.database_url) as store:
        assert list(await store.database.rows(select(dead_letters.c.id))) == []


async def test_a_service_that_hangs_counts_as_failing(
    sqlite_url: str, tmp_path: Path, recorder: RecordingAssistantService
) -> None:
    delivery = {**QUICK, "timeout_seconds": 0.1}
    async with running_service(sqlite_url, tmp_path / "data", delivery=delivery) as service:
        talk = await begin(service, recorder)
        await recorder.wait_for(1)
        recorder.answer(Kind.EVENT, then=hang())
        await talk.say("one")
        async with asyncio.timeout(8):
            while (await talk.ann.get(f"/assistants/{talk.assistant}/delivery")).json()["circuit"] == "closed":
                pass
        recorder.behave()
        await hears(recorder, talk, "one")


async def test_in_secured_mode_a_registered_address_of_our_own_network_is_not_called(
    sqlite_url: str, tmp_path: Path, recorder: RecordingAssistantService
) -> None:
    async with running_service(sqlite_url, tmp_path / "data", service={"assistant_keys": "secured"}) as service:
        ann = service.user("ann")
        new = {"assistant_service_id": "bot.example", "name": "n", "description": "d"}
        key = (await ann.post("/assistant-service-registrations", json=new)).json()["api_key"]
        itself = service.assistant_service("bot.example", key)
        port = recorder.url.rpartition(":")[2]
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", "169.254.169.254", f"[::ffff:127.0.0.1]:{port}"):
            beat = {"name": "n", "description": "d", "url": f"https://{host}/", "online_expires_in_seconds": 60}
            path = "/assistant-service-registrations/bot.example"
            assert (await itself.put(path, json=beat)).status_code == 200
            refused = await ann.get("/assistant-services/bot.example")
            assert refused.status_code == 424
            assert "is not a public address; WORKBENCH__SERVICE__ALLOWED_NETWORKS" in refused.json()["detail"]
        assert recorder.requests == []
