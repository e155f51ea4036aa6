"""Models in guided sessions, over HTTP. The numbers are those of the specification of sessions (16)."""

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from tests.support.clocks import SettableClock, StoppedClock
from tests.support.databases import copy_of_template
from tests.support.postgres import Postgres
from tests.support.service import Service
from tests.support.session_models import NONSENSE, PLANTED, SessionScript, refusal, service_with_models, written
from tests.support.troubleshooting import FOREIGN, REPORT, SESSIONS, act, done, import_playbook, respond, start

from workbench.domain.troubleshooting.sourcing import MAX_FILES

NEAR = "The printer jobs are stuck somewhere"
"""Comes near the playbook on printers, and not near enough for it to be followed unasked."""
CHOOSING = """\
schema: workbench.playbook/1
key: lute
title: Lute strings out of tune
match: {phrases: [lute strings]}
start: who
nodes:
  who:  {type: question, prompt: "Which strings?", options: [{label: All of them, value: all, next: over}, {label: One, value: one, next: over}]}
  over: {type: resolution, summary: Tuned, action: fixed}
"""
LUTE = "The lute strings are out of tune"

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def script() -> SessionScript:
    return SessionScript()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def with_models_on_sqlite(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, script: SessionScript
) -> AsyncGenerator[Service]:
    folder = tmp_path_factory.mktemp("models")
    async with service_with_models(copy_of_template(sqlite_template, folder), folder / "data", script) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def with_models_on_postgresql(
    postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory, script: SessionScript
) -> AsyncGenerator[Service]:
    url = postgres_server.create()
    async with service_with_models(url, tmp_path_factory.mktemp("models") / "data", script) as running:
        yield running
    postgres_server.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def running(request: pytest.FixtureRequest) -> Service:
    return request.getfixturevalue(f"with_models_on_{request.param}")


@pytest.fixture
async def service(running: Service, script: SessionScript) -> AsyncGenerator[Service]:
    """The test's part of the service, whose models have said nothing yet."""
    script.forget()
    part = running.part(f"models-{next(_numbers)}")
    yield part
    await part.close()


async def part_of(running: Service, script: SessionScript, name: str) -> Service:
    """A part whose workspace the settings name."""
    script.forget()
    return running.part(name)


async def begun(who: httpx.AsyncClient, script: SessionScript, **step: Any) -> dict[str, Any]:
    """A session whose first step a model wrote."""
    script.says(written(**step))
    return await start(who, FOREIGN)


async def answer(who: httpx.AsyncClient, session: dict[str, Any], step: dict[str, Any], **more: Any) -> httpx.Response:
    """Answer a step in words, whatever comes of it."""
    body = {"step_id": step["step_id"], "free_text": "Nothing to see", **more}
    return await who.post(f"{session['path']}/respond", json=body)


async def limit(service: Service, amount: int, period: str = "day", user: str = "ann") -> None:
    limits = [{"measure": "generations", "period": period, "amount": amount}]
    (await service.admin().put(f"/budgets/user/{user}", json={"limits": limits})).raise_for_status()


async def usage(service: Service) -> list[dict[str, Any]]:
    """What was written down of everybody in the workspace, the oldest first."""
    wanted = {"workspace_id": service.workspace()}
    return (await service.admin().get("/usage", params=wanted)).json()["rows"][::-1]


async def measured(service: Service) -> dict[str, float]:
    """The metrics, by name and labels."""
    lines = (await service.client().get("/metrics")).text.splitlines()
    told = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in told}


async def detail(who: httpx.AsyncClient, session: dict[str, Any]) -> dict[str, Any]:
    return (await who.get(session["path"])).json()


# The first step


