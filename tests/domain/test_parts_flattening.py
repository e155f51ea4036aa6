"""Parts as plain text (3.3, X7), and within what may be stored (8)."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.domain.parts.capping import capped
from workbench.domain.parts.flattening import filenames_of, flattened, images_of, parts_of, spoken_text
from workbench.domain.parts.model import MAX_PARTS, MAX_PARTS_BYTES, MAX_RESULT_BYTES, Parts, text_part

REASONING = {"type": "reasoning", "text": "secret thought"}
CALL = {"type": "tool-call", "toolCallId": "c", "toolName": "ls", "args": {"p": "secret"}, "result": "secret"}
STATUS = {"type": "status", "text": "busy"}
DATA = {"type": "data-x", "data": "secret"}
IMAGE = {"type": "image", "image": "workbench-file:a.png"}
MENTIONS = {"type": "mentioned-documents", "documents": [{"id": 1, "title": "secret", "document_type": "x"}]}
SILENT = [REASONING, CALL, DATA, MENTIONS]


def result(value: Any, **more: Any) -> dict[str, Any]:
    return {**CALL, "result": value, **more}


def size(value: Any) -> int:
    return len(msgspec.json.encode(value))


def warned(parts: Parts) -> tuple[Parts, list[tuple[str, str]]]:
    found, warnings = capped(parts)
    return found, [(each.code, each.path) for each in warnings]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([text_part("a"), CALL, text_part(" \n"), REASONING, text_part("b "), STATUS], "a\n\nb "),
        ([text_part(" "), {**STATUS, "text": "one"}, IMAGE, STATUS], "busy"),
        ([*SILENT, {**STATUS, "text": " "}, IMAGE], "(image)"),
        ([text_part(""), IMAGE], "(image)"),
        (SILENT, "(no text response)"),
        ([], "(no text response)"),
    ],
)
def test_content_is_what_was_said_or_the_state_or_what_there_is(parts: Parts, expected: str) -> None:
    assert flattened(parts) == expected


def test_a_message_without_parts_reads_as_one_text() -> None:
    assert parts_of("a\n\nb") == [{"type": "text", "text": "a\n\nb"}]
    assert flattened(parts_of("a\n\nb")) == "a\n\nb"


def test_x7_history_excludes_reasoning_tools_states_and_data() -> None:
    assert spoken_text([*SILENT, STATUS, text_part("a"), IMAGE, text_part("b")]) == "a\n\nb"
    assert spoken_text([*SILENT, STATUS, IMAGE]) == ""
    assert images_of([*SILENT, IMAGE, text_part("a"), STATUS]) == [IMAGE]


def test_images_that_are_files_are_named_once() -> None:
    inline = {"type": "image", "image": "data:image/png;base64,AAAA"}
    other = {"type": "image", "image": "workbench-file:b/workbench-file:c"}
    assert filenames_of([IMAGE, inline, other, IMAGE, text_part("workbench-file:x")]) == ["a.png", "b/workbench-file:c"]


def test_what_is_within_the_limits_is_passed_on() -> None:
    parts = [text_part("a" * 1000), result({"a": [1]}), *[DATA] * 510]
    found, warnings = warned(parts)
    assert warnings == []
    assert all(one is other for one, other in zip(found, parts, strict=True))


def test_a_result_over_256_kib_is_cut_and_says_so() -> None:
    fits, long = "a" * (MAX_RESULT_BYTES - 2), "a" * (MAX_RESULT_BYTES - 1)
    assert warned([result(fits)]) == ([result(fits)], [])
    assert warned([text_part("t"), result(long)]) == (
        [text_part("t"), result(fits, resultTruncated=True)],
        [("result_truncated", "parts[1].result")],
    )


def test_a_result_that_is_no_text_is_cut_as_its_json() -> None:
    value = {"rows": ["ü\n"] * 100_000}
    found = capped([result(value)])[0][0]
    assert msgspec.json.encode(value).decode().startswith(found["result"])
    assert MAX_RESULT_BYTES - 3 <= size(found["result"]) <= MAX_RESULT_BYTES


def test_over_4_mib_the_longest_results_are_cut_and_no_other() -> None:
    long = [result(letter * 250_000) for letter in "abcdefghijklmnopqrst"]
    parts = [*long, result("short" * 10_000), text_part("t" * 100_000)]
    found, warnings = warned(parts)
    assert MAX_PARTS_BYTES - 2000 < size(found) <= MAX_PARTS_BYTES
    assert found[20:] == parts[20:]
    assert len({len(part["result"]) for part in found[:20]}) == 1
    assert warnings == [("result_truncated", f"parts[{n}].result") for n in range(20)]


def test_too_many_parts_lose_decoration_first_and_no_text() -> None:
    many = [text_part("a"), *[DATA] * 300, *[REASONING] * 200, *[CALL] * 100, IMAGE, STATUS]
    found, warnings = warned(many)
    assert len(found) == MAX_PARTS
    assert found == [text_part("a"), *[DATA] * 209, *[REASONING] * 200, *[CALL] * 100, IMAGE, STATUS]
    assert warnings == [("parts_dropped", "parts")]


def test_of_too_many_parts_the_oldest_go() -> None:
    many: Parts = [{"type": "data-x", "data": n} for n in range(600)]
    assert capped(many)[0] == many[88:]


def test_too_many_texts_become_fewer_and_none_is_lost() -> None:
    texts = [text_part(str(n)) for n in range(700)]
    found = capped([*texts, DATA, STATUS])[0]
    assert len(found) == MAX_PARTS
    assert spoken_text(found) == spoken_text(texts)
    assert found[-1] == STATUS


def test_where_no_result_can_be_cut_the_largest_part_goes() -> None:
    large: Any = {"type": "data-x", "data": "a" * MAX_PARTS_BYTES}
    small: Any = {"type": "data-y", "data": "a"}
    assert warned([small, large, text_part("t")]) == ([small, text_part("t")], [("parts_dropped", "parts")])


def test_at_last_the_longest_texts_are_cut() -> None:
    parts = [text_part("b" * 100), {**text_part("\u00fc" * 3_000_000), "x": "y"}, {**STATUS, "code": "error"}]
    found, warnings = warned(parts)
    assert MAX_PARTS_BYTES - 100 < size(found) <= MAX_PARTS_BYTES
    assert (found[0], found[2]) == (parts[0], parts[2])
    assert parts[1]["text"].startswith(found[1]["text"])
    assert warnings == [("text_truncated", "parts")]


def test_an_answer_that_was_cut_is_not_cut_or_told_of_again() -> None:
    found = capped([result("a" * 300_000) for _ in range(30)])[0]
    assert capped(found) == (found, [])


SMALL = st.one_of(st.builds(text_part, st.text(max_size=3)), st.sampled_from([DATA, STATUS, result([1])]))
PART = st.one_of(
    st.builds(result, st.sampled_from(["\n" * 200_000, ["\u00fc"] * 150_000, "a" * 900_000, None])),
    st.sampled_from([DATA, {**DATA, "data": "\x01" * 400_000}, {**CALL, "args": {"a": "b" * 3_000_000}}]),
    st.builds(text_part, st.sampled_from(["\x02" * 300_000, "\U0001f600" * 600_000])),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(PART, max_size=8), st.lists(SMALL, max_size=6))
def test_whatever_comes_is_within_the_limits_afterwards(large: Parts, small: Parts) -> None:
    parts = [*large, *small * 100]
    before = size(parts)
    found = capped(parts)[0]
    assert size(found) <= MAX_PARTS_BYTES
    assert len(found) <= MAX_PARTS
    assert size(parts) == before
