"""Taking a person out of JSON: all that is theirs goes, and nothing else changes."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.domain.lifecycle.person import ERASED_NAME, NOTICE, ContentPolicy, Erased
from workbench.domain.lifecycle.redaction import redacted

ANN = Erased(user_id="ann", name="Ann", tombstone_id="erased-1", subject="hash", policy="keep")
POLICIES: tuple[ContentPolicy, ...] = ("keep", "remove", "replace")
SEAT = {"role": "user", "id": "ann", "name": "Ann", "image": "x", "status": "s", "active_participant": True}
SEAT |= {"metadata": {"a": 1}, "conversation_id": "c", "online": None}
MESSAGE = {"id": "m", "sender": {"participant_role": "user", "participant_id": "ann"}, "content": "hello ann"}
MESSAGE |= {"content_type": "text/html", "filenames": ["f"], "metadata": {"by": "ann", "x": 1}, "has_debug_data": True}
FILE = {"filename": "cv.txt", "participant_id": "ann", "participant_role": "user", "metadata": {"of": "ann"}}
FILE |= {"content_type": "text/plain", "file_size": 3, "current_version": 1}


def under(policy: ContentPolicy) -> Erased:
    return msgspec.structs.replace(ANN, policy=policy)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_seat_becomes_nameless_wherever_it_is(policy: ContentPolicy) -> None:
    found = redacted({"participant": SEAT, "participants": [SEAT, {**SEAT, "id": "bea", "name": "Bea"}]}, under(policy))
    nameless = {**SEAT, "id": "erased-1", "name": ERASED_NAME, "image": None, "status": None, "metadata": {}}
    nameless["active_participant"] = False
    assert found["participant"] == found["participants"][0] == nameless
    assert found["participants"][1] == {**SEAT, "id": "bea", "name": "Bea"}


def test_an_assistant_of_the_same_id_is_somebody_else_but_for_the_id() -> None:
    robot = {**SEAT, "role": "assistant"}
    assert redacted(robot, ANN) == {**robot, "id": "erased-1"}


@pytest.mark.parametrize("policy", POLICIES)
def test_what_they_said_follows_the_policy(policy: ContentPolicy) -> None:
    found = redacted({"message": MESSAGE}, under(policy))["message"]
    assert found["sender"] == {"participant_role": "user", "participant_id": "erased-1"}
    if policy == "keep":
        assert (found["content"], found["metadata"]) == ("hello ann", {"by": "erased-1", "x": 1})
    else:
        assert (found["content"], found["content_type"]) == (NOTICE, "text/plain")
        assert (found["metadata"], found["filenames"], found["has_debug_data"]) == ({}, [], False)
    assert list(found) == list(MESSAGE)


@pytest.mark.parametrize(("policy", "name"), [("keep", "cv.txt"), ("replace", "cv.txt"), ("remove", "erased")])
def test_what_they_uploaded_follows_the_policy(policy: ContentPolicy, name: str) -> None:
    found = redacted({"file": FILE}, under(policy))["file"]
    assert (found["filename"], found["participant_id"]) == (name, "erased-1")
    assert found["metadata"] == ({"of": "erased-1"} if policy == "keep" else {})


def test_what_others_said_stays_but_for_the_id_as_a_value_or_a_key() -> None:
    said = {"sender": {"participant_role": "user", "participant_id": "bea"}, "content": "ann said ann"}
    said |= {"metadata": {"mentions": ["ann", "bea"], "ann": {"pinned": True}, "note": "annals"}}
    assert redacted(said, under("remove")) == {
        **said,
        "metadata": {"mentions": ["erased-1", "bea"], "note": "annals"},
    }


def test_a_person_called_like_a_word_of_the_contract_takes_no_word_away() -> None:
    person = msgspec.structs.replace(ANN, user_id="user")
    assert redacted({**SEAT, "id": "user"}, person)["role"] == "user"
    assert redacted({"participant_role": "user", "by": "user"}, person) == {
        "participant_role": "user",
        "by": "erased-1",
    }


def json_values() -> st.SearchStrategy[Any]:
    keys = st.sampled_from(["ann", "id", "name", "sender", "participant_id", "metadata", "filename", "x"])
    leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from(["ann", "bea", "Ann", "user", ""]))
    return st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20)


def strings(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {text for each in value.values() for text in strings(each)}
    if isinstance(value, list):
        return {text for each in value for text in strings(each)}
    return {value} if isinstance(value, str) else set()


@given(json_values(), st.sampled_from(POLICIES))
def test_the_id_is_nowhere_afterwards_and_a_second_time_changes_nothing(value: Any, policy: ContentPolicy) -> None:
    once = redacted(value, under(policy))
    assert "ann" not in strings(once)
    assert redacted(once, under(policy)) == once


@given(json_values(), st.sampled_from(POLICIES))
def test_where_the_person_is_not_nothing_changes(value: Any, policy: ContentPolicy) -> None:
    person = msgspec.structs.replace(under(policy), user_id="nobody")
    assert redacted(value, person) == value