async def test_07_a_model_writes_the_first_step_where_no_playbook_fits(service: Service, script: SessionScript) -> None:
    ann = service.user()
    hypotheses = [{"label": "The supplier changed", "likelihood": 0.4}]
    session = await begun(
        ann, script, confidence=0.5, problem_summary="Other coffee", problem_domain="catering", hypotheses=hypotheses
    )
    step = session["first_step"]
    assert (step["source"], step["confidence_tier"], session["confidence_tier"]) == ("model", "discovery", "discovery")
    assert (session["problem_summary"], session["problem_domain"]) == ("Other coffee", "catering")
    assert (session["matched_flow_id"], session["fallback_reason"]) == (None, None)
    assert step["content"]["context"] == {"hypotheses": hypotheses}
    (row,) = await usage(service)
    assert (row["usage_type"], row["user_id"], row["generations"]) == ("flowpilot_start", "ann", 1)
    assert (row["message_id"], row["conversation_id"]) == (step["prompt_message_id"], session["conversation_id"])
    assert row["prompt_tokens"] > 0 < row["completion_tokens"]
    assert (row["metadata"]["succeeded"], row["metadata"]["tier"]) == (True, "unlimited")
    assert row["metadata"]["session_id"] == session["session_id"]
    (share,) = row["model_breakdown"].values()
    assert (share["model"], share["model_ref"], share["provider"]) == ("scripted-first", "first", "scripted")
    said = (await ann.get(f"/conversations/{session['conversation_id']}/messages")).json()["messages"]
    assert [each["id"] for each in said] == [step["prompt_message_id"]]


async def test_07_a_claim_without_support_is_not_believed(service: Service, script: SessionScript) -> None:
    session = await begun(service.user(), script, confidence=1.0)
    assert session["first_step"]["confidence_score"] < 0.6


async def test_08_a_model_that_answers_nonsense_thrice_leaves_nothing_but_its_bill(
    service: Service, script: SessionScript
) -> None:
    ann = service.user()
    script.says(NONSENSE, NONSENSE, NONSENSE)
    refused = await ann.post(SESSIONS, json={"intake_content": {"text": FOREIGN}})
    assert (refused.status_code, refused.json()["code"]) == (502, "provider_error")
    assert (refused.json()["extra"]["kind"], refused.json()["extra"]["retryable"]) == ("bad_output", True)
    assert script.requests == ["first"] * 3
    assert (await ann.get(SESSIONS)).json()["items"] == []
    assert (await ann.get("/conversations")).json()["conversations"] == []
    (row,) = await usage(service)
    assert (row["usage_type"], row["metadata"]["succeeded"]) == ("flowpilot_start", False)
    assert (row["message_id"], row["conversation_id"]) == (None, None)
    assert row["total_tokens"] > 0


async def test_08_playbooks_that_come_near_are_offered_instead(service: Service, script: SessionScript) -> None:
    ann = service.user()
    script.says(NONSENSE, NONSENSE, NONSENSE)
    session = await start(ann, NEAR)
    assert (session["first_step"]["step_type"], session["fallback_reason"]) == ("choose_playbook", "provider")
    assert script.situations[0]["sources"][0]["id"] == "printer-offline"
    await limit(service, 0)
    session = await start(ann, NEAR)
    assert (session["first_step"]["step_type"], session["fallback_reason"]) == ("choose_playbook", "quota")


async def test_one_that_is_sure_to_fit_is_followed_and_no_model_asked(service: Service, script: SessionScript) -> None:
    session = await start(service.user(), REPORT)
    assert session["first_step"]["source"] == "playbook"
    assert script.requests == []
    assert await usage(service) == []


async def test_by_hand_no_model_is_asked(service: Service, script: SessionScript) -> None:
    session = await start(service.user(), FOREIGN, start_mode="manual")
    assert session["first_step"]["step_type"] == "manual"
    assert script.requests == []


async def test_a_workspace_may_do_without(running: Service, script: SessionScript) -> None:
    alone = await part_of(running, script, "alone")
    refused = await alone.user().post(SESSIONS, json={"intake_content": {"text": FOREIGN}})
    assert (refused.status_code, refused.json()["code"]) == (503, "no_guidance_available")
    await alone.close()


