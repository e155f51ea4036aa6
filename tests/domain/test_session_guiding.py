"""What a guided session begins with and goes on with, with and without a model (5.1, 7.3 to 7.5)."""

from typing import Any
from uuid import UUID

import msgspec
import pytest
from tests.support.playbooks import playbook, renamed
from tests.support.sessions import BEGAN, FIVE_STEPS, ROOT, asked, case, later, step

from workbench.domain.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from workbench.domain.playbooks.answers import Answer, read_answer
from workbench.domain.playbooks.confidence import Thresholds
from workbench.domain.playbooks.deciding import decided
from workbench.domain.playbooks.matching import Candidate, PlaybookIndex, Report
from workbench.domain.playbooks.steps import NONE_OF_THESE, choosing_step, manual_step
from workbench.domain.playbooks.walking import MAX_STEPS
from workbench.domain.troubleshooting.branching import Fork, forked
from workbench.domain.troubleshooting.cases import Case
from workbench.domain.troubleshooting.documentation import documented
from workbench.domain.troubleshooting.guiding import Following, Guidance, answered, offering, opened, passed
from workbench.domain.troubleshooting.model import Branch, SessionStep

PLAYBOOKS = {"printer-offline": playbook(), "other": renamed("other", "Something else")}
ALONE = Guidance(playbooks=PLAYBOOKS)
WITH_MODEL = Guidance(playbooks=PLAYBOOKS, has_model=True)


def candidate(key: str, score: float) -> Candidate:
    return Candidate(key=key, title=key.title(), score=score)


def begun(guidance: Guidance, *scores: float, mode: Any = "auto") -> Following:
    ranked = [candidate(key, score) for key, score in zip(PLAYBOOKS, scores, strict=False)]
    return opened(guidance, decided(ranked, Thresholds()), mode)


def reply(
    guidance: Guidance, before: list[SessionStep], open_step: Any, answer: Answer, match: float = 0.8
) -> Following:
    walk = guidance.walk("printer-offline", match)
    return answered(guidance, walk, before, open_step, read_answer(open_step, answer))


def test_01_a_report_that_matches_begins_with_the_playbook() -> None:
    index = PlaybookIndex([playbook()])
    decision = decided(index.ranked(Report(text="printer offline, jobs stuck in the queue")), Thresholds())
    first = opened(ALONE, decision, "auto")
    assert (first.playbook_key, first.match) == ("printer-offline", decision.candidates[0].score)
    assert first.step is not None
    assert (first.step.node_id, first.step.confidence_tier) == ("scope", "guided")


def test_02_without_a_match_and_without_a_model_there_is_nothing_to_begin_with() -> None:
    with pytest.raises(UnavailableError) as raised:
        begun(ALONE, 0.2, 0.1)
    assert raised.value.error_code == "no_guidance_available"
    assert raised.value.extra == {
        "model_configured": False,
        "playbooks_published": 2,
        "nearest": [
            {"key": "printer-offline", "title": "Printer-Offline", "score": 0.2},
            {"key": "other", "title": "Other", "score": 0.1},
        ],
        "hint": "import or publish a playbook, configure a model, or start with start_mode=manual",
    }


def test_03_by_hand_one_can_always_begin() -> None:
    first = begun(ALONE, 0.2, mode="manual")
    assert first.step is not None
    assert (first.step.step_type, first.playbook_key) == ("manual", None)
    assert begun(WITH_MODEL, 0.9, mode="manual").step is not None


def test_04_two_that_are_close_are_offered_and_the_chosen_one_goes_on_with_080() -> None:
    first = begun(ALONE, 0.70, 0.65)
    assert first.step is not None
    assert [option.value for option in first.step.options] == ["printer-offline", "other", NONE_OF_THESE]
    assert (first.step.confidence_score, first.step.confidence_tier) == (0.70, "guided")
    chosen = answered(ALONE, None, [], first.step, read_answer(first.step, Answer(option_value="other")))
    assert (chosen.playbook_key, chosen.match) == ("other", 0.80)
    assert chosen.step is not None
    assert (chosen.step.node_id, chosen.step.confidence_score) == ("scope", 0.80)
    before = [step(1, first.step, Answer(option_value="other"))]
    following = reply(ALONE, before, chosen.step, Answer(option_value="one"))
    assert following.step is not None
    assert following.step.confidence_score == 0.84


@pytest.mark.parametrize("scores", [(0.70, 0.65), (0.4, 0.1), (0.2, 0.1), ()])
def test_07_a_model_is_asked_where_no_playbook_is_run(scores: tuple[float, ...]) -> None:
    first = begun(WITH_MODEL, *scores)
    assert first.step is None
    assert [each.score for each in first.candidates] == list(scores)


def test_08_where_the_model_fails_some_candidates_can_still_be_offered() -> None:
    step_offered = offering(ALONE, [candidate("other", 0.4)])
    assert (step_offered.step_type, step_offered.confidence_tier) == ("choose_playbook", "exploring")


@pytest.mark.parametrize("answer", [Answer(option_value=NONE_OF_THESE), Answer(free_text="neither fits")])
def test_16_none_of_these_goes_on_by_hand_and_not_in_an_error(answer: Answer) -> None:
    offered = choosing_step([candidate("other", 0.5)])
    following = answered(ALONE, None, [], offered, read_answer(offered, answer))
    assert following.step is not None
    assert following.step.step_type == "manual"
    assert answered(WITH_MODEL, None, [], offered, read_answer(offered, answer)).step is None


