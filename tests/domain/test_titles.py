"""What is made of a model's title, and when a job that fails is tried again."""

from datetime import timedelta
from uuid import uuid4

import pytest
from tests.support.clocks import START

from workbench.domain.conversations.model import Conversation, NewConversation
from workbench.domain.jobs.model import Job, RetryPolicy
from workbench.domain.titles.model import MAX_TITLE_LENGTH, clean_title


def conversation(**metadata: object) -> Conversation:
    return Conversation.created(uuid4(), NewConversation(metadata=metadata), "ann", START)


def job(attempts: int) -> Job:
    place = {"kind": "test", "key": "a", "payload": {}, "run_at": START}
    return Job(**place, workspace_id="default", id=uuid4(), attempts=attempts, claim="mine")


@pytest.mark.parametrize(
    ("answered", "stored"),
    [
        ("  Trip\n\tto  Rome ", "Trip to Rome"),
        (" \n\t", ""),
        ("nul\0 and \ud800 lone", "nul and lone"),
        ("x" * 5000, "x" * MAX_TITLE_LENGTH),
        ("Grüße 🚂", "Grüße 🚂"),
    ],
)
def test_a_title_is_one_line_of_bounded_length(answered: str, stored: str) -> None:
    assert clean_title(answered) == stored


@pytest.mark.parametrize(("count", "open_to"), [(0, True), (2, True), (3, False), (9, False), ("3", True), (-5, True)])
def test_a_model_may_choose_three_times(count: object, open_to: bool) -> None:
    assert conversation(__auto_title_count=count).may_be_titled is open_to


@pytest.mark.parametrize("count", [True, None, 1.5, [], "many", -1])
def test_what_is_no_count_is_none(count: object) -> None:
    titled = conversation(__auto_title_count=count).titled("New")
    assert (titled.title, titled.metadata["__auto_title_count"]) == ("New", 1)


def test_who_chose_the_title_keeps_it() -> None:
    assert not conversation(__user_set_title=True).may_be_titled
    assert conversation(__user_set_title=False).may_be_titled


def test_failures_rest_longer_each_time_and_come_to_an_end() -> None:
    policy = RetryPolicy(attempts=4, first_seconds=2, factor=4)
    waits = [policy.next_run(job(attempts), START) for attempts in (1, 2, 3, 4)]
    assert waits == [START + timedelta(seconds=seconds) for seconds in (2, 8, 32)] + [None]