async def test_the_second_model_helps_out_and_the_row_names_it(service: Service, script: SessionScript) -> None:
    script.says(refusal(429), written("Does the second one help?"))
    session = await start(service.user(), FOREIGN)
    assert session["first_step"]["content"]["prompt"] == "Does the second one help?"
    assert script.requests == ["first", "second"]
    (row,) = await usage(service)
    assert row["model_breakdown"]["scripted-second"]["total_tokens"] > 0
    assert row["model_breakdown"]["scripted-first"]["total_tokens"] == 0


# Answers


async def test_a_model_goes_on_from_what_was_answered(service: Service, script: SessionScript) -> None:
    ann = service.user()
    session = await begun(ann, script)
    script.says(written("Is it plugged in?", step_type="verification", citations=[{"kind": "session", "id": "x"}]))
    answered = await respond(ann, session["path"], session["first_step"], option_value="code", note="pin: 4711")
    step = answered["next_step"]
    assert ([each["value"] for each in step["options"]], step["citations"]) == (["yes", "no", "partly"], [])
    (passage,) = script.situations[-1]["path"]
    assert (passage["prompt"], passage["answer"]) == ("What does the display show?", "An error code\npin: [masked]")
    script.says(written("It works again", step_type="resolution", resolution_draft="Plugged it in"))
    answered = await respond(ann, session["path"], step, option_value="yes")
    assert (answered["suggestion"], answered["session"]["status"]) == ("resolve", "active")
    assert answered["suggestion_draft"]["resolution_summary"] == "Plugged it in"
    rows = await usage(service)
    assert [row["usage_type"] for row in rows] == ["flowpilot_start", "flowpilot_respond", "flowpilot_respond"]
    assert rows[-1]["message_id"] == answered["next_step"]["prompt_message_id"]
    assert len((await detail(ann, session))["conversation_messages"]) == 5


async def test_09_when_the_model_fails_the_answer_stays_and_once_more_asks_again(
    service: Service, script: SessionScript
) -> None:
    ann = service.user()
    session = await begun(ann, script)
    script.says(NONSENSE, NONSENSE, NONSENSE)
    refused = await answer(ann, session, session["first_step"])
    assert (refused.status_code, refused.json()["extra"]["kind"]) == (502, "bad_output")
    after = await detail(ann, session)
    assert (after["steps"][0]["answer"]["text"], after["generation"]) == ("Nothing to see", "failed")
    assert (after["step_count"], len(after["steps"])) == (1, 1)
    script.says(written("And now?"))
    again = await answer(ann, session, session["first_step"])
    assert (again.status_code, again.json()["next_step"]["content"]["prompt"]) == (200, "And now?")
    assert (await answer(ann, session, session["first_step"])).json() == again.json()
    after = await detail(ann, session)
    assert (after["step_count"], len(after["steps"]), after["generation"]) == (1, 2, "idle")
    said = [each["content"] for each in after["conversation_messages"]]
    assert said.count("Nothing to see") == 1
    assert [row["metadata"]["succeeded"] for row in await usage(service)] == [True, False, True]


async def test_09_by_hand_one_goes_on_at_once(service: Service, script: SessionScript) -> None:
    ann = service.user()
    session = await begun(ann, script)
    script.says(NONSENSE, NONSENSE, NONSENSE)
    answered = await answer(ann, session, session["first_step"], on_unavailable="manual")
    assert (answered.status_code, answered.json()["fallback_reason"]) == (200, "provider")
    assert answered.json()["next_step"]["step_type"] == "manual"
    script.says(refusal(401), refusal(401))
    refused = await answer(ann, session, answered.json()["next_step"])
    assert (refused.json()["extra"]["kind"], refused.json()["extra"]["retryable"]) == ("auth", False)
    again = await answer(ann, session, answered.json()["next_step"], on_unavailable="manual")
    assert again.json()["next_step"]["source"] == "model"


async def test_by_hand_solved_sessions_are_named_to_who_asks(service: Service, script: SessionScript) -> None:
    ann = service.user()
    earlier = await begun(ann, script)
    await done(ann, earlier["path"], "resolve")
    session = await begun(ann, script)
    script.says(NONSENSE, NONSENSE, NONSENSE)
    by_hand = (await answer(ann, session, session["first_step"], on_unavailable="manual")).json()["next_step"]
    (named,) = by_hand["content"]["context"]["similar"]
    assert named["session_id"] == earlier["session_id"]
    shown = (await detail(ann, session))["steps"][-1]
    assert (shown["step_id"], shown["content"]["context"]["similar"]) == (by_hand["step_id"], [named])


