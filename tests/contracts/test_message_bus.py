"""What every message bus promises: the same on the one inside the process and on RabbitMQ."""

import asyncio

import pytest
from tests.support.buses import BusBench, eventually, plain, read

from workbench.domain.bus.errors import (
    BusError,
    BusFullError,
    BusUnavailableError,
    NoRouteError,
    TopicMissingError,
)
from workbench.domain.bus.model import CONTROL_TOPIC, DEAD_TOPIC


async def test_a_topic_is_made_once_and_deleted_with_its_queues(bench: BusBench) -> None:
    topic = await bench.topic("request")
    await bench.bus.create_topic(topic)
    assert await bench.bus.topic_exists(topic)
    reader = await bench.bus.subscribe(topic, f"{topic}/s/request", 1)
    await bench.bus.delete_topic(topic, [f"{topic}/s/request"])
    await bench.bus.delete_topic(topic, [f"{topic}/s/request"])
    assert not await bench.bus.topic_exists(topic)
    with pytest.raises(TopicMissingError):
        await read(reader)
    with pytest.raises(TopicMissingError):
        await bench.bus.publish(topic, plain(b"1"), 5)
    with pytest.raises(TopicMissingError):
        await bench.bus.subscribe(topic, f"{topic}/s/request", 1)
    assert not await bench.bus.topic_exists(topic)
    await reader.close()


async def test_the_topics_of_our_own_are_there(bench: BusBench) -> None:
    assert await bench.bus.topic_exists(CONTROL_TOPIC)
    assert await bench.bus.topic_exists(DEAD_TOPIC)


async def test_a_message_arrives_as_it_was_sent(bench: BusBench) -> None:
    topic = await bench.topic("request")
    reader = await bench.bus.subscribe(topic, f"{topic}/s/request", 1)
    headers = {"wb-kind": "request", "wb-seq": 7, "wb-single": True, "x": "ä"}
    await bench.bus.publish(topic, plain(b'{"a":1}', "id-1", **headers), 5)
    (delivery,) = await read(reader)
    assert (delivery.message.body, delivery.message.request_id, delivery.attempt) == (b'{"a":1}', "id-1", 1)
    assert dict(delivery.message.headers) == headers
    assert delivery.message.number("wb-seq") == 7
    assert delivery.message.is_set("wb-single")
    await delivery.ack()
    await delivery.ack()
    await reader.close()


async def test_nobody_there_is_said_at_once(bench: BusBench) -> None:
    topic = await bench.topic("request")
    with pytest.raises(NoRouteError):
        await bench.bus.publish(topic, plain(b"1"), 30)


@pytest.mark.parametrize("topic_class", ["flow", "request"])
async def test_readers_of_a_subscription_share_its_messages(bench: BusBench, topic_class: str) -> None:
    topic = await bench.topic(topic_class)
    other = await bench.replica()
    readers = [await bus.subscribe(topic, f"{topic}/w/work", 3) for bus in (bench.bus, other)]
    for number in range(6):
        await bench.bus.publish(topic, plain(str(number).encode()), 5)
    found = [*await read(readers[0], 3), *await read(readers[1], 3)]
    assert sorted(delivery.message.body for delivery in found) == [b"0", b"1", b"2", b"3", b"4", b"5"]
    for delivery in found:
        await delivery.ack()
    for reader in readers:
        await reader.close()


@pytest.mark.parametrize("topic_class", ["response", "notify"])
async def test_every_subscriber_sees_every_message(bench: BusBench, topic_class: str) -> None:
    topic = await bench.topic(topic_class)
    other = await bench.replica()
    readers = [await bus.subscribe(topic, f"{topic}/{number}", 5) for number, bus in enumerate((bench.bus, other))]
    for body in (b"1", b"2"):
        await bench.bus.publish(topic, plain(body), 5)
    for reader in readers:
        assert [delivery.message.body for delivery in await read(reader, 2)] == [b"1", b"2"]
        await reader.close()
    with pytest.raises(NoRouteError):
        await bench.bus.publish(topic, plain(b"3"), 5)


async def test_two_subscriptions_of_a_shared_topic_each_get_everything(bench: BusBench) -> None:
    topic = await bench.topic("flow")
    one = await bench.bus.subscribe(topic, f"{topic}/s/request", 1)
    other = await bench.bus.subscribe(topic, f"{topic}/w/work", 1)
    await bench.bus.publish(topic, plain(b"1"), 5)
    for reader in (one, other):
        (delivery,) = await read(reader)
        assert delivery.message.body == b"1"
        await delivery.ack()
        await reader.close()


async def test_no_more_is_in_hand_than_was_asked_for(bench: BusBench) -> None:
    topic = await bench.topic("request")
    reader = await bench.bus.subscribe(topic, f"{topic}/s/request", 2)
    for body in (b"1", b"2", b"3"):
        await bench.bus.publish(topic, plain(body), 5)
    first = await read(reader, 2)
    with pytest.raises(TimeoutError):
        await read(reader, 1, 0.3)
    await first[0].ack()
    (third,) = await read(reader)
    assert third.message.body == b"3"
    await reader.close()


