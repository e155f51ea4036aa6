"""`workbench users erase`: nothing of the person is left, and everything of everybody else is."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from tests.cli.test_cli import plain, run
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.databases import open_store
from tests.support.erasing import ANN, ANN_NAME, IMAGE, SAID, Life, found_in, rows_of
from tests.support.service import Service, open_stream

from workbench.adapters.sql.schema import metadata
from workbench.adapters.sql.traced import TRACES, UNTOUCHED
from workbench.domain.lifecycle.person import NOTICE

SPOKEN = {"messages.content", "message_parts.parts", "events.data", "dead_letters.envelope"}
"""Where what somebody said stands."""


@pytest.fixture
async def life(service: Service) -> AsyncGenerator[Life]:
    async with RecordingAssistantService() as recorder:
        life = Life(service, recorder)
        await life.live()
        yield life


async def erase(life: Life, *arguments: str, user: str = ANN) -> Result:
    settings = {"WORKBENCH__DB__URL": life.service.database_url, "WORKBENCH__DB__POSTGRESQL_SSL_MODE": "disable"}
    settings["WORKBENCH__DATA_ROOT"] = str(life.service.settings.data_root)
    return await asyncio.to_thread(run, Path.cwd(), "users", "erase", user, *arguments, **settings)


async def receipt_of(life: Life, policy: str) -> dict[str, Any]:
    result = await erase(life, "--policy", policy, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


async def look(life: Life, *needles: str) -> dict[str, str]:
    async with open_store(life.service.database_url) as store:
        return await found_in(store, *needles)


async def test_after_a_removal_no_row_of_any_table_holds_the_person_or_what_they_said(life: Life) -> None:
    places = await look(life, ANN, ANN_NAME, SAID, IMAGE)
    wanted = ("users", "participants", "messages", "message_debug", "events", "dead_letters", "audit", "shares")
    tables = {place.partition(".")[0] for place in places}
    assert tables >= {"budget_limits", "budget_reservations"}
    assert tables >= {*wanted, "redemptions", "assistants", "assistant_services", "conversations", "file_versions"}
    receipt = await receipt_of(life, "remove")
    assert await look(life, ANN, ANN_NAME, SAID, IMAGE) == {}
    counts = receipt["counts"]
    assert counts["conversations"] == {"removed": 1, "handed_over": 1, "anonymised": 2}
    assert counts["messages"] == {"removed": 4, "anonymised": 2}
    assert counts["message_debug"] == {"removed": 4}
    assert counts["file_versions"]["removed"] == 4
    assert counts["assistants"] == {"removed": 1}
    assert counts["assistant_services"] == {"handed_over": 1, "removed": 1}
    assert counts["participants"] == {"removed": 2}
    assert (counts["users"], counts["redemptions"]) == ({"removed": 1}, {"removed": 1})
    assert counts["shares"] == {"removed": 1, "anonymised": 1}
    assert receipt["ended_datetime"] is not None
    assert ANN not in json.dumps(receipt)
    assert ANN_NAME not in json.dumps(receipt)
    path = f"/conversations/{life.visited}"
    said = (await life.bea.get(f"{path}/messages")).json()["messages"]
    assert [each["content"] for each in said] == ["bea says", "beep", "(failed)"]
    assert said[0]["metadata"]["mentions"][1] == "bea"
    files = (await life.bea.get(f"{path}/files")).json()["files"]
    assert [(file["filename"], file["current_version"], file["participant_id"]) for file in files] == [
        ("both.txt", 1, "bea")
    ]
    assert (await life.bea.get(f"{path}/files/both.txt")).text == "by bea"
    people = (await life.bea.get(f"{path}/participants?include_inactive=true")).json()["participants"]
    assert [p["id"] for p in people if p["role"] == "user"] == ["bea"]


@pytest.mark.parametrize("policy", ["keep", "replace"])
async def test_other_policies_leave_a_nameless_author(life: Life, policy: str) -> None:
    receipt = await receipt_of(life, policy)
    assert await look(life, ANN, ANN_NAME, IMAGE) == {}
    remains = await look(life, SAID)
    assert set(remains) == (SPOKEN if policy == "keep" else set())
    for conversation in (life.led, life.visited):
        path = f"/conversations/{conversation}"
        everyone = (await life.bea.get(f"{path}/participants?include_inactive=true")).json()["participants"]
        nameless = next(p for p in everyone if p["id"].startswith("erased-"))
        assert nameless["name"] == "Erased user"
        assert (nameless["image"], nameless["status"], nameless["metadata"]) == (None, None, {})
        assert nameless["active_participant"] is False
        said = (await life.bea.get(f"{path}/messages/{life.messages[conversation]}")).json()
        assert said["sender"] == {"participant_role": "user", "participant_id": nameless["id"]}
        assert said["content"] == (NOTICE if policy == "replace" else f"{SAID} in {conversation}")
        assert said["metadata"] == ({} if policy == "replace" else {"by": nameless["id"], "mentions": ["bea"]})
        debug = await life.bea.get(f"{path}/messages/{life.messages[conversation]}/debug_data")
        assert (said["has_debug_data"], debug.status_code) == (False, 404)
        text = (await life.bea.get(f"{path}/files/hers.txt")).text
        assert text == ("This file was erased.\n" if policy == "replace" else f"{SAID} in a file")
        assert (await life.bea.get(f"{path}/files/both.txt?version=1")).text == "by bea"
    # Four of hers, and two of others in whose metadata she is named.
    done = {"replaced": 4, "anonymised": 2} if policy == "replace" else {"anonymised": 6}
    assert receipt["counts"]["file_versions"] == done
    assert receipt["counts"]["users"] == {"anonymised": 1}


async def test_what_is_theirs_alone_goes_and_the_rest_is_handed_over(life: Life) -> None:
    async with open_stream(life.ann, f"/conversations/{life.visited}/events") as stream:
        await receipt_of(life, "keep")
        ending = await asyncio.wait_for(stream.until_end(), 10)
    assert [event.name for event in ending][:1] == ["participant.updated"]
    assert (await life.bea.get(f"/conversations/{life.alone}")).status_code == 404
    led = (await life.bea.get(f"/conversations/{life.led}")).json()
    assert (led["owner_id"], led["title"]) == ("bea", "Led by Ann")  # who may write comes before who may only read
    assert led["metadata"] == {
        "participantAppMetadata": {"bea": {}},
        "lead": led["metadata"]["lead"],
        "__user_set_title": True,
    }
    assert led["metadata"]["lead"].startswith("erased-")
    (await life.bea.delete(f"/conversations/{life.led}")).raise_for_status()
    visited = (await life.bea.get(f"/conversations/{life.visited}")).json()
    assert visited["owner_id"] == "bea"
    service = await life.bea.get(f"/assistant-service-registrations/{life.recorder.service_id}")
    assert (service.json()["created_by_user_id"], service.json()["created_by_user_name"]) == ("bea", "Bea")
    assert (await life.bea.get("/assistant-service-registrations/annas.example")).status_code == 404
    told = {(each.kind, each.assistant_id) for each in life.recorder.requests}
    assert (Kind.DELETE_ASSISTANT, life.anns_robot) in told
    assert (Kind.DELETE_ASSISTANT, life.beas_robot) not in told
    left = [each.conversation_id for each in life.recorder.requests if each.kind is Kind.DELETE_CONVERSATION]
    assert life.led in left


async def test_erasing_twice_gives_the_same_receipt_and_who_comes_back_is_somebody_new(life: Life) -> None:
    first = await receipt_of(life, "keep")
    before = await rows_of(life.service)
    assert await receipt_of(life, "keep") == first
    assert await receipt_of(life, "remove") == first  # there is nobody any more whose policy that could be
    assert await rows_of(life.service) == before
    back = (await life.service.user(ANN, name="Somebody").get("/users/me")).json()
    assert (back["name"], back["image"]) == ("Somebody", None)
    assert (await life.service.user(ANN).get("/conversations")).json() == {"conversations": []}
    again = await receipt_of(life, "remove")
    assert again["erasure_id"] != first["erasure_id"]
    assert again["subject"] == first["subject"]
    assert again["counts"] == {"users": {"removed": 1}}
    assert await look(life, ANN) == {}


async def test_a_dry_run_counts_and_changes_nothing(life: Life) -> None:
    before = await rows_of(life.service)
    found = json.loads((await erase(life, "--dry-run", "--json")).output)
    assert await rows_of(life.service) == before
    assert (found["conversations_deleted"], found["conversations_handed_over"]) == (1, 1)
    assert (found["rows"]["users"], found["rows"]["messages"]) == (1, 7)
    shown = await erase(life, "--dry-run")
    assert "1 conversations would be deleted, 1 handed over." in plain(shown)


async def test_the_receipt_is_a_table_for_people_and_the_act_is_in_the_record(life: Life, tmp_path: Path) -> None:
    shown = await erase(life, "--policy", "replace")
    assert shown.exit_code == 0
    assert "file versions" not in shown.output  # tables by their names
    assert "file_versions" in shown.output
    assert ANN_NAME not in shown.output
    settings = {"WORKBENCH__DB__URL": life.service.database_url, "WORKBENCH__DB__POSTGRESQL_SSL_MODE": "disable"}
    listed = await asyncio.to_thread(run, tmp_path, "audit", "list", "--json", "--act", "user.erased", **settings)
    (entry,) = json.loads(listed.output)["entries"]
    receipt = json.loads((await erase(life, "--json")).output)
    assert (entry["subject"], entry["detail"]["policy"]) == (receipt["subject"], "replace")
    assert entry["actor_kind"] == "operator"


async def test_the_same_id_in_another_workspace_is_somebody_else(life: Life) -> None:
    neighbour = life.service.user(ANN, "elsewhere", ANN_NAME)
    conversation = (await neighbour.post("/conversations", json={"title": "Elsewhere"})).json()["id"]
    await life.say(neighbour, conversation, SAID)
    async with open_store(life.service.database_url) as store:
        before = await found_in(store, ANN, SAID, workspace="elsewhere")
    assert before
    await receipt_of(life, "remove")
    async with open_store(life.service.database_url) as store:
        assert await found_in(store, ANN, SAID, workspace="elsewhere") == before


async def test_nobody_and_the_service_itself_cannot_be_erased(service: Service, tmp_path: Path) -> None:
    settings = {"WORKBENCH__DB__URL": service.database_url, "WORKBENCH__DB__POSTGRESQL_SSL_MODE": "disable"}
    for user, code in (("nobody", 3), ("semantic-workbench", 2)):
        result = await asyncio.to_thread(run, tmp_path, "users", "erase", user, **settings)
        assert result.exit_code == code, result.output
    assert (await asyncio.to_thread(run, tmp_path, "users", "erase", "nobody", "--dry-run", **settings)).exit_code == 3


def test_every_table_says_what_erasure_does_to_it() -> None:
    traced = {trace.name for trace in TRACES}
    assert traced | set(UNTOUCHED) == {table.name for table in metadata.sorted_tables}
    assert not traced & set(UNTOUCHED)
