"""Event streams over HTTP: framing, resuming, gaps, and the end of access."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from tests.support.databases import open_store
from tests.support.servers import eventually
from tests.support.service import Service, open_stream, running_service

from workbench.adapters.clock import SystemClock
from workbench.adapters.sql.events import SqlEventKeeping


async def conversation_of(client: httpx.AsyncClient) -> str:
    return f"/conversations/{(await client.post('/conversations', json={})).json()['id']}"


async def say(client: httpx.AsyncClient, path: str, content: str = "hello") -> None:
    (await client.post(f"{path}/messages", json={"content": content})).raise_for_status()


async def test_a_frame_is_framed_to_the_letter(service: Service) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    async with ann.stream("GET", f"{path}/events") as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"
        await say(ann, path, "sep\u2028 and \u00fc and 😀")
        chunk = await anext(response.aiter_bytes())
    lines = chunk.split(b"\r\n")
    assert [line.partition(b":")[0] for line in lines] == [b"id", b"event", b"data", b"retry", b"", b""]
    assert (lines[0], lines[1], lines[3]) == (b"id: 2", b"event: message.created", b"retry: 1000")
    assert lines[2].startswith(b'data: {"timestamp":"')
    assert b"sep\\u2028 and \\u00fc and \\ud83d\\ude00" in lines[2]
    assert chunk.isascii()


async def test_a_frame_of_the_feed_names_its_conversation_last(sqlite_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data") as service:
        ann = service.user("ann")
        path = await conversation_of(ann)
        async with ann.stream("GET", "/events") as response:
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["connection"] == "keep-alive"
            assert response.headers["x-accel-buffering"] == "no"
            await say(ann, path, "\u0085 \u00fc")
            chunk = await anext(response.aiter_bytes())
    number, name, data, retry, *rest = chunk.split(b"\r\n")
    assert (number, name, retry, rest) == (b"id: 2", b"event: message.created", b"retry: 1000", [b"", b""])
    assert data.startswith(b'data: {"timestamp":"')
    assert data.endswith(b',"conversation_id":"%s"}' % path.removeprefix("/conversations/").encode())
    assert b'"content":"\\u0085 \\u00fc"' in data


async def test_a_stream_without_a_position_starts_live(service: Service) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    await say(ann, path, "before")
    async with open_stream(ann, f"{path}/events") as stream:
        await say(ann, path, "after")
        event = await stream.next()
    assert event.data["data"]["message"]["content"] == "after"


async def test_a_stream_resumes_behind_its_position(service: Service) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    for number in range(5):
        await say(ann, path, str(number))
    async with open_stream(ann, f"{path}/events", last_event_id=3) as stream:
        replayed = await stream.take(3)
        await say(ann, path, "live")
        live = await stream.next()
    assert [event.id for event in [*replayed, live]] == ["4", "5", "6", "7"]
    async with open_stream(ann, f"{path}/events?last_event_id=6") as stream:
        assert (await stream.next()).id == "7"


async def test_replay_meets_live_while_others_write(service: Service) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    for number in range(20):
        await say(ann, path, str(number))

    async def write() -> None:
        for number in range(60):
            await say(ann, path, f"live {number}")

    writing = asyncio.create_task(write())
    async with open_stream(ann, f"{path}/events", last_event_id=0) as stream:
        events = await stream.take(81)
    await writing
    assert [int(event.id) for event in events] == list(range(1, 82))


async def test_a_stream_resumes_after_a_restart(database_url: str, tmp_path: Path) -> None:
    async with running_service(database_url, tmp_path / "data") as service:
        ann = service.user("ann")
        path = await conversation_of(ann)
        await say(ann, path)
    async with running_service(database_url, tmp_path / "data") as service:
        ann = service.user("ann")
        await say(ann, path)
        async with open_stream(ann, f"{path}/events", last_event_id=1) as stream:
            assert [event.id for event in await stream.take(2)] == ["2", "3"]
        async with open_stream(ann, "/events", last_event_id=0) as stream:
            assert [event.id for event in await stream.take(3)] == ["1", "2", "3"]


async def test_another_replica_streams_what_this_one_commits(database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with running_service(database_url, folder) as first, running_service(database_url, folder) as second:
        ann, elsewhere = first.user("ann"), second.user("ann")
        path = await conversation_of(ann)
        async with (
            open_stream(elsewhere, f"{path}/events") as stream,
            open_stream(elsewhere, "/events") as feed,
        ):
            for number in range(10):
                await say((ann, elsewhere)[number % 2], path, str(number))
            events, fed = await stream.take(10), await feed.take(10)
    assert [event.data["data"]["message"]["content"] for event in events] == list("0123456789")
    assert [int(event.id) for event in events] == list(range(2, 12))
    assert [event.data["data"] for event in fed] == [event.data["data"] for event in events]


async def test_another_replica_resumes_while_this_one_writes(database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with running_service(database_url, folder) as first, running_service(database_url, folder) as second:
        ann, elsewhere = first.user("ann"), second.user("ann")
        path = await conversation_of(ann)
        for number in range(10):
            await say(ann, path, str(number))

        async def write() -> None:
            for number in range(10, 40):
                await say(ann, path, str(number))

        async def read(stream_path: str, start: int) -> list[int]:
            """Reconnect after every few events, as a client on a bad line does."""
            ids = [start]
            while ids[-1] < 41:
                async with open_stream(elsewhere, stream_path, last_event_id=ids[-1]) as stream:
                    ids += [int(event.id) for event in await stream.take(min(7, 41 - ids[-1]))]
            return ids

        found = await asyncio.gather(read(f"{path}/events", 3), read("/events", 0), write())
    assert found[:2] == [list(range(3, 42)), list(range(42))]


@pytest.mark.parametrize("position", ["f0e1d2c3b4a5968778695a4b3c2d1e0f", "99", "-1"])
async def test_a_position_that_is_not_ours_is_a_gap(service: Service, position: str) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    async with open_stream(ann, f"{path}/events", last_event_id=position) as stream:
        gap, first = await stream.take(2)
    assert (gap.name, gap.data["first_available"]) == ("stream.gap", 1)
    assert (first.id, first.name) == ("1", "conversation.created")


async def test_a_position_that_the_feed_never_gave_out_is_a_gap(sqlite_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data") as service:
        ann = service.user("ann")
        await conversation_of(ann)
        for position in ("f0e1d2c3b4a5968778695a4b3c2d1e0f", "99", "1.0", "9" * 30):
            async with open_stream(ann, f"/events?last_event_id={position}") as stream:
                gap, first = await stream.take(2)
            assert (gap.name, gap.id, gap.data["first_available"]) == ("stream.gap", "0", 1)
            assert (first.id, first.name) == ("1", "conversation.created")


async def test_what_was_pruned_is_a_gap_that_names_the_first_available(service: Service) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    for number in range(4):
        await say(ann, path, str(number))
    async with open_store(service.database_url) as store:
        keeping = SqlEventKeeping(store.database)
        assert await keeping.prune(service.workspace(), SystemClock().now(), 3) == 3
    for stream_path in (f"{path}/events", "/events"):
        async with open_stream(ann, stream_path, last_event_id=1) as stream:
            gap, first = await stream.take(2)
        assert (gap.name, gap.id, gap.data["first_available"]) == ("stream.gap", "3", 4)
        assert first.id == "4"
    async with open_stream(ann, f"{path}/events", last_event_id=3) as stream:
        assert (await stream.next()).id == "4"


async def test_the_feed_carries_all_conversations_of_a_user(service: Service) -> None:
    ann, bea = service.user("ann"), service.user("bea")
    async with open_stream(ann, "/events") as feed:
        path = await conversation_of(ann)
        other = await conversation_of(bea)
        await say(bea, other, "not for ann")
        await say(ann, path, "for ann")
        await ann.patch(path, json={"title": "T"})
        await ann.delete(path)
        events = await feed.take(4)
    names = ["conversation.created", "message.created", "conversation.updated", "conversation.deleted"]
    assert [event.name for event in events] == names
    assert {event.data["conversation_id"] for event in events} == {path.removeprefix("/conversations/")}
    async with open_stream(ann, "/events", last_event_id=0) as feed:
        # What was said in a conversation that is gone is gone with it.
        assert (await feed.next()).name == "conversation.deleted"


async def test_losing_access_ends_the_stream_at_once(service: Service) -> None:
    ann, bea = service.user("ann"), service.user("bea")
    path = await conversation_of(ann)
    await service.seat_user(path.removeprefix("/conversations/"), "bea")
    async with open_stream(bea, f"{path}/events") as stream, open_stream(bea, "/events") as feed:
        await bea.put(f"{path}/participants/me", json={"active_participant": False})
        assert [event.name for event in await stream.until_end()] == ["participant.updated"]
        await say(ann, path, "not for bea")
        own = await conversation_of(bea)
        events = await feed.take(2)
    assert [event.name for event in events] == ["participant.updated", "conversation.created"]
    assert events[1].data["conversation_id"] == own.removeprefix("/conversations/")
    async with open_stream(bea, "/events", last_event_id=0) as feed:
        names = [(await feed.next()).name, (await feed.next()).name]
    assert names == ["participant.updated", "conversation.created"]


async def test_losing_access_ends_a_stream_on_another_replica_too(database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with running_service(database_url, folder) as first, running_service(database_url, folder) as second:
        ann, bea = first.user("ann"), second.user("bea")
        path = await conversation_of(ann)
        await first.seat_user(path.removeprefix("/conversations/"), "bea")
        async with open_stream(bea, f"{path}/events") as stream:
            await first.user("bea").put(f"{path}/participants/me", json={"active_participant": False})
            await say(ann, path, "not for bea")
            assert [event.name for event in await stream.until_end()] == ["participant.updated"]
            assert any("access" in comment for comment in stream.comments)
        assert (await bea.get(f"{path}/events")).status_code == 404


async def test_deleting_a_conversation_ends_its_streams(service: Service) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    async with open_stream(ann, f"{path}/events") as stream:
        await ann.delete(path)
        assert [event.name for event in await stream.until_end()] == ["conversation.deleted"]


async def test_a_silent_stream_shows_signs_of_life(sqlite_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data", events={"keep_alive_seconds": 0.1}) as service:
        ann = service.user("ann")
        path = await conversation_of(ann)
        for stream_path in (f"{path}/events", "/events"):
            async with ann.stream("GET", stream_path) as response:
                chunks, sent = response.aiter_bytes(), b""
                while sent.count(b": ping") < 2:
                    sent += await anext(chunks)
                await say(ann, path)
                while not sent.endswith(b"\r\n\r\n"):
                    sent += await anext(chunks)
                # No blank line follows a ping: some clients would take it for the end of an empty event.
                assert re.match(rb"(: ping - [0-9T:.+-]+\r\n){2,}id: \d\r\n", sent)


async def test_a_reader_that_falls_behind_is_closed_and_resumes_without_loss(sqlite_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data", events={"reader_buffer": 4}) as service:
        ann = service.user("ann")
        path = await conversation_of(ann)
        async with open_stream(ann, f"{path}/events") as stream:
            # Nothing is read meanwhile, so that the connection's buffers fill and then the reader's own.
            for number in range(40):
                await say(ann, path, f"{number} " + "x" * 500_000)
            events = await stream.until_end()
            assert any("fell behind" in comment for comment in stream.comments)
        last = int(events[-1].id)
        assert last < 41
        async with open_stream(ann, f"{path}/events", last_event_id=last) as stream:
            events += await stream.take(41 - last)
    assert [int(event.id) for event in events] == list(range(2, 42))


async def test_who_does_not_read_holds_up_nobody_else(sqlite_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data", events={"reader_buffer": 100}) as service:
        ann = service.user("ann")
        path = await conversation_of(ann)
        async with (
            open_stream(ann, f"{path}/events") as before,
            open_stream(ann, f"{path}/events") as slow,
            open_stream(ann, f"{path}/events") as behind,
        ):
            reading = [asyncio.create_task(stream.take(40)) for stream in (before, behind)]
            for number in range(40):
                await say(ann, path, f"{number} " + "x" * 500_000)
            async with asyncio.timeout(20):
                told = await asyncio.gather(*reading)
            # And it gets all of it when it reads at last: its own buffer was long enough.
            told.append(await slow.take(40))
    assert [[int(event.id) for event in events] for events in told] == [list(range(2, 42))] * 3


async def test_a_draining_server_refuses_new_streams_with_503(sqlite_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data") as service:
        ann = service.user("ann")
        path = await conversation_of(ann)
        drained: list[str] = []
        async with open_stream(ann, f"{path}/events") as stream:
            ending = asyncio.create_task(stream.until_end())
            await service.drain()
            assert await ending == []
            drained = stream.comments
        assert any("reconnect" in comment for comment in drained)
        refused = await ann.get(f"{path}/events")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        ready = await ann.get("/readyz")
        assert (ready.status_code, ready.json()["failing"]) == (503, ["serving"])


async def test_readers_leave_nothing_behind(service: Service) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    for _ in range(3):
        async with open_stream(ann, f"{path}/events"), open_stream(ann, "/events"):
            pass
    await eventually(lambda: service.stream_count() == 0)
