"""What becomes of what a model wrote, and what a model is shown (7.2, 7.7)."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from obstore.store import MemoryStore
from tests.support.playbooks import playbook

from workbench.adapters.storage.objects import ObjectContentStore
from workbench.domain.identity.model import Principal
from workbench.domain.playbooks.answers import Answer, read_answer
from workbench.domain.playbooks.confidence import Thresholds
from workbench.domain.playbooks.matching import PlaybookIndex, Report
from workbench.domain.playbooks.shelf import Shelf, Shelved
from workbench.domain.playbooks.steps import Citation, Step, StepOption
from workbench.domain.troubleshooting.guiding import Guidance, answered, understood
from workbench.domain.troubleshooting.masking import MASK
from workbench.domain.troubleshooting.model import Intake, SessionStep
from workbench.domain.troubleshooting.shaping import CONFIRMED, says_the_same, shaped
from workbench.domain.troubleshooting.situations import MAX_PASSAGES, MAX_REPORT, situation_of
from workbench.domain.troubleshooting.sourcing import LikeCase, SupplyService
from workbench.domain.troubleshooting.writers import Hypothesis, Source, WrittenStep

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ONE, TWO = StepOption(label="One", value="1"), StepOption(label="Two", value="2")
SOURCES = (Source(kind="playbook", id="printer-offline", title="Printers", text="..."),)


def step_of(support: float = 0.0, answered: int = 0, **members: Any) -> Step:
    written = WrittenStep(
        **{"step_type": "question", "prompt": "Which?", "confidence": 1.0, "options": (ONE,), **members}
    )
    return shaped(written, SOURCES, Thresholds(), support=support, answered=answered)


def test_a_value_is_offered_once() -> None:
    twice = StepOption(label="Uno", value="1")
    assert step_of(options=(ONE, twice, TWO)).options == (ONE, TWO)


def test_what_was_not_supplied_is_not_cited() -> None:
    real, made_up = Citation(kind="playbook", id="printer-offline"), Citation(kind="session", id="printer-offline")
    assert step_of(citations=(real, made_up, real)).citations == (real,)


@pytest.mark.parametrize("kind", ["question", "multi", "action", "verification", "info"])
def test_what_destroys_is_confirmed_first(kind: Any) -> None:
    step = step_of(step_type=kind, risk="destructive")
    assert step.options[0] == CONFIRMED
    assert len(step.options) > 1
    assert CONFIRMED not in step_of(step_type=kind, risk="disruptive").options


@pytest.mark.parametrize("kind", ["question", "multi"])
def test_without_options_one_answers_in_words(kind: Any) -> None:
    step = step_of(step_type=kind, options=(), allow_free_text=False)
    assert (step.step_type, step.allow_free_text) == ("question", True)
    assert not step_of(allow_free_text=False).allow_free_text


def test_outcomes_and_verdicts_mean_the_same_as_everywhere() -> None:
    assert [each.value for each in step_of(step_type="action").options] == ["done", "failed", "not_applicable"]
    assert [each.value for each in step_of(step_type="verification").options] == ["yes", "no", "partly"]


def test_an_end_is_a_suggestion_with_a_draft() -> None:
    solved = step_of(step_type="resolution", resolution_draft="Replaced it", escalation_draft="Ask them")
    assert (solved.suggestion, solved.draft, solved.options, solved.allow_free_text) == (
        "resolve",
        "Replaced it",
        (),
        True,
    )
    given_up = step_of(step_type="escalation", escalation_draft="Ask them", risk="destructive")
    assert (given_up.suggestion, given_up.draft, given_up.urgency) == ("escalate", "Ask them", "normal")
    assert step_of(resolution_draft="No end").draft is None


def test_07_what_a_model_claims_without_support_stays_below_guided_for_ever() -> None:
    assert step_of().confidence_tier == "exploring"
    scores = [step_of(answered=count).confidence_score or 0 for count in (0, 3, 100, 10_000)]
    assert scores[0] == 0.4
    assert scores == sorted(scores)
    assert scores[-1] < 0.6
    assert step_of(support=0.9).confidence_tier == "guided"
    assert step_of(confidence=0.5).confidence_tier == "discovery"


def test_hypotheses_are_told_and_no_text_breaks_a_database() -> None:
    told = step_of(prompt="A\x00B", hypotheses=(Hypothesis(label="Fuse\ud800", likelihood=0.3),))
    assert (told.prompt, told.context) == ("A\ufffdB", {"hypotheses": [{"label": "Fuse\ufffd", "likelihood": 0.3}]})


def test_the_same_question_in_other_clothes_is_the_same() -> None:
    assert says_the_same("What does  the display show", ["Who?", "What does the display show?!"])
    assert not says_the_same("What did the display show", ["What does the display show?"])


def passage(prompt: str, text: str, **members: Any) -> SessionStep:
    step = Step(step_type="manual", prompt=prompt, source="system", allow_free_text=True)
    reading = read_answer(step, Answer(free_text=text))
    return SessionStep(
        id=UUID(int=1), branch_id=UUID(int=2), step_order=1, step=step, asked_at=NOW, reading=reading, **members
    )


def test_secrets_are_masked_and_long_texts_cut_before_a_model_sees_them() -> None:
    intake = Intake(text="password: hunter2 " + "x" * 20_000, subject="Wi-Fi", fields={"token": "abc", "floor": 2})
    path = [passage(f"Step {number}", "my pin is 4711", note="sk-" + "a" * 20) for number in range(30)]
    situation = situation_of(intake, path, (), additional_context="secret=swordfish")
    shown = msgspec.json.encode(situation).decode()
    for secret in ("hunter2", "4711", "a" * 20, "swordfish"):
        assert secret not in shown
    assert MASK in situation.report
    assert len(situation.report) == MAX_REPORT
    assert [each.prompt for each in situation.path][-1] == "Step 29"
    assert len(situation.path) == MAX_PASSAGES


class LikeOne:
    """Finds the one, and remembers who asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def like(self, *asked: Any) -> list[LikeCase]:
        self.asked.append(asked)
        found = LikeCase(session_id=UUID(int=9), title="Old", summary="pin: 4711", resolution="New fuse", score=0.7)
        return [found]


