"""Cleaning of what a database or an encoder refuses (D8, W10)."""

import datetime as dt
import json
import math
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.domain.texts import MAX_DEPTH, MAX_INTEGER_BITS, SMALL_BYTES, cleaned, cleaned_soon, cleaned_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain \u00fc \U0001f600\n", "plain \u00fc \U0001f600\n"),
        ("a\x00b", "a\ufffdb"),
        ("\ud800a\udfff", "\ufffda\ufffd"),
        ("\x01\ufffe", "\x01\ufffe"),
    ],
)
def test_d8_nul_and_lone_surrogates_become_the_replacement_character(text: str, expected: str) -> None:
    assert cleaned_text(text) == expected
    assert cleaned({text: [text]}) == {expected: [expected]}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 10**500])
def test_d8_numbers_that_json_cannot_say_become_null(number: float) -> None:
    assert cleaned([number, {"n": number}]) == [None, {"n": None}]


def test_d8_keys_become_strings() -> None:
    assert cleaned({1: "a", None: "b", 2.5: {True: "c"}}) == {"1": "a", "None": "b", "2.5": {"True": "c"}}


def test_w10_a_result_with_all_of_these_can_be_kept() -> None:
    result = {"out": "a\x00\ud83d", "rate": math.nan, "rows": ({7: math.inf},), "ok": True, "n": 2**70}
    kept = {"out": "a\ufffd\ufffd", "rate": None, "rows": [{"7": None}], "ok": True, "n": 2**70}
    assert cleaned(result) == kept
    assert cleaned(True) is True


def test_what_json_does_not_know_becomes_what_it_is_written_as() -> None:
    class Odd:
        def __str__(self) -> str:
            return "odd\x00"

    day, identity = dt.date(2026, 1, 2), uuid.UUID(int=1)
    assert cleaned([day, identity, Odd(), {3}, b"a"]) == ["2026-01-02", str(identity), "odd\ufffd", [3], "YQ=="]


def test_below_a_depth_there_is_null() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    found = cleaned(deep)
    assert json.dumps(found) == "[" * MAX_DEPTH + "null" + "]" * MAX_DEPTH
    assert cleaned(found) == found
    while deep:  # by hand: to free it in one go would go as deep
        deep = deep[0]


def test_a_copy_shares_nothing() -> None:
    value = {"a": [{"b": 1}]}
    copy = cleaned(value)
    value["a"][0]["b"] = 2
    value["a"].append({})
    assert copy == {"a": [{"b": 1}]}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)) | st.dates(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner)
        | st.dictionaries(st.text(st.characters(codec=None)) | st.integers() | st.none(), inner)
    ),
    max_leaves=20,
)


@given(ANYTHING)
def test_cleaning_is_idempotent_and_always_encodable(value: Any) -> None:
    once = cleaned(value)
    assert cleaned(once) == once
    encoded = msgspec.json.encode(once)
    assert msgspec.json.decode(encoded) == once
    assert b"\\u0000" not in encoded
    json.dumps(once, allow_nan=False)


@given(ANYTHING)
def test_the_short_way_leads_to_the_same(value: Any) -> None:
    assert repr(cleaned_soon(value)) == repr(cleaned(value))


@pytest.mark.parametrize("clean", [cleaned, cleaned_soon])
@pytest.mark.parametrize("bits", [MAX_INTEGER_BITS - 1, MAX_INTEGER_BITS, MAX_INTEGER_BITS + 1, 20_000])
def test_d8_an_integer_may_be_long_but_not_longer(bits: int, clean: Callable[[Any], Any]) -> None:
    number = 2**bits - 1
    kept = number if bits <= MAX_INTEGER_BITS else None
    assert clean({"number": [number, "1"]}) == {"number": [kept, "1"]}


@pytest.mark.parametrize("clean", [cleaned, cleaned_soon])
def test_what_equals_something_else_is_told_apart(clean: Callable[[Any], Any]) -> None:
    class Text(str):
        __slots__ = ()

    found = clean({"a": [True, 1, 1.0, -0.0, (2,)], Text("b"): Text("c")})
    assert repr(found) == "{'a': [True, 1, 1.0, -0.0, [2]], 'b': 'c'}"
    assert {type(each) for each in (*found, found["b"])} == {str}


@pytest.mark.parametrize("value", ["a\x00b", "\ud800", math.nan, "x" * SMALL_BYTES, "\u00fc", {1: 2}, MAX_DEPTH, None])
def test_the_short_way_is_taken_only_where_it_leads_there(value: Any) -> None:
    wrapped = {"told": [value, {"more": value}]}
    found = cleaned_soon(wrapped)
    assert repr(found) == repr(cleaned(wrapped))
    assert found["told"] is not wrapped["told"]
    deep: Any = value
    for _ in range(MAX_DEPTH + 2):
        deep = [deep]
    assert repr(cleaned_soon(deep)) == repr(cleaned(deep))