async def test_10_while_a_model_writes_the_session_is_its_own(service: Service, script: SessionScript) -> None:
    ann = service.user()
    session = await begun(ann, script)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> dict[str, Any]:
        reached.set()
        await go_on.wait()
        return written("At last?")

    script.says(slowly)
    first = asyncio.create_task(answer(ann, session, session["first_step"]))
    async with asyncio.timeout(10):
        await reached.wait()
    assert (await detail(ann, session))["generation"] == "running"
    second = await answer(ann, session, session["first_step"])
    assert (second.status_code, second.json()["code"]) == (409, "generation_in_progress")
    for action in ("pause", "resolve", "escalate", "abandon"):
        refused = await act(ann, session["path"], action)
        assert (refused.status_code, refused.json()["code"]) == (409, "generation_in_progress"), action
    assert (await act(ann, session["path"], "task-lane")).status_code == 204
    go_on.set()
    told = (await first).json()
    assert told["next_step"]["content"]["prompt"] == "At last?"
    assert (await answer(ann, session, session["first_step"])).json() == told
    assert len((await detail(ann, session))["steps"]) == 2


async def test_a_lease_that_ran_out_is_anybodys_and_who_comes_late_changes_nothing(
    database_url: str, tmp_path: Path, script: SessionScript
) -> None:
    clock = SettableClock(datetime.now(UTC))
    async with service_with_models(database_url, tmp_path / "data", script, StoppedClock(clock)) as service:
        script.forget()
        ann = service.user()
        session = await begun(ann, script)
        reached, go_on = asyncio.Event(), asyncio.Event()

        async def late() -> dict[str, Any]:
            reached.set()
            await go_on.wait()
            return written("Too late?")

        script.says(late, written("In time?"))
        lost = asyncio.create_task(answer(ann, session, session["first_step"]))
        async with asyncio.timeout(10):
            await reached.wait()
        clock.move(seconds=121)
        assert (await detail(ann, session))["generation"] == "failed"
        again = await answer(ann, session, session["first_step"])
        assert again.json()["next_step"]["content"]["prompt"] == "In time?"
        go_on.set()
        assert ((await lost).status_code, (await lost).json()["code"]) == (409, "generation_in_progress")
        assert len((await detail(ann, session))["steps"]) == 2
        assert len(await usage(service)) == 3


async def test_a_session_that_is_deleted_meanwhile_is_gone(service: Service, script: SessionScript) -> None:
    ann = service.user()
    session = await begun(ann, script)

    async def deleting() -> dict[str, Any]:
        assert (await ann.delete(session["path"])).status_code == 204
        return written("Anybody here?")

    script.says(deleting)
    assert (await answer(ann, session, session["first_step"])).status_code == 404
    assert len(await usage(service)) == 2


async def test_what_was_asked_already_is_written_once_more_and_then_left_to_people(
    service: Service, script: SessionScript
) -> None:
    ann = service.user()
    session = await begun(ann, script)
    script.says(written("what does the DISPLAY show"), written("Something new?"))
    answered = await respond(ann, session["path"], session["first_step"])
    assert answered["next_step"]["content"]["prompt"] == "Something new?"
    assert script.situations[-1]["unwanted"] == ["what does the DISPLAY show"]
    script.says(written("Something new?"), written("Something new!"))
    answered = await respond(ann, session["path"], answered["next_step"])
    assert (answered["next_step"]["step_type"], answered["fallback_reason"]) == ("manual", None)


async def test_an_earlier_step_is_answered_anew_and_the_model_sees_that_way_alone(
    service: Service, script: SessionScript
) -> None:
    ann = service.user()
    session = await begun(ann, script)
    await respond(ann, session["path"], session["first_step"], option_value="code")
    forked = {"fork_from_step_id": session["first_step"]["step_id"], "option_value": "nothing"}
    answered = await respond(ann, session["path"], session["first_step"], **forked)
    assert answered["session"]["is_branching"]
    assert [each["answer"] for each in script.situations[-1]["path"]] == ["Nothing"]


