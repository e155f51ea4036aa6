"""The way through a playbook: what is asked, what an answer means, and where it leads (7.1, 7.4, 7.5)."""

from typing import Any

import pytest
from tests.support.playbooks import node, playbook

from workbench.domain.errors import ConflictError, InvalidError, WorkbenchError
from workbench.domain.playbooks.answers import MAX_FREE_TEXT, Answer, Reading, read_answer
from workbench.domain.playbooks.confidence import CHOSEN, Thresholds
from workbench.domain.playbooks.matching import Candidate
from workbench.domain.playbooks.model import Playbook
from workbench.domain.playbooks.steps import (
    CHOICE_NEEDED,
    MANUAL,
    NONE_OF_THESE,
    Step,
    StepOption,
    briefing_step,
    choosing_step,
    filled,
    manual_step,
    playbook_step,
)
from workbench.domain.playbooks.walking import MAX_STEPS, Arrival, Passed, Walk, require_room, visits

SKIP = Answer(skip=True)
TWO = [{"label": "The user", "value": "one", "next": "queue"}, {"label": "Everyone", "value": "all", "next": "spooler"}]
CHOICE = {"type": "question", "prompt": "Who?", "options": TWO}


def walked(walk: Walk, *answers: Answer) -> tuple[Step, list[Passed]]:
    """The step after these answers, and the way there."""
    step, path = walk.first(), list[Passed]()
    for answer in answers:
        assert step.node_id is not None, "the playbook has given out before"
        reading = read_answer(step, answer)
        arrival = walk.after(path, step.node_id, reading)
        path.append(Passed(node_id=step.node_id, kind=reading.kind, is_unclear=arrival.kind == "unclear"))
        step = walk.step(arrival, path)
    return step, path


def start(**nodes: Any) -> Walk:
    return Walk(playbook=playbook(**nodes), match=0.8, inputs={"printer_name": "PRN01"})


def option(value: str) -> Answer:
    return Answer(option_value=value)


def text(sent: str) -> Answer:
    return Answer(free_text=sent)


def outcome(value: Any) -> Answer:
    return Answer(outcome=value)


def refused(step: Step, answer: Answer) -> tuple[type[WorkbenchError], str, str | None]:
    with pytest.raises(WorkbenchError) as raised:
        read_answer(step, answer)
    return type(raised.value), raised.value.error_code, raised.value.field


# Steps.


def test_01_the_first_step_is_that_of_the_start_and_guided() -> None:
    step = start().first()
    assert (step.step_type, step.node_id, step.source, step.prompt) == (
        "question",
        "scope",
        "playbook",
        "Who is affected?",
    )
    assert step.options == (
        StepOption(label="One user", value="one", followup_hint="Check the local queue"),
        StepOption(label="Everyone", value="all"),
    )
    assert (step.allow_free_text, step.allow_skip) == (True, True)
    assert (step.confidence_score, step.confidence_tier) == (0.8, "guided")


def test_inputs_stand_in_the_place_of_their_names_and_missing_ones_are_left_out_and_told() -> None:
    asked = playbook()
    assert playbook_step(asked, "queue", {"printer_name": "{device_type}"}).prompt == "Clear the queue of {device_type}"
    step = playbook_step(asked, "queue", {})
    assert (step.prompt, step.missing_inputs) == ("Clear the queue of", ("printer_name",))
    assert filled("{a} of {b}, {c}", {"b": "B"}) == "of B,"
    assert filled(None, {}) is None


@pytest.mark.parametrize(
    ("node_id", "options", "allows"),
    [
        ("queue", ["done", "failed"], (False, False)),
        ("verify", ["yes", "no", "partly"], (False, False)),
        ("told", ["continue"], (False, False)),
        ("some", ["a", "b"], (True, False)),
        ("fixed", [], (True, False)),
        ("up", [], (True, False)),
    ],
)
def test_each_type_offers_what_it_can_be_answered_with(
    node_id: str, options: list[str], allows: tuple[bool, bool]
) -> None:
    several = {"type": "multi", "prompt": "Which?", "options": [{"label": each, "value": each} for each in "ab"]}
    step = playbook_step(playbook(told=node(), some={**several, "next": "fixed"}), node_id, {})
    assert [offered.value for offered in step.options] == options
    assert (step.allow_free_text, step.allow_skip) == allows