class LikeNone:
    """Nothing like it was ever solved."""

    async def like(self, *_: Any) -> list[LikeCase]:
        return []


NO_FILES = ObjectContentStore(MemoryStore())


async def test_playbooks_and_solved_sessions_are_the_support() -> None:
    document = playbook()
    shelf = Shelf({document.key: Shelved(id=UUID(int=3), version=1, playbook=document)}, PlaybookIndex([document]))
    ann, report = Principal(workspace_id="w", role="user", id="ann"), Report(text="Jobs stuck in the queue")
    alone = await SupplyService(LikeNone(), NO_FILES).of(ann, report, shelf)
    assert [(each.kind, each.id) for each in alone.sources] == [("playbook", "printer-offline")]
    assert 0 < alone.support == alone.candidates[0].score
    likes = LikeOne()
    both = await SupplyService(likes, NO_FILES).of(ann, report, shelf, UUID(int=8))
    assert [each.kind for each in both.sources] == ["playbook", "session"]
    assert both.support == max(0.7, alone.support)
    assert "4711" not in both.sources[1].text
    assert likes.asked == [(ann, report, UUID(int=8), 3)]
    assert [(each.session_id, each.title, each.resolution) for each in both.similar] == [
        (UUID(int=9), "Old", "New fuse")
    ]


def test_74_a_text_that_means_an_option_after_all_goes_on_in_the_playbook() -> None:
    document = playbook(scope={"type": "question", "prompt": "Who?", "options": [
        {"label": "One user", "value": "one", "next": "queue"}, {"label": "Everyone", "value": "all", "next": "up"}]})  # fmt: skip
    guidance = Guidance(playbooks={document.key: document}, has_model=True)
    walk = guidance.walk(document.key, 0.9)
    first = SessionStep(id=UUID(int=1), branch_id=UUID(int=2), step_order=1, step=walk.first(), asked_at=NOW)
    reading = read_answer(first.step, Answer(free_text="the whole building, as far as I can see"))
    following = answered(guidance, walk, [], first.step, reading)
    assert following.step is None
    assert following.otherwise is not None
    assert following.otherwise.node_id == "scope"
    done = msgspec.structs.replace(first, reading=reading)
    step = understood(walk, [], done, "all")
    assert step is not None
    assert (step.node_id, step.source) == ("up", "playbook")
    assert understood(walk, [], done, "nobody") is None
    assert understood(walk, [], done, None) is None
