"""What of a session is found by its words, and what it is compared by, as far as no database is needed (10.1, 10.3)."""

import msgspec
import pytest
from tests.support.playbooks import playbook
from tests.support.sessions import FIVE_STEPS, case, session, step

from workbench.domain.embeddings.model import Descriptor, Space, packed, unpacked
from workbench.domain.errors import InvalidError
from workbench.domain.ids import new_id
from workbench.domain.playbooks.answers import Answer
from workbench.domain.playbooks.steps import briefing_step, playbook_step
from workbench.domain.troubleshooting.documents import (
    MAX_COMPARED,
    MAX_SAID,
    answer_words,
    document_of,
    problem_hash,
    problem_text,
    with_words,
)
from workbench.domain.troubleshooting.likening import COMPARED_WORDS, LOOKED_FOR, chosen_words, compared_words
from workbench.domain.troubleshooting.model import Intake, Resolution


def test_a_document_has_each_text_in_its_field() -> None:
    solved = session(resolution=Resolution(summary="Changed the toner", action="fixed", root_cause="Empty"))
    document = document_of(solved, FIVE_STEPS, ())
    assert document.head == "printer offline the printer on floor 2 show offline"
    assert document.middle == "print chang the toner empty"
    assert document.report.endswith("prn 02 2")
    assert "drum on prn 02" in document.said
    assert document.problem_hash == problem_hash(solved)


def test_what_says_nothing_of_the_problem_is_no_word_of_it() -> None:
    skipped = step(1, playbook_step(playbook(), "scope", {}), Answer(option_value="one"))
    assert answer_words(skipped) != ""
    briefed = step(2, briefing_step({}, None), Answer(option_value="acknowledged"))
    assert answer_words(briefed) == ""
    assert answer_words(step(3, playbook_step(playbook(), "scope", {}))) == ""


def test_what_is_said_has_an_end() -> None:
    said = with_words("", "a" * MAX_SAID)
    assert with_words(said, "more") == said
    assert with_words("a", "") == "a"
    assert with_words("a", "b") == "a b"


def test_a_problem_is_what_was_reported_once_and_no_more_than_counts() -> None:
    intake = Intake(text="The printer is offline", subject="Printer", fields={"room": "B-17"})
    asked = session(title="The printer is offline", problem_summary="Printer, offline", intake=intake)
    assert problem_text(asked) == "Printer, offline\nPrinter\nThe printer is offline"
    assert len(problem_text(session(intake=Intake(text="x" * 20_000)))) == MAX_COMPARED
    assert problem_hash(asked) == problem_hash(msgspec.structs.replace(asked, status="resolved"))
    assert problem_hash(asked) != problem_hash(msgspec.structs.replace(asked, title="Another"))


def test_the_words_that_are_compared_are_those_that_are_likely_to_be_rare() -> None:
    assert compared_words("The printers and the printer: x DNS_PROBE 0x17") == ["0x17", "printer", "probe", "dns"]
    assert len(compared_words(" ".join(f"w{number}" for number in range(100)))) == COMPARED_WORDS


@pytest.mark.parametrize(
    ("total", "rare", "looked_for"),
    [
        (10, ["b"], ["b", "c", "d"]),
        (500, ["b", "c"], ["b", "c", "d"]),
        (2001, ["b", "c"], ["b", "c"]),
    ],
)
def test_rare_words_are_looked_for_first_and_among_many_sessions_alone(
    total: int, rare: list[str], looked_for: list[str]
) -> None:
    counted = {"a": 1, "d": 21, "c": 9, "b": 2, "nowhere": 0}
    assert chosen_words(counted, total) == (rare, looked_for)


def test_no_more_words_are_looked_for_than_are_quick() -> None:
    assert len(chosen_words({f"w{number}": 2 for number in range(40)}, 100)[1]) == LOOKED_FOR


def test_52_a_vector_fits_into_a_space_of_its_length_only() -> None:
    space = Space(id=new_id(), descriptor=Descriptor(provider="test", model="two", dims=2), state="active")
    space.require_fit(packed([0.6, 0.8]))
    with pytest.raises(InvalidError):
        space.require_fit(packed([1.0]))
    assert unpacked(packed([0.5, -0.25])) == [0.5, -0.25]


def test_a_case_of_five_steps_is_found_by_what_was_answered() -> None:
    assert "toner" in document_of(case().session, case().steps, ()).said
