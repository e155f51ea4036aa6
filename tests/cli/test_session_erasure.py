"""`workbench users erase` of somebody who worked on troubleshooting sessions: others go on, nothing names them."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.cli.test_cli import run
from tests.support.databases import open_store
from tests.support.erasing import found_in
from tests.support.playbooks import EXAMPLE
from tests.support.servers import until
from tests.support.service import Service
from tests.support.ticket_systems import WEBHOOK_KEY
from tests.support.troubleshooting import act, by_hand, done, import_playbook, respond

from workbench.adapters.sql.ticket_tables import resolution_outputs
from workbench.domain.lifecycle.person import NOTICE

LEAVER, LEAVER_NAME, SAID = "zoe-4711", "Zoe Zimmermann", "what only Zoe would say"


def settings_of(service: Service) -> dict[str, str]:
    """What a command needs to work on the service's database."""
    database = {"WORKBENCH__DB__URL": service.database_url, "WORKBENCH__DB__POSTGRESQL_SSL_MODE": "disable"}
    return {**database, "WORKBENCH__DATA_ROOT": str(service.settings.data_root)}


async def erase(service: Service, policy: str) -> None:
    """Erase them, and look into every table."""
    arguments = ("users", "erase", LEAVER, "--policy", policy)
    result = await asyncio.to_thread(run, Path.cwd(), *arguments, **settings_of(service))
    assert result.exit_code == 0, result.output
    async with open_store(service.database_url) as store:
        assert await found_in(store, LEAVER, LEAVER_NAME, SAID) == {}


async def test_sessions_are_not_found_any_more_by_what_they_said_and_are_by_the_rest(service: Service) -> None:
    ann, zoe = service.user(), service.user(LEAVER, name=LEAVER_NAME)
    path = (await by_hand(zoe, f"{SAID}. The bassoon squeaks", title="Music"))["path"]
    await done(zoe, path, "escalate")
    taken = (await act(ann, path, "pickup")).json()
    await respond(ann, path, taken["next_step"], free_text="Changed the reed")
    await erase(service, "replace")

    async def found(query: str) -> int:
        return len((await ann.get("/ai-sessions/search", params={"q": query})).json()["items"])

    assert await found("bassoon") == 0
    result = await asyncio.to_thread(run, Path.cwd(), "sessions", "reindex", **settings_of(service))
    assert result.exit_code == 0, result.output
    assert (await found("bassoon"), await found("reed")) == (0, 1)


async def test_what_they_reported_goes_from_a_session_that_a_colleague_handles(service: Service) -> None:
    ann, zoe = service.user(), service.user(LEAVER, name=LEAVER_NAME)
    path = (await by_hand(zoe, f"{SAID}. Nothing prints", title="Printer"))["path"]
    await done(zoe, path, "escalate")
    await done(ann, path, "pickup")
    await erase(service, "replace")
    assert (await ann.get(path)).json()["title"] == NOTICE
    await done(ann, path, "respond", "resolve")


async def test_what_they_said_goes_from_notes_that_wait_and_from_texts_of_others(service: Service) -> None:
    ann, zoe, root = service.user(), service.user(LEAVER, name=LEAVER_NAME), service.admin()
    hook = {"url": "https://hooks.example/"}
    new = {"kind": "webhook", "name": "Hook", "config": hook, "secret": {"keys": [WEBHOOK_KEY]}}
    connection = (await root.post("/psa-connections", json=new)).json()["id"]
    there = {"site": "na.myconnectwise.net", "company_id": "c", "client_id": "c", "member_map": {LEAVER: "zoe"}}
    kept = {"kind": "connectwise", "name": "CW", "config": there, "secret": {"public_key": "p", "private_key": "p"}}
    (await root.post("/psa-connections", json=kept)).raise_for_status()
    path = (await by_hand(ann, psa_ticket_id="4711", psa_connection_id=connection))["path"]
    # Notes wait from here on.
    (await root.patch(f"/psa-connections/{connection}", json={"enabled": False})).raise_for_status()
    await done(ann, path, "escalate")
    taken = (await act(zoe, path, "pickup")).json()
    await respond(zoe, path, taken["next_step"], free_text=SAID)
    await done(zoe, path, "resolve")

    async with open_store(service.database_url) as store:

        async def are_made() -> bool:
            states = await store.database.rows(select(resolution_outputs.c.state))
            return {state for (state,) in states} == {"ready"}

        await until(are_made, timeout_seconds=30)
    resolution, escalation = (await ann.get(f"{path}/psa-pushes")).json()["items"]
    assert SAID in resolution["body"]
    await erase(service, "remove")
    # What Ann alone had said until then is hers.
    bodies = [each["body"] for each in (await ann.get(f"{path}/psa-pushes")).json()["items"]]
    assert bodies == [None, escalation["body"]]
    assert (await ann.get(f"{path}/outputs")).json()["items"] == []


@pytest.mark.parametrize("policy", ["remove", "replace"])
async def test_sessions_of_others_go_on_without_a_trace_of_who_helped(service: Service, policy: str) -> None:
    ann, zoe = service.user(), service.user(LEAVER, name=LEAVER_NAME)
    (await zoe.get("/users/me")).raise_for_status()
    await import_playbook(zoe, EXAMPLE)
    path = (await by_hand(ann))["path"]
    assert (await act(ann, path, "escalate", {"reason": "No idea", "target_user_id": LEAVER})).is_success
    taken = (await act(zoe, path, "pickup")).json()
    await respond(zoe, path, taken["next_step"], free_text=SAID)
    await done(zoe, path, "escalate")
    await done(ann, path, "pickup")
    await erase(service, policy)
    detail = (await ann.get(path)).json()
    assert [each["state"] for each in detail["escalations"]] == ["picked_up", "picked_up"]
    assert detail["access"] == "act"
    assert (await ann.get(f"{path}/documentation")).status_code == 200
    await done(ann, path, "resolve")


async def test_answers_that_are_kept_and_sessions_that_are_hidden_name_nobody_who_is_gone(service: Service) -> None:
    ann, zoe = service.user(), service.user(LEAVER, name=LEAVER_NAME)
    once = {"Idempotency-Key": "k"}
    new = {"intake_content": {"text": f"{SAID}. Nothing prints"}, "title": "Printer", "start_mode": "manual"}
    path = f"/ai-sessions/{(await zoe.post('/ai-sessions', json=new, headers=once)).json()['session_id']}"
    await done(zoe, path, "escalate")
    taken = await ann.post(f"{path}/pickup", json={}, headers=once)
    assert LEAVER in taken.text
    hidden = (await by_hand(ann))["path"]
    await done(ann, hidden, "escalate")
    step = (await act(zoe, hidden, "pickup")).json()["next_step"]
    await respond(zoe, hidden, step, free_text=SAID)
    await done(zoe, hidden, "resolve")
    await done(ann, hidden, "delete")
    await erase(service, "replace")
    again = await ann.post(f"{path}/pickup", json={}, headers=once)
    assert (again.status_code, again.json()["code"]) == (409, "idempotency_answer_not_kept")
    assert (await ann.get(hidden)).status_code == 404
