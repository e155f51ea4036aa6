"""A host outside: it follows the list that it is told, and says what of it does not run."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest
from prometheus_client import CollectorRegistry

from workbench.adapters.bus.in_process import InProcessBus
from workbench.adapters.metrics.flows import PrometheusFlows
from workbench.domain.bus.requesting import ProcessCalls
from workbench.domain.bus.services import Input, ServiceDefinition
from workbench.domain.errors import UnavailableError, UnprocessableError
from workbench.domain.flows.hosting import FlowHost, HostedServices
from workbench.domain.flows.model import AssignedTopic, AssignmentList, GivenAssignment
from workbench.domain.flows.ports import AssignmentSource
from workbench.entrypoints.workers.outside_host import OutsideHost


class Script(AssignmentSource):
    """A workbench that answers what it is told to."""

    def __init__(self) -> None:
        self.answers: list[AssignmentList | Exception | None] = []
        self.asked: list[int] = []
        self.released: list[list[str]] = []

    async def next(self, version: int, wait_seconds: float) -> AssignmentList | None:
        self.asked.append(version)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def release(self, keys: Sequence[str]) -> None:
        self.released.append(list(keys))


class Stage:
    def __init__(self) -> None:
        self.bus = InProcessBus()
        self.script = Script()
        definition = ServiceDefinition(name="s", inputs=(Input(handler=lambda data, context: data),))
        process = ProcessCalls(PrometheusFlows(CollectorRegistry()))
        self.host = FlowHost(self.bus, HostedServices((definition,)), process, None)
        self.outside = OutsideHost(self.bus, self.host, self.script)

    async def hears(self, answer: AssignmentList | Exception | None) -> list[str]:
        """What it runs after this answer."""
        self.script.answers.append(answer)
        await self.outside.look()
        return self.host.held


@pytest.fixture
async def stage() -> AsyncGenerator[Stage]:
    stage = Stage()
    await stage.bus.start()
    for name in ("a", "b"):
        await stage.bus.create_topic(f"request:wb:{name}")
    yield stage
    await stage.host.stop(0)
    await stage.bus.close()


def listed(version: int, *names: str, mark: int = 0) -> AssignmentList:
    given = [
        GivenAssignment(
            key=name,
            workspace_id="acme",
            flow_id="f1",
            generation=1,
            service="s",
            hash=str(mark),
            topics={"request": AssignedTopic(topic=f"request:wb:{name}", crosses_workspaces=False)},
            parameters={"mark": mark},
        )
        for name in names
    ]
    return AssignmentList(version=version, assignments=given)


async def test_what_is_new_is_started_and_what_is_gone_is_stopped(stage: Stage) -> None:
    assert await stage.hears(listed(1, "a")) == ["a"]
    assert await stage.hears(listed(2, "a", "b")) == ["a", "b"]
    assert await stage.hears(None) == ["a", "b"]
    assert await stage.hears(listed(3, "b")) == ["b"]
    assert await stage.hears(listed(4)) == []
    assert stage.script.asked == [0, 1, 2, 2, 3]
    assert stage.script.released == []


async def test_what_changed_is_begun_anew_and_the_rest_stays(stage: Stage) -> None:
    await stage.hears(listed(1, "a", "b"))
    before = {key: instance for key, (_, instance) in stage.host._running.items()}
    kept = listed(2, "a").assignments + listed(2, "b", mark=1).assignments
    await stage.hears(AssignmentList(version=2, assignments=kept))
    after = {key: instance for key, (_, instance) in stage.host._running.items()}
    assert (after["a"] is before["a"], after["b"] is before["b"]) == (True, False)


async def test_one_that_does_not_start_hinders_no_other_and_is_said_to_be_missing(stage: Stage) -> None:
    assert await stage.hears(listed(1, "a", "absent")) == ["a"]
    assert stage.script.released == [["absent"]]
    assert await stage.hears(None) == ["a"]
    assert stage.script.released == [["absent"]], "what was said once stays said"
    await stage.bus.create_topic("request:wb:absent")
    await asyncio.sleep(1.1)
    assert await stage.hears(None) == ["a", "absent"]
    await stage.hears(listed(1, "a", "absent"))
    assert stage.script.asked[-1] == 0, "asked for the whole list, which says that all of it is held"
    assert stage.script.released == [["absent"]]


async def test_an_older_list_is_not_followed(stage: Stage) -> None:
    await stage.hears(listed(5, "a"))
    stage.outside._pause = 0
    assert await stage.hears(listed(4, "b")) == ["a"]
    assert await stage.hears(listed(6, "b")) == ["b"]
    assert stage.script.asked == [0, 5, 0]


async def test_while_nobody_answers_it_goes_on_with_what_it_has(stage: Stage) -> None:
    await stage.hears(listed(1, "a"))
    stage.outside._pause = 0
    assert await stage.hears(UnavailableError("away")) == ["a"]
    assert await stage.hears(listed(1, "a")) == ["a"]
    assert stage.script.asked == [0, 1, 0]


async def test_it_says_goodbye(stage: Stage) -> None:
    await stage.hears(listed(1, "a"))
    await stage.outside.stop()
    assert (stage.script.released, stage.host.held) == ([["a"]], [])


async def test_on_the_bus_inside_it_would_be_alone(stage: Stage) -> None:
    with pytest.raises(UnprocessableError, match="WORKBENCH__BUS__URL"):
        stage.outside.require_shared_bus()
