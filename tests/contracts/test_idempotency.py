"""Requests under keys: done once, answered again for a day, and free again where whoever had the key has died."""

import asyncio

import msgspec
import pytest
from sqlalchemy import func, select
from tests.support.clocks import SettableClock
from tests.support.databases import Store

from workbench.adapters.sql.idempotency import SqlExpiredKeys, idempotency_keys
from workbench.domain.errors import ConflictError, InvalidError
from workbench.domain.idempotency.model import (
    KEPT,
    MAX_ANSWER_BYTES,
    RUN,
    Answer,
    Attempt,
    InProgressError,
    require_key,
)
from workbench.domain.idempotency.service import STEP, IdempotencyService, KeyExpiry
from workbench.domain.identity.model import Principal

ANN = Principal(workspace_id="default", role="user", id="ann")
ATTEMPT = Attempt(method="POST", route="/things/{id}", key="a-key", request_hash="0" * 64)


class Acts:
    """Counts how often something is done."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.count = 0
        self._answers = list(answers)
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self) -> Answer:
        self.count += 1
        self.began.set()
        await self.may_end.wait()
        answer = self._answers.pop(0) if self._answers else Answer(status=201, headers={"Location": "/x"}, body="{}")
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def clock(store: Store) -> SettableClock:
    assert isinstance(store.clock, SettableClock)
    return store.clock


@pytest.fixture
def service(store: Store, clock: SettableClock) -> IdempotencyService:
    return IdempotencyService(store.transactions, clock)


async def test_what_was_done_is_answered_again_and_not_done_again(service: IdempotencyService) -> None:
    acts = Acts()
    answers = [await service.once(ANN, ATTEMPT, acts) for _ in range(3)]
    assert answers == [Answer(status=201, headers={"Location": "/x"}, body="{}")] * 3
    assert acts.count == 1


@pytest.mark.parametrize(
    "other",
    [
        (msgspec.structs.replace(ANN, id="bea"), ATTEMPT),
        (msgspec.structs.replace(ANN, role="assistant"), ATTEMPT),
        (msgspec.structs.replace(ANN, workspace_id="elsewhere"), ATTEMPT),
        (ANN, msgspec.structs.replace(ATTEMPT, method="PUT")),
        (ANN, msgspec.structs.replace(ATTEMPT, route="/others")),
        (ANN, msgspec.structs.replace(ATTEMPT, key="A-key")),
    ],
)
async def test_keys_of_others_and_for_other_things_are_other_keys(
    service: IdempotencyService, other: tuple[Principal, Attempt]
) -> None:
    acts = Acts()
    await service.once(ANN, ATTEMPT, acts)
    await service.once(*other, acts)
    assert acts.count == 2


async def test_another_request_under_the_same_key_is_refused(service: IdempotencyService) -> None:
    acts = Acts()
    await service.once(ANN, ATTEMPT, acts)
    with pytest.raises(ConflictError) as refused:
        await service.once(ANN, msgspec.structs.replace(ATTEMPT, request_hash="1" * 64), acts)
    assert (refused.value.error_code, refused.value.field, acts.count) == ("idempotency_mismatch", "Idempotency-Key", 1)


async def test_of_many_at_once_one_acts_and_the_others_are_told_to_wait(service: IdempotencyService) -> None:
    acts = Acts()
    acts.may_end.clear()
    running = [asyncio.create_task(service.once(ANN, ATTEMPT, acts)) for _ in range(20)]
    ended = asyncio.as_completed(running, timeout=20)
    for _ in range(19):
        with pytest.raises(InProgressError) as refused:
            await next(ended)
        assert (refused.value.error_code, refused.value.retry_after_seconds) == ("in_progress", 2)
    acts.may_end.set()
    assert (await next(ended)).status == 201
    assert acts.count == 1


@pytest.mark.parametrize("failure", [ConflictError("no"), RuntimeError("a defect"), Answer(status=409)])
async def test_what_failed_is_not_remembered(service: IdempotencyService, failure: Exception | Answer) -> None:
    acts = Acts(failure)
    if isinstance(failure, Exception):
        with pytest.raises(type(failure)):
            await service.once(ANN, ATTEMPT, acts)
    else:
        assert await service.once(ANN, ATTEMPT, acts) == failure
    assert (await service.once(ANN, ATTEMPT, acts)).status == 201
    assert acts.count == 2


async def test_a_run_that_died_gives_its_key_up(service: IdempotencyService, clock: SettableClock) -> None:
    dying = Acts()
    dying.may_end.clear()
    task = asyncio.create_task(service.once(ANN, ATTEMPT, dying))
    await dying.began.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    clock.move(seconds=RUN.total_seconds() - 1)
    with pytest.raises(InProgressError):
        await service.once(ANN, ATTEMPT, Acts())
    clock.move(seconds=1)
    assert (await service.once(ANN, ATTEMPT, Acts())).status == 201


async def test_who_was_given_up_and_ends_after_all_takes_nothing_from_who_came_after(
    service: IdempotencyService, clock: SettableClock
) -> None:
    slow = Acts(Answer(status=200, body='"slow"'))
    slow.may_end.clear()
    task = asyncio.create_task(service.once(ANN, ATTEMPT, slow))
    await slow.began.wait()
    clock.move(seconds=RUN.total_seconds())
    second = await service.once(ANN, ATTEMPT, Acts(Answer(status=200, body='"second"')))
    slow.may_end.set()
    assert (await task).body == '"slow"'
    assert await service.once(ANN, ATTEMPT, Acts()) == second


async def test_an_answer_is_kept_for_a_day(service: IdempotencyService, clock: SettableClock) -> None:
    acts = Acts()
    await service.once(ANN, ATTEMPT, acts)
    clock.move(seconds=KEPT.total_seconds() - 1)
    await service.once(ANN, ATTEMPT, acts)
    assert acts.count == 1
    clock.move(seconds=1)
    await service.once(ANN, msgspec.structs.replace(ATTEMPT, request_hash="1" * 64), acts)
    assert acts.count == 2


async def test_an_answer_that_is_too_large_is_given_once_and_nothing_is_done_twice(service: IdempotencyService) -> None:
    acts = Acts(Answer(status=200, body="x" * (MAX_ANSWER_BYTES + 1)))
    assert len((await service.once(ANN, ATTEMPT, acts)).body) == MAX_ANSWER_BYTES + 1
    with pytest.raises(ConflictError) as refused:
        await service.once(ANN, ATTEMPT, acts)
    assert (refused.value.error_code, acts.count) == ("idempotency_answer_not_kept", 1)


async def test_keys_whose_time_is_over_are_forgotten_in_all_workspaces(
    store: Store, service: IdempotencyService, clock: SettableClock
) -> None:
    for workspace in ("default", "elsewhere"):
        await service.once(msgspec.structs.replace(ANN, workspace_id=workspace), ATTEMPT, Acts())
    clock.move(hours=1)
    await service.once(ANN, msgspec.structs.replace(ATTEMPT, key="younger"), Acts())
    clock.move(seconds=KEPT.total_seconds() - 3600)
    expiry = KeyExpiry(SqlExpiredKeys(store.database), clock)
    assert [await expiry.step(), await expiry.step()] == [2, 0]
    assert (await store.database.rows(select(func.count()).select_from(idempotency_keys)))[0][0] == 1
    assert STEP > 2


@pytest.mark.parametrize("text", ["", "a b", "x" * 129, "ä", "a\tb", "a\n"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidError) as refused:
        require_key(text)
    assert refused.value.field == "Idempotency-Key"
    assert require_key("!~" * 64) == "!~" * 64
