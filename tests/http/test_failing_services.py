"""Assistant services that die, come back, or are where nobody calls, as users meet them."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import garbage, redirect, status
from tests.support.servers import ReservedPort
from tests.support.service import Service, running_service

PATIENT = {"breaker_failures": 2, "breaker_first_seconds": 60, "breaker_max_seconds": 60}


@pytest.fixture
async def service(sqlite_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    async with running_service(sqlite_url, tmp_path / "data", delivery=PATIENT) as service:
        yield service


@pytest.fixture
async def recorder(service: Service) -> AsyncGenerator[RecordingAssistantService]:
    async with service.recorder() as recorder:
        yield recorder


async def create(service: Service, recorder: RecordingAssistantService) -> httpx.Response:
    # With an image there is one call: the service need not be asked for its icon.
    new = {"assistant_service_id": recorder.service_id, "name": "Recorder", "image": "icon"}
    return await service.user("ann").post("/assistants", json=new)


def alone(recorder: RecordingAssistantService) -> str:
    return f"Assistant service {recorder.service_id} has failed repeatedly and is not called until a probe passes"


async def test_a_service_that_keeps_failing_is_left_alone_until_it_announces_itself(
    service: Service, recorder: RecordingAssistantService
) -> None:
    recorder.answer(Kind.PUT_ASSISTANT, status(500), status(503))
    assert [(await create(service, recorder)).status_code for _ in range(2)] == [500, 503]
    for _ in range(3):
        left = await create(service, recorder)
        assert (left.status_code, left.json()["detail"]) == (424, alone(recorder))
        assert left.headers["Retry-After"] == "60"
    assert len(recorder.received(Kind.PUT_ASSISTANT)) == 2
    await recorder.announce(service.url, expires_seconds=0)
    await recorder.announce(service.url)
    assert (await create(service, recorder)).status_code == 201
    assert (await create(service, recorder)).status_code == 201


async def test_a_service_that_dies_and_comes_back_is_found_by_a_probe(sqlite_url: str, tmp_path: Path) -> None:
    delivery = {"breaker_failures": 1, "breaker_first_seconds": 0.3, "breaker_max_seconds": 0.3}
    async with (
        running_service(sqlite_url, tmp_path / "data", delivery=delivery) as service,
        RecordingAssistantService() as recorder,
    ):
        (await recorder.announce(service.url)).raise_for_status()
        assert (await create(service, recorder)).status_code == 201
        await recorder.stop()
        dead = await create(service, recorder)
        assert dead.status_code == 424
        assert "ConnectError" in dead.json()["detail"]
        left = await create(service, recorder)
        assert (left.status_code, left.headers["Retry-After"]) == (424, "1")
        await recorder.start()
        while (again := await create(service, recorder)).status_code == 424:
            assert again.json()["detail"] == alone(recorder)
        assert again.status_code == 201


@pytest.mark.parametrize("refusal", [status(404), status(422), status(429), redirect("http://127.0.0.1:9/")])
async def test_a_service_that_says_no_is_alive(
    service: Service, recorder: RecordingAssistantService, refusal: Any
) -> None:
    recorder.answer(Kind.PUT_ASSISTANT, *[refusal] * 4)
    for _ in range(4):
        answer = await create(service, recorder)
        assert answer.json()["detail"].startswith("Assistant responded with error; response: ")
    assert (await create(service, recorder)).status_code == 201


async def test_an_answer_that_cannot_be_understood_is_502(
    service: Service, recorder: RecordingAssistantService
) -> None:
    recorder.answer(Kind.SERVICE_INFO, garbage())
    answer = await service.user("ann").get(f"/assistant-services/{recorder.service_id}")
    assert (answer.status_code, answer.json()["code"]) == (502, "bad_answer")
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize(
    ("allowed", "code", "complaint"),
    [
        ([], "address_refused", "WORKBENCH__SERVICE__ALLOWED_NETWORKS"),
        (["10.0.0.0/8"], "address_refused", "host 127.0.0.1 is at an address that is not called"),
        (["127.0.0.0/8"], "assistant_failed", "ConnectError"),
    ],
)
async def test_in_secured_mode_only_public_and_allowed_addresses_are_called(
    sqlite_url: str, tmp_path: Path, allowed: list[str], code: str, complaint: str
) -> None:
    port = ReservedPort()
    secured = {"assistant_keys": "secured", "allowed_networks": allowed}
    async with running_service(sqlite_url, tmp_path / "data", service=secured) as service:
        ann = service.user("ann")
        new = {"assistant_service_id": "bot.example", "name": "Bot", "description": "d"}
        key = (await ann.post("/assistant-service-registrations", json=new)).json()["api_key"]
        url = f"https://127.0.0.1:{port.number}/"
        beat = {"name": "n", "description": "d", "url": url, "online_expires_in_seconds": 60}
        itself = service.assistant_service("bot.example", key)
        (await itself.put("/assistant-service-registrations/bot.example", json=beat)).raise_for_status()
        answer = await ann.post("/assistants", json={"assistant_service_id": "bot.example", "name": "Bot"})
    port.release()
    assert (answer.status_code, answer.json()["code"]) == (424, code)
    assert complaint in answer.json()["detail"]
