"""What resolved sessions leave. The numbers are those of the specification of sessions (16)."""

from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import update
from tests.support.clocks import START
from tests.support.databases import open_store
from tests.support.playbooks import EXAMPLE
from tests.support.ticket_desk import Desk
from tests.support.troubleshooting import act, by_hand, done, import_playbook, respond, start

from workbench.adapters.sql.tables import jobs
from workbench.domain.clock import Clock
from workbench.domain.jobs.model import Job
from workbench.domain.playbooks.reading import read_playbook
from workbench.domain.transactions import Transactions
from workbench.domain.troubleshooting.output_jobs import OUTPUT_TRIES, OutputService, OutputTask
from workbench.domain.troubleshooting.ports import SessionTx

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
    dying = DiesInBetween(await desk.container.get(Transactions[SessionTx]), await desk.container.get(Clock))
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


async def test_outputs_are_the_owner_s(desk: Desk) -> None:
    ann, bob = desk.service.user(), desk.service.user("bob")
    path = (await by_hand(ann))["path"]
    await done(ann, path, "escalate")
    await done(bob, path, "pickup", "resolve")
    assert (await ann.get(f"{path}/outputs")).status_code == 200
    refused = await bob.get(f"{path}/outputs")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_owner")
    assert (await desk.service.user("dan").get(f"{path}/outputs")).status_code == 404
