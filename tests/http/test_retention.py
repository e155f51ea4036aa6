"""How long a conversation keeps things, over HTTP; and the acts that are written down with what they do."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from tests.http.test_routes import dead_letter
from tests.support.assistants import RecordingAssistantService
from tests.support.databases import open_store
from tests.support.service import Service, running_service

from workbench.domain.audit.ports import AuditFilter


@pytest.fixture
async def strict(database_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    """A service that keeps messages for a month."""
    kept = {"messages_days": 30, "files_days": 60}
    async with running_service(database_url, tmp_path / "data", retention=kept) as running:
        yield running


async def begin(service: Service) -> str:
    conversation = (await service.user("ann").post("/conversations", json={})).json()["id"]
    return f"/conversations/{conversation}/retention"


async def test_an_owner_sets_shorter_terms_and_longer_ones_hold_no_longer_than_the_workspace_s(strict: Service) -> None:
    ann, path = strict.user("ann"), await begin(strict)
    default = {"messages_days": 30.0, "files_days": 60.0, "events_days": 7.0}
    nothing = dict.fromkeys(default)
    assert (await ann.get(path)).json() == {**nothing, "effective": default}
    own = {"messages_days": 5, "files_days": 1000, "events_days": None}
    answer = await ann.put(path, json=own)
    effective = {"messages_days": 5.0, "files_days": 60.0, "events_days": 5.0}
    assert answer.json() == {**own, "effective": effective}
    assert (await ann.get(path)).json() == answer.json()
    assert (await ann.put(path, json={})).json() == {**nothing, "effective": default}
    assert (await ann.get(path)).json() == {**nothing, "effective": default}


@pytest.mark.parametrize(
    ("body", "status", "names"),
    [
        ({"messages_days": 0.5}, 400, "messages_days"),
        ({"events_days": 0.999}, 400, "events_days"),
        ({"files_days": 0}, 422, "files_days"),
        ({"files_days": -1}, 422, "files_days"),
        ({"files_days": 40_000}, 422, "files_days"),
        ({"files_days": "ten"}, 422, "files_days"),
    ],
)
async def test_terms_that_cannot_be_are_refused_by_name(
    strict: Service, body: dict[str, Any], status: int, names: str
) -> None:
    path = await begin(strict)
    answer = await strict.user("ann").put(path, json=body)
    assert answer.status_code == status, answer.text
    assert names in answer.text
    assert (await strict.user("ann").get(path)).json()["effective"]["files_days"] == 60


async def acts(service: Service, workspace: str = "default") -> list[tuple[str, str, str]]:
    async with open_store(service.database_url) as store, store.transactions.read(workspace) as tx:
        found = await tx.audit.entries(AuditFilter())
    return [(f"{entry.actor_kind} {entry.actor_id}", entry.act, entry.subject) for entry in reversed(found)]


async def test_administrative_acts_are_written_down_and_nothing_else_is(own_service: Service) -> None:
    ann, bea = own_service.user("ann"), own_service.user("bea")
    registrations = "/assistant-service-registrations"
    new = {"assistant_service_id": "other.example", "name": "n", "description": "a secret plan"}
    await ann.post(registrations, json=new)
    await ann.post(registrations, json=new)
    await ann.patch(f"{registrations}/other.example", json={"description": "another"})
    await ann.patch(f"{registrations}/other.example", json={})
    await bea.delete(f"{registrations}/other.example")
    await ann.delete(f"{registrations}/other.example")
    conversation = (await ann.post("/conversations", json={"title": "Secret"})).json()["id"]
    path = f"/conversations/{conversation}"
    await bea.delete(path)
    await bea.put(f"{path}/retention", json={"files_days": 3})
    await ann.put(f"{path}/retention", json={"files_days": 3})
    await ann.put(f"{path}/retention", json={"messages_days": 0.1})
    await ann.post(f"{path}/messages", json={"content": "hello"})
    async with RecordingAssistantService() as recorder:
        await recorder.announce(own_service.url)
        await recorder.announce(own_service.url)
        robot = await ann.post("/assistants", json={"assistant_service_id": recorder.service_id, "name": "R"})
        (await ann.put(f"{path}/participants/{robot.json()['id']}", json={})).raise_for_status()
        letters = [await dead_letter(own_service, conversation, robot.json()["id"]) for _ in range(3)]
        delivery = f"/assistants/{robot.json()['id']}/delivery/dead-letters"
        await ann.delete(f"{delivery}/{letters[0]}")
        await ann.post(f"{delivery}/{letters[1]}/replay")
        await ann.post(f"{delivery}/replay")
        await ann.delete(f"{delivery}/{letters[2]}")
    await ann.delete(path)
    assert await acts(own_service) == [
        ("user ann", "registration.created", "other.example"),
        ("user ann", "registration.changed", "other.example"),
        ("user ann", "registration.removed", "other.example"),
        ("user ann", "retention.set", conversation),
        ("service recorder.workbench.example", "registration.created", recorder.service_id),
        ("user ann", "dead_letter.dropped", letters[0]),
        ("user ann", "dead_letter.replayed", letters[1]),
        ("user ann", "dead_letter.replayed", letters[2]),
        ("user ann", "conversation.deleted", conversation),
    ]
    assert await acts(own_service, "elsewhere") == []


async def test_a_key_reset_is_written_down_without_the_key_and_with_the_request_s_id(
    database_url: str, tmp_path: Path
) -> None:
    async with running_service(database_url, tmp_path / "data", service={"assistant_keys": "secured"}) as secured:
        ann = secured.user("ann")
        new = {"assistant_service_id": "other.example", "name": "n", "description": ""}
        first = (await ann.post("/assistant-service-registrations", json=new)).json()["api_key"]
        request_id = "0f" * 16
        path = "/assistant-service-registrations/other.example/api-key"
        answer = await ann.post(path, headers={"X-Request-ID": request_id})
        async with open_store(database_url) as store, store.transactions.read("default") as tx:
            (reset,) = await tx.audit.entries(AuditFilter(act="key.reset", actor_id="ann"))
            everything = str(await tx.audit.entries(AuditFilter()))
    assert (reset.correlation_id, reset.detail) == (request_id, {"overlap_seconds": 86400.0})
    assert first not in everything
    assert answer.json()["api_key"] not in everything
