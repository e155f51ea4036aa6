"""What is written of a session without a model: documentation, updates, packets and outputs (7.9, 8)."""

import re
from typing import Any
from uuid import UUID

import msgspec
import pytest
from tests.support.sessions import FIVE_STEPS, NAMES, asked, case, escalation, later, step

from workbench.domain.playbooks.answers import Answer
from workbench.domain.playbooks.confidence import Thresholds
from workbench.domain.playbooks.matching import PlaybookIndex, Report
from workbench.domain.playbooks.reading import read_playbook
from workbench.domain.playbooks.steps import manual_step
from workbench.domain.troubleshooting.documentation import documented, markdown
from workbench.domain.troubleshooting.facts import facts, keeps_facts
from workbench.domain.troubleshooting.markdown import escaped_block, escaped_line
from workbench.domain.troubleshooting.masking import MASK, masked
from workbench.domain.troubleshooting.model import Intake, Resolution, Ticket
from workbench.domain.troubleshooting.outputs import draft_key, output_of, playbook_draft, wanted_outputs
from workbench.domain.troubleshooting.packets import packet_of
from workbench.domain.troubleshooting.updates import UpdateRequest, status_update

SOLVED = Resolution(summary="Replaced the drum of PRN-02, token=abc123", action="fixed", root_cause="Worn drum")
TICKET = Ticket(id="INC-4711", connection_id=UUID(int=9))
HEADINGS = ["Problem", "Environment", "Steps taken", "Ruled out", "Escalations", "Resolution", "Next steps", "Time"]
ENDED: dict[str, Any] = {"status": "resolved", "resolution": SOLVED, "resolved_at": later(20), "closed_at": later(20)}


def test_53_the_same_session_gives_the_same_bytes_and_every_answered_step() -> None:
    first, second = (msgspec.json.encode(documented(case(ticket=TICKET))) for _ in range(2))
    assert first == second
    text = documented(case()).markdown
    for each in FIVE_STEPS:
        assert escaped_line(each.step.prompt) in text
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS


def test_53_the_whole_text_is_this() -> None:
    taken = escalation(state="picked_up", picked_up_by="bob", closed_at=later(40), urgency="high")
    steps = [*FIVE_STEPS[:3], step(4, asked("verify"), Answer(option_value="yes"), answered_by="bob")]
    told = case(steps, escalations=[taken], ticket=TICKET, **{**ENDED, "closed_at": later(125), "handler_id": "bob"})
    assert (
        markdown(told)
        == """\
# Printer offline

## Problem

The printer on floor 2 shows offline

The printer on floor 2 shows offline.\x20\x20
Error 0x80070005 on PRN-02.corp.example

Ticket INC-4711

## Environment

- floor: 2
- printer\\_name: PRN-02

## Steps taken

1. Who is affected? — One user
2. Clear the queue of PRN-02 — did not work — password: hunter2
3. Restart the Print Spooler service — done
4. Does a test page print? — Yes (Bob)

## Ruled out

Nothing recorded.

## Escalations

- Ann, high: No idea — taken over by Bob

## Resolution

Fixed: Replaced the drum of PRN-02, token=abc123

Cause: Worn drum

## Next steps

Nothing recorded.

## Time

2 h 5 min, 2026-03-02 09:00 UTC to 2026-03-02 11:05 UTC
"""
    )


def test_53_what_is_not_over_is_told_to_be_in_progress() -> None:
    told = documented(case([*FIVE_STEPS, step(6, asked("verify"))]))
    assert "## Resolution\n\nIn progress." in told.markdown
    assert told.next_steps == ["Does a test page print?"]
    assert told.duration_seconds == 6 * 60
    waiting = documented(case([step(1, asked("scope"))], status="requesting_escalation", escalations=[escalation()]))
    assert waiting.next_steps == ["Waiting for a colleague to take over", "Who is affected?"]
    assert "Abandoned: idle\\_timeout" in markdown(case(status="abandoned", abandon_reason="idle_timeout"))


