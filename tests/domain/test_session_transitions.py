"""Every status with every action, and who may act: the table of the specification, written once more (3, 4)."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from tests.support.sessions import (
    BEGAN,
    COLLEAGUE,
    OWNER,
    READER,
    STRANGER,
    THIRD,
    escalation,
    later,
    session,
)

from workbench.domain.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError, WorkbenchError
from workbench.domain.troubleshooting import transitions
from workbench.domain.troubleshooting.access import Person, Standing, require_work, standing
from workbench.domain.troubleshooting.model import Escalation, Resolution, Session, SessionStatus, Ticket
from workbench.domain.troubleshooting.transitions import ACTIONS, STATUSES, Action, allowed_actions, require_allowed

NOW = later(60)
SOLVED = Resolution(summary="Restarted the spooler", action="fixed")

LEGAL: dict[SessionStatus, set[str]] = {
    "active": {"respond", "pause", "resolve", "escalate", "abandon", "delete", "link-ticket", "task-lane"},
    "escalated": {"respond", "pause", "resolve", "escalate", "abandon", "delete", "link-ticket", "task-lane"},
    "paused": {"resume", "resolve", "escalate", "abandon", "delete", "link-ticket", "task-lane"},
    "requesting_escalation": {"pickup", "withdraw-escalation", "abandon", "link-ticket", "task-lane"},
    "resolved": {"reopen", "delete", "rate"},
    "abandoned": {"delete", "rate"},
}
OWN = {"delete", "rate"}


def in_status(status: SessionStatus, **members: Any) -> Session:
    usual = {"resolved_at": NOW, "closed_at": NOW} if status == "resolved" else {}
    return session(status=status, **{**usual, **members})


def seen(of: Session, person: Person, latest: Escalation | None = None, *former: str) -> Standing:
    return standing(of, person, latest, set(former))


def refusal(of: Session, action: Action, person: Person = OWNER) -> tuple[str, list[str]]:
    with pytest.raises(ConflictError) as raised:
        require_allowed(of, action, seen(of, person), person, NOW)
    assert raised.value.extra["status"] == of.status
    assert raised.value.extra["action"] == action
    return raised.value.error_code, raised.value.extra["allowed_actions"]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("action", ACTIONS)
def test_17_each_action_is_legal_in_its_statuses_and_else_a_conflict(status: SessionStatus, action: Action) -> None:
    of = in_status(status)
    mine = sorted(LEGAL[status] - {"pickup"}, key=ACTIONS.index)
    assert allowed_actions(of, seen(of, OWNER), OWNER, NOW) == mine
    if action in LEGAL[status]:
        require_allowed(of, action, seen(of, OWNER), OWNER, NOW)
        return
    codes = {"chat": "wrong_session_type", "delete": "escalation_open"}
    assert refusal(of, action) == (codes.get(action, "illegal_transition"), mine)


@pytest.mark.parametrize("status", STATUSES)
def test_17_a_chat_is_written_in_and_not_answered(status: SessionStatus) -> None:
    of = in_status(status, session_type="chat")
    assert refusal(of, "respond")[0] == "wrong_session_type"
    if status in {"active", "escalated"}:
        require_allowed(of, "chat", seen(of, OWNER), OWNER, NOW)
    else:
        assert refusal(of, "chat")[0] == "illegal_transition"


def test_17_the_owner_who_is_not_the_handler_may_do_what_is_the_owners() -> None:
    of = in_status("resolved", handler_id="bob")
    assert allowed_actions(of, seen(of, OWNER), OWNER, NOW) == ["delete", "rate"]
    assert allowed_actions(of, seen(of, COLLEAGUE), COLLEAGUE, NOW) == ["reopen"]
    assert allowed_actions(of, seen(of, STRANGER), STRANGER, NOW) == []
    assert allowed_actions(in_status("escalated", handler_id="bob"), seen(of, OWNER), OWNER, NOW) == []


def test_17_who_may_take_over_is_told_so() -> None:
    of = in_status("requesting_escalation")
    assert allowed_actions(of, seen(of, COLLEAGUE, escalation()), COLLEAGUE, NOW) == ["pickup"]
    assert allowed_actions(of, seen(of, OWNER, escalation()), OWNER, NOW) == [
        "withdraw-escalation", "abandon", "link-ticket", "task-lane",
    ]  # fmt: skip


def test_32_without_the_permission_one_sees_ones_own_and_does_nothing() -> None:
    of = in_status("active", owner_id="eve", handler_id="eve")
    assert seen(of, READER).level == "act"
    assert allowed_actions(of, seen(of, READER), READER, NOW) == ["delete"]
    require_work(OWNER)
    with pytest.raises(ForbiddenError) as raised:
        require_work(READER)
    assert raised.value.error_code == "role_required"


@pytest.mark.parametrize("status", ["active", "escalated"])
def test_18_a_pause_goes_back_to_where_it_came_from(status: SessionStatus) -> None:
    put_aside = transitions.paused(in_status(status), NOW)
    assert (put_aside.status, put_aside.resume_status, put_aside.last_activity_at) == ("paused", status, NOW)
    again = transitions.resumed(put_aside, later(90))
    assert (again.status, again.resume_status, again.last_activity_at) == (status, None, later(90))


@pytest.mark.parametrize("status", ["active", "escalated"])
def test_18_a_withdrawn_escalation_goes_back_too_even_from_a_pause(status: SessionStatus) -> None:
    for before in (in_status(status), transitions.paused(in_status(status), NOW)):
        asking = transitions.escalated(before, escalation(requested_at=NOW))
        assert (asking.status, asking.handler_id) == ("requesting_escalation", "ann")
        again, closed = transitions.withdrawn(asking, escalation(), later(90))
        assert (again.status, again.resume_status) == (status, None)
        assert (closed.state, closed.closed_at) == ("withdrawn", later(90))


def test_a_solved_session_keeps_how_and_may_be_reopened_for_seven_days() -> None:
    done = transitions.resolved(in_status("active"), SOLVED, NOW)
    assert (done.status, done.resolution, done.resolved_at, done.closed_at) == ("resolved", SOLVED, NOW, NOW)
    assert done.duration_seconds == 3600
    for wait, legal in ((timedelta(days=7), True), (timedelta(days=7, seconds=1), False)):
        assert transitions.is_legal(done, "reopen", NOW + wait) is legal
    before = msgspec.structs.replace(done, reopenable_until=None)
    assert transitions.is_legal(before, "reopen", NOW + timedelta(days=7))
    assert not transitions.is_legal(before, "reopen", NOW + timedelta(days=8))
    sooner = transitions.resolved(in_status("active"), SOLVED, NOW, timedelta(0))
    assert (transitions.is_legal(sooner, "reopen", NOW + timedelta(seconds=1)), sooner.reopenable_until) == (False, NOW)
    again = transitions.reopened(done, later(90))
    assert again.reopenable_until is None
    assert (again.status, again.resolution, again.resolved_at, again.closed_at) == ("active", None, None, None)
    assert transitions.reopened(msgspec.structs.replace(done, handler_id="bob"), NOW).status == "escalated"


def test_to_give_up_cancels_an_open_escalation_and_keeps_the_reason() -> None:
    ended, closed = transitions.abandoned(in_status("requesting_escalation"), escalation(), "wrong number", NOW)
    assert (ended.status, ended.abandon_reason, ended.closed_at) == ("abandoned", "wrong number", NOW)
    assert closed is not None
    assert (closed.state, closed.closed_at) == ("cancelled", NOW)
    over = escalation(state="picked_up", closed_at=BEGAN)
    assert transitions.abandoned(in_status("active"), over, None, NOW)[1] is over
    assert transitions.abandoned(in_status("active"), None, None, NOW)[1] is None


@pytest.mark.parametrize("status", STATUSES)
def test_67_what_is_idle_for_thirty_days_is_given_up_but_no_escalation(status: SessionStatus) -> None:
    of = in_status(status, last_activity_at=BEGAN)
    idles = status in {"active", "paused", "escalated"}
    assert transitions.is_idle(of, BEGAN + timedelta(days=30)) is idles
    assert not transitions.is_idle(of, BEGAN + timedelta(days=30, microseconds=-1))
    assert (transitions.idled(of, NOW).status, transitions.idled(of, NOW).abandon_reason) == (
        "abandoned",
        "idle_timeout",
    )
    assert not transitions.is_idle(transitions.deleted(of, NOW), BEGAN + timedelta(days=99))


@pytest.mark.parametrize(
    ("status", "handler", "legal"),
    [
        ("active", "ann", True), ("paused", "ann", True), ("requesting_escalation", "ann", False), ("escalated", "bob", False),
        ("paused", "bob", False), ("resolved", "bob", True), ("abandoned", "bob", True),
    ],
)  # fmt: skip
def test_45_an_owner_deletes_what_is_over_or_nobody_elses_work(
    status: SessionStatus, handler: str, legal: bool
) -> None:
    of = in_status(status, handler_id=handler)
    assert transitions.is_legal(of, "delete", NOW) is legal
    assert legal or refusal(of, "delete")[0] == "escalation_open"


def test_45_what_is_deleted_is_hidden_from_everybody() -> None:
    gone = transitions.deleted(in_status("resolved"), NOW)
    for person in (OWNER, COLLEAGUE, THIRD):
        assert seen(gone, person, escalation(target_user_id=person.id), "cleo") == Standing(level="none")


@pytest.mark.parametrize("rating", [1, 5])
def test_60_a_rating_is_one_to_five_and_the_last_one_counts(rating: int) -> None:
    once = transitions.rated(in_status("resolved"), 3, "fine")
    again = transitions.rated(once, rating, None)
    assert (again.rating, again.feedback) == (rating, None)


@pytest.mark.parametrize("rating", [0, 6, "5", 4.5, True, None])
def test_60_other_ratings_are_refused(rating: Any) -> None:
    with pytest.raises(InvalidError) as raised:
        transitions.rated(in_status("resolved"), rating, None)
    assert raised.value.field == "rating"


def test_a_ticket_is_linked() -> None:
    ticket = Ticket(id="T1", connection_id=UUID(int=9))
    assert transitions.linked(in_status("active"), ticket, NOW).ticket == ticket


# Access.


def refused(call: Any) -> tuple[type[WorkbenchError], str]:
    with pytest.raises(WorkbenchError) as raised:
        call()
    return type(raised.value), raised.value.error_code


HIDDEN = (NotFoundError, "session_not_found")


def test_29_to_a_stranger_there_is_no_session() -> None:
    nobody = seen(in_status("active"), STRANGER)
    calls = (nobody.require_seen, nobody.require_act, nobody.require_owner)
    assert [refused(call) for call in calls] == [HIDDEN] * 3
    assert refused(lambda: nobody.require_documentation(for_handler=True)) == HIDDEN
    assert refused(lambda: nobody.require_reporting(in_status("resolved"))) == HIDDEN


def test_21_an_escalation_to_all_is_seen_in_the_queue_only() -> None:
    of = in_status("requesting_escalation")
    eligible = seen(of, COLLEAGUE, escalation())
    assert (eligible.level, eligible.may_pick_up) == ("none", True)
    assert refused(eligible.require_seen) == HIDDEN
    assert not seen(of, COLLEAGUE, escalation(team_id="desk")).may_pick_up
    assert seen(of, COLLEAGUE, escalation(team_id="network")).may_pick_up
    assert not seen(of, Person(id="fay", works=False), escalation()).may_pick_up


def test_22_a_target_reads_and_nobody_else_takes_over() -> None:
    of = in_status("requesting_escalation")
    named = escalation(target_user_id="bob", team_id="elsewhere")
    target = seen(of, COLLEAGUE, named)
    assert (target.level, target.may_pick_up) == ("read", True)
    assert refused(target.require_act) == (ForbiddenError, "pickup_required")
    third = seen(of, THIRD, named)
    assert third == Standing(level="none")
    assert refused(lambda: transitions.require_pickup(of, THIRD, third, named, NOW, "Ann")) == HIDDEN
    transitions.require_pickup(of, COLLEAGUE, target, named, NOW, "Ann")


def taken_over(by: str = "bob") -> tuple[Session, Escalation]:
    return transitions.picked_up(in_status("requesting_escalation"), escalation(), by, "review", "on site", NOW)


def test_24_after_a_pickup_the_owner_reads_and_the_handler_acts() -> None:
    of, closed = taken_over()
    assert (of.status, of.handler_id, of.owner_id, of.resume_status) == ("escalated", "bob", "ann", None)
    assert (closed.state, closed.picked_up_by, closed.resume_mode, closed.closed_at) == (
        "picked_up",
        "bob",
        "review",
        NOW,
    )
    owner, handler = seen(of, OWNER, closed, "ann"), seen(of, COLLEAGUE, closed, "ann")
    owner.require_seen()
    assert refused(owner.require_act) == (ForbiddenError, "not_handler")
    handler.require_act()
    owner.require_documentation(for_handler=False)
    assert refused(lambda: handler.require_documentation(for_handler=False)) == HIDDEN
    handler.require_documentation(for_handler=True)


def test_60_what_is_the_owners_is_forbidden_to_the_handler() -> None:
    of, closed = taken_over()
    assert refused(seen(of, COLLEAGUE, closed).require_owner) == (ForbiddenError, "not_owner")
    seen(of, OWNER, closed).require_owner()


def test_25_a_second_handover_leaves_the_first_handler_reading() -> None:
    of, _ = taken_over()
    again, closed = transitions.picked_up(
        transitions.escalated(of, escalation(requested_by="bob")), escalation(requested_by="bob"), "cleo", "continue", None, NOW
    )  # fmt: skip
    first = seen(again, COLLEAGUE, closed, "ann", "bob")
    assert first.level == "read"
    assert refused(first.require_act) == (ForbiddenError, "not_handler")
    seen(again, THIRD, closed, "ann", "bob").require_act()


def test_23_who_comes_a_moment_too_late_is_told_who_was_faster_and_later_on_nothing() -> None:
    of, closed = taken_over()
    for person, named in ((THIRD, closed), (COLLEAGUE, closed)):
        with pytest.raises(ConflictError) as raised:
            transitions.require_pickup(of, person, seen(of, person, named), named, later(65), "Bob")
        assert (raised.value.error_code, raised.value.extra) == ("already_picked_up", {"handler": "Bob"})
    late = seen(of, THIRD, closed)
    assert refused(lambda: transitions.require_pickup(of, THIRD, late, closed, later(66), "Bob")) == HIDDEN
    other = msgspec.structs.replace(closed, team_id="network")
    assert refused(lambda: transitions.require_pickup(of, THIRD, late, other, later(61), "Bob")) == HIDDEN
    assert refused(lambda: transitions.require_pickup(of, THIRD, late, None, NOW, "Bob")) == HIDDEN


def test_a_pickup_of_what_was_withdrawn_is_a_conflict_for_those_it_was_meant_for() -> None:
    of, closed = transitions.withdrawn(in_status("requesting_escalation", resume_status="active"), escalation(), NOW)
    late = seen(of, COLLEAGUE, closed)
    call = lambda: transitions.require_pickup(of, COLLEAGUE, late, closed, later(61), "Ann")  # noqa: E731 - called once
    assert refused(call) == (ConflictError, "illegal_transition")
    owner = seen(of, OWNER, closed)
    mine = lambda: transitions.require_pickup(of, OWNER, owner, closed, later(61), "Ann")  # noqa: E731 - called once
    assert refused(mine) == (ConflictError, "illegal_transition")


def test_nobody_takes_over_from_themselves() -> None:
    of = in_status("requesting_escalation")
    own = seen(of, OWNER, escalation())
    assert not own.may_pick_up
    call = lambda: transitions.require_pickup(of, OWNER, own, escalation(), NOW, "Ann")  # noqa: E731 - called once
    assert refused(call) == (ForbiddenError, "not_eligible")


def test_a_status_update_is_the_handlers_and_the_owners_once_it_is_over() -> None:
    of, closed = taken_over()
    seen(of, COLLEAGUE, closed).require_reporting(of)
    assert refused(lambda: seen(of, OWNER, closed).require_reporting(of)) == (ForbiddenError, "not_handler")
    over = transitions.resolved(of, SOLVED, NOW)
    seen(over, OWNER, closed).require_reporting(over)