async def test_09_what_is_answered_anew_is_safe_to_send_again_where_the_model_failed(
    service: Service, script: SessionScript
) -> None:
    ann = service.user()
    session = await begun(ann, script)
    first = session["first_step"]
    await answer(ann, session, first)
    anew = {"fork_from_step_id": first["step_id"], "free_text": "A blinking light"}
    script.says(NONSENSE, NONSENSE, NONSENSE)
    assert (await answer(ann, session, first, **anew)).status_code == 502
    script.says(written("Which colour has it?"))
    again = await answer(ann, session, first, **anew)
    assert (again.status_code, again.json()["next_step"]["content"]["prompt"]) == (200, "Which colour has it?")
    assert (await answer(ann, session, first, **anew)).json() == again.json()
    after = await detail(ann, session)
    assert (len(after["branches"]), len(after["steps"]), after["step_count"]) == (2, 4, 2)


async def test_a_model_reads_the_files_that_come_with_answers(service: Service, script: SessionScript) -> None:
    ann = service.user()
    session = await begun(ann, script)
    files = [
        ("files", ("spooler.log", b"error 0x80070005\npassword: hunter2", "text/plain")),
        ("files", ("photo.png", b"\x89PNG", "image/png")),
        ("files", ("trace.txt", b"y" * 30_000, "text/plain")),
    ]
    (await ann.put(f"/conversations/{session['conversation_id']}/files", files=files)).raise_for_status()
    script.says(written("And now?"), written("Later?"))
    answered = await answer(ann, session, session["first_step"], upload_ids=["spooler.log", "photo.png", "trace.txt"])
    assert (answered.status_code, answered.json()["unread_uploads"]) == (200, ["photo.png"])
    shown = {each["id"]: each["text"] for each in script.situations[-1]["sources"] if each["kind"] == "upload"}
    assert shown["spooler.log"] == "error 0x80070005\npassword: [masked]"
    assert set(shown["trace.txt"]) == {"y"}
    assert sum(map(len, shown.values())) == MAX_FILES
    later = await answer(ann, session, answered.json()["next_step"], free_text="Nothing more")
    assert later.json()["unread_uploads"] == []
    assert "spooler.log" in {each["id"] for each in script.situations[-1]["sources"]}


# Playbooks, with a model beside them


async def test_74_a_model_says_which_option_a_text_means(service: Service, script: SessionScript) -> None:
    ann = service.user()
    await import_playbook(ann, CHOOSING)
    session = await start(ann, LUTE)
    script.says(written(meant_option="all"))
    answered = await respond(ann, session["path"], session["first_step"], free_text="the whole lot")
    assert (answered["next_step"]["source"], answered["suggestion"]) == ("playbook", "resolve")
    asked = script.situations[-1]["asked"]
    assert ([each["value"] for each in asked["options"]], asked["answer"]) == (["all", "one"], "the whole lot")
    assert [row["usage_type"] for row in await usage(service)] == ["flowpilot_respond"]


async def test_74_where_the_model_is_not_to_be_had_the_step_is_asked_again(
    service: Service, script: SessionScript
) -> None:
    ann = service.user()
    await import_playbook(ann, CHOOSING)
    session = await start(ann, LUTE)
    script.says(refusal(429), refusal(429))
    answered = await respond(ann, session["path"], session["first_step"], free_text="hard to say")
    step = answered["next_step"]
    assert (answered["fallback_reason"], step["content"]["prompt"]) == ("provider", "Which strings?")
    assert "choose" in step["context_message"]
    await limit(service, 0)
    answered = await respond(ann, session["path"], step, free_text="still hard to say")
    assert (answered["fallback_reason"], answered["next_step"]["content"]["prompt"]) == ("quota", "Which strings?")