def test_the_timeline_and_the_findings_are_in_their_order() -> None:
    taken = escalation(state="picked_up", picked_up_by="bob", closed_at=later(15), requested_at=later(2.5))
    told = documented(case(escalations=[taken], **ENDED))
    kinds = [
        "started",
        "answered",
        "escalated",
        "answered",
        "answered",
        "answered",
        "answered",
        "picked_up",
        "resolved",
    ]
    assert [entry.kind for entry in told.timeline] == kinds
    assert [entry.outcome for entry in told.timeline if entry.kind == "answered"] == [
        None,
        "failed",
        "done",
        None,
        None,
    ]
    assert told.findings == ["Who is affected? — One user", "Does a test page print? — Partly"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# Head", "\\# Head"), ("- item", "\\- item"), ("12. item", "12\\. item"), ("1.5 mm", "1.5 mm"), ("a\n\nb", "a b"),
        ("[x](javascript:1)", "\\[x\\]\\(javascript:1\\)"), ("<b>", "\\<b\\>"), ("DNS_PROBE *a* `b`", "DNS\\_PROBE \\*a\\* \\`b\\`"),
        ("===", "\\==="), ("C:\\temp", "C:\\\\temp"), ("a | b", "a \\| b"), ("&amp;", "\\&amp;"),
    ],
)  # fmt: skip
def test_what_people_write_lays_nothing_out(text: str, line: str) -> None:
    assert escaped_line(text) == line


def test_lines_and_paragraphs_of_people_stay() -> None:
    assert escaped_block(" a\nb \n\n# c\n") == "a  \nb\n\n\\# c"