def test_the_last_two_types_only_suggest() -> None:
    asked = playbook()
    fixed, up = (playbook_step(asked, node_id, {}) for node_id in ("fixed", "up"))
    assert (fixed.suggestion, fixed.action, fixed.prompt) == ("resolve", "fixed", "Restarted spooler and cleared queue")
    assert (up.suggestion, up.urgency, up.prompt) == ("escalate", "normal", "Spooler restart did not help")


def candidates(count: int = 2) -> list[Candidate]:
    return [Candidate(key=f"k{number}", title=f"Title {number}", score=0.5) for number in range(count)]


def test_04_two_playbooks_are_offered_with_none_of_these() -> None:
    step = choosing_step(candidates())
    assert step.step_type == "choose_playbook"
    assert [(each.label, each.value) for each in step.options] == [
        ("Title 0", "k0"), ("Title 1", "k1"), ("None of these", NONE_OF_THESE),
    ]  # fmt: skip
    assert read_answer(step, option("k1")).values == ("k1",)
    assert read_answer(step, text("none of these")).values == (NONE_OF_THESE,)


def test_04_a_chosen_playbook_goes_on_with_a_base_of_080() -> None:
    step = Walk(playbook=playbook(), match=CHOSEN).first()
    assert (step.node_id, step.confidence_score, step.confidence_tier) == ("scope", 0.80, "guided")


def test_16_what_gives_out_becomes_a_manual_step_that_is_sure_of_nothing() -> None:
    step = manual_step(candidates(3))
    assert (step.step_type, step.prompt, step.allow_free_text, step.allow_skip) == ("manual", MANUAL, True, False)
    assert (step.confidence_score, step.confidence_tier) == (None, None)
    assert [each["key"] for each in step.context["candidates"]] == ["k0", "k1", "k2"]
    assert step.context["similar"] == []


def test_03_a_session_by_hand_takes_what_is_written() -> None:
    assert read_answer(manual_step(), text(" tried the cable ")).text == "tried the cable"
    assert refused(manual_step(), SKIP) == (ConflictError, "skip_not_allowed", None)


def test_a_briefing_tells_and_is_acknowledged() -> None:
    step = briefing_step({"problem": "x"}, "on site since noon")
    assert step.context == {"packet": {"problem": "x"}, "additional_context": "on site since noon"}
    assert step.confidence_score is None
    assert read_answer(step, option("acknowledged")).kind == "mapped"


# Answers.


@pytest.mark.parametrize(
    "answer",
    [Answer(), Answer(note="n"), Answer(option_value="one", skip=True), Answer(option_value="one", free_text="one"),
     Answer(option_values=[], outcome="done")],
)  # fmt: skip
def test_exactly_one_kind_of_answer_is_taken(answer: Answer) -> None:
    assert refused(start().first(), answer) == (InvalidError, "answer_required", None)


@pytest.mark.parametrize(
    ("node_id", "answer", "error"),
    [
        ("scope", option("two"), (InvalidError, "unknown_option", "option_value")),
        ("scope", option(""), (InvalidError, "unknown_option", "option_value")),
        ("scope", outcome("done"), (InvalidError, "unknown_option", "outcome")),
        ("scope", text("  "), (InvalidError, "validation_error", "free_text")),
        ("scope", text("a" * (MAX_FREE_TEXT + 1)), (InvalidError, "validation_error", "free_text")),
        ("scope", Answer(option_values=["one", "all"]), (InvalidError, "unknown_option", "option_values")),
        ("queue", outcome("not_applicable"), (InvalidError, "unknown_option", "outcome")),
        ("queue", text("done"), (ConflictError, "free_text_not_allowed", None)),
        ("queue", SKIP, (ConflictError, "skip_not_allowed", None)),
        ("some", Answer(option_values=["a", "a"]), (InvalidError, "validation_error", "option_values")),
        ("some", Answer(option_values=[]), (InvalidError, "validation_error", "option_values")),
        ("some", Answer(option_values=["a", "c"]), (InvalidError, "unknown_option", "option_values[1]")),
    ],
)
def test_13_what_a_step_does_not_take_is_refused(node_id: str, answer: Answer, error: Any) -> None:
    several = {"type": "multi", "prompt": "Which?", "options": [{"label": each, "value": each} for each in "ab"]}
    assert refused(playbook_step(playbook(some={**several, "next": "up"}), node_id, {}), answer) == error


