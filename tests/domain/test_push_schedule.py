"""When notes to tickets are tried again, and when they are given up."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from workbench.domain.tickets.model import (
    MAX_BODY,
    SUMMARIES,
    ClaimedPush,
    ConnectWiseSecret,
    FailureCode,
    Push,
    TicketSystemError,
    WebhookSecret,
    is_marked,
    marked,
)
from workbench.domain.tickets.schedule import PushPolicy, failed
from workbench.domain.tickets.service import ConnectionChange, NewConnection

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
POLICY = PushPolicy()
MIDDLE = 0.5


def claimed(attempt: int, **members: Any) -> ClaimedPush:
    push = Push(
        id=UUID(int=1),
        session_id=UUID(int=2),
        connection_id=UUID(int=3),
        psa_ticket_id="4711",
        kind="resolution",
        visibility="internal",
        author_id="ann",
        marker="m",
        dedupe_key="k",
        created_at=NOW,
        next_attempt_at=NOW,
        status="sending",
        attempt_count=attempt,
    )
    return ClaimedPush(workspace_id="default", claim="c", push=push, before="pending_retry", **members)


def waits(error: TicketSystemError, luck: float) -> list[float | None]:
    """Seconds until the next try after each of the seven."""
    after = [failed(claimed(attempt), error, POLICY, NOW, luck) for attempt in range(1, 8)]
    return [(each.next_attempt_at - NOW).total_seconds() if each.next_attempt_at else None for each in after]


def test_64_there_are_seven_tries_further_and_further_apart() -> None:
    assert waits(TicketSystemError("unreachable"), MIDDLE) == [60, 300, 900, 3600, 14400, 43200, None]
    assert waits(TicketSystemError("timeout"), 0.0) == pytest.approx([48, 240, 720, 2880, 11520, 34560, None])
    assert waits(TicketSystemError("server_error"), 1.0)[0] == pytest.approx(72)
    last = failed(claimed(7), TicketSystemError("unreachable"), POLICY, NOW, MIDDLE)
    assert (last.status, last.error_code) == ("failed", "unreachable")


def test_who_says_how_long_to_wait_is_heeded_where_that_is_longer() -> None:
    assert waits(TicketSystemError("rate_limited", retry_after_seconds=120), MIDDLE)[:2] == [120, 300]


def test_62_one_that_we_hold_back_ourselves_is_no_try() -> None:
    error = TicketSystemError("rate_limited", retry_after_seconds=30, was_held_back=True)
    after = failed(claimed(7), error, POLICY, NOW, MIDDLE)
    assert (after.status, after.attempt_count) == ("pending_retry", 6)
    assert after.next_attempt_at is not None
    assert (after.next_attempt_at - NOW).total_seconds() == 30


@pytest.mark.parametrize("code", SUMMARIES)
def test_only_what_may_pass_is_tried_again(code: FailureCode) -> None:
    after = failed(claimed(1), TicketSystemError(code), POLICY, NOW, MIDDLE)
    passes = code in {"unreachable", "timeout", "server_error", "rate_limited", "bad_answer", "secret_lost"}
    assert after.status == ("pending_retry" if passes else "failed")


def test_64_a_try_that_a_person_asks_for_changes_nothing_of_the_others() -> None:
    asked = claimed(3, is_manual=True)
    after = failed(asked, TicketSystemError("unreachable"), POLICY, NOW, MIDDLE)
    assert (after.status, after.attempt_count, after.next_attempt_at) == ("pending_retry", 3, NOW)
    assert failed(asked, TicketSystemError("refused"), POLICY, NOW, MIDDLE).status == "failed"


def test_what_became_of_a_try_is_known_or_not() -> None:
    unknown = failed(claimed(1), TicketSystemError("timeout", is_ambiguous=True), POLICY, NOW, MIDDLE)
    assert unknown.may_be_there
    assert not failed(claimed(1), TicketSystemError("rate_limited"), POLICY, NOW, MIDDLE).may_be_there


def test_a_long_note_is_cut_and_keeps_its_marker() -> None:
    body = marked("x" * 20_000, "abc")
    assert len(body) == MAX_BODY
    assert body.endswith("… (cut)\n[wb:abc]")
    assert is_marked(body.replace("\n", " "), "abc")
    assert not is_marked(body, "abcd")
    assert marked("short", "abc") == "short\n[wb:abc]"


def test_secrets_are_not_printed() -> None:
    hidden = "the-secret-of-it"
    shown = [
        ConnectWiseSecret(public_key="p", private_key=hidden),
        WebhookSecret(keys=(hidden,)),
        NewConnection(kind="webhook", name="n", config={}, secret={"keys": [hidden]}),
        ConnectionChange(secret={"keys": [hidden]}),
    ]
    assert [each for each in map(repr, shown) if hidden in each] == []
