"""Registrations of assistant services: listed, looked at, changed, deleted, and their keys."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.clocks import SettableClock, StoppedClock
from tests.support.service import Service, running_service

PATH = "/assistant-service-registrations"
SECURED = {"assistant_keys": "secured"}
BOT = "bot.example"


@pytest.fixture
async def on_sqlite(sqlite_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    async with running_service(sqlite_url, tmp_path / "data") as service:
        yield service


async def register(user: httpx.AsyncClient, service_id: str = BOT, **fields: Any) -> dict[str, Any]:
    new = {"assistant_service_id": service_id, "name": "Bot", "description": "d", **fields}
    answer = await user.post(PATH, json=new)
    assert answer.status_code == 200, answer.text
    return answer.json()


def beat(seconds: float = 60, url: str = "https://bot.example/") -> dict[str, Any]:
    return {"name": "n", "description": "d", "url": url, "online_expires_in_seconds": seconds}


async def ids(client: httpx.AsyncClient, query: str = "") -> list[str]:
    found = (await client.get(f"{PATH}{query}")).json()["assistant_service_registrations"]
    assert all(each["api_key"] is None for each in found)
    return [each["assistant_service_id"] for each in found]


async def test_the_list_has_what_is_to_be_listed_or_what_somebody_registered(service: Service) -> None:
    ann, bea = service.user("ann"), service.user("bea")
    await register(ann, "one.example")
    await register(ann, "two.example", include_in_listing=False)
    await register(bea, "three.example")
    await register(service.user("ann", "elsewhere"), "four.example")
    assert await ids(bea) == ["one.example", "three.example"]
    assert await ids(ann, "?user_id=me") == ["one.example", "two.example"]
    assert await ids(bea, "?user_id=ann&user_id=bea") == ["one.example", "two.example", "three.example"]
    assert await ids(bea, "?owner_id=ann") == ["one.example", "three.example"]
    itself = service.assistant_service("three.example")
    (await itself.put(f"{PATH}/three.example", json=beat())).raise_for_status()
    assert await ids(ann, "?assistant_service_online=true") == ["three.example"]
    assert await ids(ann, "?assistant_service_online=false") == ["one.example"]
    assert await ids(ann, "?assistant_service_online=false&user_id=ann") == ["one.example", "two.example"]
    wrong = await ann.get(f"{PATH}?assistant_service_online=perhaps")
    assert (wrong.status_code, wrong.json()["detail"][0]["loc"]) == (422, ["query", "assistant_service_online"])


async def test_one_is_shown_with_its_key_masked(database_url: str, tmp_path: Path) -> None:
    async with running_service(database_url, tmp_path / "data", service=SECURED) as service:
        key = (await register(service.user("ann")))["api_key"]
        shown = (await service.user("bea").get(f"{PATH}/{BOT}")).json()
        assert shown["api_key"] == key[:4] + "*" * 39
        assert (await service.user("bea").get(f"{PATH}/none.example")).status_code == 404
        assert (await service.user("ann", "elsewhere").get(f"{PATH}/{BOT}")).status_code == 404


async def test_without_keys_the_mask_shows_nothing(on_sqlite: Service) -> None:
    ann = on_sqlite.user("ann")
    await register(ann)
    assert (await ann.get(f"{PATH}/{BOT}")).json()["api_key"] == "*" * 32


async def test_a_change_sets_what_is_given_and_no_more(service: Service) -> None:
    ann = service.user("ann")
    made = await register(ann)
    changed = (await ann.patch(f"{PATH}/{BOT}", json={"name": "", "include_in_listing": False})).json()
    expected = {**made, "name": "", "include_in_listing": False, "api_key": None}
    assert changed == expected
    assert await ids(ann) == []
    assert (await ann.patch(f"{PATH}/{BOT}", json={})).json() == expected
    for name in ("name", "description", "include_in_listing"):
        refused = await ann.patch(f"{PATH}/{BOT}", json={name: None})
        assert (refused.status_code, refused.json()["detail"]) == (400, f"{name} cannot be null")
        assert refused.json()["field"] == name
    assert (await ann.patch(f"{PATH}/{BOT}", json={"include_in_listing": "yes"})).status_code == 422
    assert (await ann.patch(f"{PATH}/none.example", json={})).status_code == 404


async def test_with_keys_only_its_creator_changes_a_registration(sqlite_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data", service=SECURED) as service:
        await register(service.user("ann"))
        bea = service.user("bea")
        assert (await bea.patch(f"{PATH}/{BOT}", json={"name": "x"})).status_code == 404
        assert (await bea.post(f"{PATH}/{BOT}/api-key")).status_code == 404
        assert (await bea.delete(f"{PATH}/{BOT}")).status_code == 404


async def works(service: Service, key: str) -> int:
    return (await service.assistant_service(BOT, key).put(f"{PATH}/{BOT}", json=beat())).status_code


async def test_after_a_reset_both_keys_are_good_for_a_time(database_url: str, tmp_path: Path) -> None:
    clock = SettableClock()
    async with running_service(database_url, tmp_path / "data", StoppedClock(clock), service=SECURED) as service:
        ann = service.client(Authorization=f"Bearer {await token_at(service, clock)}")
        old = (await register(ann))["api_key"]
        assert await works(service, old) == 200
        new = (await ann.post(f"{PATH}/{BOT}/api-key")).json()["api_key"]
        assert (len(new), new != old) == (43, True)
        assert [await works(service, key) for key in (old, new)] == [200, 200]
        clock.move(hours=23, minutes=59)
        assert [await works(service, key) for key in (old, new)] == [200, 200]
        clock.move(minutes=2)
        assert [await works(service, key) for key in (old, new)] == [401, 200]


async def token_at(service: Service, clock: SettableClock) -> str:
    """A token that outlives the test's time: the clock there stands elsewhere than that of who signs."""
    from workbench.adapters.tokens.local import LocalIssuer  # noqa: PLC0415

    return LocalIssuer(service.settings.data_root, clock).sign("ann", "Ann", "default", 30 * 86_400)


