"""Requests and their replies, on every bus: each ends once, in time, and none is disturbed by another."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.support.buses import BusBench, eventually, failing, plain, read, said, serving

from workbench.domain.bus.calls import Fold, Reply
from workbench.domain.bus.errors import BusyError, CallError, ServiceFailure
from workbench.domain.bus.model import CONTROL_TOPIC, Message
from workbench.domain.bus.ports import MessageBus
from workbench.domain.bus.requesting import Requester
from workbench.domain.bus.services import Calls, Final
from workbench.domain.ids import continue_cause, correlation_id, trace_parent

GONE = CallError("closed", "closed")
CALLS = 10_000
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


async def echo(data: Any, context: Any) -> Any:
    return data


async def counting(data: Any, context: Any) -> AsyncIterator[Any]:
    for number in range(data):
        yield number


async def replies_of(requester: Requester, body: Any, **options: Any) -> list[Reply]:
    found: list[Reply] = []
    async with requester.call(body, **options) as call:
        found.extend([reply async for reply in call])
    return found


async def test_many_requests_at_once_each_get_their_own(bench: BusBench) -> None:
    async def slowly(data: Any, context: Any) -> Any:
        await asyncio.sleep(random.random() / 50)
        return data

    other = await bench.replica()
    async with serving(bench, slowly, concurrency=64):
        here, there = await bench.requester(), await bench.requester(bus=other)
        await asyncio.gather(here.open(), there.open())
        asked = [(here if number % 2 else there).request(number) for number in range(64)]
        answers = await asyncio.gather(*asked)
        assert [reply.data for reply in answers] == list(range(64))
        assert here.in_flight == there.in_flight == 0
        await eventually(lambda: bench.count("workbench_bus_dropped_total", interface="ask", reason="foreign") >= 32)
        for requester in (here, there):
            await requester.close(GONE, 0)


async def test_what_is_yielded_comes_in_parts_and_in_one_where_one_is_wanted(bench: BusBench) -> None:
    async def told(data: Any, context: Any) -> AsyncIterator[Any]:
        yield "a"
        yield "b"
        yield Final(data="c")

    async with serving(bench, told):
        requester = await bench.requester(fold=Fold(mode="concat"))
        assert said(await replies_of(requester, 1)) == [("part", "a"), ("part", "b"), ("final", "c")]
        assert (await requester.request(1)).data == "abc"
        await requester.close(GONE, 0)


async def test_an_answer_of_nothing_is_null(bench: BusBench) -> None:
    async with serving(bench, counting):
        requester = await bench.requester()
        assert said(await replies_of(requester, 0)) == [("final", None)]
        await requester.close(GONE, 0)


async def test_a_recipient_decides_when_it_has_enough(bench: BusBench) -> None:
    seen: list[Any] = []

    async def until_two(reply: Reply) -> bool:
        seen.append(reply.data)
        return reply.data == 2

    async with serving(bench, counting) as host:
        requester = await bench.requester()
        assert (await requester.request(1000, recipient=until_two)).data == 2
        assert seen == [0, 1, 2]
        await eventually(lambda: not host.instance.in_hand)
        raised = ValueError("mine")

        def refusing(reply: Reply) -> bool:
            raise raised

        with pytest.raises(ValueError, match="mine") as caught:
            await requester.request(1, recipient=refusing)
        assert caught.value is raised
        assert requester.in_flight == 0
        await requester.close(GONE, 0)


async def test_the_end_of_each_request_is_one_line_that_tells_no_body(
    bench: BusBench, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(bench, counting):
        requester = await bench.requester()
        with caplog.at_level("INFO", "workbench.domain.bus.requesting"):
            await replies_of(requester, 2, request_id="r1")
            await failing(replies_of(requester, "hunter2", request_id="r2"))
            await requester.close(GONE, 0)
    lines = [record.getMessage() for record in caplog.records if record.name == "workbench.domain.bus.requesting"]
    ends = [line.partition(" in ")[0] for line in lines if line.startswith("request ")]
    assert ends == ["request r1 to f1/ask: ok", "request r2 to f1/ask: internal"]
    assert lines[0].endswith("replies: 3")
    assert "hunter2" not in "".join(lines)


async def test_nobody_bound_fails_without_waiting(bench: BusBench) -> None:
    requester = await bench.requester()
    error = await failing(requester.request(1, seconds=60))
    assert (error.code, error.outcome) == ("no_service", "not_sent")
    assert requester.in_flight == 0
    await requester.close(GONE, 0)


async def test_a_service_that_drips_ends_with_the_deadline(bench: BusBench) -> None:
    async def dripping(data: Any, context: Any) -> AsyncIterator[Any]:
        while True:
            yield 1
            await asyncio.sleep(0.1)

    async with serving(bench, dripping) as host:
        requester = await bench.requester()
        error = await failing(replies_of(requester, 1, seconds=1))
        assert (error.code, error.phase, error.outcome) == ("timeout", "overall", "unknown")
        await eventually(lambda: not host.instance.in_hand)
        await requester.close(GONE, 0)


async def test_silence_after_a_part_ends_by_the_idle_limit(bench: BusBench) -> None:
    async def falling_silent(data: Any, context: Any) -> AsyncIterator[Any]:
        yield 1
        await asyncio.sleep(60)

    async with serving(bench, falling_silent) as host:
        requester = await bench.requester(idle_seconds=0.3)
        error = await failing(replies_of(requester, 1, seconds=30))
        assert (error.code, error.phase) == ("service_silent", "idle")
        assert bench.count("workbench_flow_timeouts_total", interface="ask", phase="idle") == 1
        await eventually(lambda: not host.instance.in_hand)
        await requester.close(GONE, 0)


async def test_a_host_that_thinks_says_that_it_is_there(bench: BusBench) -> None:
    async def thinking(data: Any, context: Any) -> AsyncIterator[Any]:
        yield 1
        await asyncio.sleep(1.5)
        yield 2

    async with serving(bench, thinking, keepalive_seconds=0.1):
        requester = await bench.requester(idle_seconds=0.7)
        assert said(await replies_of(requester, 1)) == [("part", 1), ("part", 2), ("final", _absent())]
        assert bench.count("workbench_bus_received_total", interface="ask", kind="keepalive") > 3
        await requester.close(GONE, 0)


def _absent() -> Any:
    return Reply(kind="final").data


async def test_a_reply_after_the_time_is_up_disturbs_nobody(bench: BusBench) -> None:
    go = asyncio.Event()

    async def late(data: Any, context: Any) -> Any:
        if data == "late":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                go.set()
                raise
        return data

    async with serving(bench, late) as host:
        requester = await bench.requester()
        control = await bench.bus.subscribe(CONTROL_TOPIC, "test/late", 100)
        error = await failing(requester.request("late", seconds=0.3))
        assert (error.code, error.phase) == ("timeout", "first_reply")
        await asyncio.wait_for(go.wait(), 10)
        assert error.request_id is not None
        headers = {"wb-kind": "part", "wb-run": "r", "wb-seq": 1}
        for _ in range(3):
            await bench.bus.publish(requester.route.response, plain(b"{}", error.request_id, **headers), 5)
        await eventually(lambda: bench.count("workbench_bus_dropped_total", interface="ask", reason="late") == 3)
        assert (await requester.request("next")).data == "next"
        await eventually(lambda: not host.instance.in_hand)
        await requester.close(GONE, 0)
        cancels = [delivery.message.body for delivery in await read(control, 2)]
        with pytest.raises(TimeoutError):
            await read(control, 1, 0.3)
        assert [msgspec.json.decode(body)["reason"] for body in cancels] == ["not waited for", "late"]
        await control.close()


async def test_a_caller_that_leaves_ends_the_work(bench: BusBench) -> None:
    ended = asyncio.Event()

    async def working(data: Any, context: Any) -> Any:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async with serving(bench, working) as host:
        requester = await bench.requester()
        task = asyncio.create_task(requester.request(1))
        await eventually(lambda: host.instance.in_hand == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert requester.in_flight == 0
        await asyncio.wait_for(ended.wait(), 10)
        await eventually(lambda: not host.memory.running)
        await requester.close(GONE, 0)


class Unbound:
    """A bus on which nothing is bound before it may be."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def subscribe(self, *place: Any) -> Any:
        self.asked.set()
        await self.go.wait()
        return await self._bus.subscribe(*place)