async def test_what_a_reader_left_in_hand_goes_to_the_next_as_delivered_again(bench: BusBench) -> None:
    topic = await bench.topic("request")
    dying = await bench.bus.subscribe(topic, f"{topic}/s/request", 2)
    for body in (b"1", b"2"):
        await bench.bus.publish(topic, plain(body), 5)
    assert [delivery.attempt for delivery in await read(dying, 2)] == [1, 1]
    await dying.close()
    heir = await (await bench.replica()).subscribe(topic, f"{topic}/s/request", 2)
    again = await read(heir, 2)
    assert [delivery.message.body for delivery in again] == [b"1", b"2"]
    assert all(delivery.attempt > 1 for delivery in again)
    await heir.close()


async def test_a_message_that_ran_out_is_not_delivered(bench: BusBench) -> None:
    topic = await bench.topic("request")
    reader = await bench.bus.subscribe(topic, f"{topic}/s/request", 1)
    await bench.bus.publish(topic, plain(b"1"), 5)
    (held,) = await read(reader)
    message = plain(b"2")
    await bench.bus.publish(topic, type(message)(body=b"2", ttl_seconds=0.05), 5)
    await bench.bus.publish(topic, plain(b"3"), 5)
    await asyncio.sleep(0.3)
    await held.ack()
    (found,) = await read(reader)
    assert found.message.body == b"3"
    await reader.close()


async def test_work_that_fails_again_and_again_is_set_aside(bench: BusBench) -> None:
    topic = await bench.topic("flow")
    dead = await bench.bus.subscribe(DEAD_TOPIC, DEAD_TOPIC, 10)
    reader = await bench.bus.subscribe(topic, f"{topic}/w/work", 1)
    await bench.bus.publish(topic, plain(topic.encode()), 5)
    attempts: list[int] = []
    for _ in range(5):
        (delivery,) = await read(reader)
        attempts.append(delivery.attempt)
        await delivery.reject(requeue=True)
    assert attempts == [1, 2, 3, 4, 5]
    with pytest.raises(TimeoutError):
        await read(reader, 1, 0.3)
    async with asyncio.timeout(10):
        async for delivery in dead:
            await delivery.ack()
            if delivery.message.body == topic.encode():
                break
    await reader.close()
    await dead.close()


async def test_what_is_rejected_for_good_does_not_come_again(bench: BusBench) -> None:
    topic = await bench.topic("request")
    reader = await bench.bus.subscribe(topic, f"{topic}/s/request", 1)
    await bench.bus.publish(topic, plain(b"1"), 5)
    (delivery,) = await read(reader)
    await delivery.reject(requeue=False)
    await bench.bus.publish(topic, plain(b"2"), 5)
    (after,) = await read(reader)
    assert after.message.body == b"2"
    await reader.close()


async def test_publishing_does_not_run_a_reader(bench: BusBench) -> None:
    topic = await bench.topic("request")
    reader = await bench.bus.subscribe(topic, f"{topic}/s/request", 1)

    async def stubborn() -> None:
        async for delivery in reader:
            await delivery.ack()
            raise RuntimeError("the reader's own trouble")

    task = asyncio.create_task(stubborn())
    await bench.bus.publish(topic, plain(b"1"), 5)
    with pytest.raises(RuntimeError):
        await asyncio.wait_for(task, 10)
    await bench.bus.publish(topic, plain(b"2"), 5)
    await reader.close()


async def test_a_closed_bus_says_so(bench: BusBench) -> None:
    topic = await bench.topic("request")
    other = await bench.replica()
    await other.close()
    await other.close()
    assert other.state() == "closed"
    with pytest.raises(BusUnavailableError):
        await other.publish(topic, plain(b"1"), 1)
    with pytest.raises(BusError):
        await other.subscribe(topic, f"{topic}/s/request", 1)
    await other.start()
    await eventually(lambda: other.state() == "up")
    await bench.bus.create_topic(topic)


async def fill(bench: BusBench, topic: str) -> int:
    """Publish until it is refused; says how many were taken."""
    for taken in range(3000):
        try:
            await bench.bus.publish(topic, plain(str(taken).encode()), 10)
        except BusFullError:
            return taken
    raise AssertionError("it is never full")


async def test_a_full_queue_refuses_what_comes_and_keeps_what_it_took(bench: BusBench) -> None:
    topic = await bench.topic("request")
    reader = await bench.bus.subscribe(topic, f"{topic}/s/request", 1)
    taken = await fill(bench, topic)
    assert 1000 <= taken < 3000
    found: list[bytes] = []
    async with asyncio.timeout(60):
        async for delivery in reader:
            found.append(delivery.message.body)
            await delivery.ack()
            if len(found) == taken:
                break
    assert found == [str(number).encode() for number in range(taken)]
    await reader.close()
