"""Topics that all may hear, on every bus: everybody gets everything, and who is slow loses alone, and is told."""

import asyncio
from typing import Any

import pytest
from tests.support.buses import BusBench, eventually, failing, plain, serving

from workbench.domain.bus.calls import Overflow
from workbench.domain.bus.errors import CallError
from workbench.domain.bus.hosting import HostMemory
from workbench.domain.bus.overhearing import Heard, Overhearing, listening_to
from workbench.domain.bus.requesting import ProcessCalls
from workbench.domain.bus.services import Assignment, Input, ServiceDefinition
from workbench.domain.bus.serving import ServiceInstance

GONE = CallError("closed", "closed")


async def take(overhearing: Overhearing, count: int) -> list[Heard]:
    async with asyncio.timeout(10):
        return [await overhearing.next() for _ in range(count)]


async def say(bench: BusBench, topic: str, *numbers: int) -> None:
    for number in numbers:
        await bench.bus.publish(topic, plain(str(number).encode()), 5)


async def have_come(bench: BusBench, count: int) -> None:
    name = "workbench_bus_received_total"
    await eventually(lambda: bench.count(name, interface="s/events", kind="plain") == count)


def told(heard: list[Heard]) -> list[tuple[Any, int]]:
    return [(each.data, each.lost) for each in heard]


async def test_everybody_hears_everything_beside_who_waits_for_it(bench: BusBench) -> None:
    async def echo(data: Any, context: Any) -> Any:
        return data

    other = await bench.replica()
    async with serving(bench, echo):
        requester = await bench.requester()
        topic, process = requester.route.response, bench.process()
        async with (
            listening_to(bench.bus, topic, "one", process, "fail") as one,
            listening_to(other, topic, "other", process, "fail") as another,
        ):
            assert [(await requester.request(number)).data for number in range(3)] == [0, 1, 2]
            for listener in (one, another):
                assert [each.data for each in await take(listener, 3)] == [{"data": number} for number in range(3)]
        assert (await requester.request(9)).data == 9
        await requester.close(GONE, 0)


@pytest.mark.parametrize(
    ("on_overflow", "expected"),
    [
        ("drop_oldest", [(7, 7), (8, 0), (9, 0), (10, 0)]),
        ("drop_new", [(0, 0), (1, 0), (2, 0), (10, 7)]),
    ],
)
async def test_who_is_slow_loses_and_is_told_how_many(
    bench: BusBench, on_overflow: Overflow, expected: list[tuple[int, int]]
) -> None:
    topic, process = await bench.topic("notify"), bench.process(mailbox_messages=3)
    async with listening_to(bench.bus, topic, "s/events", process, on_overflow) as slow:
        await say(bench, topic, *range(10))
        await have_come(bench, 10)
        found = await take(slow, 3)
        await say(bench, topic, 10)
        assert told(found + await take(slow, 1)) == expected
        assert bench.count("workbench_bus_dropped_total", interface="s/events", reason="overflow") == 7
    assert process.budget.used == 0


async def test_who_may_lose_nothing_fails_alone(bench: BusBench) -> None:
    topic, small = await bench.topic("notify"), bench.process(mailbox_messages=3)
    async with (
        listening_to(bench.bus, topic, "s/events", small, "fail") as strict,
        listening_to(bench.bus, topic, "s/others", bench.process(), "fail") as patient,
    ):
        await say(bench, topic, *range(5))
        await have_come(bench, 5)
        assert told(await take(strict, 3)) == [(0, 0), (1, 0), (2, 0)]
        assert (await failing(strict.next())).code == "slow_consumer"
        assert len(await take(patient, 5)) == 5


async def test_what_cannot_be_read_is_passed_over(bench: BusBench) -> None:
    topic = await bench.topic("notify")
    async with listening_to(bench.bus, topic, "s/events", bench.process(), "fail") as listener:
        await bench.bus.publish(topic, plain(b"{"), 5)
        await say(bench, topic, 1)
        assert told(await take(listener, 1)) == [(1, 0)]
        assert bench.count("workbench_bus_dropped_total", interface="s/events", reason="bad") == 1


async def test_a_topic_that_goes_away_holds_nobody_up(bench: BusBench) -> None:
    topic = await bench.topic("notify")
    async with listening_to(bench.bus, topic, "s/events", bench.process(), "fail") as listener:
        await bench.bus.delete_topic(topic, [])
        if not bench.bus.is_durable:
            # On a broker nothing comes any more, and the life cycle of the flow says why.
            assert (await failing(listener.next())).code == "topic_missing"
    assert not await bench.bus.topic_exists(topic)


def instance(bench: BusBench, bus: Any, topic: str, process: ProcessCalls, an_input: Input) -> ServiceInstance:
    assignment = Assignment(
        key="k",
        workspace_id="acme",
        flow_id="f1",
        generation=1,
        service="s",
        topics={"events": topic},
        parameters={},
    )
    definition = ServiceDefinition(name="s", inputs=(an_input,))
    return ServiceInstance(bus, definition, assignment, HostMemory(), process)


async def test_every_host_of_a_service_attends_to_every_message(bench: BusBench) -> None:
    heard: list[tuple[str, Any, str, int]] = []

    def noting(name: str) -> Any:
        async def note(data: Any, context: Any) -> None:
            heard.append((name, data, context.workspace, context.lost))
            if data == 1:
                raise RuntimeError("this one alone")

        return note

    topic, process = await bench.topic("notify"), bench.process()
    hosts = [
        instance(bench, bus, topic, process, Input(name="events", handler=noting(name), reply=None))
        for name, bus in (("here", bench.bus), ("there", await bench.replica()))
    ]
    for host in hosts:
        await host.start()
    await say(bench, topic, 1, 2)
    await bench.bus.publish(topic, plain(b"3", **{"wb-workspace": "globex"}), 5)
    await say(bench, topic, 4)
    await eventually(lambda: len(heard) == 6)
    assert sorted(heard) == [(name, data, "acme", 0) for name in ("here", "there") for data in (1, 2, 4)]
    for host in hosts:
        assert not host.is_broken
        await host.stop(0)


async def test_an_input_that_all_hear_answers_nobody(bench: BusBench) -> None:
    topic = await bench.topic("notify")
    an_input = Input(name="events", handler=lambda data, context: data)
    with pytest.raises(ValueError, match="no reply"):
        await instance(bench, bench.bus, topic, bench.process(), an_input).start()