async def test_74_a_text_that_means_none_is_answered_by_the_model(service: Service, script: SessionScript) -> None:
    ann = service.user()
    await import_playbook(ann, CHOOSING)
    session = await start(ann, LUTE)
    script.says(written("Did it fall?"))
    answered = await respond(ann, session["path"], session["first_step"], free_text="it has no strings")
    assert (answered["next_step"]["source"], answered["next_step"]["content"]["prompt"]) == ("model", "Did it fall?")
    answered = await respond(ann, session["path"], answered["next_step"])
    assert answered["next_step"]["source"] == "model"


async def test_75_whatever_leads_to_a_step_by_hand_it_has_beside_it_what_may_be_of_use(
    service: Service, script: SessionScript
) -> None:
    ann, bob = service.user(), service.user("bob")
    script.says(written())
    earlier = await start(ann, NEAR)
    await done(ann, earlier["path"], "resolve")
    script.says(written(), refusal(429), refusal(429))
    session = await start(ann, NEAR)
    by_hand = {"on_unavailable": "manual"}
    failed = (await answer(ann, session, session["first_step"], **by_hand)).json()
    await limit(service, 0)
    refused = 'workbench_quota_denied_total{window="daily"}'
    before = (await measured(service))[refused]
    spent = (await answer(ann, session, failed["next_step"], **by_hand)).json()
    assert (await measured(service))[refused] == before + 1
    await limit(service, 0, user="bob")
    await done(ann, session["path"], "escalate")
    taken = (await bob.post(f"{session['path']}/pickup", json={"resume_mode": "fresh", **by_hand})).json()
    assert [each["fallback_reason"] for each in (failed, spent, taken)] == ["provider", "quota", "quota"]
    for each, solved in ((failed, [earlier["session_id"]]), (spent, [earlier["session_id"]]), (taken, [])):
        context = each["next_step"]["content"]["context"]
        assert [near["key"] for near in context["candidates"]][:1] == ["printer-offline"], each
        assert [like["session_id"] for like in context["similar"]] == solved
    kept = [step["content"]["context"] for step in (await detail(bob, session))["steps"] if step["answer"] is not None]
    assert all("similar" not in context for context in kept)


async def test_16_none_of_these_is_for_the_model_to_go_on_from(service: Service, script: SessionScript) -> None:
    ann = service.user()
    script.says(refusal(429), refusal(429))
    session = await start(ann, NEAR)
    answered = await respond(ann, session["path"], session["first_step"], option_value="none_of_these")
    assert answered["next_step"]["source"] == "model"


# Quotas


async def test_39_a_refusal_says_what_is_used_up_and_until_when(running: Service, script: SessionScript) -> None:
    planned = await part_of(running, script, "planned")
    ann = planned.user()
    free = (await ann.get(f"{SESSIONS}/quota")).json()
    assert (free["plan"], free["daily"]["limit"], free["monthly"]["limit"]) == ("free", 10, 100)
    assert (free["workspace"], free["daily"]["used"]) == (None, 0)
    await limit(planned, 1)
    session = await begun(ann, script)
    assert (await ann.get(f"{SESSIONS}/quota")).json()["daily"]["used"] == 1
    refused = await answer(ann, session, session["first_step"])
    extra = refused.json()["extra"]
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert refused.json()["detail"] == extra["message"] == "Daily AI allowance used up"
    assert (extra["quota"]["deny_reason"], extra["quota"]["plan"]) == ("daily", "free")
    assert extra["quota"]["daily"] == {"limit": 1, "used": 1, "reset_at": extra["reset_at"]}
    assert int(refused.headers["retry-after"]) > 0
    both = [{"measure": "generations", "period": period, "amount": 1} for period in ("day", "month")]
    (await planned.admin().put("/budgets/user/ann", json={"limits": both})).raise_for_status()
    extra = (await answer(ann, session, session["first_step"])).json()["extra"]
    assert (extra["quota"]["deny_reason"], extra["reset_at"]) == ("monthly", extra["quota"]["monthly"]["reset_at"])
    values = await measured(planned)
    assert values['workbench_quota_denied_total{window="daily"}'] >= 1
    assert values['workbench_quota_denied_total{window="monthly"}'] >= 1
    assert values['workbench_model_requests_total{operation="flowpilot_start",provider="scripted",result="done"}'] >= 1
    assert float(values['workbench_model_tokens_total{direction="in"}']) > 0
    await planned.close()


