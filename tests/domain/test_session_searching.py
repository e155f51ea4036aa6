"""Search, likeness and task lanes, as far as no database is needed (5.3, 10.1, 10.3)."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from workbench.domain.errors import ConflictError, TooLargeError
from workbench.domain.troubleshooting.lanes import MAX_LANE_BYTES, Lane, Question, Task, checked_lane
from workbench.domain.troubleshooting.searching import (
    MAX_FRAGMENT,
    Highlight,
    Term,
    highlights,
    search_terms,
    search_text,
    tokens,
)
from workbench.domain.troubleshooting.similarity import MIN_COSINE_HASHED, Similar, Traits, fused


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("The printer's printing is DNS_PROBE on srv-01.corp", "the printer s print is dns probe on srv 01 corp"),
        ("打印机 デ 坏", "打印 印机 デ 坏"),
        ("VPN连接 caf\u00e9 cafe\u0301 STRASSE Straße", "vpn 连接 caf\u00e9 caf\u00e9 strasse strasse"),
        ("\U0001f600 -- ''", ""),
        ("\u00bd pint", "1 2 pint"),
    ],
)
def test_48_what_is_kept_are_words_of_our_own_making(text: str, kept: str) -> None:
    assert search_text(text) == kept


def test_47_a_query_is_terms_and_nothing_of_a_databases_language() -> None:
    assert search_terms('printer "AND" * ( offline') == [Term(("printer",)), Term(("offline",), is_prefix=True)]
    assert search_terms("DNS_PROBE errors") == [Term(("dns", "probe")), Term(("error",), is_prefix=True)]
    assert search_terms("srv-01.cor") == [Term(("srv", "01", "cor"), is_prefix=True)]
    assert search_terms("打印机") == [Term(("打印", "印机"), is_prefix=True)]
    assert search_terms("not-found") == [Term(("not", "found"), is_prefix=True)]


@pytest.mark.parametrize("query", ["", "the of and", "''\"*()", "\U0001f600"])
def test_47_a_query_that_says_nothing_looks_for_nothing(query: str) -> None:
    assert search_terms(query) == []


@pytest.mark.parametrize(
    "text",
    ["Größe: \U0001f600 printing, DNS_PROBE. 打印机", "cafe\u0301 printers \uff50\uff52\uff49\uff4e\uff54\uff45\uff52"],
)
def test_47_offsets_point_at_the_words_in_characters(text: str) -> None:
    for token in tokens(text):
        assert search_text(text[token.start : token.end]) == token.word


def marked(highlight: Highlight) -> list[str]:
    return [highlight.fragment[start:end] for start, end in highlight.ranges]


def test_47_highlights_show_the_finds_in_their_fields() -> None:
    fields = {
        "title": "\U0001f600 Printers offline",
        "summary": "nothing",
        "intake": "One printing-queue, DNS_PROBE and dns alone",
    }
    found = highlights(fields, search_terms("printing dns_probe off"))
    assert [(each.field, marked(each)) for each in found] == [
        ("title", ["offline"]), ("intake", ["printing", "DNS_PROBE"]),
    ]  # fmt: skip
    assert [marked(each) for each in highlights(fields, search_terms("printe"))] == [["Printers"]]
    assert highlights(fields, search_terms("the")) == []


def test_47_there_are_three_fragments_of_160_characters_that_begin_with_a_word() -> None:
    text = ("alpha beta gamma delta epsilon " * 12 + "needle ") * 5
    found = highlights({"intake": text}, search_terms("needle"))
    assert len(found) == 3
    for each in found:
        assert len(each.fragment) <= MAX_FRAGMENT
        assert marked(each) == ["needle"]
        assert each.fragment.split()[0] in {"alpha", "beta", "gamma", "delta", "epsilon"}
    assert highlights({"t": "x" * 400 + " needle"}, search_terms("needle"))[0].fragment == "needle"
    assert marked(highlights({"t": "needle" * 50}, search_terms("needle"))[0]) == [("needle" * 50)[:MAX_FRAGMENT]]


def test_47_overlapping_finds_are_one() -> None:
    assert marked(highlights({"t": "打印机脱机"}, search_terms("打印机 印机脱"))[0]) == ["打印机脱"]


# Likeness.

A, B, C, D = (UUID(int=number) for number in range(1, 5))
SEEN = {each: Traits() for each in (A, B, C, D)}


def likeness(cosines: list[tuple[UUID, float]], texts: list[UUID], **traits: Traits) -> list[Similar]:
    known = {**SEEN, **{{"a": A, "b": B, "c": C, "d": D}[name]: value for name, value in traits.items()}}
    return fused(cosines, texts, known, min_cosine=MIN_COSINE_HASHED, limit=3)


def test_50_who_is_in_both_rankings_comes_first_and_says_why() -> None:
    found = likeness([(A, 0.9), (B, 0.5)], [B, C], c=Traits(has_rare_word=True))
    assert [(each.session_id, each.why) for each in found] == [
        (B, ["similar_text", "common_words"]), (A, ["similar_text"]), (C, ["common_words", "rare_word"]),
    ]  # fmt: skip
    assert found[0].score == round(1 / 62 + 1 / 61, 6)


def test_50_who_is_far_away_and_shares_no_rare_word_is_left_out() -> None:
    assert likeness([(A, 0.19)], [A, B]) == []
    assert [each.session_id for each in likeness([(A, 0.20)], [])] == [A]


def test_50_who_may_not_be_seen_is_left_out() -> None:
    assert fused([(A, 0.9), (B, 0.8)], [A], {B: Traits()}, min_cosine=0.2, limit=5)[0].session_id == B


def test_50_what_they_have_in_common_counts_a_little_and_equals_keep_their_order() -> None:
    traits = Traits(has_playbook=True, has_domain=True, is_resolved=True)
    found = likeness([(A, 0.9), (B, 0.8), (C, 0.7), (D, 0.6)], [], c=traits)
    assert [each.session_id for each in found] == [C, A, B]
    assert found[0].why == ["similar_text", "same_playbook", "same_domain", "resolved"]
    assert likeness([(A, 0.9)], [B], b=Traits(has_rare_word=True))[0].session_id == A


# Task lanes.


def lane_of_bytes(size: int, letter: str = "a") -> Lane:
    """A lane that takes so many bytes, the rest of its texts being plain letters."""
    responses: dict[str, Any] = {f"r{number:03}": letter * 4000 for number in range(30)}
    while (missing := size - len(msgspec.json.encode(Lane(responses=responses)))) > 0:
        frame = len(',"r000":""')
        responses[f"r{len(responses):03}"] = "a" * max(0, min(8000, missing - frame))
    return Lane(responses=responses)


@pytest.mark.parametrize("letter", ["a", "\u0436"])
def test_44_a_lane_of_262144_bytes_passes_and_one_more_does_not(letter: str) -> None:
    fitting = lane_of_bytes(MAX_LANE_BYTES, letter)
    assert len(checked_lane(fitting, stored_rev=1, based_on=1)) == 262_144
    with pytest.raises(TooLargeError) as raised:
        checked_lane(lane_of_bytes(MAX_LANE_BYTES + 1, letter), stored_rev=1, based_on=1)
    assert raised.value.error_code == "task_lane_too_large"
    assert raised.value.extra == {"limit_bytes": 262_144, "bytes": 262_145}


def test_44_a_stale_revision_is_a_conflict_and_none_wins() -> None:
    lane = Lane(questions=[Question(id="q", text="Which?", audience="client")], actions=[Task(id="a", text="Do")])
    with pytest.raises(ConflictError) as raised:
        checked_lane(lane, stored_rev=3, based_on=2)
    assert (raised.value.error_code, raised.value.extra) == ("task_lane_conflict", {"rev": 3})
    for based_on in (3, None):
        assert msgspec.json.decode(checked_lane(lane, stored_rev=3, based_on=based_on), type=Lane) == lane


@pytest.mark.parametrize(
    "wrong",
    [{"questions": [{"id": "q", "text": "?", "audience": "boss"}]}, {"actions": [{"id": "", "text": "?"}]}, {"other": 1},
     {"responses": {"a": 1}}, {"responses": {"a": "x" * 8001}}, {"actions": [{"id": "a", "text": "t"}] * 101}],
)  # fmt: skip
def test_44_other_lanes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Lane)