async def test_who_leaves_while_it_connects_leaves_nothing_and_stops_nobody(bench: BusBench) -> None:
    async with serving(bench, echo):
        bus: Any = Unbound(bench.bus)
        requester = await bench.requester(bus=bus, max_in_flight=2)
        leaving = asyncio.create_task(requester.request(1))
        await asyncio.wait_for(bus.asked.wait(), 10)
        staying = asyncio.create_task(requester.request(2))
        await eventually(lambda: requester.in_flight == 2)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert leaving.cancelled()
        assert requester.in_flight == 1
        error = await failing(requester.request(3, seconds=0.2))
        assert (error.code, error.phase, error.outcome) == ("timeout", "connect", "not_sent")
        bus.go.set()
        assert (await staying).data == 2
        assert (await requester.request(4)).data == 4
        assert requester.in_flight == 0
        assert bench.count("workbench_flow_requests_total", interface="ask", outcome="cancelled") == 1
        await requester.close(GONE, 0)


async def test_a_request_that_was_cancelled_before_it_began_is_not_begun(bench: BusBench) -> None:
    began: list[Any] = []

    async def one_by_one(data: Any, context: Any) -> Any:
        began.append(data)
        await asyncio.sleep(0.5)

    async with serving(bench, one_by_one, concurrency=1):
        requester = await bench.requester()
        first = asyncio.create_task(requester.request(1))
        await eventually(lambda: began == [1])
        second = asyncio.create_task(requester.request(2))
        await asyncio.sleep(0.1)
        second.cancel()
        await first
        await requester.request(3)
        assert began == [1, 3]
        await requester.close(GONE, 0)