def test_58_facts_are_ids_codes_hosts_and_numbers_and_none_may_go() -> None:
    text = "INC-4711: error 0x80070005 on prn-02.corp.example, DNS_PROBE twice in 5 minutes."
    assert facts(text) == {"inc-4711", "0x80070005", "prn-02.corp.example", "dns_probe", "5"}
    assert keeps_facts(text, text.upper())
    for lost in facts(text):
        assert not keeps_facts(text, re.sub(re.escape(lost), "something", text, flags=re.IGNORECASE))
    assert keeps_facts("The printer was restarted.", "We restarted it.")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password: hunter2 worked", f"password: {MASK} worked"),
        ("PWD=hunter2", f"PWD={MASK}"),
        ('the api key is "a b c", yes', f"the api key is {MASK}, yes"),
        ("use ghp_abcdefghijklmnopqrstuvwxyz0123", f"use {MASK}"),
        ("AKIAIOSFODNN7EXAMPLE", MASK),
        ("the password expired", "the password expired"),
        ("Passwort: geheim", f"Passwort: {MASK}"),
    ],
)
def test_what_looks_like_a_secret_is_masked_once(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert masked(masked(text)) == shown


# Status updates.


def update(audience: Any, told: Any = None, **members: Any) -> Any:
    return status_update(told or case(), UpdateRequest(audience=audience, **members))


def test_59_ticket_notes_tell_status_what_was_done_the_finding_and_what_is_next() -> None:
    told = case([*FIVE_STEPS, step(6, asked("verify"))])
    assert update("ticket_notes", told).content == (
        "Status: In progress.\n"
        "Done so far (5 steps): Who is affected? — One user; Clear the queue of PRN-02 — did not work; "
        "Restart the Print Spooler service — done; Does a test page print? — Partly; "
        f"{manual_step().prompt} — * replaced the *toner* # and the drum on PRN-02.\n"
        "Finding: Does a test page print? — Partly.\n"
        "Next: Does a test page print?"
    )
    assert update("ticket_notes").step_order == 5
    assert "Next:" not in update("ticket_notes", told, include_next_steps=False).content
    assert "Who is affected?" not in update("ticket_notes", told, length="short").content
    assert update("ticket_notes", case([])).content == "Status: In progress.\nDone so far: nothing yet."


@pytest.mark.parametrize("audience", ["client", "email"])
@pytest.mark.parametrize(
    "ended", [{}, ENDED, {"status": "abandoned"}, {"status": "paused"}, {"status": "requesting_escalation"}]
)
def test_59_clients_are_told_nothing_that_is_internal(audience: str, ended: dict[str, Any]) -> None:
    told = update(audience, case(**ended))
    internal = [
        "hunter2",
        "abc123",
        "Clear the queue",
        "Spooler",
        "toner",
        "did not work",
        "One user",
        "Partly",
        "0x80070005",
    ]
    assert [word for word in internal if word in f"{told.subject} {told.content}"] == []
    assert "Who is affected; Does a test page print." in told.content
    assert "The printer on floor 2 shows offline" in told.content


def test_59_a_client_is_told_three_sentences() -> None:
    assert update("client").content == (
        "You reported: The printer on floor 2 shows offline. "
        "We went through this: Who is affected; Does a test page print. "
        "We are working on it and will let you know."
    )
    assert update("client", case(**ENDED)).content.endswith(
        f"The problem is solved: Replaced the drum of PRN-02, token={MASK}."
    )
    assert update("client", case([])).content.count("We are looking into it.") == 1


@pytest.mark.parametrize(
    ("tone", "first", "last"),
    [
        ("neutral", "Hello,", "Kind regards"),
        ("friendly", "Hi,", "Best wishes"),
        ("formal", "Dear Sir or Madam,", "Yours faithfully"),
    ],
)
def test_59_a_mail_has_subject_greeting_and_signature(tone: str, first: str, last: str) -> None:
    told = update("email", tone=tone)
    assert told.subject == "In progress: The printer on floor 2 shows offline"
    assert told.content.splitlines()[0] == first
    assert told.content.splitlines()[-2:] == [last, NAMES["ann"]]
    long = case(intake=Intake(text="a" * 300))
    assert len(update("email", long).subject) == 120
    assert update("client").subject is None


def test_59_a_client_is_told_what_was_reported_and_not_what_a_model_made_of_it() -> None:
    supposed = case(problem_summary="Probably somebody broke DNS on srv-dc01")
    for audience in ("client", "email"):
        assert "srv-dc01" not in f"{update(audience, supposed).subject} {update(audience, supposed).content}"
        assert "The printer on floor 2 shows offline" in update(audience, supposed).content


def test_59_what_a_template_cannot_heed_is_named() -> None:
    assert update("client").ignored == []
    assert update("client", language="de", instructions="be brief").ignored == ["language", "instructions"]


# Packets and outputs.


def test_a_packet_tells_what_is_known_and_no_secret() -> None:
    told = case([*FIVE_STEPS, step(6, asked("verify"))], ticket=TICKET)
    packet = packet_of(told, later(42), attachments=3)
    assert packet["problem"] == "The printer on floor 2 shows offline"
    assert packet["environment"] == {"floor": "2", "printer_name": "PRN-02"}
    assert [each["outcome"] for each in packet["steps_tried"]] == [None, "failed", "done", None, None]
    assert (packet["open_step"], packet["psa_ticket_id"]) == ("Does a test page print?", "INC-4711")
    assert (packet["elapsed_seconds"], packet["steps_tried_count"], packet["attachments_count"]) == (42 * 60, 5, 3)
    assert "hunter2" not in str(packet_of(case(problem_summary="password: hunter2"), later(1), attachments=0))
    many = [step(number, manual_step(), Answer(free_text="a")) for number in range(1, 80)]
    long = packet_of(case(many), later(1), attachments=0)
    assert (len(long["steps_tried"]), long["steps_tried_count"]) == (50, 79)
    msgspec.json.encode(packet)


@pytest.mark.parametrize(
    ("tier", "left", "wanted"), [("guided", False, 3), ("exploring", False, 4), ("guided", True, 4), (None, False, 4)]
)
def test_a_draft_is_wanted_where_no_playbook_led_to_the_end(tier: Any, left: bool, wanted: int) -> None:
    assert len(wanted_outputs(case(confidence_tier=tier).session, left_playbook=left)) == wanted


def test_outputs_are_made_of_the_session_and_hold_no_secret() -> None:
    told = case(**ENDED)
    outputs = {kind: output_of(told, SOLVED, kind) for kind in wanted_outputs(told.session, left_playbook=True)}
    assert list(outputs) == ["ticket_notes", "client_summary", "kb_article", "playbook_draft"]
    article = outputs["kb_article"].content
    assert (article["cause"], article["title"], len(article["steps"])) == ("Worn drum", "Printer offline", 5)
    assert "abc123" not in str(outputs)
    assert outputs["ticket_notes"].content["text"].startswith("Status: Resolved.")
    assert outputs["client_summary"].content["text"].startswith("You reported:")


@pytest.mark.parametrize("steps", [FIVE_STEPS, ()])
def test_a_draft_is_a_sound_playbook_that_matches_its_session(steps: Any) -> None:
    told = case(steps, **{**ENDED, "title": "Drucker {offline} \u2013 2. Stock"})
    read = read_playbook(playbook_draft(told, SOLVED))
    draft = read.require()
    assert draft.key == "draft-drucker-offline-2-stock"
    assert [each for each in read.findings if each.level == "error"] == []
    assert "Clear the queue of PRN-02" not in str(draft.nodes)
    [found] = PlaybookIndex([draft]).ranked(Report(text=told.session.intake.text))
    assert Thresholds().tier(found.score) == "guided"


def test_a_draft_has_a_key_whatever_the_title() -> None:
    assert draft_key("打印机") == "draft-untitled"
    assert draft_key("A" * 300) == f"draft-{'a' * 50}"
    assert draft_key("Über den Drucker!") == "draft-uber-den-drucker"
