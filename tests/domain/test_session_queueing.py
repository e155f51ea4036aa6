"""Who comes first in the queue, who waits too long, and what a session is called (5.1, 7.9)."""

from typing import Any
from uuid import UUID

import pytest
from tests.support.sessions import COLLEAGUE, OWNER, READER, escalation, later, session

from workbench.domain.errors import InvalidError
from workbench.domain.troubleshooting.model import Intake
from workbench.domain.troubleshooting.naming import MAX_NAMED, summary_of, title_of
from workbench.domain.troubleshooting.queueing import is_overdue, queue_place, require_target, waiting_seconds


def test_26_the_most_urgent_comes_first_and_of_equals_the_one_that_waits_longest() -> None:
    asked = [
        escalation(id=UUID(int=number), urgency=urgency, requested_at=later(minutes))
        for number, urgency, minutes in [
            (1, "normal", 0), (2, "critical", 50), (3, "low", 0), (4, "normal", 10), (5, "high", 60), (7, "low", 5), (6, "low", 5),
        ]
    ]  # fmt: skip
    assert [each.id.int for each in sorted(asked, key=queue_place)] == [2, 5, 1, 4, 3, 6, 7]


@pytest.mark.parametrize(("urgency", "minutes"), [("critical", 15), ("high", 60), ("normal", 240), ("low", 240)])
def test_each_urgency_has_its_patience(urgency: Any, minutes: int) -> None:
    asked = escalation(urgency=urgency, requested_at=later(0))
    assert (is_overdue(asked, later(minutes)), is_overdue(asked, later(minutes - 0.01))) == (True, False)
    assert not is_overdue(escalation(urgency=urgency, requested_at=later(0), state="picked_up"), later(minutes))
    assert (waiting_seconds(asked, later(2)), waiting_seconds(asked, later(-2))) == (120, 0)


def test_an_escalation_is_for_somebody_else_who_works_on_sessions() -> None:
    require_target(session(), COLLEAGUE)
    for target in (None, OWNER, READER):
        with pytest.raises(InvalidError) as raised:
            require_target(session(), target)
        assert (raised.value.error_code, raised.value.field) == ("invalid_target", "target_user_id")


@pytest.mark.parametrize(
    ("text", "subject", "title", "summary"),
    [
        ("It is broken. Really.", None, "It is broken.", "It is broken."),
        ("It is broken.", " Printer 2 ", "Printer 2", "It is broken."),
        ("Hello team,\n\nthe VPN drops at 10.5 minutes! Help", "  ", "the VPN drops at 10.5 minutes!", "the VPN drops at 10.5 minutes!"),
        ("Hi", None, "Hi", "Hi"),
        ("Please reset the password of Tom now", None, "Please reset the password of Tom now", "Please reset the password of Tom now"),
        ("打印机坏了。请帮忙", None, "打印机坏了。", "打印机坏了。"),
    ],
)  # fmt: skip
def test_a_session_is_called_by_its_subject_or_first_telling_sentence(
    text: str, subject: str | None, title: str, summary: str
) -> None:
    intake = Intake(text=text, subject=subject)
    assert (title_of(intake), summary_of(intake)) == (title, summary)


def test_long_names_are_cut_at_a_word_where_there_is_one() -> None:
    words = title_of(Intake(text="word " * 60))
    assert (words.endswith("word\u2026"), len(words) <= MAX_NAMED) == (True, True)
    assert len(title_of(Intake(text="a" * 300))) == MAX_NAMED
    assert title_of(Intake(text="a" * 120)) == "a" * 120