async def test_who_leaves_while_it_waits_for_its_turn_leaves_nothing(bench: BusBench) -> None:
    go = asyncio.Event()
    began: list[Any] = []

    async def held_up(data: Any, context: Any) -> Any:
        began.append(data)
        await go.wait()
        return data

    async with serving(bench, held_up):
        requester = await bench.requester(max_in_flight=1)
        first = asyncio.create_task(requester.request(1))
        await eventually(lambda: began == [1])
        waiting = asyncio.create_task(requester.request(2))
        await asyncio.sleep(0.05)
        error = await failing(requester.request(3, seconds=0.2))
        assert error.code == "too_many_requests"
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        error = await failing(requester.request(4, seconds=0.2))
        assert (error.code, error.phase, error.outcome) == ("timeout", "slot", "not_sent")
        go.set()
        assert (await first).data == 1
        assert (await requester.request(5)).data == 5
        assert (began, requester.in_flight) == ([1, 5], 0)
        await requester.close(GONE, 0)


async def test_a_caller_that_stops_reading_fails_alone(bench: BusBench) -> None:
    async def flooding(data: Any, context: Any) -> AsyncIterator[Any]:
        for number in range(data):
            yield number

    async with serving(bench, flooding):
        requester = await bench.requester(process=bench.process(mailbox_messages=50))
        async with requester.call(10_000) as sleeping:
            for _ in range(3):
                assert len(await replies_of(requester, 3)) == 4
            await eventually(
                lambda: bench.count("workbench_bus_dropped_total", interface="ask", reason="overflow") == 1
            )
            error = await failing(sleeping.next())
            assert error.code == "slow_consumer"
        assert requester.in_flight == 0
        assert len(await replies_of(requester, 3)) == 4
        await requester.close(GONE, 0)


async def test_a_service_says_on_purpose_what_is_wrong(bench: BusBench) -> None:
    async def refusing(data: Any, context: Any) -> Any:
        if data == "oops":
            raise RuntimeError("the password is hunter2")
        raise ServiceFailure("no_such_thing", "There is no\x00 such thing", category="invalid_request", retryable=True)

    async with serving(bench, refusing):
        requester = await bench.requester()
        error = await failing(requester.request(1))
        assert (error.code, error.service_code, error.category) == ("service_error", "no_such_thing", "invalid_request")
        assert (error.outcome, error.retryable, "\x00" in error.detail) == ("answered", True, False)
        error = await failing(requester.request("oops"))
        assert error.code == "internal"
        assert "hunter2" not in error.detail
        await requester.close(GONE, 0)


