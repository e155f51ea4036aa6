"""What a playbook must be like, and that everything amiss is told at once, with its place (7.6)."""

from typing import Any

import pytest
from tests.support.playbooks import checked, document, node, playbook, with_nodes

from workbench.domain.errors import UnprocessableError
from workbench.domain.playbooks.findings import MAX_FINDINGS, Findings
from workbench.domain.playbooks.model import Choice, Detour, content_hash


def found(tree: Any) -> set[tuple[str, str, str]]:
    return {(finding.level, finding.path, finding.code) for finding in checked(tree).findings}


def errors(tree: Any) -> set[tuple[str, str]]:
    return {(path, code) for level, path, code in found(tree) if level == "error"}


def test_the_example_of_the_specification_is_a_playbook() -> None:
    read = playbook()
    assert (read.key, read.start, read.inputs) == ("printer-offline", "scope", ("printer_name", "device_type"))
    assert list(read.nodes) == ["scope", "queue", "spooler", "verify", "fixed", "up"]
    assert read.nodes["scope"].choices[0] == Choice(
        label="One user", value="one", next="queue", hint="Check the local queue"
    )
    assert read.nodes["scope"].skip == Detour(next="spooler")
    assert [choice.value for choice in read.nodes["queue"].choices] == ["done", "failed"]
    assert [choice.next for choice in read.nodes["verify"].choices] == ["fixed", "spooler", "up"]
    assert (read.nodes["spooler"].visits_allowed, read.nodes["queue"].visits_allowed) == (2, 3)
    assert (read.nodes["fixed"].action, read.nodes["up"].urgency) == ("fixed", "normal")
    assert checked(document()).findings == []


OPTION = {"label": "A", "value": "a", "next": "fixed"}
QUESTION = {"type": "question", "prompt": "Which?"}
BAD_NODES: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "quiz", "prompt": "?"}, ".type", "unknown_word"),
    ({"prompt": "?"}, ".type", "missing"),
    (node(prompt=" "), ".prompt", "empty"),
    (node(prompt="a" * 2001), ".prompt", "too_long"),
    (node(prompt=["a"]), ".prompt", "not_a_text"),
    (node(prompt="a\x00b"), ".prompt", "not_text"),
    (node(next="nowhere"), ".next", "unknown_node"),
    (node(prompt="See {ticket}"), ".prompt", "undeclared_input"),
    (node(help="See {}"), ".help", "undeclared_input"),
    (node(prompt="See {printer_name.__class__}"), ".prompt", "undeclared_input"),
    (node(colour="red"), ".colour", "unknown_field"),
    (node(risk="huge"), ".risk", "unknown_word"),
    (node(confidence="1.2"), ".confidence", "out_of_bounds"),
    (node(confidence="nan"), ".confidence", "out_of_bounds"),
    (node(max_visits="0"), ".max_visits", "out_of_bounds"),
    (node(max_visits="two"), ".max_visits", "out_of_bounds"),
    (node(client_safe="maybe"), ".client_safe", "not_a_flag"),
    (node(on_loop="nowhere"), ".on_loop", "unknown_node"),
    (node(skip={"next": "nowhere"}), ".skip.next", "unknown_node"),
    (node(skip="yes"), ".skip", "not_a_mapping"),
    (node(free_text={}), ".free_text.next", "missing"),
    ({**QUESTION}, ".options", "no_way_to_answer"),
    ({**QUESTION, "options": [OPTION, {**OPTION, "label": "B"}]}, ".options[1].value", "duplicate_value"),
    ({**QUESTION, "options": [{**OPTION, "next": "nowhere"}]}, ".options[0].next", "unknown_node"),
    ({**QUESTION, "options": [{**OPTION, "label": "a" * 121}]}, ".options[0].label", "too_long"),
    ({**QUESTION, "options": [{**OPTION, "hint": "{x}"}]}, ".options[0].hint", "undeclared_input"),
    ({**QUESTION, "options": [{**OPTION, "value": str(n)} for n in range(13)]}, ".options", "too_many"),
    ({**QUESTION, "options": ["a"]}, ".options[0]", "not_a_mapping"),
    ({**QUESTION, "options": {"a": "b"}, "free_text": {"next": "up"}}, ".options", "not_a_list"),
    ({"type": "multi", "prompt": "?", "options": [], "next": "fixed"}, ".options", "missing"),
    ({"type": "multi", "prompt": "?", "options": [OPTION], "next": "fixed"}, ".options[0].next", "unknown_field"),
    ({"type": "action", "prompt": "Do"}, ".outcomes", "missing"),
    ({"type": "action", "prompt": "Do", "outcomes": {"failed": "up"}}, ".outcomes.done", "missing"),
    ({"type": "action", "prompt": "Do", "outcomes": {"done": "up", "maybe": "up"}}, ".outcomes.maybe", "unknown_field"),
    ({"type": "action", "prompt": "Do", "outcomes": {"done": "nowhere"}}, ".outcomes.done", "unknown_node"),
    ({"type": "verification", "prompt": "?", "yes": "fixed"}, ".no", "missing"),
    ({"type": "verification", "prompt": "?", "yes": "nowhere", "no": "up"}, ".yes", "unknown_node"),
    ({"type": "resolution", "summary": "Done"}, ".action", "missing"),
    ({"type": "resolution", "summary": "Done", "action": "won"}, ".action", "unknown_word"),
    ({"type": "escalation", "reason": "Help", "urgency": "now"}, ".urgency", "unknown_word"),
    ({"type": "escalation", "urgency": "high"}, ".reason", "missing"),
    ({"type": "escalation", "reason": "{x}", "urgency": "high"}, ".reason", "undeclared_input"),
]


