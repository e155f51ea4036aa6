"""An erasure goes on whatever happens: ended in the middle, carried on by two at once, taken up by the duty."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from dishka import Provider, Scope
from tests.support.assistants import RecordingAssistantService
from tests.support.clocks import SettableClock
from tests.support.databases import open_store
from tests.support.erasing import ANN, ANN_NAME, SAID, Life, found_in
from tests.support.service import Service

from workbench.domain.audit.model import Actor
from workbench.domain.clock import Clock
from workbench.domain.errors import ConflictError
from workbench.domain.lifecycle.erasure import ErasureService
from workbench.domain.lifecycle.person import Counts, Erased, Erasure
from workbench.entrypoints.workers.pruning import PruningWorker
from workbench.wiring.container import make_container

OPERATOR = Actor(kind="operator", id="root")


@pytest.fixture
async def life(service: Service) -> AsyncGenerator[Life]:
    async with RecordingAssistantService() as recorder:
        life = Life(service, recorder)
        await life.live()
        yield life


@asynccontextmanager
async def another_process(life: Life, now: datetime | None = None) -> AsyncGenerator[ErasureService]:
    """The service on the same database, with a clock that may be ahead."""
    clock = Provider(Scope.APP)
    clock.provide(lambda: SettableClock(now or datetime.now(UTC)), provides=Clock)
    container = make_container(life.service.settings, clock)
    try:
        yield await container.get(ErasureService)
    finally:
        await container.close()


async def left_of(life: Life) -> dict[str, str]:
    async with open_store(life.service.database_url) as store:
        return await found_in(store, ANN, ANN_NAME, SAID)


async def counts_of(life: Life, erasure_id: UUID) -> Counts:
    async with another_process(life) as service:
        return (await service.receipt("default", erasure_id)).counts


async def test_one_that_is_ended_after_every_single_step_comes_to_its_end_and_counts_each_row_once(life: Life) -> None:
    stages: list[str] = []
    for _ in range(200):
        async with another_process(life) as service:
            begun = await service.begin("default", ANN, "remove", OPERATOR)
            async for erasure in service.proceed("default", begun.id):
                stages.append(erasure.stage)
                break
        if erasure.has_ended:
            break
    assert list(dict.fromkeys(stages)) == [
        *("leave", "assistants", "services", "messages", "files", "seats", "traces", "ended"),
    ]
    assert await left_of(life) == {}
    counts = await counts_of(life, erasure.id)
    assert counts["messages"] == {"removed": 4, "anonymised": 2}
    assert (counts["participants"], counts["users"]) == ({"removed": 2}, {"removed": 1})


async def test_two_who_carry_it_out_at_once_do_not_count_twice(life: Life) -> None:
    async with another_process(life) as one, another_process(life) as two:
        begun = await asyncio.gather(*(each.begin("default", ANN, "remove", OPERATOR) for each in (one, two)))
        assert begun[0].id == begun[1].id

        async def carry_out(service: ErasureService) -> Erasure:
            steps = [erasure async for erasure in service.proceed("default", begun[0].id)]
            return steps[-1]

        ends = await asyncio.gather(carry_out(one), carry_out(two))
    assert all(end.has_ended for end in ends)
    assert await left_of(life) == {}
    counts = await counts_of(life, begun[0].id)
    assert counts["messages"] == {"removed": 4, "anonymised": 2}
    assert counts["participants"] == {"removed": 2}


async def test_one_under_way_has_one_policy(life: Life) -> None:
    async with another_process(life) as service:
        begun = await service.begin("default", ANN, "remove", OPERATOR)
        with pytest.raises(ConflictError, match="with the policy remove"):
            await service.begin("default", ANN, "keep", OPERATOR)
        assert (await service.begin("default", ANN, "remove", OPERATOR)).id == begun.id


async def test_the_duty_takes_up_what_nobody_goes_on_with(life: Life) -> None:
    async with another_process(life) as service:
        begun = await service.begin("default", ANN, "remove", OPERATOR)
        assert await service.abandoned() == []  # whoever began it may be at work
    later = datetime.now(UTC) + timedelta(minutes=2)
    async with another_process(life, later) as service:
        worker = PruningWorker(NothingTooOld(), service, AllLeases())  # type: ignore[arg-type]
        await worker.round()
        assert (await service.receipt("default", begun.id)).ended_datetime is not None
        assert await service.abandoned() == []
    assert await left_of(life) == {}


async def test_one_that_fails_keeps_no_other_from_its_end(life: Life) -> None:
    async with another_process(life) as service:
        begun = [await service.begin("default", user, "keep", OPERATOR) for user in (ANN, "bea")]
    later = datetime.now(UTC) + timedelta(minutes=2)
    async with another_process(life, later) as service:
        steps = dict(service._steps)

        async def fail(workspace_id: str, erasure: Erasure, person: Erased) -> Erasure:
            if person.user_id == ANN:
                raise OSError("disk on fire")
            return await steps["seats"](workspace_id, erasure, person)

        service._steps["seats"] = fail
        await PruningWorker(NothingTooOld(), service, AllLeases()).round()  # type: ignore[arg-type]
        ends = [(await service.receipt("default", each.id)).ended_datetime for each in begun]
    assert [end is not None for end in ends] == [False, True]


class NothingTooOld:
    """Nothing to be removed by age."""

    async def run(self) -> AsyncGenerator[object]:
        for step in ():
            yield step


class AllLeases:
    """Leases that are always ours."""

    async def renew(self, holder: str, seconds: float) -> set[str]:
        return {"pruning"}


async def test_what_the_person_does_meanwhile_goes_as_well(life: Life) -> None:
    """Who holds a token still gets in until the end, and whoever is asked to forget them forgets that too."""
    async with another_process(life) as service:
        begun = await service.begin("default", ANN, "remove", OPERATOR)
        async for erasure in service.proceed("default", begun.id):
            if erasure.stage == "traces":
                # Rejoins what they owned? It is another's by now. A seat by invitation is all that can be had.
                await life.service.seat_user(life.visited, ANN)
                await life.say(life.ann, life.visited, f"{SAID} once more", metadata={"by": ANN})
                break
        async for _ in service.proceed("default", begun.id):
            pass
    assert await left_of(life) == {}


async def test_the_person_cannot_come_back_to_what_was_theirs(life: Life) -> None:
    async with another_process(life) as service:
        begun = await service.begin("default", ANN, "keep", OPERATOR)
        async for erasure in service.proceed("default", begun.id):
            if erasure.stage == "assistants":
                break
    for conversation in (life.alone, life.led, life.visited):
        path = f"/conversations/{conversation}"
        back = await life.ann.put(f"{path}/participants/me", json={"active_participant": True})
        said = await life.ann.post(f"{path}/messages", json={"content": "again"})
        assert (back.status_code, said.status_code) == (404, 404)