async def test_a_reset_can_end_the_old_key_at_once_and_a_key_can_run_out(database_url: str, tmp_path: Path) -> None:
    clock = SettableClock()
    async with running_service(database_url, tmp_path / "data", StoppedClock(clock), service=SECURED) as service:
        ann = service.client(Authorization=f"Bearer {await token_at(service, clock)}")
        made = await register(ann, api_key_expires_in_seconds=60)
        old = made["api_key"]
        assert made["api_key_expiration_datetime"] is not None
        assert await works(service, old) == 200
        clock.move(seconds=60)
        assert await works(service, old) == 401
        answer = (await ann.post(f"{PATH}/{BOT}/api-key?overlap_seconds=0&expires_in_seconds=100")).json()
        assert [await works(service, key) for key in (old, answer["api_key"])] == [401, 200]
        clock.move(seconds=101)
        assert await works(service, answer["api_key"]) == 401
        wrong = await ann.post(f"{PATH}/{BOT}/api-key?overlap_seconds=-1")
        assert wrong.status_code == 422


async def test_the_last_use_of_a_key_is_noted(sqlite_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data", service=SECURED) as service:
        ann = service.user("ann")
        key = (await register(ann))["api_key"]
        assert (await ann.get(f"{PATH}/{BOT}")).json()["api_key_last_used_datetime"] is None
        assert await works(service, key) == 200
        assert (await ann.get(f"{PATH}/{BOT}")).json()["api_key_last_used_datetime"] is not None
        await ann.post(f"{PATH}/{BOT}/api-key")
        assert await works(service, key) == 200
        assert (await ann.get(f"{PATH}/{BOT}")).json()["api_key_last_used_datetime"] is None


async def test_a_registration_goes_with_its_assistants_and_their_seats_stay(
    own_service: Service,
) -> None:
    ann, bea = own_service.user("ann"), own_service.user("bea")
    await register(ann)
    async with RecordingAssistantService(BOT) as bot:
        (await bot.announce(own_service.url)).raise_for_status()
        new = {"assistant_service_id": BOT, "name": "Robot"}
        assistant = (await bea.post("/assistants", json=new)).json()["id"]
        path = f"/conversations/{(await bea.post('/conversations', json={})).json()['id']}"
        (await bea.put(f"{path}/participants/{assistant}", json={})).raise_for_status()
        assert (await bea.delete(f"{PATH}/{BOT}")).status_code == 404
        assert (await ann.delete(f"{PATH}/{BOT}")).status_code == 204
        assert bot.received(Kind.DELETE_CONVERSATION)
        assert bot.received(Kind.DELETE_ASSISTANT)
    assert (await ann.get(f"{PATH}/{BOT}")).status_code == 404
    assert (await bea.get("/assistants")).json() == {"assistants": []}
    seats = (await bea.get(f"{path}/participants?include_inactive=true")).json()["participants"]
    robot = next(seat for seat in seats if seat["id"] == assistant)
    assert (robot["name"], robot["active_participant"], robot["online"]) == ("Robot", False, False)
    assert len((await bea.get("/conversations")).json()["conversations"]) == 1


async def test_who_registered_itself_is_deleted_by_nobody(on_sqlite: Service) -> None:
    itself = on_sqlite.assistant_service(BOT)
    (await itself.put(f"{PATH}/{BOT}", json=beat())).raise_for_status()
    assert (await on_sqlite.user("ann").delete(f"{PATH}/{BOT}")).status_code == 404
