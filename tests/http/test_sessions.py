"""Troubleshooting sessions over HTTP: found, answered, told. The numbers are those of the specification (16)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from tests.support.bad_input import field_of
from tests.support.databases import open_store
from tests.support.playbooks import EXAMPLE
from tests.support.service import Service
from tests.support.troubleshooting import (
    FOREIGN,
    REPORT,
    SESSIONS,
    SOLVED,
    act,
    by_hand,
    done,
    import_playbook,
    messages_of,
    respond,
    start,
)

from workbench.domain.playbooks.answers import Reading
from workbench.domain.playbooks.steps import manual_step
from workbench.domain.playbooks.walking import MAX_STEPS
from workbench.domain.troubleshooting.model import Branch, SessionStep

ODD_VALUES = """\
schema: workbench.playbook/1
key: odd-values
title: Zither strings out of tune
match: {phrases: [zither strings]}
start: ask
nodes:
  ask:   {type: question, prompt: "How many?", options: [{label: Nothing, value: no, next: again}, {label: Eight, value: 010, next: again}]}
  again: {type: question, prompt: "And now?", options: [{label: Nothing, value: no, next: over}, {label: Eight, value: 010, next: over}], skip: {next: over}}
  over:  {type: resolution, summary: Tuned, action: fixed}
