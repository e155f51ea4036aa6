"""Secured mode: assistant services show a key of their own."""

from pathlib import Path

import pytest
from sqlalchemy import select
from tests.support.databases import open_store
from tests.support.service import Service, running_service

from workbench.adapters.sql.tables import assistant_services
from workbench.domain.identity.model import EVERYWHERE

SECURED = {"assistant_keys": "secured"}
BEAT = {"name": "n", "description": "d", "url": "https://bot.example/api/", "online_expires_in_seconds": 60}


async def register(service: Service, service_id: str = "bot.example") -> str:
    new = {"assistant_service_id": service_id, "name": "Bot", "description": "d"}
    answer = await service.user("ann").post("/assistant-service-registrations", json=new)
    assert answer.status_code == 200, answer.text
    key: str = answer.json()["api_key"]
    return key


async def test_a_registered_service_is_let_in_by_its_key_alone(database_url: str, tmp_path: Path) -> None:
    async with running_service(database_url, tmp_path / "data", service=SECURED) as service:
        key = await register(service)
        assert len(key) == 43
        path = "/assistant-service-registrations/bot.example"
        right = await service.assistant_service("bot.example", key).put(path, json=BEAT)
        assert right.status_code == 200, right.text
        assert (right.json()["api_key"], right.json()["assistant_service_online"]) == (None, True)
        for service_id, wrong in (("bot.example", ""), ("bot.example", key[:-1] + "?"), ("other.example", key)):
            refused = await service.assistant_service(service_id, wrong).put(path, json=BEAT)
            assert (refused.status_code, refused.json()["detail"]) == (401, "Invalid credentials")


async def test_keys_differ_and_are_not_stored_in_the_clear(database_url: str, tmp_path: Path) -> None:
    async with running_service(database_url, tmp_path / "data", service=SECURED) as service:
        keys = [await register(service, f"bot{number}.example") for number in range(2)]
        async with open_store(database_url) as store:
            rows = await store.database.rows(
                select(assistant_services.c.api_key_encrypted).where(assistant_services.c.workspace_id != EVERYWHERE)
            )
    assert len(set(keys)) == 2
    assert all(key not in row[0] for key in keys for row in rows)


async def test_an_id_is_registered_once(database_url: str, tmp_path: Path) -> None:
    async with running_service(database_url, tmp_path / "data") as service:
        new = {"assistant_service_id": "Bot.Example ", "name": "Bot", "description": "d"}
        first = await service.user("ann").post("/assistant-service-registrations", json=new)
        assert first.json()["assistant_service_id"] == "bot.example"
        again = await service.user("bea").post("/assistant-service-registrations", json=new)
        assert again.status_code == 409
        assert again.json()["detail"] == "assistant service with this assistant_service_id already exists"


@pytest.mark.parametrize(
    ("url", "status", "kept"),
    [
        ("http://bot.example/", 400, None),
        ("HTTPS://Bot.Example:443", 200, "https://bot.example/"),
        ("https://user:pw@bot.example/", 400, None),
        ("ftp://bot.example/", 400, None),
        ("https://bot.example:8443/agents", 200, "https://bot.example:8443/agents"),
    ],
)
async def test_a_url_is_checked_and_normalised(
    sqlite_url: str, tmp_path: Path, url: str, status: int, kept: str | None
) -> None:
    async with running_service(sqlite_url, tmp_path / "data", service=SECURED) as service:
        key = await register(service)
        itself = service.assistant_service("bot.example", key)
        answer = await itself.put("/assistant-service-registrations/bot.example", json={**BEAT, "url": url})
    assert (answer.status_code, answer.json().get("assistant_service_url")) == (status, kept)
    if status == 400:
        assert answer.json()["field"] == "url"