def test_16_by_hand_one_goes_on_by_hand() -> None:
    following = reply(ALONE, [], manual_step(), Answer(free_text="tried another cable"))
    assert following.step is not None
    assert following.step.step_type == "manual"


def test_a_playbook_that_is_gone_cannot_be_chosen() -> None:
    offered = choosing_step([candidate("gone", 0.5)])
    with pytest.raises(InvalidError) as raised:
        answered(ALONE, None, [], offered, read_answer(offered, Answer(option_value="gone")))
    assert raised.value.error_code == "unknown_option"


def test_13_a_text_that_means_nothing_is_for_the_model_if_there_is_one() -> None:
    options = [{"label": "A b", "value": "ab", "next": "queue"}, {"label": "C d", "value": "cd", "next": "up"}]
    unclear = playbook(scope={"type": "question", "prompt": "Which?", "options": options})
    for guidance, step_type in ((ALONE, "question"), (WITH_MODEL, None)):
        own = Guidance(playbooks={"printer-offline": unclear}, has_model=guidance.has_model)
        first = own.walk("printer-offline", 0.8).first()
        following = reply(own, [], first, Answer(free_text="neither"))
        assert (following.step.step_type if following.step else None) == step_type


def test_15_visits_count_since_the_playbook_was_chosen() -> None:
    looped = [step(number, asked("spooler"), Answer(outcome="done")) for number in (1, 2)]
    again = reply(ALONE, looped, asked("verify"), Answer(option_value="no"))
    assert again.step is not None
    assert again.step.node_id == "up"
    chosen = step(3, choosing_step([candidate("printer-offline", 0.5)]), Answer(option_value="printer-offline"))
    fresh = reply(ALONE, [*looped, chosen], asked("verify"), Answer(option_value="no"))
    assert fresh.step is not None
    assert fresh.step.node_id == "spooler"
    assert passed([*looped, chosen]) == []


def test_a_session_is_limited_whatever_its_steps_are() -> None:
    many = [step(number, manual_step(), Answer(free_text="a")) for number in range(MAX_STEPS - 1)]
    with pytest.raises(ConflictError) as raised:
        reply(ALONE, many, manual_step(), Answer(free_text="b"))
    assert raised.value.error_code == "step_limit"


# Branches.

NEW = (UUID(int=8), UUID(int=200))


def branched(fork: Fork, *own: SessionStep) -> Case:
    """The session after a fork, with steps of the new branch."""
    after = case((*FIVE_STEPS, *own), is_branching=True, active_branch_id=fork.branch.id)
    return msgspec.structs.replace(after, branches=(fork.left, fork.branch))


def test_14_a_fork_leaves_the_old_way_as_it_was_and_it_is_told_as_ruled_out() -> None:
    before = case()
    fork = forked(before, FIVE_STEPS[1].id, NEW, later(30))
    assert (fork.session.is_branching, fork.session.active_branch_id) == (True, NEW[0])
    assert (fork.branch.parent_branch_id, fork.branch.forked_at_step_id) == (ROOT, FIVE_STEPS[1].id)
    assert fork.before == FIVE_STEPS[:1]
    assert (fork.step.step_order, fork.step.is_answered, fork.step.step.node_id) == (2, False, "queue")
    assert fork.left == Branch(id=ROOT, label="Start", created_at=BEGAN, status="dead_end")
    after = branched(fork, fork.step)
    assert [each.id for each in after.path()] == [FIVE_STEPS[0].id, NEW[1]]
    assert list(after.ruled_out()) == list(FIVE_STEPS[1:])
    assert after.steps[:5] == FIVE_STEPS
    text = documented(after).markdown
    taken, _, rest = text.partition("## Ruled out")
    assert "Restart the Print Spooler service" not in taken
    assert "Restart the Print Spooler service" in rest
    assert documented(after).next_steps == ["Clear the queue of PRN-02"]


def test_14_a_branch_with_an_open_step_stays_open_and_can_be_gone_back_to() -> None:
    open_step = step(6, asked("verify"))
    before = case((*FIVE_STEPS, open_step))
    fork = forked(before, FIVE_STEPS[0].id, NEW, later(30))
    assert fork.left.status == "open"
    assert fork.before == ()


def test_14_one_goes_back_to_a_branch_at_its_last_answered_step_and_nowhere_else() -> None:
    first = forked(case(), FIVE_STEPS[1].id, NEW, later(30))
    own = msgspec.structs.replace(first.step, answered_at=later(31), reading=FIVE_STEPS[2].reading)
    there = branched(first, own)
    back = forked(there, FIVE_STEPS[4].id, (UUID(int=9), UUID(int=201)), later(40))
    assert (back.branch.parent_branch_id, back.left.id, back.left.status) == (ROOT, NEW[0], "dead_end")
    assert (back.before, back.step.step_order) == (FIVE_STEPS[:4], 5)
    assert forked(there, FIVE_STEPS[0].id, (UUID(int=9), UUID(int=201)), later(40)).branch.parent_branch_id == NEW[0]
    for step_id in (FIVE_STEPS[1].id, FIVE_STEPS[3].id):
        with pytest.raises(NotFoundError):
            forked(there, step_id, (UUID(int=9), UUID(int=201)), later(40))


@pytest.mark.parametrize(("step_id", "error"), [(UUID(int=999), NotFoundError), (UUID(int=106), ConflictError)])
def test_14_only_an_answered_step_of_the_way_is_forked_at(step_id: UUID, error: type[Exception]) -> None:
    with pytest.raises(error):
        forked(case((*FIVE_STEPS, step(6, asked("verify")))), step_id, NEW, later(30))
