"""What becomes of escalations, told to those who could take them over, and to nobody else."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.support.clocks import SettableClock, StoppedClock
from tests.support.service import Service, SseEvent, Stream, open_stream, running_service
from tests.support.troubleshooting import COMPANY, ESCALATION, act, by_hand, done, member
from tests.workers.test_upkeep import opened

PATH = "/workspace/events"
SAID = {"reason": "The secret is that nobody knows", "notes": "Beware of the dog"}
SETTINGS = {"auth": {"issuers": [COMPANY]}}

Replicas = tuple[Service, Service]


@pytest.fixture
async def replicas(database_url: str, tmp_path: Path) -> AsyncGenerator[Replicas]:
    """Two of them, on one database; things are done on the first, and listened to on the second."""
    folder = tmp_path / "data"
    async with (
        running_service(database_url, folder, **SETTINGS) as first,
        running_service(database_url, folder, **SETTINGS) as second,
    ):
        yield first, second


@asynccontextmanager
async def listening(*clients: httpx.AsyncClient, after: object = None) -> AsyncGenerator[list[Stream]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_stream(client, PATH, after)) for client in clients]


async def mark(who: httpx.AsyncClient) -> None:
    """Let something happen that everybody in the workspace is told of: who hears of this first heard of nothing before."""
    (await who.put("/flow-blueprints/b", json={"services": []})).raise_for_status()
    (await who.post("/flows", json={"flow_id": "f", "blueprint": "b"})).raise_for_status()


async def known(*clients: httpx.AsyncClient) -> None:
    """Let them be here once, so that they and their teams are known."""
    for client in clients:
        assert (await client.get("/users/me")).status_code == 200


async def escalated(who: httpx.AsyncClient, **more: Any) -> str:
    path = (await by_hand(who))["path"]
    answer = await act(who, path, "escalate", {**ESCALATION, **SAID, **more})
    assert answer.status_code == 200, answer.text
    return path


def names(events: Sequence[SseEvent]) -> list[str]:
    return [event.name for event in events]


async def test_who_may_take_it_over_is_told_on_any_replica_and_nobody_else(replicas: Replicas) -> None:
    here, there = replicas
    ann, bob = member(here, "ann", "network"), member(here, "bob", "network")
    ears = member(there, "bob", "network")
    deaf = [
        member(there, "ann", "network"),  # who asks
        member(there, "cleo", "desk"),
        member(there, "dan"),
        member(there, "eve", "network", roles=()),
        member(there, "root", roles=("Admin",)),  # works on sessions, but is not in the team
        member(there, "bob", "network", workspace="elsewhere"),
    ]
    await known(bob)
    async with listening(ears) as (stream,), listening(*deaf) as silent:
        path = await escalated(ann, team_id="network", urgency="high")
        await done(bob, path, "pickup")
        await mark(ann)
        await mark(member(here, "nell", workspace="elsewhere"))
        told = await stream.take(3)
        first = [await each.next() for each in silent]
    assert names(told) == ["escalation.requested", "escalation.picked_up", "flow.started"]
    assert names(first) == ["flow.started"] * len(deaf)
    asked, taken = [event.data["data"]["escalation"] for event in told[:2]]
    assert f"/ai-sessions/{asked['session_id']}" == path
    whole = {
        "id": str(UUID(asked["id"])),
        "session_id": asked["session_id"],
        "state": "open",
        "urgency": "high",
        "requested_at": asked["requested_at"],
        "requested_by": "ann",
        "target_user_id": None,
        "team_id": "network",
        "picked_up_by": None,
        "alarmed_at": None,
        "closed_at": None,
    }
    assert asked == whole
    assert taken == {**whole, "state": "picked_up", "picked_up_by": "bob", "closed_at": taken["closed_at"]}
    assert datetime.fromisoformat(taken["closed_at"]) >= datetime.fromisoformat(asked["requested_at"])


async def test_the_one_who_is_named_is_told_alone_whatever_team_they_are_in(replicas: Replicas) -> None:
    here, there = replicas
    ann, bob, cleo = member(here, "ann"), member(here, "bob", "desk"), member(here, "cleo", "network")
    await known(bob, cleo)
    async with listening(*(member(there, "bob"), member(there, "cleo", "network"))) as (stream, silent):
        path = await escalated(ann, target_user_id="bob", team_id="network")
        await done(ann, path, "withdraw-escalation")
        await mark(ann)
        assert names(await stream.take(3)) == ["escalation.requested", "escalation.withdrawn", "flow.started"]
        assert (await silent.next()).name == "flow.started"


async def test_what_is_given_up_is_told_of_and_nothing_that_was_said(replicas: Replicas) -> None:
    here, there = replicas
    ann = member(here, "ann")
    async with listening(member(there, "bob")) as (stream,):
        path = await escalated(ann)
        abandoned = await act(ann, path, "abandon", {"reason": "The cat was it"})
        assert abandoned.status_code == 204
        told = await stream.take(2)
    assert names(told) == ["escalation.requested", "escalation.cancelled"]
    for text in ("secret", "dog", "cat", "printer", "Ann", "Bob"):
        assert all(text not in str(event.data) for event in told), text


async def test_a_stream_that_comes_back_misses_nothing_and_hears_nothing_twice(replicas: Replicas) -> None:
    here, there = replicas
    ann, bob, cleo = member(here, "ann", "desk"), member(here, "bob", "desk"), member(here, "cleo")
    await known(bob)
    async with listening(bob) as (stream,):
        first = await escalated(ann, team_id="desk")
        seen = await stream.take(1)
    second = await escalated(ann, team_id="desk")
    callers = [bob, *(member(here, f"bob-{number}", "desk") for number in range(5))]
    answers = await asyncio.gather(*(act(caller, first, "pickup") for caller in callers))
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 5]
    async with listening(member(there, "bob", "desk"), after=seen[0].id) as (stream,):
        await done(ann, second, "withdraw-escalation")
        await mark(ann)
        told = await stream.take(4)
    assert names(told) == ["escalation.requested", "escalation.picked_up", "escalation.withdrawn", "flow.started"]
    async with listening(member(there, "bob", "desk"), after=told[0].id) as (stream,):
        assert [event.id for event in await stream.take(3)] == [event.id for event in told[1:]]
    async with listening(member(there, "bob", "desk"), cleo, after=0) as (stream, silent):
        assert names(await stream.take(5)) == ["escalation.requested", *names(told)]
        assert (await silent.next()).name == "flow.started"


async def test_that_nobody_takes_it_is_told_of_by_whichever_replica_finds_out(
    database_url: str, tmp_path: Path
) -> None:
    async with (
        running_service(database_url, tmp_path / "data", **SETTINGS) as service,
        opened(database_url, tmp_path / "data") as house,
    ):
        house.clock.move(seconds=(datetime.now(UTC) - house.clock.now()).total_seconds() + 3601)
        ann, bob = member(service, "ann"), member(service, "bob")
        async with listening(bob) as (stream,):
            await escalated(ann, urgency="high")
            assert len(await house.round()) == 1
            await mark(ann)
            told = await stream.take(3)
        assert names(told) == ["escalation.requested", "escalation.overdue", "flow.started"]
        overdue = told[1].data["data"]["escalation"]
        assert datetime.fromisoformat(overdue["alarmed_at"]) == house.clock.now()
        assert overdue["state"] == "open"


async def test_roles_count_for_as_long_as_the_credentials_that_say_them(database_url: str, tmp_path: Path) -> None:
    clock = SettableClock(datetime.now(UTC))
    async with running_service(database_url, tmp_path / "data", StoppedClock(clock), **SETTINGS) as service:
        ann = member(service, "ann")
        leaving = member(service, "bob", exp=int(clock.now().timestamp()) + 3600)
        silent = member(service, "eve", roles=(), exp=int(clock.now().timestamp()) + 3600)
        async with listening(leaving, silent) as (stream, other):
            clock.move(minutes=59)
            await escalated(ann)
            asked = await stream.next()
            clock.move(minutes=5)
            await escalated(ann)
            assert await stream.until_end() == []
            assert any(comment.startswith("the credentials have run out") for comment in stream.comments)
            await mark(ann)
            assert (await other.next()).name == "flow.started"
        assert (await leaving.get(PATH)).status_code == 401
        async with listening(member(service, "bob"), after=asked.id) as (stream,):
            assert names(await stream.take(2)) == ["escalation.requested", "flow.started"]
