"""What is made of an answer is joined to batches that are sent soon, in order, and never hold too much."""

import asyncio
from typing import Any

import msgspec
import pytest
from tests.support.servers import eventually

from workbench.sdk import SdkError
from workbench.sdk.sending import BATCH_BYTES, BATCH_EVENTS, ROOM_BYTES, Pending, Sender


def delta(text: str, block: str = "t") -> dict[str, Any]:
    return {"type": "text.delta", "id": block, "delta": text}


class Receiver:
    """Takes batches, as soon as it is let."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.times: list[float] = []
        self.is_free = asyncio.Event()
        self.is_free.set()
        self.failure: Exception | None = None

    async def send(self, events: list[Any]) -> None:
        self.batches.append(msgspec.json.decode(msgspec.json.encode(events)))
        self.times.append(asyncio.get_running_loop().time())
        await self.is_free.wait()
        if self.failure:
            raise self.failure


def test_deltas_that_follow_on_each_other_are_one_event() -> None:
    pending = Pending()
    for event in (delta("a"), delta("b"), delta("c", "u"), {"type": "part", "part": {}}, delta("d", "u")):
        pending.add(event)
    assert msgspec.json.decode(msgspec.json.encode(pending.take())) == [
        *(delta("ab"), delta("c", "u"), {"type": "part", "part": {}}, delta("d", "u"))
    ]
    assert (pending.take(), pending.size_bytes) == ([], 0)


def test_what_is_added_is_kept_as_it_was_then() -> None:
    pending, part = Pending(), {"type": "data-x", "data": [1]}
    pending.add({"type": "part", "part": part})
    part["data"] = [2]
    assert msgspec.json.decode(msgspec.json.encode(pending.take()))[0]["part"]["data"] == [1]
    with pytest.raises(TypeError):
        pending.add({"type": "tool.result", "result": object()})
    assert pending.take() == []


def test_a_batch_has_as_much_as_the_workbench_takes() -> None:
    pending = Pending()
    for number in range(BATCH_EVENTS + 1):
        pending.add({"type": "part", "part": number})
    assert [len(pending.take()) for _ in range(3)] == [BATCH_EVENTS, 1, 0]
    for number in range(100):
        pending.add(delta("\x01" * 1000, f"{number}"))
    sizes: list[int] = []
    while events := pending.take():
        sizes.append(len(msgspec.json.encode(events)))
    assert max(sizes) < BATCH_BYTES + 1000
    assert len(sizes) == 4
    pending.add({"type": "part", "part": "x" * (BATCH_BYTES + 1000)})
    assert len(pending.take()) == 1
    with pytest.raises(ValueError, match="part takes 262175 bytes, and 256000 is the most"):
        pending.add({"type": "part", "part": "x" * 256 * 1024 + "xxxxxx"})
    assert pending.take() == []


async def test_the_first_is_sent_at_once_the_rest_together_and_all_of_it() -> None:
    receiver = Receiver()
    sender = Sender(receiver.send)
    began = asyncio.get_running_loop().time()
    await sender.add(delta("0"))
    await eventually(lambda: receiver.batches)
    for number in range(1, 10):
        await sender.add(delta(f"{number}"))
    await eventually(lambda: len(receiver.batches) == 2)
    assert receiver.times[0] - began < 0.05
    assert 0.07 < receiver.times[1] - receiver.times[0] < 0.5
    await sender.add(delta("a"))
    assert await sender.finish() is None
    assert receiver.batches == [[delta("0")], [delta("123456789")], [delta("a")]]
    with pytest.raises(SdkError, match="has ended"):
        await sender.add(delta("b"))


async def test_much_is_sent_before_its_time() -> None:
    receiver = Receiver()
    sender = Sender(receiver.send)
    await sender.add(delta("0"))
    await eventually(lambda: receiver.batches)
    await sender.add(delta("x" * 4096))
    await eventually(lambda: len(receiver.batches) == 2)
    assert receiver.times[1] - receiver.times[0] < 0.06
    await sender.finish()


async def test_who_makes_more_than_is_taken_has_to_wait() -> None:
    receiver = Receiver()
    receiver.is_free.clear()
    sender = Sender(receiver.send)
    made = 0

    async def make() -> None:
        nonlocal made
        for made in range(1, 1001):  # noqa: B007 - how far it came
            await sender.add(delta("x" * 1000))

    making = asyncio.create_task(make())
    await eventually(lambda: made > 200)
    await asyncio.sleep(0.05)
    assert made * 1000 < ROOM_BYTES + BATCH_BYTES + 10_000
    assert sender._pending.size_bytes < ROOM_BYTES + 2000
    receiver.is_free.set()
    await making
    await sender.finish()
    assert "".join(event["delta"] for batch in receiver.batches for event in batch) == 1_000_000 * "x"


async def test_who_waits_is_told_when_nothing_can_be_sent_any_more() -> None:
    receiver = Receiver()
    receiver.is_free.clear()
    receiver.failure = SdkError("refused")
    sender = Sender(receiver.send)

    async def make() -> None:
        while True:
            await sender.add(delta("x" * 1000))

    making = asyncio.create_task(make())
    await eventually(lambda: sender._pending.size_bytes >= ROOM_BYTES)
    receiver.is_free.set()
    with pytest.raises(SdkError, match="refused"):
        await asyncio.wait_for(making, 5)
    assert await sender.finish() is receiver.failure


async def test_in_silence_a_sign_of_life_is_sent() -> None:
    receiver = Receiver()
    sender = Sender(receiver.send, quiet_seconds=0.05)
    await eventually(lambda: len(receiver.batches) == 2)
    await sender.finish()
    assert receiver.batches[:2] == [[], []]
    assert receiver.times[1] - receiver.times[0] > 0.04