def test_an_unknown_option_is_answered_with_those_offered() -> None:
    with pytest.raises(InvalidError) as raised:
        read_answer(start().first(), option("two"))
    assert raised.value.extra == {"offered": ["one", "all"]}


def test_several_are_chosen_of_a_multi_and_one_may_come_alone() -> None:
    several = {"type": "multi", "prompt": "Which?", "options": [{"label": each, "value": each} for each in "abc"]}
    asked = start(some={**several, "next": "up"})
    step = playbook_step(asked.playbook, "some", {})
    assert read_answer(step, Answer(option_values=["c", "a"])).values == ("c", "a")
    reading = read_answer(step, option("b"))
    assert reading.values == ("b",)
    assert asked.after([], "some", reading) == Arrival(kind="node", node_id="up")


SIX = tuple(
    StepOption(label=label, value=value)
    for label, value in [
        ("One user", "one"), ("Everyone", "all"), ("Not connected", "off"), ("Error 691", "e691"), ("The user", "user"),
        ("Paper jam or open cover", "paper_jam"),
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ("everyone in the office", "all"), ("EVERYONE", "all"), ("not everyone", None), ("all", "all"), ("all of them", "all"),
        ("it isn't everyone", None), ("not connected", "off"), ("  Not Connected  ", "off"), ("it is not connected", None),
        ("it says error 691 again", "e691"), ("the user", "user"), ("this user has it", None), ("one or everyone", None),
        ("there is a paper jam", "paper_jam"), ("something else", None), ("nobody", None), ("only one", "one"),
    ],
)  # fmt: skip
def test_13_a_text_means_the_one_option_whose_words_it_has_unless_it_negates(sent: str, value: str | None) -> None:
    step = Step(step_type="question", prompt="?", source="model", options=SIX, allow_free_text=True)
    reading = read_answer(step, text(sent))
    assert reading.values == ((value,) if value else ())
    assert (reading.kind, reading.text) == ("mapped" if value else "free_text", sent.strip())


# The way.


@pytest.mark.parametrize(
    ("answers", "node_id"),
    [
        ([option("one")], "queue"),
        ([option("all")], "spooler"),
        ([text("everyone in the office")], "spooler"),
        ([text("one user, as far as I know")], "queue"),
        ([text("not everyone")], "spooler"),
        ([SKIP], "spooler"),
        ([option("one"), outcome("done"), option("yes")], "fixed"),
        ([option("one"), outcome("failed"), outcome("failed")], "up"),
        ([option("one"), option("done"), option("partly")], "up"),
    ],
)
def test_13_an_answer_leads_where_the_author_said(answers: list[Answer], node_id: str) -> None:
    assert walked(start(), *answers)[0].node_id == node_id


def test_13_a_text_that_means_nothing_and_leads_nowhere_is_asked_once_more() -> None:
    walk = start(scope=CHOICE)
    step, path = walked(walk, text("no idea"))
    assert (step.node_id, step.context_message) == ("scope", CHOICE_NEEDED)
    assert path == [Passed(node_id="scope", kind="free_text", is_unclear=True)]
    assert walk.after([], "scope", Reading(kind="free_text", text="no idea")).kind == "unclear"
    assert walked(walk, *[text("no idea")] * 9)[0].node_id == "scope"
    assert walked(walk, *[text("no idea")] * 9, option("all"))[0].context_message is None


