"""What resolved sessions leave. The numbers are those of the specification of sessions (16)."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import update
from tests.support.chat_models import MODELS, NAME, ChatModels
from tests.support.clocks import START
from tests.support.databases import open_store
from tests.support.playbooks import EXAMPLE
from tests.support.ticket_desk import Desk, ticket_desk
from tests.support.troubleshooting import REPORT, act, by_hand, chat, done, import_playbook, respond, start, start_chat

from workbench.adapters.sql.tables import jobs
from workbench.domain.clock import Clock
from workbench.domain.jobs.model import Job
from workbench.domain.playbooks.reading import read_playbook
from workbench.domain.transactions import Transactions
from workbench.domain.troubleshooting.output_jobs import OUTPUT_TRIES, OutputService, OutputTask
from workbench.domain.troubleshooting.outputs import PROSE
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.troubleshooting.prose import ProseService

WITH_MODEL: dict[str, Any] = {"models": MODELS, "sessions": {"models": [NAME]}}
KINDS = ["kb_article", "playbook_draft", "client_summary", "ticket_notes"]


class DiesInBetween(OutputService):
    """Is killed when the text is stored, and before the job is."""

    async def _finish(self, job: Job, task: OutputTask) -> None:
        raise KeyboardInterrupt


async def let_claims_run_out(desk: Desk) -> None:
    statement = update(jobs).values(claimed_until=START - timedelta(days=1000))
    async with open_store(desk.service.database_url) as store:
        await store.database.transact(lambda connection: connection.execute(statement))


async def test_19_a_session_is_resolved_at_once_and_its_texts_are_made_once_whoever_dies(desk: Desk) -> None:
    ann = desk.service.user()
    path = (await by_hand(ann))["path"]
    await done(ann, path, "respond")
    answer = (await act(ann, path, "resolve")).json()
    assert sorted(each["kind"] for each in answer["outputs"]) == sorted(KINDS)
    assert {each["state"] for each in answer["outputs"]} == {"pending"}
    shown = (await ann.get(f"{path}/outputs")).json()["items"]
    assert {(each["state"], each["content"]) for each in shown} == {("pending", None)}
    prose = await desk.container.get(ProseService)
    dying = DiesInBetween(await desk.container.get(Transactions[SessionTx]), prose, await desk.container.get(Clock))
    first, *_ = await desk.jobs()
    with pytest.raises(KeyboardInterrupt):
        await dying.carry_out(first)
    await let_claims_run_out(desk)
    await desk.work()
    made = (await ann.get(f"{path}/outputs")).json()["items"]
    assert {each["state"] for each in made} == {"ready"}
    texts = {each["kind"]: each["content"] for each in made}
    assert texts["ticket_notes"]["text"] == answer["ticket_notes"]
    assert "Cleared the queue on PRN-02" in texts["client_summary"]["text"]
    assert texts["kb_article"]["resolution"] == "Cleared the queue on PRN-02"
    assert read_playbook(texts["playbook_draft"]["document"]).require().key.startswith("draft-")
    assert [event.type for event in await desk.told()].count("session.outputs_ready") == 1
    await let_claims_run_out(desk)
    assert await desk.jobs() == []
    assert (await ann.get("/playbooks")).json() == (await desk.service.user("bob").get("/playbooks")).json()


async def test_8_4_a_playbook_that_led_to_the_end_needs_no_draft(desk: Desk) -> None:
    ann = desk.service.user()
    await import_playbook(ann, EXAMPLE)
    session = await start(ann)
    await respond(ann, session["path"], session["first_step"])
    assert (await ann.get(session["path"])).json()["confidence_tier"] == "guided"
    answer = (await act(ann, session["path"], "resolve")).json()
    assert [each["kind"] for each in answer["outputs"]] == ["ticket_notes", "client_summary", "kb_article"]


async def test_19_each_resolution_has_texts_of_its_own(desk: Desk) -> None:
    ann = desk.service.user()
    path = (await by_hand(ann))["path"]
    await done(ann, path, "resolve", "reopen")
    await desk.work()
    # Nothing was solved at the time when they were made.
    failed = (await ann.get(f"{path}/outputs")).json()["items"]
    assert {(each["state"], each["error_code"]) for each in failed} == {("failed", "session_reopened")}
    await done(ann, path, "resolve")
    await desk.work()
    both = (await ann.get(f"{path}/outputs")).json()["items"]
    assert [each["state"] for each in both] == ["ready"] * 4 + ["failed"] * 4
    told = [event for event in await desk.told() if event.type == "session.outputs_ready"]
    assert [msgspec.json.decode(event.data)["outputs"]["kinds"] == [] for event in told] == [True, False]


async def test_8_4_what_fails_three_times_is_given_up_by_itself(desk: Desk) -> None:
    ann = desk.service.user()
    path = (await by_hand(ann))["path"]
    await done(ann, path, "resolve")
    service = await desk.container.get(OutputService)
    worn, *others = await desk.jobs()
    await service.carry_out(msgspec.structs.replace(worn, attempts=OUTPUT_TRIES + 1))
    for job in others:
        await service.carry_out(job)
    states = {each["kind"]: each["state"] for each in (await ann.get(f"{path}/outputs")).json()["items"]}
    assert states == {**dict.fromkeys(KINDS, "ready"), worn.payload["kind"]: "failed"}


async def well_put(template: str) -> AsyncGenerator[str]:
    yield template
    yield " Well put."


async def lossy(_: str) -> AsyncGenerator[str]:
    yield "Everything is fine."


async def shared_usage(desk: Desk) -> list[tuple[str, str | None, int]]:
    """What was booked in the workspace: the type, whose wish it was, and how many uses it counts for."""
    rows = (await desk.service.admin().get("/usage", params={"workspace_id": desk.service.workspace()})).json()["rows"]
    return [(row["usage_type"], row["user_id"], row["generations"]) for row in rows]


async def test_8_4_a_model_puts_what_is_left_into_better_words_at_the_workspaces_expense(
    database_url: str, tmp_path: Path
) -> None:
    models = ChatModels(prose=well_put)
    async with ticket_desk(database_url, tmp_path / "data", models.provider, **WITH_MODEL) as desk:
        ann = desk.service.user()
        path = (await by_hand(ann))["path"]
        await done(ann, path, "resolve")
        await desk.work()
        made = {each["kind"]: each for each in (await ann.get(f"{path}/outputs")).json()["items"]}
        texts = [made[kind]["content"][place] for kind, place in PROSE.items()]
        assert all(text.endswith(" Well put.") for text in texts), texts
        assert {kind: each["generated_by"] for kind, each in made.items()} == {
            **dict.fromkeys(KINDS, "model"),
            "playbook_draft": "template",
        }
        assert await shared_usage(desk) == [("flowpilot_output", None, 1)] * 3
        models.prose = lossy
        await done(ann, path, "reopen", "resolve")
        await desk.work()
        again = (await ann.get(f"{path}/outputs")).json()["items"][:4]
        assert {(each["state"], each["generated_by"]) for each in again} == {("ready", "template")}


async def test_8_4_a_workspace_with_nothing_left_has_the_houses_own_texts(database_url: str, tmp_path: Path) -> None:
    models = ChatModels(prose=well_put)
    limit = {"scope": "workspace", "measure": "generations", "period": "month", "amount": 1}
    settings = {**WITH_MODEL, "budgets": {"limits": [limit]}}
    async with ticket_desk(database_url, tmp_path / "data", models.provider, **settings) as desk:
        ann = desk.service.user()
        path = (await by_hand(ann))["path"]
        await done(ann, path, "resolve")
        await desk.work()
        made = (await ann.get(f"{path}/outputs")).json()["items"]
        assert [each["state"] for each in made] == ["ready"] * 4
        assert [each["generated_by"] for each in made].count("model") == 1


async def test_8_4_what_was_written_in_a_chat_is_told_where_it_may_be(desk: Desk) -> None:
    ann = desk.service.user()
    path = (await start_chat(ann))["path"]
    await chat(ann, path, f"{REPORT}, it is PRN-02")
    answer = (await act(ann, path, "resolve")).json()
    assert "Written so far (1 message): " in answer["ticket_notes"]
    await desk.work()
    texts = {each["kind"]: each["content"] for each in (await ann.get(f"{path}/outputs")).json()["items"]}
    assert "it is PRN-02" in texts["ticket_notes"]["text"]
    assert texts["kb_article"]["steps"] == [f"{REPORT}, it is PRN-02"]
    assert "## Steps\n\n1. The printer" in texts["kb_article"]["markdown"]
    assert "it is PRN-02" not in texts["client_summary"]["text"]


async def test_outputs_are_the_owner_s(desk: Desk) -> None:
    ann, bob = desk.service.user(), desk.service.user("bob")
    path = (await by_hand(ann))["path"]
    await done(ann, path, "escalate")
    await done(bob, path, "pickup", "resolve")
    assert (await ann.get(f"{path}/outputs")).status_code == 200
    refused = await bob.get(f"{path}/outputs")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_owner")
    assert (await desk.service.user("dan").get(f"{path}/outputs")).status_code == 404
