"""What is done about sessions without anybody asking. The numbers are those of the specification of sessions (16)."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import pytest
from dishka import AsyncContainer
from sqlalchemy import func, select
from tests.support import usage_rows
from tests.support.clocks import SettableClock, StoppedClock
from tests.support.databases import Observed

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.session_tables import sessions
from workbench.adapters.sql.tables import conversations, events, jobs, messages, participants
from workbench.adapters.sql.transactions import SqlTransactions
from workbench.adapters.sql.usage_tables import token_usage
from workbench.domain.errors import ConflictError, NotFoundError
from workbench.domain.idempotency.service import KeyExpiry
from workbench.domain.identity.model import Principal
from workbench.domain.jobs.model import Job
from workbench.domain.jobs.ports import JobHandlers, JobQueue, Leases
from workbench.domain.rates.ports import RateKeeping
from workbench.domain.troubleshooting.duties import ALARM_JOB, IDLE_JOB, PURGE_JOB
from workbench.domain.troubleshooting.escalating import EscalatingService, NewEscalation
from workbench.domain.troubleshooting.handling import HandlingService, NewResolution
from workbench.domain.troubleshooting.model import Session
from workbench.domain.troubleshooting.owning import OwningService
from workbench.domain.troubleshooting.starting import IntakeContent, NewSession, StartingService
from workbench.domain.troubleshooting.taking_over import NewPickup, TakingOverService
from workbench.domain.troubleshooting.telling import TellingService
from workbench.domain.troubleshooting.upkeep import SessionDispatcher
from workbench.domain.troubleshooting.watching import SessionWatch
from workbench.entrypoints.workers.upkeep import LEASE, UpkeepWorker
from workbench.wiring.container import make_container
from workbench.wiring.settings import Settings

T = TypeVar("T")

ANN = Principal(workspace_id="default", role="user", id="ann", name="Ann")
BOB = msgspec.structs.replace(ANN, id="bob", name="Bob")
NELL = Principal(workspace_id="elsewhere", role="user", id="nell", name="Nell")


class House:
    """The services of an installation without its server, and a clock that stands still."""

    def __init__(self, container: AsyncContainer, clock: SettableClock) -> None:
        self.container = container
        self.clock = clock

    async def the(self, kind: type[T]) -> T:
        return await self.container.get(kind)

    async def start(self, who: Principal = ANN) -> UUID:
        new = NewSession(intake_content=IntakeContent(text="It does not work"), start_mode="manual")
        return (await (await self.the(StartingService)).start(who, new)).session_id

    async def escalate(self, session_id: UUID, urgency: Any = "normal", who: Principal = ANN) -> None:
        service = await self.the(EscalatingService)
        await service.escalate(who, session_id, NewEscalation(reason="No idea", urgency=urgency))

    async def dispatch(self) -> int:
        return await (await self.the(SessionDispatcher)).dispatch()

    async def claim(self) -> Sequence[Job]:
        kinds = [IDLE_JOB, ALARM_JOB, PURGE_JOB]
        return await (await self.the(JobQueue)).claim(kinds, self.clock.now(), 100)

    async def round(self) -> list[tuple[str, str, str]]:
        """Find what is due and do it; says what was done, of what, and where."""
        await self.dispatch()
        done = await self.claim()
        handlers = await self.the(JobHandlers)
        for job in done:
            await handlers.by_kind[job.kind].carry_out(job)
        return [(job.kind, job.key, job.workspace_id) for job in done]

    async def session(self, session_id: UUID, workspace_id: str = "default") -> Session | None:
        async with (await self.the(SqlTransactions)).read(workspace_id) as tx:
            return await tx.sessions.find(session_id)

    async def observed(self) -> Any:
        """The database, as somebody sees it who sees every row."""
        return Observed(await self.the(Database))  # type: ignore[type-abstract]

    async def told(self, session_id: UUID) -> list[str]:
        """The types of what was told of a session."""
        place = select(sessions.c.conversation_id).where(sessions.c.id == session_id).scalar_subquery()
        told = select(events.c.type).where(events.c.conversation_id == place).order_by(events.c.position)
        return [row[0] for row in await (await self.observed()).rows(told)]

    async def count(self, *tables: Any) -> list[int]:
        database = await self.observed()
        return [(await database.rows(select(func.count()).select_from(table)))[0][0] for table in tables]


@asynccontextmanager
async def opened(url: str, folder: Path, **settings: Any) -> AsyncGenerator[House]:
    clock = SettableClock()
    given = {"data_root": folder, "db": {"url": url, "postgresql_ssl_mode": "disable", "migrate_at_start": False}}
    container = make_container(Settings.of(**given, **settings), StoppedClock(clock))
    try:
        yield House(container, clock)
    finally:
        await container.close()


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncGenerator[House]:
    async with opened(database_url, tmp_path / "data") as it:
        yield it


async def test_67_what_is_idle_for_30_days_is_given_up_but_never_what_waits_for_a_colleague(house: House) -> None:
    idle, waiting, taken, solved = [await house.start() for _ in range(4)]
    paused = await house.start(NELL)
    await house.escalate(waiting, "critical")
    await house.escalate(taken)
    await (await house.the(TakingOverService)).pick_up(BOB, taken, NewPickup())
    await (await house.the(HandlingService)).pause(NELL, paused)
    handling = await house.the(HandlingService)
    await handling.resolve(ANN, solved, NewResolution(resolution_summary="Done", resolution_action="fixed"))
    house.clock.move(days=29, hours=23)
    younger = await house.start()
    assert [each for each in await house.round() if each[0] == IDLE_JOB] == []
    house.clock.move(hours=1)
    done = [each for each in await house.round() if each[0] == IDLE_JOB]
    assert sorted(done) == sorted(
        [(IDLE_JOB, str(idle), "default"), (IDLE_JOB, str(taken), "default"), (IDLE_JOB, str(paused), "elsewhere")]
    )
    for session_id, workspace_id in ((idle, "default"), (taken, "default"), (paused, "elsewhere")):
        after = await house.session(session_id, workspace_id)
        assert after is not None
        assert (after.status, after.abandon_reason) == ("abandoned", "idle_timeout")
        assert after.closed_at == house.clock.now()
        assert (await house.told(session_id))[-1] == "session.abandoned"
    kept = [await house.session(each) for each in (waiting, solved, younger)]
    assert [each.status for each in kept if each] == ["requesting_escalation", "resolved", "active"]
    assert await house.round() == []


async def test_what_happens_between_finding_and_doing_counts(house: House) -> None:
    session_id = await house.start()
    house.clock.move(days=30)
    assert await house.dispatch() == 1
    await (await house.the(HandlingService)).pause(ANN, session_id)
    assert len(await house.round()) == 1
    after = await house.session(session_id)
    assert after is not None
    assert after.status == "paused"


async def test_36_a_job_reaches_only_into_its_own_workspace(house: House) -> None:
    session_id = await house.start()
    house.clock.move(days=30)
    await house.dispatch()
    (job,) = await house.claim()
    assert (job.workspace_id, job.payload) == ("default", {})
    handlers = await house.the(JobHandlers)
    elsewhere = msgspec.structs.replace(job, workspace_id="elsewhere")
    with pytest.raises(Exception, match="Somebody else changed this"):
        await handlers.by_kind[job.kind].carry_out(elsewhere)
    after = await house.session(session_id)
    assert after is not None
    assert after.status == "active"


async def test_what_has_a_job_already_is_not_set_down_again(house: House) -> None:
    await house.start()
    house.clock.move(days=30)
    assert [await house.dispatch(), await house.dispatch()] == [1, 0]


async def test_nobody_taking_it_is_told_of_after_a_time_that_goes_by_urgency(house: House) -> None:
    waiting: dict[str, UUID] = {}
    for urgency in ("critical", "high", "normal", "low"):
        waiting[urgency] = await house.start()
        await house.escalate(waiting[urgency], urgency)
    watch = await house.the(SessionWatch)  # type: ignore[type-abstract]
    told: list[tuple[int, list[str]]] = []
    at = 0
    for minute in (14, 15, 59, 60, 239, 240, 1000):
        house.clock.move(minutes=minute - at)
        at = minute
        done = {key for _, key, _ in await house.round()}
        told.append((minute, [urgency for urgency, each in waiting.items() if str(each) in done]))
    assert told == [
        (14, []), (15, ["critical"]), (59, []), (60, ["high"]), (239, []), (240, ["normal", "low"]), (1000, [])
    ]  # fmt: skip
    assert (await house.told(waiting["low"]))[-1] == "session.escalation.overdue"
    figures = await watch.figures(house.clock.now())
    assert (figures.waiting, figures.overdue) == (4, 4)
    await (await house.the(TakingOverService)).pick_up(BOB, waiting["low"], NewPickup())
    figures = await watch.figures(house.clock.now())
    assert (figures.waiting, figures.overdue, figures.by_status) == (3, 3, {"escalated": 1})


async def test_who_takes_it_in_time_keeps_the_alarm_silent(house: House) -> None:
    session_id = await house.start()
    await house.escalate(session_id)
    house.clock.move(hours=4)
    assert await house.dispatch() == 1
    await (await house.the(EscalatingService)).withdraw(ANN, session_id)
    assert len(await house.round()) == 1
    assert "session.escalation.overdue" not in await house.told(session_id)


async def test_45_what_is_deleted_is_hidden_at_once_and_removed_after_30_days(house: House) -> None:
    session_id, kept = await house.start(), await house.start()
    detail = await (await house.the(TellingService)).detail(ANN, session_id)
    async with (await house.the(SqlTransactions)).write("default") as tx:
        said = detail.conversation_messages[0].id
        usage_rows.add_usage(tx, "default", detail.conversation_id, said, house.clock.now())
    (used,) = await house.count(token_usage)
    await (await house.the(OwningService)).delete(ANN, session_id)
    with pytest.raises(NotFoundError):
        await (await house.the(TellingService)).detail(ANN, session_id)
    assert (await house.told(session_id))[-2:] == ["session.deleted", "conversation.deleted"]
    assert await house.count(sessions, conversations, participants) == [2, 2, 2]
    house.clock.move(days=29, hours=23)
    assert await house.round() == []
    await (await house.the(HandlingService)).pause(ANN, kept)
    house.clock.move(hours=1)
    assert await house.round() == [(PURGE_JOB, str(session_id), "default")]
    assert await house.count(sessions, conversations, token_usage) == [1, 1, used]
    database = await house.observed()
    said = select(func.count()).select_from(messages).where(messages.c.conversation_id == detail.conversation_id)
    assert (await database.rows(said))[0][0] == 0
    assert await house.session(kept) is not None


async def test_settings_say_how_long(sqlite_url: str, tmp_path: Path) -> None:
    async with opened(sqlite_url, tmp_path / "data", sessions={"idle_days": 1, "purge_days": 0}) as house:
        idle, deleted = await house.start(), await house.start()
        await (await house.the(OwningService)).delete(ANN, deleted)
        assert await house.round() == [(PURGE_JOB, str(deleted), "default")]
        house.clock.move(days=1)
        assert await house.round() == [(IDLE_JOB, str(idle), "default")]


async def test_settings_say_how_long_what_is_resolved_can_be_reopened(sqlite_url: str, tmp_path: Path) -> None:
    async with opened(sqlite_url, tmp_path / "data", sessions={"reopen_days": 2}) as house:
        session_id, handling = await house.start(), await house.the(HandlingService)
        solved = NewResolution(resolution_summary="A new fuse", resolution_action="fixed")
        await handling.resolve(ANN, session_id, solved)
        house.clock.move(days=2)
        await handling.reopen(ANN, session_id)
        await handling.resolve(ANN, session_id, solved)
        house.clock.move(days=2, seconds=1)
        with pytest.raises(ConflictError) as raised:
            await handling.reopen(ANN, session_id)
        assert (raised.value.error_code, raised.value.extra["allowed_actions"]) == (
            "illegal_transition",
            ["delete", "rate"],
        )


async def test_one_replica_looks_at_a_time_and_gives_the_duty_back(house: House) -> None:
    leases = await house.the(Leases)  # type: ignore[type-abstract]
    dispatcher, keys, rates = (
        await house.the(SessionDispatcher),
        await house.the(KeyExpiry),
        await house.the(RateKeeping),
    )  # type: ignore[type-abstract]
    worker = UpkeepWorker(dispatcher, keys, rates, leases, house.clock)
    assert await leases.acquire([LEASE], "another", 30) == {LEASE}
    await house.start()
    house.clock.move(days=30)
    (before,) = await house.count(jobs)
    await worker.look()
    assert await house.count(jobs) == [before]
    await leases.release([LEASE], "another")
    await worker.look()
    assert await house.count(jobs) == [before + 1]
    assert await leases.acquire([LEASE], "another", 30) == {LEASE}