"""
SPOOLER = "Jobs stuck in the queue, the print spooler hangs"
ZITHERS = "The zither strings are out of tune"


def renamed(key: str, title: str) -> str:
    return EXAMPLE.replace("key: printer-offline", f"key: {key}").replace(
        "title: Printer offline or not printing", f"title: {title}"
    )


async def test_01_a_report_finds_its_playbook_and_the_first_step_is_asked(service: Service) -> None:
    ann = service.user()
    session = await start(ann)
    (shipped,) = [
        each for each in (await ann.get("/playbooks")).json()["playbooks"] if each["key"] == "printer-offline"
    ]
    assert session["matched_flow_id"] == shipped["id"]
    assert (session["confidence_tier"], session["status"], session["problem_domain"]) == (
        "guided",
        "active",
        "printing",
    )
    step = session["first_step"]
    assert (step["source"], step["step_order"], step["confidence_tier"]) == ("playbook", 1, "guided")
    assert session["candidates"][0]["key"] == "printer-offline"
    conversation = (await ann.get(f"/conversations/{session['conversation_id']}")).json()
    assert (conversation["title"], conversation["metadata"]["session_id"]) == (session["title"], session["session_id"])
    assert [each["id"] == "ann" for each in conversation["participants"]] == [True, False]
    assert not any((await ann.get("/usage")).json().values())


async def test_02_nothing_that_fits_is_503_and_nothing_is_kept(service: Service) -> None:
    ann = service.user()
    refused = await ann.post(SESSIONS, json={"intake_content": {"text": FOREIGN}})
    assert (refused.status_code, refused.json()["code"]) == (503, "no_guidance_available")
    assert refused.json()["extra"]["model_configured"] is False
    assert refused.json()["extra"]["playbooks_published"] == 13
    assert len(refused.json()["extra"]["nearest"]) == 3
    assert "start_mode=manual" in refused.json()["extra"]["hint"]
    assert (await ann.get(SESSIONS)).json()["items"] == []
    assert (await ann.get("/conversations")).json()["conversations"] == []


async def test_03_by_hand_one_can_always_begin(service: Service) -> None:
    session = await by_hand(service.user(), FOREIGN)
    assert (session["first_step"]["step_type"], session["confidence_tier"]) == ("manual", None)
    assert session["matched_flow_id"] is None


async def test_04_of_two_playbooks_that_fit_alike_a_person_chooses(service: Service) -> None:
    ann = service.user()
    for key in ("zither-one", "zither-two"):
        await import_playbook(ann, ODD_VALUES.replace("key: odd-values", f"key: {key}"))
    session = await start(ann, ZITHERS)
    step = session["first_step"]
    assert step["step_type"] == "choose_playbook"
    values = [option["value"] for option in step["options"]]
    assert {*values[:2], values[-1]} == {"zither-one", "zither-two", "none_of_these"}
    answered = await respond(ann, session["path"], step, option_value="zither-two")
    assert answered["next_step"]["content"]["prompt"] == "How many?"
    assert answered["session"]["confidence_score"] == 0.80
    detail = (await ann.get(session["path"])).json()
    assert detail["match_score"] == 0.80
    assert detail["matched_flow_id"] == (await ann.get("/playbooks/zither-two")).json()["id"]


async def test_10_the_same_answer_at_once_is_one_answer(service: Service) -> None:
    ann = service.user()
    session = await by_hand(ann)
    answer = {"step_id": session["first_step"]["step_id"], "free_text": "Tried it"}
    answers = await asyncio.gather(*(ann.post(f"{session['path']}/respond", json=answer) for _ in range(4)))
    assert [each.status_code for each in answers] == [200] * 4
    assert [each.json() for each in answers] == [answers[0].json()] * 4
    assert len((await ann.get(session["path"])).json()["steps"]) == 2


async def test_11_an_older_step_is_stale_and_the_same_answer_once_more_is_no_news(service: Service) -> None:
    ann = service.user()
    session = await by_hand(ann)
    first, path = session["first_step"], session["path"]
    answered = await respond(ann, path, first, free_text="Tried this", note="Twice")
    assert await respond(ann, path, first, free_text="Tried this", note="Twice") == answered
    stale = await ann.post(f"{path}/respond", json={"step_id": first["step_id"], "free_text": "Tried that"})
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_step")
    assert stale.json()["extra"]["current_step"] == answered["next_step"]
    foreign = await ann.post(f"{path}/respond", json={"step_id": str(uuid4()), "free_text": "x"})
    assert (foreign.status_code, foreign.json()["code"]) == (404, "step_not_found")


async def test_12_values_that_yaml_would_change_stay_as_they_are(service: Service) -> None:
    ann = service.user()
    await import_playbook(ann, ODD_VALUES)
    session = await start(ann, ZITHERS)
    assert [option["value"] for option in session["first_step"]["options"]] == ["no", "010"]
    answered = await respond(ann, session["path"], session["first_step"], option_value="010")
    answered = await respond(ann, session["path"], answered["next_step"], option_value="no")
    assert (answered["suggestion"], answered["suggestion_draft"]["resolution_summary"]) == ("resolve", "Tuned")
    assert answered["session"]["status"] == "active"


async def test_13_words_are_taken_for_the_option_that_they_mean(service: Service) -> None:
    ann = service.user()
    await import_playbook(ann, EXAMPLE)
    session = await start(ann, SPOOLER)
    path, step = session["path"], session["first_step"]
    assert step["content"]["prompt"] == "Who is affected?"
    unmapped = await respond(ann, path, step, free_text="not everyone")
    detail = (await ann.get(path)).json()
    assert detail["steps"][0]["answer"] == {"kind": "free_text", "values": [], "text": "not everyone"}
    again = await start(ann, SPOOLER)
    mapped = await respond(ann, again["path"], again["first_step"], free_text="everyone in the office")
    detail = (await ann.get(again["path"])).json()
    assert detail["steps"][0]["answer"]["values"] == ["all"]
    assert unmapped["next_step"]["content"]["prompt"] == mapped["next_step"]["content"]["prompt"]
    assert unmapped["session"]["confidence_score"] < mapped["session"]["confidence_score"]
    skipped = await ann.post(f"{path}/respond", json={"step_id": unmapped["next_step"]["step_id"], "skip": True})
    assert (skipped.status_code, skipped.json()["code"]) == (409, "skip_not_allowed")
    unknown = {"step_id": unmapped["next_step"]["step_id"], "outcome": "not_applicable"}
    refused = await ann.post(f"{path}/respond", json=unknown)
    assert (refused.status_code, refused.json()["code"], field_of(refused)) == (400, "unknown_option", "outcome")


async def test_14_an_earlier_step_is_answered_anew_on_a_branch_of_its_own(service: Service) -> None:
    ann = service.user()
    await import_playbook(ann, EXAMPLE)
    session = await start(ann, SPOOLER)
    path = session["path"]
    second = (await respond(ann, path, session["first_step"], option_value="one"))["next_step"]
    await respond(ann, path, second, outcome="failed")
    forked = await respond(ann, path, second, outcome="done", fork_from_step_id=second["step_id"])
    assert forked["session"]["is_branching"] is True
    assert forked["next_step"]["content"]["prompt"] == "Does a test page print?"
    detail = (await ann.get(path)).json()
    assert len(detail["branches"]) == 2
    old = [step for step in detail["steps"] if step["branch_id"] == second["branch_id"]]
    assert [step["answer"] and step["answer"]["values"] for step in old] == [["one"], ["failed"], None]
    told = (await ann.get(f"{path}/documentation")).json()["markdown"]
    assert "did not work" in told.partition("## Ruled out")[2]


async def test_14_what_is_answered_anew_is_safe_to_send_again(service: Service) -> None:
    ann = service.user()
    session = await by_hand(ann)
    path, first = session["path"], session["first_step"]
    await respond(ann, path, first, free_text="Tried this")
    anew = {"fork_from_step_id": first["step_id"], "free_text": "Tried that"}
    forked = await respond(ann, path, first, **anew)
    assert await respond(ann, path, first, **anew) == forked
    assert len((await ann.get(path)).json()["branches"]) == 2
    await respond(ann, path, forked["next_step"], free_text="And more")
    other = await respond(ann, path, first, **anew, note="And not as before")
    assert other["session"]["active_branch_id"] != forked["session"]["active_branch_id"]
    assert len((await ann.get(path)).json()["branches"]) == 3


async def test_16_none_of_these_goes_on_by_hand(service: Service) -> None:
    ann = service.user()
    for key in ("zither-one", "zither-two"):
        await import_playbook(ann, ODD_VALUES.replace("key: odd-values", f"key: {key}"))
    session = await start(ann, ZITHERS)
    answered = await respond(ann, session["path"], session["first_step"], option_value="none_of_these")
    assert answered["next_step"]["step_type"] == "manual"
    assert answered["next_step"]["confidence_score"] is None
    assert answered["session"]["confidence_score"] == session["confidence_score"]


async def test_44_a_task_lane_is_measured_in_bytes_and_keeps_to_its_revision(service: Service) -> None:
    ann = service.user()
    path = f"{(await by_hand(ann))['path']}/task-lane"
    largest = 262_144

    def lane(size: int, letter: str = "x") -> dict[str, Any]:
        empty = len('{"questions":[],"actions":[],"responses":{"a00":""}}') + 40 * len('"a00":"",') - len('"a00":""')
        text = letter * ((size - empty) // len(letter.encode()))
        return {"responses": {f"a{at:02}": text[at * 8000 : (at + 1) * 8000] for at in range(40)}}

    def size_of(sent: dict[str, Any]) -> int:
        return len(msgspec.json.encode({"questions": [], "actions": [], **sent}))

    fits = lane(largest)
    filler = largest - size_of(fits)
    fits["responses"]["a39"] += "x" * filler
    assert size_of(fits) == largest
    assert (await ann.put(path, json=fits)).status_code == 204
    fits["responses"]["a39"] += "x"
    refused = await ann.put(path, json=fits)
    assert (refused.status_code, refused.json()["code"]) == (413, "task_lane_too_large")
    assert (await ann.put(path, json=lane(largest // 2, "ж"))).status_code == 204
    stale = await ann.put(path, json={"rev": 1})
    assert (stale.status_code, stale.json()["code"], stale.json()["extra"]["rev"]) == (409, "task_lane_conflict", 2)
    assert (await ann.put(path, json={"rev": 2})).status_code == 204


async def test_44_what_comes_without_a_length_is_measured_too_and_a_later_handler_keeps_the_lane(
    service: Service,
) -> None:
    ann, bob = service.user(), service.user("bob")
    session = (await by_hand(ann))["path"]
    path, largest = f"{session}/task-lane", 262_144

    async def in_pieces(letter: str, size: int) -> AsyncIterator[bytes]:
        yield b'{"responses": {'
        count = size // (8000 * len(letter.encode())) + 1
        for number in range(count):
            yield f'{"," if number else ""}"r{number}": "{letter * 8000}"'.encode()
        yield b"}}"

    json_type = {"Content-Type": "application/json"}
    for letter in "x\u0436":
        fits = await ann.put(path, content=in_pieces(letter, largest - 16_500), headers=json_type)
        assert fits.status_code == 204, fits.text
        refused = await ann.put(path, content=in_pieces(letter, largest), headers=json_type)
        assert (refused.status_code, refused.json()["code"]) == (413, "task_lane_too_large")
    await done(ann, session, "escalate")
    assert (await bob.put(path, json={})).status_code == 404
    await done(bob, session, "pickup")
    assert (await bob.put(path, json={"responses": {"a": "Bob was here"}, "rev": 2})).status_code == 204
    shown = [(await who.get(session)).json()["pending_task_lane"]["responses"] for who in (ann, bob)]
    assert shown == [{"a": "Bob was here"}] * 2
    assert (await ann.put(path, json={})).json()["code"] == "not_handler"


async def test_45_what_is_deleted_is_gone_at_once(service: Service) -> None:
    ann = service.user()
    session = await by_hand(ann)
    await done(ann, session["path"], "delete")
    assert (await ann.get(session["path"])).status_code == 404
    assert (await ann.get(f"/conversations/{session['conversation_id']}")).status_code == 404
    assert (await ann.get(SESSIONS)).json()["items"] == []


async def test_53_the_documentation_is_the_same_each_time_and_tells_every_answer(service: Service) -> None:
    ann = service.user()
    session = await start(ann)
    path, step = session["path"], session["first_step"]
    for _ in range(3):
        step = (await respond(ann, path, step))["next_step"]
    await done(ann, path, "resolve")
    texts = [(await ann.get(f"{path}/documentation", params={"format": form})) for form in ("json", "markdown", "text")]
    assert texts[0].json()["markdown"] == texts[1].text == texts[2].text
    assert texts[0].content == (await ann.get(f"{path}/documentation")).content
    assert [each.headers["content-type"] for each in texts[1:]] == [
        "text/markdown; charset=utf-8",
        "text/plain; charset=utf-8",
    ]
    assert [f"{number}. " in texts[1].text for number in (1, 2, 3)] == [True] * 3
    assert "Cleared the queue on PRN" in texts[1].text


async def test_59_a_client_is_told_what_is_safe(service: Service) -> None:
    ann = service.user()
    session = await by_hand(ann)
    await respond(ann, session["path"], session["first_step"], free_text="Rebooted srv-7", note="password: hunter2")
    sent = {"audience": "email", "tone": "formal", "instructions": "Be brief"}
    told = (await ann.post(f"{session['path']}/status-update", json=sent)).json()
    assert told["subject"].startswith("In progress: ")
    assert "srv-7" not in told["content"]
    assert told["ignored"] == ["instructions"]
    notes = (await ann.post(f"{session['path']}/status-update", json={"audience": "ticket_notes"})).json()
    assert "srv-7" in notes["content"]
    assert "hunter2" not in notes["content"]


async def test_60_its_owner_rates_it_once_it_is_over(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    path = (await by_hand(ann))["path"]
    early = await ann.post(f"{path}/rate", json={"rating": 5})
    assert (early.status_code, early.json()["code"]) == (409, "illegal_transition")
    await done(ann, path, "escalate")
    await done(bob, path, "pickup", "resolve")
    assert (await bob.post(f"{path}/rate", json={"rating": 5})).json()["code"] == "not_owner"
    for wrong in (0, 6, "5", 4.5, True):
        assert field_of(await ann.post(f"{path}/rate", json={"rating": wrong})) == "rating"
    assert (await ann.post(f"{path}/rate", json={"rating": 2, "feedback": "Slow"})).status_code == 204
    shown = [(await who.get(path)).json() for who in (ann, bob)]
    assert [each["session_feedback"] for each in shown] == ["Slow", None]
    assert [each["session_rating"] for each in shown] == [2, None]


async def test_68_prompts_and_answers_are_messages_and_a_repeated_answer_adds_none(service: Service) -> None:
    ann = service.user()
    session = await by_hand(ann)
    path, step = session["path"], session["first_step"]
    for number in range(5):
        answered = await respond(ann, path, step, free_text=f"Tried {number}")
        assert await respond(ann, path, step, free_text=f"Tried {number}") == answered
        step = answered["next_step"]
    messages = (await ann.get(f"/conversations/{session['conversation_id']}/messages")).json()["messages"]
    senders = [each["sender"]["participant_role"] for each in messages]
    assert senders == [*["assistant", "user"] * 5, "assistant"]
    assert [each["content"] for each in messages if each["sender"]["participant_id"] == "ann"][-1] == "Tried 4"
    assert (await ann.get(path)).json()["conversation_messages"] == messages
    assert answered["session"]["step_count"] == 5


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "intake_content"),
        ({"intake_content": {"text": " \n"}}, "intake_content.text"),
        ({"intake_content": {"text": "x"}, "mood": "bad"}, "mood"),
        ({"intake_content": {"text": "x" * 20_001}}, "intake_content.text"),
        ({"intake_content": {"text": REPORT}, "playbook_id": str(uuid4())}, "playbook_id"),
    ],
)
async def test_what_is_amiss_in_a_start_is_named(sqlite_service: Service, body: dict[str, Any], field: str) -> None:
    refused = await sqlite_service.user().post(SESSIONS, json=body)
    assert (refused.status_code, field_of(refused)) == (400, field)


async def test_an_answer_has_exactly_one_kind(sqlite_service: Service) -> None:
    ann = sqlite_service.user()
    session = await by_hand(ann)
    for sent in ({}, {"free_text": "x", "skip": True}):
        body = {"step_id": session["first_step"]["step_id"], **sent}
        refused = await ann.post(f"{session['path']}/respond", json=body)
        assert (refused.status_code, refused.json()["code"]) == (400, "answer_required")


async def test_resolving_answers_with_notes_for_the_ticket(sqlite_service: Service) -> None:
    ann = sqlite_service.user()
    path = (await by_hand(ann))["path"]
    resolved = (await act(ann, path, "resolve", {**SOLVED, "root_cause": "A full queue"})).json()
    assert (resolved["status"], resolved["psa_push_status"]) == ("resolved", "not_linked")
    assert "Cleared the queue on PRN-02" in resolved["ticket_notes"]
    assert (await ann.get(path)).json()["root_cause"] == "A full queue"


async def test_files_go_with_an_answer_once_they_are_in_the_sessions_conversation(service: Service) -> None:
    ann = service.user()
    session = await by_hand(ann)
    answer = {"step_id": session["first_step"]["step_id"], "free_text": "See the log", "upload_ids": ["log.txt"]}
    unknown = await ann.post(f"{session['path']}/respond", json=answer)
    assert (unknown.status_code, unknown.json()["code"], field_of(unknown)) == (
        400,
        "unknown_upload",
        "upload_ids",
    )
    files = {"files": ("log.txt", b"spooler stopped")}
    (await ann.put(f"/conversations/{session['conversation_id']}/files", files=files)).raise_for_status()
    (await ann.post(f"{session['path']}/respond", json=answer)).raise_for_status()
    said = [each for each in await messages_of(ann, session) if each["content"].startswith("See the log")]
    assert [each["filenames"] for each in said] == [["log.txt"]]


async def test_before_a_session_there_is_no_file_to_name(service: Service) -> None:
    content = {"text": "It does not print", "upload_ids": ["log.txt"]}
    refused = await service.user().post("/ai-sessions", json={"intake_content": content, "start_mode": "manual"})
    told = refused.json()
    assert (refused.status_code, told["code"], field_of(refused)) == (
        400,
        "unknown_upload",
        "intake_content.upload_ids",
    )


async def test_the_documentation_tells_how_much_work_it_was(service: Service) -> None:
    ann = service.user()
    session = await by_hand(ann)
    solved = {"resolution_summary": "Spooler restarted", "resolution_action": "fixed", "time_spent_minutes": 95}
    for wrong in (-1, 10_081, 4.5, "five"):
        refused = await ann.post(f"{session['path']}/resolve", json={**solved, "time_spent_minutes": wrong})
        assert refused.status_code == 400, wrong
    (await ann.post(f"{session['path']}/resolve", json=solved)).raise_for_status()
    told = (await ann.get(f"{session['path']}/documentation")).json()
    assert told["resolution"]["time_spent_minutes"] == 95
    assert "; 1 h 35 min of work" in told["markdown"]


async def test_a_session_has_two_hundred_steps_at_most_on_all_its_branches(sqlite_service: Service) -> None:
    ann = sqlite_service.user()
    session = await by_hand(ann)
    path, first = session["path"], session["first_step"]
    second = (await respond(ann, path, first))["next_step"]
    now, other = datetime.now(UTC), uuid4()
    tried = Reading(kind="free_text", text="Tried it")
    async with open_store(sqlite_service.database_url) as store:
        async with store.transactions.write(sqlite_service.workspace()) as tx:
            tx.session_steps.branch(UUID(session["session_id"]), Branch(id=other, label="Other", created_at=now))
            for number in range(MAX_STEPS - 3):
                done_before = SessionStep(
                    id=uuid4(), branch_id=other, step_order=number, step=manual_step(), asked_at=now,
                    answered_at=now, answered_by="ann", reading=tried,
                )  # fmt: skip
                tx.session_steps.add(UUID(session["session_id"]), done_before)
    body = {"step_id": second["step_id"], "free_text": "And this"}
    third = (await ann.post(f"{path}/respond", json=body)).json()["next_step"]
    for more in ({"step_id": third["step_id"]}, {"step_id": first["step_id"], "fork_from_step_id": first["step_id"]}):
        refused = await ann.post(f"{path}/respond", json={**more, "free_text": "Once too often"})
        assert (refused.status_code, refused.json()["code"]) == (409, "step_limit")
    assert (await act(ann, path, "resolve")).status_code == 200