def test_13_a_skip_goes_on_in_the_order_of_the_document_or_by_hand() -> None:
    assert walked(start(scope={**CHOICE, "skip": {}}), SKIP)[0].node_id == "queue"
    last = start(scope={**CHOICE, "options": [{**TWO[0], "next": "last"}]}, last=node(skip={}))
    step, _ = walked(last, option("one"), SKIP)
    assert (step.step_type, step.prompt) == ("manual", MANUAL)


def test_15_a_node_that_is_visited_once_too_often_leads_on() -> None:
    again = [option("all"), outcome("done"), option("no"), outcome("done"), option("no")]
    step, path = walked(start(), *again)
    assert visits(path, "spooler") == 2
    assert (step.node_id, step.suggestion) == ("up", "escalate")


def test_15_without_a_way_out_of_the_loop_an_escalation_is_suggested() -> None:
    walk = start(spooler={"type": "action", "prompt": "Again", "outcomes": {"done": "verify"}, "max_visits": "1"})
    step, _ = walked(walk, option("all"), outcome("done"), option("no"))
    assert (step.step_type, step.source, step.suggestion, step.node_id) == ("escalation", "system", "escalate", None)
    assert step.confidence_score is None


def test_15_ways_out_that_lead_into_each_other_end() -> None:
    circle = {
        "a": node(next="b", max_visits="1", on_loop="b"),
        "b": {**CHOICE, "options": [{**TWO[0], "next": "a"}, TWO[1]], "max_visits": "1", "on_loop": "a"},
    }
    walk = start(scope={**CHOICE, "options": [{**TWO[0], "next": "a"}]}, **circle)
    step, _ = walked(walk, option("one"), option("continue"), option("one"))
    assert (step.step_type, step.source) == ("escalation", "system")


def test_16_after_the_end_one_goes_on_by_hand() -> None:
    step, path = walked(start(), option("all"), outcome("failed"), text("they are still on the phone"))
    assert (step.step_type, len(path)) == ("manual", 3)


@pytest.mark.parametrize(
    ("answers", "score", "tier"),
    [
        ([option("one")], 0.84, "guided"),
        ([option("one"), outcome("done")], 0.88, "guided"),
        ([SKIP], 0.70, "guided"),
        ([text("who knows")], 0.70, "guided"),
        ([text("everyone")], 0.84, "guided"),
    ],
)
def test_confidence_follows_the_answers(answers: list[Answer], score: float, tier: str) -> None:
    step, _ = walked(start(), *answers)
    assert (step.confidence_score, step.confidence_tier) == (score, tier)


def test_confidence_of_the_author_counts_before_ours_and_thresholds_are_those_given() -> None:
    walk = start(scope={**CHOICE, "confidence": "0.4"})
    assert (walk.first().confidence_score, walk.first().confidence_tier) == (0.4, "exploring")
    strict = Walk(playbook=playbook(), match=0.8, thresholds=Thresholds(guided=0.9))
    assert strict.first().confidence_tier == "exploring"


def test_the_same_way_leads_to_the_same_step_wherever_it_is_gone_on() -> None:
    answers = [option("one"), outcome("failed"), outcome("done")]
    assert walked(start(), *answers) == walked(start(), *answers)
    stored = Playbook(**{name: getattr(playbook(), name) for name in Playbook.__struct_fields__})
    assert walked(Walk(playbook=stored, match=0.8), *answers)[0].node_id == "verify"


def test_a_session_has_two_hundred_steps_at_most() -> None:
    path = [Passed(node_id=None, kind="free_text")] * (MAX_STEPS - 2)
    assert start().after(path, "scope", Reading(kind="mapped", values=("one",))).node_id == "queue"
    with pytest.raises(ConflictError) as raised:
        start().after([*path, path[0]], "scope", Reading(kind="mapped", values=("one",)))
    assert (raised.value.error_code, raised.value.extra) == ("step_limit", {"limit_steps": 200})
    require_room(MAX_STEPS - 1)
