"""What assistant services say of themselves, asked live."""

from contextlib import AsyncExitStack

from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import garbage, status
from tests.support.service import Service

LEGACY = {
    "assistant_service_id": "old.example",
    "name": "Old",
    "description": "of old",
    "default_config": {"config": {"a": 1}, "json_schema": {"type": "object"}, "ui_schema": {}},
    "metadata": {"capabilities": {"x": True}},
}


async def test_those_that_answer_are_listed_and_a_dead_one_spoils_nothing(own_service: Service) -> None:
    ann = own_service.user("ann")
    async with AsyncExitStack() as stack:
        names = ("good.example", "old.example", "failing.example", "garbled.example", "dead.example")
        good, old, failing, garbled, dead = [
            await stack.enter_async_context(RecordingAssistantService(name)) for name in names
        ]
        old.info = LEGACY
        failing.answer(Kind.SERVICE_INFO, then=status(500))
        garbled.answer(Kind.SERVICE_INFO, then=garbage())
        for each in (good, old, failing, garbled, dead):
            (await each.announce(own_service.url)).raise_for_status()
        await dead.stop()
        infos = (await ann.get("/assistant-services")).json()["assistant_service_infos"]
        assert sorted(info["assistant_service_id"] for info in infos) == ["good.example", "old.example"]
        modern = next(info for info in infos if info["assistant_service_id"] == "old.example")
        assert modern["templates"] == [
            {
                "id": "default",
                "name": "Old",
                "description": "of old",
                "config": {**LEGACY["default_config"], "errors": None},
            }
        ]
        assert modern["metadata"] == LEGACY["metadata"]
        one = await ann.get("/assistant-services/good.example")
        assert (one.status_code, one.json()) == (200, next(i for i in infos if i["name"] == "Recorder"))
        assert (await ann.get("/assistant-services/good.example/info")).json() == one.json()
        assert (await ann.get("/assistant-services/failing.example")).status_code == 500
        broken = await ann.get("/assistant-services/garbled.example")
        assert (broken.status_code, broken.json()["code"]) == (502, "bad_answer")
        gone = await ann.get("/assistant-services/dead.example")
        assert gone.status_code == 424
        assert "ConnectError" in gone.json()["detail"]
        await good.announce(own_service.url, expires_seconds=0)
        assert (await ann.get("/assistant-services/good.example")).status_code == 404
        assert (await ann.get("/assistant-services/none.example")).status_code == 404


async def test_a_services_list_can_be_asked_for_by_creator(own_service: Service) -> None:
    async with RecordingAssistantService("bot.example") as bot:
        new = {"assistant_service_id": "bot.example", "name": "n", "description": "d", "include_in_listing": False}
        (await own_service.user("ann").post("/assistant-service-registrations", json=new)).raise_for_status()
        (await bot.announce(own_service.url)).raise_for_status()
        for client, query, expected in (
            (own_service.user("ann"), "", 0),
            (own_service.user("ann"), "?user_id=me", 1),
            (own_service.user("bea"), "?user_id=me", 0),
            (own_service.user("bea"), "?user_id=ann", 1),
            (own_service.assistant_service("bot.example"), "?user_id=ann", 1),
        ):
            found = (await client.get(f"/assistant-services{query}")).json()["assistant_service_infos"]
            assert len(found) == expected, query
