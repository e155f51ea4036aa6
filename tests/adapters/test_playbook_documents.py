"""Playbooks as texts: YAML and JSON are read without guessing, and without what makes YAML dangerous (7.6)."""

import time
from typing import Any

import msgspec
import pytest
from tests.support.playbooks import EXAMPLE, document, with_nodes

from workbench.adapters.playbooks.documents import Format, read_document
from workbench.domain.errors import TooLargeError, UnprocessableError
from workbench.domain.playbooks.answers import Answer, read_answer
from workbench.domain.playbooks.model import MAX_BYTES
from workbench.domain.playbooks.reading import read_playbook
from workbench.domain.playbooks.steps import playbook_step

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def refused(text: str | bytes, written_as: Format = "yaml") -> list[tuple[str, str]]:
    with pytest.raises(UnprocessableError) as raised:
        read_document(text.encode() if isinstance(text, str) else text, written_as)
    assert raised.value.error_code == "invalid_playbook"
    return [(finding["path"], finding["code"]) for finding in raised.value.extra["findings"]]


def test_scalars_are_texts_as_they_are_written() -> None:
    text = b"{no: No, n: 010, f: 1.50, t: yes, d: 2026-01-01, e: ~, x: 0x1F, m: 1_000, empty: , q: 'a'}"
    assert read_document(text, "yaml") == {
        "no": "No", "n": "010", "f": "1.50", "t": "yes", "d": "2026-01-01",
        "e": "~", "x": "0x1F", "m": "1_000", "empty": "", "q": "a",
    }  # fmt: skip


def test_json_is_read_alike() -> None:
    text = b'{"n": 010e, "f": 1.50}'
    assert refused(text, "json") == [("line 1, column 8", "not_json")]
    read = read_document(
        b'{"f": 1.50, "n": 12345678901234567890, "t": true, "e": null, "l": ["\\ud83d\\ude00"]}', "json"
    )
    assert read == {"f": "1.50", "n": "12345678901234567890", "t": "true", "e": "", "l": ["\U0001f600"]}
    assert read_document(msgspec.json.encode(document()), "json") == document()


def test_12_option_values_no_and_010_survive_and_can_be_answered() -> None:
    options = "options: [{label: No, value: no, next: fixed}, {label: Ten, value: 010, next: up}]"
    text = EXAMPLE + f"  asked: {{type: question, prompt: Which?, {options}}}\n"
    read = read_playbook(read_document(text.encode(), "yaml")).require()
    stored = msgspec.json.decode(msgspec.json.encode(read), type=type(read))
    assert stored == read
    step = playbook_step(stored, "asked", {})
    assert [option.value for option in step.options] == ["no", "010"]
    assert read_answer(step, Answer(option_value="010")).values == ("010",)
    assert read_answer(step, Answer(option_value="no")).values == ("no",)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: 1\nb: 2\na: 3", [("line 3, column 1", "duplicate_key")]),
        ("a: &x 1", [("line 1, column 4", "anchor")]),
        ("a: *x", [("line 1, column 4", "alias")]),
        ("a: !!python/object:os.system x", [("line 1, column 4", "tag")]),
        ("a: !own {b: 1}", [("line 1, column 4", "tag")]),
        ("a: 1\n---\nb: 2", [("line 2, column 1", "second_document")]),
        ("? [a]\n: 1", [("line 1, column 3", "key_not_text")]),
        ("a: [1", [("line 2, column 1", "not_yaml")]),
        ("a: 1\n\tb: 2", [("line 2, column 1", "not_yaml")]),
        ("a: \x07", [("", "not_yaml")]),
        (b"a: \xff", [("byte 3", "not_utf8")]),
        ("[" * 13 + "]" * 13, [("", "too_deep")]),
        ("[" * 100_000, [("", "too_deep")]),
        ("a: &x 1\nb: *x\nb: 2", [("line 1, column 4", "anchor"), ("line 2, column 4", "alias"), ("line 3, column 1", "duplicate_key")]),
    ],
)  # fmt: skip
def test_what_is_dangerous_or_ambiguous_in_yaml_is_refused(text: str | bytes, found: list[tuple[str, str]]) -> None:
    assert refused(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1, "a": 2}', [("a", "duplicate_key")]),
        ('{"a": NaN}', [("", "not_json")]),
        ('{"a": 1} {}', [("line 1, column 10", "not_json")]),
        ("[" * 13 + "]" * 13, [("", "too_deep")]),
        ("[" * 100_000, [("", "too_deep")]),
    ],
)
def test_what_is_wrong_in_json_is_refused(text: str, found: list[tuple[str, str]]) -> None:
    assert refused(text, "json") == found


def test_twelve_levels_are_allowed() -> None:
    assert read_document(("[" * 12 + "]" * 12).encode(), "yaml") == read_document(
        ("[" * 12 + "]" * 12).encode(), "json"
    )


def test_65_a_yaml_bomb_is_refused_within_100_ms() -> None:
    began = time.process_time()
    assert ("line 1, column 4", "anchor") in refused(BOMB)
    assert time.process_time() - began < 0.1


def test_256_kib_are_read_and_no_more() -> None:
    fitting = EXAMPLE.encode() + b"#" * (MAX_BYTES - len(EXAMPLE.encode()))
    assert read_document(fitting, "yaml") == document()
    with pytest.raises(TooLargeError) as raised:
        read_document(fitting + b"#", "yaml")
    assert raised.value.extra == {"limit_bytes": MAX_BYTES}


def test_an_empty_text_is_read_as_nothing_and_is_no_playbook() -> None:
    assert read_document(b"", "yaml") == ""
    assert read_playbook(read_document(b"# nothing\n", "yaml")).playbook is None


@pytest.mark.parametrize("text", ["\ufeff" + EXAMPLE, EXAMPLE.replace("\n", "\r\n")])
def test_editors_of_other_systems_do_no_harm(text: str) -> None:
    read: Any = read_document(text.encode(), "yaml")
    assert read_playbook(read).playbook == read_playbook(with_nodes()).playbook
