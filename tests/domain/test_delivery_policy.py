"""What delivery decides by itself: when to try again, when to stop, whom to tell, and in which words."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.domain.delivery.model import DeliveryPolicy, envelope, is_for_assistants, is_refusal
from workbench.domain.errors import UpstreamError
from workbench.domain.events.model import Event

NOW = datetime(2026, 11, 20, 21, 38, 55, 417209, tzinfo=UTC)
EVENT = Event(
    workspace_id="default",
    feed_position=7,
    conversation_id=UUID("f68c3e4f-0b7d-4c3c-9d2e-0123456789ab"),
    position=3,
    id="5a58" * 8,
    correlation_id="f6ca" * 8,
    type="participant.created",
    timestamp=NOW,
    audience="everyone",
    data='{"participant":{"name":"\\u00fc","metadata":{}},"participants":[]}',
)

lucks = st.floats(0, 1, exclude_max=True)


def test_pauses_double_from_the_first_to_the_longest() -> None:
    policy = DeliveryPolicy(first_retry_seconds=1, max_retry_seconds=300)
    assert [policy.pause(attempts, 1) for attempts in range(1, 12)] == [
        *(1, 2, 4, 8, 16, 32, 64, 128, 256),
        *(300, 300),
    ]


def test_luck_spreads_a_pause_over_its_upper_half() -> None:
    policy = DeliveryPolicy(first_retry_seconds=2, max_retry_seconds=100)
    assert [policy.pause(2, luck) for luck in (0, 0.5, 0.75)] == [2, 3, 3.5]


@given(
    attempts=st.integers(1, 10**6),
    luck=lucks,
    first=st.floats(0.001, 3600),
    times=st.floats(1, 100),
)
def test_a_pause_is_never_none_and_never_longer_than_the_longest(
    attempts: int, luck: float, first: float, times: float
) -> None:
    policy = DeliveryPolicy(first_retry_seconds=first, max_retry_seconds=first * times)
    pause = policy.pause(attempts, luck)
    assert first / 2 <= pause <= policy.max_retry_seconds
    assert policy.pause(attempts + 1, luck) >= pause


def test_it_gives_up_on_what_is_older_than_the_limit() -> None:
    policy = DeliveryPolicy(give_up_after_hours=24)
    assert not policy.gives_up(NOW - timedelta(hours=24), NOW)
    assert policy.gives_up(NOW - timedelta(hours=24, microseconds=1), NOW)
    assert not policy.gives_up(NOW + timedelta(days=2), NOW)  # a replica's clock may be ahead


def test_only_a_4xx_that_speaks_of_the_event_is_a_refusal() -> None:
    refused = {code for code in range(100, 600) if is_refusal(UpstreamError("", status=code))}
    assert refused == set(range(400, 500)) - {404, 408, 409, 425, 429}
    assert not is_refusal(UpstreamError("nobody there"))


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("message.created", True),
        ("message.deleted", True),
        ("participant.created", True),
        ("participant.updated", True),
        ("conversation.created", True),
        ("conversation.updated", True),
        ("conversation.deleted", True),
        ("file.created", True),
        ("file.updated", True),
        ("file.deleted", True),
        ("assistant.state.created", True),
        ("assistant.state.updated", True),
        ("assistant.state.deleted", True),
        ("assistant.state.focus", True),
        ("stream.gap", False),
        ("turn.started", False),
        ("message", False),
        ("", False),
    ],
)
def test_assistants_are_told_what_the_contract_knows_and_nothing_else(kind: str, told: bool) -> None:
    event = msgspec.structs.replace(EVENT, type=kind)
    assert is_for_assistants(event) is told
    assert not is_for_assistants(msgspec.structs.replace(event, audience="users"))


def test_an_envelope_is_written_as_the_contract_writes_it() -> None:
    assert envelope(EVENT) == (
        b'{"id":"5a585a585a585a585a585a585a585a58","correlation_id":"f6caf6caf6caf6caf6caf6caf6caf6ca",'
        b'"conversation_id":"f68c3e4f-0b7d-4c3c-9d2e-0123456789ab","event":"participant.created",'
        b'"timestamp":"2026-11-20T21:38:55.417209Z",'
        b'"data":{"participant":{"name":"\\u00fc","metadata":{}},"participants":[]}}'
    )


@given(st.text(max_size=64), st.dictionaries(st.text(), st.text() | st.none() | st.integers(-(2**53), 2**53)))
def test_an_envelope_is_json_whatever_is_in_it(cause: str, data: dict[str, object]) -> None:
    event = msgspec.structs.replace(EVENT, correlation_id=cause, data=json.dumps(data))
    assert list(json.loads(envelope(event)).items()) == [
        ("id", EVENT.id),
        ("correlation_id", cause),
        ("conversation_id", str(EVENT.conversation_id)),
        ("event", "participant.created"),
        ("timestamp", "2026-11-20T21:38:55.417209Z"),
        ("data", data),
    ]


def test_an_event_without_a_cause_says_so_with_an_empty_text() -> None:
    assert json.loads(envelope(msgspec.structs.replace(EVENT, correlation_id="")))["correlation_id"] == ""