async def test_41_what_a_playbook_asks_costs_nothing_and_what_a_model_would_is_refused(
    service: Service, script: SessionScript
) -> None:
    ann = service.user()
    written_by_model = await begun(ann, script)
    await limit(service, 0)
    by_playbook = await start(ann, REPORT)
    answered = await respond(ann, by_playbook["path"], by_playbook["first_step"])
    assert answered["next_step"]["source"] == "playbook"
    refused = await answer(ann, written_by_model, written_by_model["first_step"])
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    after = await detail(ann, written_by_model)
    assert (after["step_count"], after["steps"][0]["answer"], after["generation"]) == (0, None, "idle")
    assert len(after["conversation_messages"]) == 1
    by_hand = await answer(ann, written_by_model, written_by_model["first_step"], on_unavailable="manual")
    assert (by_hand.status_code, by_hand.json()["fallback_reason"]) == (200, "quota")
    foreign = await ann.post(SESSIONS, json={"intake_content": {"text": FOREIGN}})
    assert (foreign.status_code, foreign.json()["code"]) == (429, "quota_exceeded")


async def test_31_who_has_nothing_left_is_told_no_more_than_others(service: Service, script: SessionScript) -> None:
    session = await begun(service.user("bob"), script)
    await limit(service, 0)
    for path in (session["path"], f"{SESSIONS}/{uuid4()}"):
        refused = await answer(service.user(), {"path": path}, session["first_step"])
        assert (refused.status_code, refused.json()["code"]) == (404, "session_not_found")


async def test_43_a_provider_that_refuses_at_once_costs_nothing_of_the_quota(
    service: Service, script: SessionScript
) -> None:
    ann = service.user()
    await limit(service, 1)
    script.says(refusal(429), refusal(429))
    refused = await ann.post(SESSIONS, json={"intake_content": {"text": FOREIGN}})
    assert (refused.status_code, refused.json()["extra"]["kind"]) == (502, "rate_limited")
    (row,) = await usage(service)
    assert (row["generations"], row["total_tokens"], row["metadata"]["error_code"]) == (0, 0, "rate_limited")
    script.says(NONSENSE, NONSENSE, NONSENSE)
    assert (await ann.post(SESSIONS, json={"intake_content": {"text": FOREIGN}})).status_code == 502
    assert (await usage(service))[-1]["generations"] == 1
    assert (await ann.post(SESSIONS, json={"intake_content": {"text": FOREIGN}})).status_code == 429


async def test_49_quota_is_no_session(service: Service) -> None:
    ann = service.user()
    unlimited = (await ann.get(f"{SESSIONS}/quota")).json()
    assert unlimited == {"plan": "unlimited", "daily": None, "monthly": None, "workspace": None}
    assert (await ann.delete(f"{SESSIONS}/quota")).status_code == 405


# In other hands


async def handed_on(service: Service, session: dict[str, Any], **more: Any) -> httpx.Response:
    """Ann asks for a colleague, and Bob takes over."""
    await done(service.user(), session["path"], "escalate")
    return await service.user("bob").post(f"{session['path']}/pickup", json=more)


async def test_who_takes_over_goes_on_with_what_is_open_and_no_model_is_asked(
    service: Service, script: SessionScript
) -> None:
    session = await begun(service.user(), script)
    taken = await handed_on(service, session)
    assert taken.json()["next_step"]["content"]["prompt"] == "What does the display show?"
    assert len(script.requests) == 1


async def test_from_the_beginning_a_model_begins_anew_with_what_who_took_over_knows(
    service: Service, script: SessionScript
) -> None:
    session = await begun(service.user(), script)
    script.says(written("Which beans?"))
    taken = await handed_on(service, session, resume_mode="fresh", additional_context="They like it dark")
    assert taken.status_code == 200, taken.text
    assert (taken.json()["briefing"]["answer"]["values"], taken.json()["next_step"]["source"]) == (
        ["acknowledged"],
        "model",
    )
    assert script.situations[-1]["additional_context"] == "They like it dark"
    row = (await usage(service))[-1]
    assert (row["usage_type"], row["user_id"]) == ("flowpilot_pickup", "bob")
    assert row["message_id"] == taken.json()["next_step"]["prompt_message_id"]