@pytest.mark.parametrize(("bad", "place", "code"), BAD_NODES)
def test_a_node_that_is_wrong_is_named_with_its_place(bad: dict[str, Any], place: str, code: str) -> None:
    assert errors(with_nodes(extra=bad)) == {(f"nodes.extra{place}", code)}


BAD_DOCUMENTS: list[tuple[dict[str, Any], str, str]] = [
    ({"schema": "workbench.playbook/2"}, "schema", "unknown_schema"),
    ({"schema": None}, "schema", "missing"),
    ({"key": "Printer offline"}, "key", "wrong_form"),
    ({"key": "a"}, "key", "wrong_form"),
    ({"title": "t" * 201}, "title", "too_long"),
    ({"inputs": ["printer_name", "9"]}, "inputs[1]", "wrong_form"),
    ({"inputs": [["printer_name"], "printer_name"]}, "inputs[0]", "not_a_text"),
    ({"match": None}, "match", "missing"),
    ({"match": {"phrases": [], "examples": []}}, "match.phrases", "nothing_to_match"),
    ({"match": {"phrases": ["a"], "regex": "b"}}, "match.regex", "unknown_field"),
    ({"start": "nowhere"}, "start", "unknown_node"),
    ({"author": "me"}, "author", "unknown_field"),
]


@pytest.mark.parametrize(("change", "place", "code"), BAD_DOCUMENTS)
def test_a_document_that_is_wrong_is_named_with_its_place(change: dict[str, Any], place: str, code: str) -> None:
    assert found(document(**change)) == {("error", place, code)}


@pytest.mark.parametrize("tree", ["", "text", [], {}, {"nodes": "none", "match": []}])
def test_what_is_no_playbook_at_all_is_told_so(tree: Any) -> None:
    assert checked(tree).playbook is None


def test_65_all_that_is_wrong_is_told_in_one_pass() -> None:
    tree = {**with_nodes(a=node(next="nowhere"), b=node(risk="huge", prompt="{x}")), "key": "?", "more": "1"}
    assert errors(tree) == {
        ("key", "wrong_form"),
        ("more", "unknown_field"),
        ("nodes.a.next", "unknown_node"),
        ("nodes.b.prompt", "undeclared_input"),
        ("nodes.b.risk", "unknown_word"),
    }
    with pytest.raises(UnprocessableError) as raised:
        checked(tree).require()
    assert raised.value.error_code == "invalid_playbook"
    assert {finding["path"] for finding in raised.value.extra["findings"]} >= {"key", "more", "nodes.a.next"}


def test_a_node_that_nothing_leads_to_is_a_warning() -> None:
    read = checked(with_nodes(extra=node()))
    assert read.playbook is not None
    assert found(with_nodes(extra=node())) == {("warning", "nodes.extra", "unreachable")}


def test_a_node_that_leads_to_no_end_is_an_error() -> None:
    told = found(with_nodes(a=node(next="b", max_visits="2"), b=node(next="a")))
    assert ("error", "nodes.a", "no_end") in told
    assert ("error", "nodes.b", "no_end") in told


@pytest.mark.parametrize("bounded", [{}, {"a": {"max_visits": "2"}}, {"b": {"max_visits": "2"}}])
def test_each_circle_needs_a_bound(bounded: dict[str, dict[str, str]]) -> None:
    options = [OPTION, {"label": "B", "value": "b", "next": "b"}]
    circle = {"a": {**QUESTION, "options": options}, "b": node(next="a")}
    nodes = {name: {**member, **bounded.get(name, {})} for name, member in circle.items()}
    expected = set[tuple[str, str]]() if bounded else {("nodes.a", "unbounded_cycle")}
    assert errors(with_nodes(**nodes)) == expected


def test_two_circles_are_told_of_both_and_a_node_may_be_its_own() -> None:
    circles = {name: {**QUESTION, "options": [OPTION], "free_text": {"next": name}} for name in ("a", "b")}
    assert errors(with_nodes(**circles)) == {("nodes.a", "unbounded_cycle"), ("nodes.b", "unbounded_cycle")}


def test_a_skip_without_next_goes_on_in_the_order_of_the_document() -> None:
    last = with_nodes(a=node(skip={}), b=node())
    assert checked(last).require().targets("a") == {"b", "fixed"}
    assert checked(last).require().targets("b") == {"fixed"}


def test_five_hundred_nodes_are_allowed_and_no_more() -> None:
    spare = {f"n{number}": node() for number in range(494)}
    assert errors(with_nodes(**spare)) == set()
    assert errors(with_nodes(**spare, more=node())) == {("nodes.more", "too_many")}


def test_a_chain_of_five_hundred_nodes_is_checked_without_recursion() -> None:
    chain = {f"n{number}": node(next=f"n{number + 1}") for number in range(493)}
    assert errors(with_nodes(**chain, n493=node())) == set()


def test_what_means_the_same_has_the_same_hash_and_what_does_not_has_not() -> None:
    backwards = dict(reversed(document().items()))
    assert content_hash(checked(backwards).require()) == content_hash(playbook())
    assert content_hash(playbook(extra=node())) != content_hash(playbook())


def test_errors_are_not_lost_behind_warnings_and_their_number_is_bounded() -> None:
    findings = Findings()
    for number in range(MAX_FINDINGS + 10):
        findings.warn(str(number), "a", "b")
    assert (len(findings.found), findings.has_errors) == (MAX_FINDINGS, False)
    findings.error("last", "a", "b")
    findings.error("more", "a", "b")
    assert (findings.found[-1].path, findings.has_errors) == ("last", True)