async def test_a_busy_service_is_asked_again_and_then_says_so(bench: BusBench) -> None:
    tries: list[Any] = []

    async def busy(data: Any, context: Any) -> Any:
        tries.append(data)
        if data == "never" or len(tries) < 3:
            raise BusyError("slowly")
        return "done"

    async with serving(bench, busy, busy_first_seconds=0.02):
        requester = await bench.requester()
        assert (await requester.request("soon")).data == "done"
        assert len(tries) == 3
        assert bench.count("workbench_bus_rate_limited_total", service="s", input="request") == 2
        error = await failing(requester.request("never", seconds=1))
        assert error.code == "rate_limited"
        assert error.retry_after_seconds is not None
        await requester.close(GONE, 0)


async def test_no_more_run_than_were_asked_for(bench: BusBench) -> None:
    running = most = 0

    async def watched(data: Any, context: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1
        if data % 3 == 0:
            raise RuntimeError

    async with serving(bench, watched, concurrency=2):
        requester = await bench.requester()
        await asyncio.gather(*[requester.request(number) for number in range(10)], return_exceptions=True)
        assert most == 2
        await requester.close(GONE, 0)


async def test_too_many_at_once_are_refused(bench: BusBench) -> None:
    async def slow(data: Any, context: Any) -> Any:
        await asyncio.sleep(0.3)

    async with serving(bench, slow, concurrency=10):
        requester = await bench.requester(max_in_flight=2)
        tasks = [asyncio.create_task(requester.request(number)) for number in range(4)]
        await asyncio.sleep(0.1)
        error = await failing(requester.request(5))
        assert (error.code, error.phase, error.outcome) == ("too_many_requests", "slot", "not_sent")
        await asyncio.gather(*tasks)
        await requester.close(GONE, 0)


async def test_a_host_that_dies_is_replaced_and_the_answer_begins_anew(bench: BusBench) -> None:
    runs: list[int] = []

    async def mortal(data: Any, context: Any) -> AsyncIterator[Any]:
        runs.append(len(runs))
        yield f"run {runs[-1]}"
        if len(runs) == 1:
            await asyncio.sleep(60)
        yield "end"

    other = await bench.replica()
    requester = await bench.requester()
    async with serving(bench, mortal) as first:
        task = asyncio.create_task(replies_of(requester, 1))
        await eventually(lambda: len(runs) == 1)
        await asyncio.sleep(0.2)
        async with serving(bench, mortal, bus=other):
            await first.stop()
            found = said(await asyncio.wait_for(task, 20))
    assert found == [("part", "run 0"), ("reset", _absent()), ("part", "run 1"), ("part", "end"), ("final", _absent())]
    await requester.close(GONE, 0)


async def test_a_single_answer_of_a_second_host_is_whole(bench: BusBench) -> None:
    runs: list[int] = []

    async def mortal(data: Any, context: Any) -> AsyncIterator[Any]:
        runs.append(len(runs))
        yield "a"
        if len(runs) == 1:
            await asyncio.sleep(60)
        yield "b"

    requester = await bench.requester()
    async with serving(bench, mortal) as first:
        task = asyncio.create_task(requester.request(1))
        await eventually(lambda: len(runs) == 1)
        async with serving(bench, mortal, bus=await bench.replica()):
            await first.stop()
            assert (await asyncio.wait_for(task, 20)).data == ["a", "b"]
    await requester.close(GONE, 0)


async def test_what_may_not_run_twice_does_not(bench: BusBench) -> None:
    runs: list[int] = []

    async def mortal(data: Any, context: Any) -> Any:
        runs.append(1)
        await asyncio.sleep(60)

    requester = await bench.requester(on_redelivery="refuse")
    async with serving(bench, mortal) as first:
        task = asyncio.create_task(failing(requester.request(1)))
        await eventually(lambda: len(runs) == 1)
        async with serving(bench, mortal, bus=await bench.replica()):
            await first.stop()
            assert (await asyncio.wait_for(task, 20)).code == "interrupted"
    assert len(runs) == 1
    await requester.close(GONE, 0)


async def test_an_old_request_is_not_carried_out(bench: BusBench) -> None:
    began: list[Any] = []

    async def noting(data: Any, context: Any) -> Any:
        began.append(data)

    async with serving(bench, noting):
        requester = await bench.requester()
        headers = {"wb-kind": "request", "wb-deadline": 1}
        await bench.bus.publish(requester.route.request, plain(b'"old"', "old", **headers), 5)
        await requester.request("new")
        assert began == ["new"]
        name = "workbench_bus_consumed_total"
        assert bench.count(name, service="s", input="request", outcome="expired") == 1
        await requester.close(GONE, 0)


async def test_a_request_delivered_twice_is_answered_again_and_run_once(bench: BusBench) -> None:
    runs: list[Any] = []

    async def noting(data: Any, context: Any) -> Any:
        runs.append(data)
        return "done"

    async with serving(bench, noting):
        requester = await bench.requester()
        await requester.request(1, request_id="twice")
        headers = {"wb-kind": "request"}
        await bench.bus.publish(requester.route.request, plain(b"1", "twice", **headers), 5)
        await eventually(lambda: bench.count("workbench_bus_dropped_total", interface="ask", reason="late") == 1)
        assert runs == [1]
        await requester.close(GONE, 0)


async def test_a_topic_that_workspaces_share_says_of_each_request_whose_it_is(bench: BusBench) -> None:
    """Two hosts, of a workspace each, read one queue: whichever gets a request serves it for who asked."""

    async def telling(data: Any, context: Any) -> Any:
        return [context.workspace, context.flow_id]

    crossing = frozenset({"request", "response"})
    of_globex = {"workspace_id": "globex", "crossing": crossing}
    async with (
        serving(bench, telling, assigned={"crossing": crossing}) as here,
        serving(bench, telling, bus=await bench.replica(), assigned=of_globex) as there,
    ):
        requesters = {workspace: await bench.requester(workspace_id=workspace) for workspace in ("acme", "globex")}
        for _ in range(10):
            for workspace, requester in requesters.items():
                assert (await requester.request(1)).data == [workspace, "f1"]
        assert bench.count("workbench_bus_consumed_total", service="s", input="request", outcome="ok") == 20
        await eventually(lambda: not (here.instance.in_hand or there.instance.in_hand))
        for requester in requesters.values():
            await requester.close(GONE, 0)


async def test_a_shared_service_asks_others_in_the_name_of_who_asked_it(bench: BusBench) -> None:
    other = {"request": await bench.topic("request", "o"), "response": await bench.topic("response", "o")}
    own = {"request": await bench.topic("request", "s"), "response": await bench.topic("response", "s")}
    asked = {"other-request": other["request"], "other-response": other["response"]}
    calls = [Calls(name="other", request="other-request", response="other-response")]

    async def naming(data: Any, context: Any) -> Any:
        return context.workspace

    async def asking(data: Any, context: Any) -> Any:
        return (await context.call("other").request(data)).data

    async with (
        serving(bench, naming, assigned={"workspace_id": "globex", "topics": other}),
        serving(bench, asking, calls=calls, assigned={"workspace_id": None, "topics": {**own, **asked}}),
    ):
        requester = await bench.requester(workspace_id="globex")
        assert (await requester.request(1)).data == "globex"
        await requester.close(GONE, 0)


async def test_a_request_of_another_workspace_is_refused(bench: BusBench) -> None:
    ran: list[Any] = []

    async def noting(data: Any, context: Any) -> Any:
        ran.append(data)

    async with serving(bench, noting):
        requester = await bench.requester()
        stranger = Requester(
            bench.bus, type(requester.route)(**{**_fields(requester.route), "workspace_id": "globex"}), bench.process()
        )
        assert (await failing(stranger.request(1))).code == "workspace_mismatch"
        assert ran == []
        await stranger.close(GONE, 0)


async def test_the_first_calls_at_once_make_one_client(bench: BusBench) -> None:
    async with serving(bench, echo):
        requester = await bench.requester()
        assert [each.data for each in await asyncio.gather(*map(requester.request, range(5)))] == list(range(5))
        assert bench.count("workbench_bus_subscriber_up", interface="ask") == 1
        await requester.close(GONE, 0)
        assert bench.count("workbench_bus_subscriber_up", interface="ask") == 0


POISON: dict[str, tuple[Message, str | None]] = {
    "no id": (plain(b"1", None, **{"wb-kind": "request"}), None),
    "no JSON": (plain(b"{", "p", **{"wb-kind": "request"}), "bad_request"),
    "no UTF-8": (plain(b'"\xff"', "p", **{"wb-kind": "request"}), "bad_request"),
    "odd headers": (plain(b"1", "p", **{"wb-kind": "request", "wb-deadline": "soon", "wb-fold": "{"}), None),
}


@pytest.mark.parametrize("case", POISON)
async def test_poisoned_requests_stop_nobody(bench: BusBench, case: str) -> None:
    message, code = POISON[case]
    async with serving(bench, echo):
        requester = await bench.requester()
        answers = await bench.bus.subscribe(requester.route.response, "test/poison", 10)
        await bench.bus.publish(requester.route.request, message, 5)
        assert (await requester.request("after")).data == "after"
        if message.request_id is not None:
            (first, *_) = [each.message for each in await read(answers, 2) if each.message.request_id == "p"]
            assert (first.kind, code) in (("error", code), ("final", None))
            assert code is None or msgspec.json.decode(first.body)["code"] == code
        await answers.close()
        await requester.close(GONE, 0)


async def test_a_call_that_may_be_missing_is_absent_or_there_and_one_that_may_not_keeps_from_starting(
    bench: BusBench,
) -> None:
    topics = {"request": await bench.topic("request", "s"), "response": await bench.topic("response", "s")}
    of_other = {"other-request": topics["request"], "other-response": topics["response"]}

    async def knowing(data: Any, context: Any) -> Any:
        try:
            context.call("other")
        except KeyError:
            return "absent"
        return "there"

    for optional, extra, expected in (
        (True, {}, "absent"),
        (True, {"other-request": topics["request"]}, "absent"),
        (True, of_other, "there"),
        (False, of_other, "there"),
    ):
        calls = [Calls(name="other", request="other-request", response="other-response", optional=optional)]
        async with serving(bench, knowing, calls=calls, assigned={"topics": {**topics, **extra}}):
            requester = await bench.requester()
            assert (await requester.request(1)).data == expected
            await requester.close(GONE, 0)
    calls = [Calls(name="other", request="other-request", response="other-response")]
    with pytest.raises(ValueError, match="other-request"):
        async with serving(bench, knowing, calls=calls):
            raise AssertionError("it started")


def _fields(route: Any) -> dict[str, Any]:
    return {name: getattr(route, name) for name in route.__struct_fields__}


PART = {"body": b'{"data":1}'}
FINAL = {"wb-kind": "final", "body": b'{"data":2}'}

ODD = {
    "a part twice": ([{**PART, "wb-seq": 1}, {**PART, "wb-seq": 1}, {**FINAL, "wb-seq": 2}], [1, 2], None),
    "a gap": ([{**PART, "wb-seq": 1}, {**FINAL, "wb-seq": 3}], [1], "reply_gap"),
    "another run": (
        [{**PART, "wb-seq": 1}, {**FINAL, "wb-run": "r2", "wb-seq": 1}, {**FINAL, "wb-seq": 2}],
        [1, 2],
        None,
    ),
    "the run of a second host": (
        [
            {**PART, "wb-seq": 1},
            {**PART, "wb-run": "r2", "wb-redelivered": True, "wb-seq": 1},
            {**PART, "wb-seq": 2},
            {**FINAL, "wb-run": "r2", "wb-redelivered": True, "wb-seq": 2},
        ],
        ["reset", 1, 2],
        None,
    ),
    "a final twice": ([{**FINAL, "wb-seq": 1}, {**FINAL, "wb-seq": 2}], [2], None),
    "an error after the final": ([{**FINAL, "wb-seq": 1}, {"wb-kind": "error", "wb-seq": 2}], [2], None),
    "no number": ([{**PART}], [], "bad_reply"),
    "number zero": ([{**PART, "wb-seq": 0}], [], "bad_reply"),
    "a text for a number": ([{**PART, "wb-seq": "1"}], [], "bad_reply"),
    "no JSON": ([{"body": b"{", "wb-seq": 1}], [], "bad_reply"),
    "no UTF-8": ([{"body": b'{"data":"\xff"}', "wb-seq": 1}], [], "bad_reply"),
    "an error of another shape": ([{"wb-kind": "error", "body": b"[]", "wb-seq": 1}], [], "bad_reply"),
    "no id": ([{**PART, "wb-seq": 1, "id": None}, {**FINAL, "wb-seq": 1}], [2], None),
    "another's id, whose body is not opened": (
        [{"body": b"{", "wb-seq": 1, "id": "x"}, {**FINAL, "wb-seq": 1}],
        [2],
        None,
    ),
    "a kind that nobody knows": ([{"wb-kind": "song", "wb-seq": 1}, {**FINAL, "wb-seq": 1}], [2], None),
    "too large": ([{"body": b'{"data":"%s"}' % (b"x" * 2000), "wb-seq": 1}], [], "reply_too_large"),
}


@pytest.mark.parametrize("case", ODD)
async def test_odd_replies(bench: BusBench, case: str) -> None:
    messages, expected, code = ODD[case]
    requester = await bench.requester(process=bench.process(reply_bytes=1000), idle_seconds=5)
    found: list[Any] = []
    topic = requester.route.request
    reader = await bench.bus.subscribe(topic, f"{topic}/s/request", 1)

    async def serve() -> None:
        async for delivery in reader:
            for message in messages:
                headers = {"wb-kind": "part", "wb-run": "r1", **message}
                body = headers.pop("body", b"{}")
                request_id = headers.pop("id", delivery.message.request_id)
                await bench.bus.publish(requester.route.response, plain(body, request_id, **headers), 5)
            await delivery.ack()
            return

    server = asyncio.create_task(serve())
    error: CallError | None = None
    try:
        async with requester.call(1, seconds=10) as call:
            await server
            await asyncio.sleep(0.2)
            async for reply in call:
                found += ["reset" if reply.kind == "reset" else reply.data]
    except CallError as caught:
        error = caught
    assert (found, None if error is None else error.code) == (expected, code)
    await reader.close()
    async with serving(bench, echo):
        assert (await requester.request("after")).data == "after"
    await requester.close(GONE, 0)


async def test_closing_gives_time_and_then_fails_those_who_wait(bench: BusBench) -> None:
    async def sleepy(data: Any, context: Any) -> Any:
        await asyncio.sleep(data)
        return data

    async with serving(bench, sleepy):
        requester = await bench.requester()
        quick, slow = (asyncio.create_task(failing(requester.request(seconds))) for seconds in (0.3, 60))
        await eventually(lambda: requester.in_flight == 2)
        await asyncio.sleep(0.1)
        await requester.close(CallError("flow_stopped", "stopped"), 1)
        with pytest.raises(AssertionError):
            await quick
        assert (await slow).code == "flow_stopped"
        assert (await failing(requester.request(1))).code == "flow_stopped"


async def test_many_calls_leave_nothing_behind(bench: BusBench) -> None:
    async def quick(data: Any, context: Any) -> Any:
        await asyncio.sleep(0)
        return data

    async with serving(bench, quick, concurrency=32) as host:
        requester = await bench.requester()

        async def one(number: int) -> None:
            task = asyncio.create_task(requester.request(number))
            if number % 3 == 0:
                await asyncio.sleep(0)
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        await requester.request(0)
        await asyncio.sleep(0.2)
        before = len(asyncio.all_tasks())
        held = bench.held()
        for start in range(0, CALLS, 64):
            await asyncio.gather(*[one(start + number) for number in range(64)])
        assert requester.in_flight == 0
        await eventually(lambda: len(asyncio.all_tasks()) <= before)
        await eventually(lambda: not host.memory.running and not host.instance.in_hand)
        assert requester._process.budget.used == 0
        assert requester._process.slots_of("acme")._waiting == 0
        assert bench.held() == held
        await requester.close(GONE, 0)


async def test_a_service_goes_on_with_what_its_caller_began(bench: BusBench) -> None:
    async def cause(data: Any, context: Any) -> Any:
        return [correlation_id.get(), trace_parent.get()]

    async with serving(bench, cause):
        requester = await bench.requester()
        continue_cause("c" * 32, TRACE)
        assert (await requester.request(1)).data == ["c" * 32, TRACE]
        continue_cause("c" * 32, "no trace")
        assert (await requester.request(1)).data == ["c" * 32, None]
        continue_cause("", None)
        assert (await requester.request(1, request_id="own")).data == ["own", None]
        await requester.close(GONE, 0)
