"""The tools that other tests trust: they must start and stop at once and misbehave exactly as told."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar, get
from litestar.response import Stream
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import Behaviour, cut, delayed, drop, garbage, hang, redirect, status, too_many_requests
from tests.support.servers import eventually, serve


@get("/")
async def hello() -> str:
    return "hello"


@pytest.fixture
async def service() -> AsyncGenerator[RecordingAssistantService]:
    async with RecordingAssistantService(api_key="a-key") as running:
        yield running


@pytest.fixture
async def client(service: RecordingAssistantService) -> AsyncGenerator[httpx.AsyncClient]:
    headers = {"X-API-Key": "a-key"}
    async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=2.0, verify=False) as opened:
        yield opened


@pytest.fixture
async def seat(client: httpx.AsyncClient) -> str:
    """A conversation in which an assistant sits, as the path of both."""
    assistant_id, conversation_id = uuid4(), uuid4()
    path = f"/{assistant_id}/conversations/{conversation_id}"
    form = {"assistant": '{"assistant_name": "A", "template_id": "default"}'}
    assert (await client.put(f"/{assistant_id}", data=form)).status_code == 204
    form = {"conversation": '{"id": "c", "title": "T"}'}
    assert (await client.put(path, data=form)).status_code == 204
    return path


def ids(path: str) -> tuple[str, str]:
    _, assistant_id, _, conversation_id = path.split("/")
    return assistant_id, conversation_id


async def test_serves_an_app_with_its_lifespan_and_is_quick_about_it() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None]:
        seen.append("up")
        yield
        seen.append("down")

    app = Litestar([hello], lifespan=[lifespan], openapi_config=None, logging_config=None)
    began = time.monotonic()
    async with serve(app) as url, httpx.AsyncClient(verify=False) as client:
        assert (await client.get(url)).text == "hello"
        asked = time.monotonic()
        assert seen == ["up"]
    ended = time.monotonic()
    assert seen == ["up", "down"]
    assert ended - asked < 0.5
    assert asked - began < 1.0


async def test_stops_at_once_although_an_answer_is_still_being_streamed() -> None:
    @get("/")
    async def endless() -> Stream:
        async def ticks() -> AsyncGenerator[bytes]:
            while True:
                yield b"tick\n"
                await asyncio.sleep(0.01)

        return Stream(ticks())

    app = Litestar([endless], openapi_config=None, logging_config=None)
    async with httpx.AsyncClient(verify=False) as client:
        async with serve(app) as url:
            response = await client.send(client.build_request("GET", url), stream=True)
            began = time.monotonic()
        assert time.monotonic() - began < 0.5
        with pytest.raises(httpx.TransportError):
            await response.aread()
        await response.aclose()


@pytest.mark.parametrize("when", ["start", "stop"])
async def test_tells_that_an_app_failed(when: str) -> None:
    @asynccontextmanager
    async def broken(_: Litestar) -> AsyncGenerator[None]:
        if when == "start":
            raise OSError("no disk")
        yield
        raise OSError("no disk any more")

    app = Litestar([hello], lifespan=[broken], openapi_config=None, logging_config=None)
    reached = False
    with pytest.raises(RuntimeError, match="the server failed"):
        async with serve(app):
            reached = True
    assert reached is (when == "stop")


async def test_gives_up_waiting_for_what_never_becomes_true() -> None:
    with pytest.raises(TimeoutError, match="no such luck"):
        await eventually(lambda: False, timeout_seconds=0.02, reason="no such luck")


async def test_records_requests_with_their_forms_files_and_json(
    service: RecordingAssistantService, client: httpx.AsyncClient, seat: str
) -> None:
    assistant_id, conversation_id = ids(seat)
    data = b"\x00\r\n\xff"
    await client.put(
        seat, data={"conversation": "{}"}, files={"from_export": ("conversation_data.bin", data)}, params={"a": "b"}
    )
    await client.post(f"{seat}/events", json={"id": "1"}, headers={"X-Request-ID": "abc"})
    put, event = service.requests[-2:]
    assert (put.kind, put.form, put.query) == (
        Kind.PUT_CONVERSATION,
        {"conversation": "{}", "from_export": data},
        {"a": "b"},
    )
    assert (event.kind, event.assistant_id, event.conversation_id) == (Kind.EVENT, assistant_id, conversation_id)
    assert (event.json, event.headers["x-request-id"], event.status) == ({"id": "1"}, "abc", 204)
    assert [request.number for request in service.requests] == [0, 1, 2, 3]
    assert service.conversations == {(assistant_id, conversation_id): {}}


async def test_behaves_as_a_good_service_unless_told_otherwise(
    service: RecordingAssistantService, client: httpx.AsyncClient, seat: str
) -> None:
    assistant_path = "/" + ids(seat)[0]
    assert (await client.get("/", headers={"X-API-Key": ""})).json()["name"] == "Recorder"
    config = (await client.put(f"{assistant_path}/config", json={"config": {"greeting": "hi"}})).json()
    assert config == (await client.get(f"{assistant_path}/config")).json()
    assert config["config"] == {"greeting": "hi"}
    assert (await client.get(f"{seat}/states")).json()["states"][0]["id"] == "notes"
    assert (await client.put(f"{seat}/states/notes", json={"data": {"text": "new"}})).json()["data"] == {"text": "new"}
    assert (await client.get(f"{seat}/states/notes")).json()["data"] == {"text": "new"}
    assert (await client.get(f"{seat}/export-data")).content == service.exported
    assert (await client.delete(assistant_path)).status_code == 204
    assert (service.assistants, service.conversations) == ({}, {})


async def test_refuses_strangers_and_what_it_does_not_know(client: httpx.AsyncClient, seat: str) -> None:
    assistant_path = "/" + ids(seat)[0]
    for path in (f"/{uuid4()}/config", f"{assistant_path}/conversations/{uuid4()}/states", f"{seat}/states/none"):
        assert (await client.get(path)).status_code == 404
    assert (await client.post("/what/is/this")).status_code == 404
    assert (await client.get(f"{assistant_path}/config", headers={"X-API-Key": "another"})).status_code == 401


async def test_answers_in_turn_as_told_and_then_as_usual(
    service: RecordingAssistantService, client: httpx.AsyncClient, seat: str
) -> None:
    service.answer(Kind.EVENT, status(500), status(500), too_many_requests(1.5), redirect("/elsewhere"))
    answers = [await client.post(f"{seat}/events", json={"id": str(n)}) for n in range(5)]
    assert [answer.status_code for answer in answers] == [500, 500, 429, 307, 204]
    assert answers[2].headers["retry-after"] == "1.5"
    assert answers[3].headers["location"] == "/elsewhere"
    assert [event["id"] for event in service.events(*ids(seat))] == ["0", "1", "2", "3", "4"]
    assert service.events(*ids(seat), accepted=True) == [{"id": "4"}]
    assert service.events(uuid4()) == []


async def test_a_lasting_rule_holds_where_it_applies_until_rules_are_forgotten(
    service: RecordingAssistantService, client: httpx.AsyncClient, seat: str
) -> None:
    service.answer(Kind.EVENT, then=status(404), where=lambda request: request.json["id"] == "bad")
    answers = [(await client.post(f"{seat}/events", json={"id": name})).status_code for name in ("bad", "good", "bad")]
    assert answers == [404, 204, 404]
    service.behave()
    assert (await client.post(f"{seat}/events", json={"id": "bad"})).status_code == 204


@pytest.mark.parametrize("behaviour", [drop(), cut()], ids=["drop", "cut"])
async def test_breaks_the_connection(
    service: RecordingAssistantService, client: httpx.AsyncClient, seat: str, behaviour: Behaviour
) -> None:
    service.answer(Kind.GET_STATES, behaviour)
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get(f"{seat}/states")
    assert service.requests[-1].status is None
    assert (await client.get(f"{seat}/states")).status_code == 200


async def test_sends_garbage(service: RecordingAssistantService, client: httpx.AsyncClient, seat: str) -> None:
    service.answer(Kind.GET_STATES, garbage())
    with pytest.raises(ValueError, match=r"Expecting"):
        (await client.get(f"{seat}/states")).json()


async def test_answers_late(service: RecordingAssistantService, client: httpx.AsyncClient, seat: str) -> None:
    service.answer(Kind.GET_STATES, delayed(0.1, status(503)))
    began = time.monotonic()
    assert (await client.get(f"{seat}/states")).status_code == 503
    assert time.monotonic() - began >= 0.1


async def test_hangs_until_it_is_released(
    service: RecordingAssistantService, client: httpx.AsyncClient, seat: str
) -> None:
    service.answer(Kind.EVENT, then=hang())
    posts = [asyncio.create_task(client.post(f"{seat}/events", json={"id": str(n)})) for n in range(2)]
    await service.wait_for(2)
    assert service.events(accepted=True) == []
    service.release()
    assert [(await post).status_code for post in posts] == [204, 204]


async def test_hanging_ends_when_the_caller_gives_up(
    service: RecordingAssistantService, client: httpx.AsyncClient, seat: str
) -> None:
    service.answer(Kind.EVENT, then=hang())
    with pytest.raises(httpx.ReadTimeout):
        await client.post(f"{seat}/events", json={"id": "1"}, timeout=0.05)
    await eventually(lambda: not service._under_way[ids(seat)])


async def test_counts_how_many_events_were_open_at_once(
    service: RecordingAssistantService, client: httpx.AsyncClient, seat: str
) -> None:
    service.answer(Kind.EVENT, then=delayed(0.05))
    for number in range(2):
        await client.post(f"{seat}/events", json={"id": str(number)})
    assert service.peak_events(*ids(seat)) == 1
    await asyncio.gather(*(client.post(f"{seat}/events", json={"id": str(n)}) for n in range(3)))
    assert service.peak_events(*ids(seat)) == 3
    assert service.peak_events(uuid4(), uuid4()) == 0


async def test_can_be_away_for_a_while_at_the_same_url(
    service: RecordingAssistantService, client: httpx.AsyncClient, seat: str
) -> None:
    service.answer(Kind.EVENT, hang())
    hanging = asyncio.create_task(client.post(f"{seat}/events", json={"id": "lost"}))
    await service.wait_for(1)
    for _ in range(2):
        await service.stop()
        with pytest.raises(httpx.ConnectError):
            await client.get("/")
        await service.start()
        assert (await client.post(f"{seat}/events", json={"id": "again"})).status_code == 204
    with pytest.raises(httpx.TransportError):
        await hanging


async def test_tells_what_it_received_when_waiting_was_in_vain(
    service: RecordingAssistantService, client: httpx.AsyncClient, seat: str
) -> None:
    with pytest.raises(TimeoutError, match=r"PUT /.* -> 204"):
        await service.wait_for(lambda service: service.events(), timeout_seconds=0.02)


async def test_lives_under_a_prefix() -> None:
    async with RecordingAssistantService(prefix="/my/agents") as service, httpx.AsyncClient(verify=False) as client:
        assert service.url.endswith("/my/agents")
        assert (await client.get(f"{service.url}/")).status_code == 200
        assert (await client.get(service.url)).status_code == 200
        assert (await client.get(service.url.removesuffix("/my/agents"))).status_code == 404


async def test_announces_itself_to_a_workbench(service: RecordingAssistantService) -> None:
    async with RecordingAssistantService() as other:
        assert (await service.announce(other.url)).status_code == 404
        (request,) = other.requests
    assert (request.method, request.path) == ("PUT", "/assistant-service-registrations/recorder.workbench.example")
    assert request.json["url"] == service.url
    assert (request.json["online_expires_in_seconds"], request.headers["x-api-key"]) == (105.0, "a-key")