async def test_a_handover_is_kept_when_the_model_fails_and_the_briefing_asks_again(
    service: Service, script: SessionScript
) -> None:
    ann, bob = service.user(), service.user("bob")
    session = await begun(ann, script)
    script.says(refusal(429), refusal(429))
    refused = await handed_on(service, session, resume_mode="fresh")
    assert (refused.status_code, refused.json()["code"]) == (502, "provider_error")
    after = await detail(bob, session)
    assert (after["handler"]["id"], after["status"], after["generation"]) == ("bob", "escalated", "failed")
    briefing = next(step for step in after["steps"] if step["step_type"] == "briefing")
    again = await respond(bob, session["path"], briefing, option_value="acknowledged")
    assert again["next_step"]["source"] == "model"


@pytest.mark.parametrize("mode", ["review", "continue"])
async def test_after_a_look_one_goes_on_behind_what_was_answered_where_nothing_was_open(
    service: Service, script: SessionScript, mode: str
) -> None:
    ann, bob = service.user(), service.user("bob")
    await import_playbook(ann, CHOOSING)
    session = await start(ann, LUTE)
    over = (await respond(ann, session["path"], session["first_step"], option_value="all"))["next_step"]
    script.says(NONSENSE, NONSENSE, NONSENSE)
    assert (await answer(ann, session, over)).status_code == 502
    await done(ann, session["path"], "escalate")
    script.says(written("Which wood is it of?"))
    taken = (await act(bob, session["path"], "pickup", {"resume_mode": mode})).json()
    goes_on = taken if mode == "continue" else await respond(bob, session["path"], taken["briefing"])
    assert goes_on["next_step"]["content"]["prompt"] == "Which wood is it of?"


async def test_who_has_nothing_left_takes_nothing_over_but_by_hand(service: Service, script: SessionScript) -> None:
    session = await begun(service.user(), script)
    await limit(service, 0, user="bob")
    refused = await handed_on(service, session, resume_mode="fresh")
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert (await detail(service.user(), session))["handler"]["id"] == "ann"
    body = {"resume_mode": "fresh", "on_unavailable": "manual"}
    taken = await service.user("bob").post(f"{session['path']}/pickup", json=body)
    assert (taken.status_code, taken.json()["fallback_reason"]) == (200, "quota")
    assert taken.json()["next_step"]["step_type"] == "manual"


async def test_after_a_look_what_was_open_is_asked_again(service: Service, script: SessionScript) -> None:
    session = await begun(service.user(), script)
    taken = await handed_on(service, session, resume_mode="review")
    assert taken.json()["next_step"]["step_type"] == "briefing"
    assert len(script.requests) == 1
    again = await respond(service.user("bob"), session["path"], taken.json()["briefing"])
    assert again["next_step"]["content"]["prompt"] == "What does the display show?"


# What must not be told


async def test_55_a_providers_words_reach_nobody(
    service: Service, script: SessionScript, caplog: pytest.LogCaptureFixture
) -> None:
    ann, seen = service.user(), list[str]()
    caplog.set_level(logging.INFO)
    for planted in (refusal(429), refusal(401), RuntimeError(PLANTED), TimeoutError(PLANTED)):
        script.says(planted, planted)
        refused = await ann.post(SESSIONS, json={"intake_content": {"text": FOREIGN}})
        assert refused.status_code == 502
        seen.append(refused.json()["extra"]["kind"])
        assert PLANTED not in refused.text + str(refused.headers)
    assert seen == ["rate_limited", "auth", "other", "timeout"]
    rows = await usage(service)
    assert PLANTED not in str(rows)
    assert "PLANTED" not in caplog.text
    assert "rate_limited" in caplog.text
