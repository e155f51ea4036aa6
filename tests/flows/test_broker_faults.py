"""What breaks in life between the service and RabbitMQ: the broker, the connection, the host, the disk."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.buses import QUICK, BusBench, eventually, failing, plain, rabbit_bench, read, serving
from tests.support.rabbitmq import Broker, free_port, own_broker
from tests.support.tcp_proxy import tcp_proxy

from workbench.adapters.bus.rabbit_link import RefusedError
from workbench.adapters.bus.rabbitmq import RabbitBus
from workbench.domain.bus.calls import Reply
from workbench.domain.bus.errors import BusUnavailableError, CallError
from workbench.domain.bus.model import DEAD_TOPIC
from workbench.domain.bus.requesting import Requester
from workbench.domain.bus.serving import SKEW_SECONDS

GONE = CallError("closed", "closed")
LATE = -1


async def echo(data: Any, context: Any) -> Any:
    return data


async def take_all(requester: Requester, body: Any, seconds: float = 60) -> list[Reply]:
    async with requester.call(body, seconds=seconds) as call:
        return [reply async for reply in call]


async def is_up(bench: BusBench) -> None:
    await eventually(lambda: all(bus.state() == "up" for bus in bench._buses), 60)


async def test_a_broker_that_is_away_is_waited_for_to_the_deadline() -> None:
    async with rabbit_bench(f"amqp://guest:guest@127.0.0.1:{free_port()}/") as bench:
        assert bench.bus.state() == "reconnecting"
        with pytest.raises(BusUnavailableError):
            await bench.bus.create_topic("request:wb:x")
        bench.topic = _unmade  # type: ignore[method-assign]
        requester = await bench.requester()
        error = await failing(requester.request(1, seconds=0.7))
        assert (error.phase, error.outcome) == ("connect", "not_sent")
        assert error.code in ("bus_unavailable", "timeout")
        await requester.close(GONE, 0)


async def _unmade(topic_class: str, name: str = "t") -> str:
    return f"{topic_class}:wb:{name}"


async def test_a_broker_that_refuses_us_stops_the_start(broker: Broker) -> None:
    bench = BusBench(lambda: RabbitBus(broker.url("no-such-host"), bench.meter, QUICK), shares=True)
    with pytest.raises(RefusedError):
        await bench.replica()
    wrong = broker.url().replace("guest:guest", "guest:wrong")
    bench = BusBench(lambda: RabbitBus(wrong, bench.meter, QUICK), shares=True)
    with pytest.raises(RefusedError):
        await bench.replica()


async def test_a_connection_that_is_cut_is_made_again_and_streams_go_on(broker: Broker, worker_id: str) -> None:
    go = asyncio.Event()

    async def telling(data: Any, context: Any) -> AsyncIterator[Any]:
        yield 1
        await go.wait()
        yield 2

    async with tcp_proxy(broker.port) as proxy, rabbit_bench(broker.url(worker_id)) as bench:
        caller = RabbitBus(broker.url(worker_id, proxy.port), bench.meter, QUICK)
        await caller.start()
        async with serving(bench, telling):
            requester = await bench.requester(bus=caller)
            async with requester.call(0, seconds=60) as call:
                assert (await call.next()).data == 1
                proxy.cut()
                await eventually(lambda: caller.state() == "reconnecting")
                proxy.mend()
                go.set()
                assert (await call.next()).data == 2
                assert (await call.next()).kind == "final"
            name = "workbench_bus_reconnects_total"
            assert bench.count(name, role="consume", cause="closed") == 1
            assert (await requester.request(0)).data == [1, 2]
            await requester.close(GONE, 0)
        await caller.close()


async def test_a_silent_cut_is_found_out_and_the_answer_is_not_lost(broker: Broker, worker_id: str) -> None:
    go = asyncio.Event()

    async def telling(data: Any, context: Any) -> AsyncIterator[Any]:
        yield 1
        await go.wait()
        yield 2

    async with tcp_proxy(broker.port) as proxy, rabbit_bench(broker.url(worker_id)) as bench:
        caller = RabbitBus(broker.url(worker_id, proxy.port), bench.meter, QUICK)
        await caller.start()
        async with serving(bench, telling):
            requester = await bench.requester(bus=caller)
            async with requester.call(0, seconds=60) as call:
                assert (await call.next()).data == 1
                proxy.swallows = True
                await eventually(lambda: caller.state() == "reconnecting", 20)
                go.set()
                await asyncio.sleep(0.5)
                proxy.swallows = False
                assert [(await call.next()).kind for _ in range(2)] == ["part", "final"]
            assert bench.count("workbench_bus_reconnects_total", role="consume", cause="probe") == 1
            await requester.close(GONE, 0)
        await caller.close()


async def test_a_host_that_loses_its_connection_goes_on_and_its_answer_arrives(broker: Broker, worker_id: str) -> None:
    began, go = asyncio.Event(), asyncio.Event()
    runs: list[int] = []

    async def working(data: Any, context: Any) -> Any:
        runs.append(1)
        began.set()
        await go.wait()
        return "done"

    async with tcp_proxy(broker.port) as proxy, rabbit_bench(broker.url(worker_id)) as bench:
        host_bus = RabbitBus(broker.url(worker_id, proxy.port), bench.meter, QUICK)
        await host_bus.start()
        async with serving(bench, working, bus=host_bus):
            requester = await bench.requester()
            task = asyncio.create_task(requester.request(1, seconds=60))
            await asyncio.wait_for(began.wait(), 10)
            proxy.cut()
            await eventually(lambda: host_bus.state() == "reconnecting")
            proxy.mend()
            go.set()
            assert (await asyncio.wait_for(task, 30)).data == "done"
            assert (await requester.request(2, seconds=30)).data == "done"
            assert len(runs) == 2
            await requester.close(GONE, 0)
        await host_bus.close()


async def test_who_sends_no_sign_of_life_fails_as_soon_as_the_loss_is_noticed(broker: Broker, worker_id: str) -> None:
    async with tcp_proxy(broker.port) as proxy, rabbit_bench(broker.url(worker_id)) as bench:
        caller = RabbitBus(broker.url(worker_id, proxy.port), bench.meter, QUICK)
        await caller.start()

        async def never(data: Any, context: Any) -> Any:
            await asyncio.sleep(60)

        async with serving(bench, never) as host:
            requester = await bench.requester(bus=caller, keepalive=False, idle_seconds=None)
            task = asyncio.create_task(failing(requester.request(1, seconds=60)))
            await eventually(lambda: host.instance.in_hand == 1)
            proxy.cut()
            error = await asyncio.wait_for(task, 20)
            assert (error.code, error.outcome) == ("bus_interrupted", "unknown")
            await requester.close(GONE, 0)
        await caller.close()


async def test_a_deleted_topic_does_not_come_back(broker: Broker, worker_id: str) -> None:
    async with tcp_proxy(broker.port) as proxy, rabbit_bench(broker.url(worker_id)) as bench:
        other = RabbitBus(broker.url(worker_id, proxy.port), bench.meter, QUICK)
        await other.start()
        topic = await bench.topic("request")
        reader = await other.subscribe(topic, f"{topic}/s/request", 1)
        await other.publish(topic, plain(b"1"), 5)
        (delivery,) = await read(reader)
        await bench.bus.delete_topic(topic, [f"{topic}/s/request"])
        proxy.cut()
        await eventually(lambda: other.state() == "reconnecting")
        proxy.mend()
        await delivery.ack()
        await eventually(lambda: other.state() == "up")
        for _ in range(3):
            with pytest.raises(Exception, match=topic):
                await other.publish(topic, plain(b"2"), 5)
        assert not await bench.bus.topic_exists(topic)
        await reader.close()
        await other.close()


async def test_the_broker_restarts_and_runs_out_of_room(tmp_path: Path) -> None:
    """One broker for all that can only be done to a whole broker, since starting one takes long."""
    began = asyncio.Event()
    asked: list[int] = []

    async def telling(data: Any, context: Any) -> AsyncIterator[Any]:
        asked.append(data)
        for number in range(data):
            began.set()
            yield number
            await asyncio.sleep(0.2)

    with own_broker(tmp_path / "broker") as broker:
        async with rabbit_bench(broker.url()) as bench, serving(bench, telling, keepalive_seconds=0.3):
            requester = await bench.requester(idle_seconds=4)
            assert len(await take_all(requester, 2)) == 3
            began.clear()
            await restart_in_the_middle(broker, bench, requester, began)
            await run_out_of_room(broker, bench, requester)
            # Its time was up when the broker let it through.
            assert LATE not in asked
            await requester.close(GONE, 0)


async def restart_in_the_middle(broker: Broker, bench: BusBench, requester: Requester, began: asyncio.Event) -> None:
    """The stream goes on without a hole, or ends by saying that it has one."""
    stream = asyncio.create_task(take_all(requester, 15, 60))
    single = asyncio.create_task(requester.request(15, seconds=60))
    await asyncio.wait_for(began.wait(), 10)
    await asyncio.to_thread(broker.control, "stop_app")
    await eventually(lambda: bench.bus.state() == "reconnecting")
    waiting = asyncio.create_task(requester.request(0, seconds=60))
    await asyncio.to_thread(broker.control, "start_app")
    await is_up(bench)
    _one_clean_end(await asyncio.wait_for(asyncio.gather(stream, return_exceptions=True), 60))
    _one_clean_end(await asyncio.wait_for(asyncio.gather(single, return_exceptions=True), 60))
    assert (await asyncio.wait_for(waiting, 60)).data is None
    assert (await requester.request(2, seconds=30)).data == [0, 1]
    assert requester.in_flight == 0


async def run_out_of_room(broker: Broker, bench: BusBench, requester: Requester) -> None:
    """Who publishes is held up, is told so, and goes on afterwards."""
    alarm = "rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []})."
    await asyncio.to_thread(broker.control, "eval", alarm)
    await failing(requester.request(LATE, seconds=1))
    await eventually(lambda: bench.bus.state() == "blocked", 20)
    await asyncio.sleep(SKEW_SECONDS + 1)
    error = await failing(requester.request(0, seconds=30))
    assert (error.code, error.outcome) == ("bus_blocked", "not_sent")
    clear = "rabbit_alarm:clear_alarm({resource_limit, memory, node()})."
    await asyncio.to_thread(broker.control, "eval", clear)
    await is_up(bench)
    assert (await requester.request(1, seconds=30)).data == 0


def _one_clean_end(outcomes: list[Any]) -> None:
    (outcome,) = outcomes
    if isinstance(outcome, BaseException):
        assert isinstance(outcome, CallError)
        assert outcome.code in ("reply_gap", "service_silent", "bus_interrupted", "no_service")
    elif isinstance(outcome, list):
        numbers = [reply.data for reply in outcome if reply.kind == "part"]
        if any(reply.kind == "reset" for reply in outcome):
            numbers = [reply.data for reply in outcome[[r.kind for r in outcome].index("reset") + 1 :]][:-1]
        assert numbers == list(range(15))
    else:
        assert outcome.data == list(range(15))


async def test_queues_that_were_made_under_other_settings_are_used_as_they_are(broker: Broker, worker_id: str) -> None:
    async with rabbit_bench(broker.url(worker_id)) as bench:
        topic = await bench.topic("request")
        queue = f"{topic}/s/request"
        await (await bench.bus.subscribe(topic, queue, 1)).close()
        longer = msgspec.structs.replace(QUICK, queue_length=QUICK.queue_length * 2)
        other = RabbitBus(broker.url(worker_id), bench.meter, longer)
        await other.start()
        for name, subscription in ((topic, queue), (DEAD_TOPIC, DEAD_TOPIC)):
            reader = await other.subscribe(name, subscription, 1)
            await other.publish(name, plain(b"1"), 5)
            (delivery,) = await read(reader)
            await delivery.ack()
            await reader.close()
        await other.close()
