"""The end of an answer is stored once, however often the task that makes it is cut short (turns, W3)."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.http.test_model_assistants import UNABLE, Talk, runner
from tests.support.models import ScriptedModels, Valve, event
from tests.support.servers import until
from tests.support.service import running_service

from workbench.domain.errors import UnavailableError
from workbench.domain.identity.model import Principal
from workbench.domain.model_assistants.briefing import BriefingService
from workbench.domain.model_assistants.ports import Ask, CallTool
from workbench.domain.model_assistants.speaking import ModelSpeaker
from workbench.domain.model_assistants.tools import ToolService
from workbench.domain.participants.service import ParticipantService
from workbench.domain.parts.events import ProducerEvent
from workbench.domain.residents.running import RunningService
from workbench.domain.turns.ports import DueTurn
from workbench.domain.turns.producing import ProducingService
from workbench.domain.turns.shapes import Ending, Settled
from workbench.wiring.container import make_container


class SlowEnding:
    """Stores endings, but not before the test lets it; the first tries may fail."""

    def __init__(self, producing: ProducingService, failures: int = 0) -> None:
        self._producing = producing
        self._failures = failures
        self.lease = producing.lease
        self.add = producing.add
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self.tries = 0

    async def finalize(self, principal: Principal, conversation_id: UUID, turn_id: str, ending: Ending) -> Settled:
        self.tries += 1
        self.reached.set()
        await self.go_on.wait()
        if self.tries <= self._failures:
            raise UnavailableError
        return await self._producing.finalize(principal, conversation_id, turn_id, ending)


class Stage:
    """A turn that waits to be made, and a runner whose endings are slow."""

    def __init__(self, talk: Talk, running: RunningService, producing: SlowEnding, due: DueTurn) -> None:
        self.talk = talk
        self.running = running
        self.producing = producing
        self._due = due

    def run(self, producer: str = "p") -> "asyncio.Task[Any]":
        return asyncio.create_task(self.running.run(self._due, producer))


@pytest.fixture
def valve() -> Valve:
    return Valve()


@pytest.fixture
async def stage(database_url: str, tmp_path: Path, valve: Valve) -> AsyncGenerator[Stage]:
    models = ScriptedModels(valve.script)
    async with running_service(database_url, tmp_path / "data", models.provider, runner(UNABLE)) as service:
        talk = await Talk(service, models).begin()
        await talk.say("hello")
        (turn,) = await until(talk.turns)
        container = make_container(service.settings, models.provider)
        producing = SlowEnding(await container.get(ProducingService))
        speaker = ModelSpeaker(models, await container.get(BriefingService), await container.get(ToolService))
        running = RunningService(
            {"workbench.model": speaker},
            producing,  # type: ignore[arg-type]
            await container.get(ParticipantService),
        )
        due = DueTurn(
            workspace_id="default",
            conversation_id=UUID(turn["conversation_id"]),
            turn_id=turn["turn_id"],
            assistant_id=UUID(talk.assistant),
            assistant_service_id="workbench.model",
        )
        yield Stage(talk, running, producing, due)
        await container.close()


async def cut_twice(task: "asyncio.Task[Any]", stage: Stage) -> None:
    """Cancel it while it ends the turn, and once more, and only then let the end be stored."""
    await asyncio.wait_for(stage.producing.reached.wait(), 10)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
    stage.producing.go_on.set()


async def require_settled_once(stage: Stage, status: str, reason: str) -> None:
    (turn,) = await stage.talk.turns()
    assert (turn["status"], turn["finish_reason"]) == (status, reason)
    assert len(await stage.talk.answers()) == 1
    assert stage.producing.tries == 1


async def test_cancelled_in_the_middle_and_twice_at_the_end(stage: Stage, valve: Valve) -> None:
    task = stage.run()
    await asyncio.wait_for(valve.reached.wait(), 10)
    task.cancel()
    await cut_twice(task, stage)
    with pytest.raises(asyncio.CancelledError):
        await task
    await require_settled_once(stage, "failed", "shutdown")


async def test_cancelled_while_a_whole_answer_is_stored(stage: Stage, valve: Valve) -> None:
    valve.go_on.set()
    task = stage.run()
    await cut_twice(task, stage)
    with pytest.raises(asyncio.CancelledError):
        await task
    await require_settled_once(stage, "finalized", "stop")


async def test_a_defect_is_raised_unchanged_though_its_end_was_cut_short(stage: Stage) -> None:
    defect = RuntimeError("defect")

    async def broken(_: Ask, __: CallTool) -> AsyncGenerator[ProducerEvent]:
        yield event("text.start", id="t1")
        raise defect

    stage.talk.models.script = broken
    task = stage.run()
    await cut_twice(task, stage)
    with pytest.raises(RuntimeError) as raised:
        await task
    assert raised.value is defect
    await require_settled_once(stage, "failed", "error")


async def test_an_end_that_cannot_be_stored_at_first_is_tried_again(stage: Stage, valve: Valve) -> None:
    stage.producing._failures = 1
    stage.producing.go_on.set()
    valve.go_on.set()
    run = await stage.run()
    assert run.settled.report.first
    assert stage.producing.tries == 2


async def test_an_end_that_cannot_be_stored_at_all_is_told_and_left_to_others(stage: Stage, valve: Valve) -> None:
    stage.producing._failures = 99
    stage.producing.go_on.set()
    valve.go_on.set()
    run = await stage.run()
    assert run.settled is None
    assert isinstance(run.failure, UnavailableError)
    assert (await stage.talk.turns())[0]["status"] == "streaming"


async def test_a_defect_at_the_end_hides_no_other(stage: Stage) -> None:
    defect = RuntimeError("defect")

    async def broken(_: Ask, __: CallTool) -> AsyncGenerator[ProducerEvent]:
        yield event("text.start", id="t1")
        raise defect

    async def unable(*_: Any) -> Settled:
        raise ZeroDivisionError

    stage.talk.models.script = broken
    stage.producing.finalize = unable  # type: ignore[method-assign]
    with pytest.raises(RuntimeError) as raised:
        await stage.run()
    assert raised.value is defect


async def test_a_turn_is_run_by_one_of_many(stage: Stage, valve: Valve) -> None:
    valve.go_on.set()
    stage.producing.go_on.set()
    runs = await asyncio.gather(*(stage.run(f"p{number}") for number in range(5)))
    assert sum(run is not None for run in runs) == 1
    assert len(stage.talk.models.asked) == 1
