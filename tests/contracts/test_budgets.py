"""Reservations on both databases: exact however many come at once, given back, prolonged, and settled in one commit."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select
from tests.support.clocks import SettableClock
from tests.support.databases import Store, open_store
from tests.support.usage import bill, model_call, settled

from workbench.adapters.sql.budget_tables import budget_reservations
from workbench.adapters.sql.prepared import Parameters, Values
from workbench.adapters.sql.usage_tables import token_usage
from workbench.adapters.sql.walls import Within
from workbench.domain.audit.model import Actor
from workbench.domain.audit.ports import AuditFilter
from workbench.domain.budgets.book import KNOWN_FOR, LOOK, BudgetPolicy, LimitBook
from workbench.domain.budgets.model import BudgetExceededError, Limit, Measure, Scope, Spend, Standing, Terms
from workbench.domain.budgets.reserving import check, reserve
from workbench.domain.budgets.service import BudgetService, Operator
from workbench.domain.errors import InvalidError
from workbench.domain.ids import new_id
from workbench.domain.usage.bookkeeping import settle

ROBOT = UUID(int=7)
BY = Operator(workspace_id="default", actor=Actor(kind="operator", id="root"))


def service_on(store: Store, *defaults: Limit) -> BudgetService:
    return BudgetService(store.transactions, LimitBook(BudgetPolicy(defaults=defaults), store.clock))


def terms(amount: int | None, measure: Measure = "turns", **fields: Any) -> Terms:
    return Terms(**{"measure": measure, "period": "day", "amount": amount, **fields})


def default(amount: int, scope: Scope = "user", measure: Measure = "turns", **fields: Any) -> Limit:
    return Limit(**{"scope": scope, "measure": measure, "period": "day", "amount": amount, **fields})


def spend(key: str = "k", **fields: Any) -> Spend:
    return Spend(**{"key": key, "user_id": "ann", "assistant_id": ROBOT, **fields})


async def spent(store: Store, turn: UUID | None = None, **call: Any) -> UUID:
    """Have a turn of Ann's settled: 15 tokens for 7 micro-USD, but for what is given."""
    turn = turn or new_id()
    await settled(store, bill(turn, assistant_id=ROBOT), model_call(turn, store.clock.now(), **call))
    return turn


async def left(service: BudgetService, scope: Scope = "user", subject: str = "ann") -> list[tuple[int, int, int]]:
    """What is used, reserved and left, by limit."""
    found = await service.of_subject(BY, scope, subject)
    return [(each.used, each.reserved, each.left) for each in found.standings]


async def admitted(service: BudgetService, count: int, **fields: Any) -> int:
    """Let so many spend at once; gives how many may. All others are refused for the budget's sake."""
    outcomes = await asyncio.gather(
        *(service.reserve("default", spend(str(new_id()), **fields)) for _ in range(count)),
        return_exceptions=True,
    )
    refused = [each for each in outcomes if isinstance(each, BaseException)]
    assert all(isinstance(each, BudgetExceededError) for each in refused), refused
    return count - len(refused)


LAST_OF_EACH = [
    (scope, measure, amount)
    for scope in ("workspace", "user", "assistant")
    for measure, amount in (("turns", 2), ("tokens", 16), ("cost_micros", 8))
]


@pytest.mark.parametrize(("scope", "measure", "amount"), LAST_OF_EACH)
async def test_of_twenty_at_once_one_gets_the_last_unit(store: Store, scope: Any, measure: Any, amount: int) -> None:
    service = service_on(store, default(amount, scope, measure))
    await spent(store)
    assert await admitted(service, 20) == 1
    subject = {"workspace": "default", "user": "ann", "assistant": str(ROBOT)}[scope]
    assert await left(service, scope, subject) == [(amount - 1, 1, 0)]


async def test_three_processes_give_the_last_units_out_once(database_url: str) -> None:
    async with open_store(database_url) as one, open_store(database_url) as two, open_store(database_url) as three:
        limits = (default(2), default(900, "workspace", period="month"))
        services = [service_on(each, *limits) for each in (one, two, three)]
        for user_id in ("ann", "bea", "cay", "dan", "eve", "fay", "gus", "hal"):
            outcomes = await asyncio.gather(*(admitted(each, 4, user_id=user_id) for each in services))
            assert sum(outcomes) == 2
            assert await left(services[0], subject=user_id) == [(0, 2, 0)]


async def test_what_is_refused_leaves_nothing_and_says_what_is_left(store: Store) -> None:
    service = service_on(store, default(1), default(100, "workspace", "tokens", period="month"))
    (turns, tokens) = await service.reserve("default", spend())
    assert [(each.name, each.used, each.reserved, each.left) for each in (turns, tokens)] == [
        ("user/turns/day", 0, 1, 0),
        ("workspace/tokens/month", 0, 1, 99),
    ]
    with pytest.raises(BudgetExceededError) as caught:
        await service.reserve("default", spend("other"))
    assert [(each.name, each.left) for each in caught.value.standings] == [
        ("user/turns/day", 0),
        ("workspace/tokens/month", 99),
    ]
    assert await left(service, "workspace", "default") == [(0, 1, 99)]
    await service.reserve("default", spend("bea's", user_id="bea"))


async def test_the_same_key_is_one_reservation_however_often_it_is_made(store: Store) -> None:
    service = service_on(store, default(1))
    for _ in range(3):
        await service.reserve("default", spend())
    assert await left(service) == [(0, 1, 0)]
    await service.release("default", "k")
    await service.release("default", "k")
    assert await left(service) == [(0, 0, 1)]


async def test_a_reservation_runs_out_unless_it_is_prolonged(store: Store) -> None:
    service = service_on(store, default(1))
    clock: Any = store.clock
    await service.reserve("default", spend())
    clock.move(minutes=9)
    await service.reserve("default", spend())
    clock.move(minutes=9)
    with pytest.raises(BudgetExceededError):
        await service.reserve("default", spend("other"))
    clock.move(minutes=1)
    await service.reserve("default", spend("other"))
    assert await left(service) == [(0, 1, 0)]
    await service.release("default", "other")
    assert await store.database.rows(select(budget_reservations.c.key)) == []


async def test_what_a_spend_took_takes_the_place_of_its_reservation_in_one_commit(store: Store) -> None:
    service = service_on(store, default(100, measure="tokens"))
    turn = new_id()
    await service.reserve("default", spend(str(turn), tokens=60))
    assert await left(service) == [(0, 60, 40)]
    async with store.transactions.write("default") as tx:
        tx.usage.record_calls([model_call(turn, store.clock.now())])
        await settle(tx, bill(turn), store.clock.now())
        tx.budgets.release(str(turn), store.clock.now())
    assert await left(service) == [(15, 0, 85)]


async def test_a_block_that_fails_reserves_nothing(store: Store) -> None:
    book = LimitBook(BudgetPolicy(defaults=(default(1),)), store.clock)

    async def act() -> None:
        async with store.transactions.write("default") as tx:
            assert await reserve(tx, book, spend())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await act()
    assert await left(service_on(store, default(1))) == [(0, 0, 1)]


async def test_what_nothing_was_billed_for_is_no_turn(store: Store) -> None:
    service = service_on(store, default(5))
    await spent(store, prompt_tokens=0, completion_tokens=0, total_tokens=0, cost_micros=0)
    await spent(store, prompt_tokens=0, completion_tokens=0, total_tokens=0, cost_micros=None)
    assert await left(service) == [(0, 0, 5)]
    await spent(store, total_tokens=0, cost_micros=40_000)
    assert await left(service) == [(1, 0, 4)]


async def test_only_what_lies_in_the_window_counts(store: Store) -> None:
    service = service_on(store, default(5), default(50, period="month"))
    clock: Any = store.clock
    await spent(store)
    clock.move(days=1)
    await spent(store)
    assert await left(service) == [(1, 0, 4), (2, 0, 48)]
    clock.move(days=31)
    assert await left(service) == [(0, 0, 5), (0, 0, 50)]


async def test_what_was_spent_long_before_in_the_window_counts_for_the_last_unit_too(store: Store) -> None:
    service = service_on(store, default(3))
    clock: Any = store.clock
    await spent(store)
    clock.move(hours=2)
    await spent(store)
    assert await admitted(service, 20) == 1


async def test_what_was_billed_long_ago_is_summed_up_now_and_then_and_all_else_each_time(store: Store) -> None:
    service = service_on(store, default(9), default(99, period="month"))
    clock: Any = store.clock
    for _ in range(3):
        await spent(store)
        clock.move(minutes=40)
    assert await left(service) == [(3, 0, 6), (3, 0, 96)]
    long_ago = token_usage.c.created_datetime < clock.now()
    await store.database.transact(lambda connection: connection.execute(delete(token_usage).where(long_ago)))
    await spent(store)
    clock.move(seconds=KNOWN_FOR.total_seconds() - 1)
    await spent(store)
    assert await left(service) == [(5, 0, 4), (5, 0, 94)]
    assert await admitted(service, 20) == 4
    clock.move(seconds=1)
    assert await left(service) == [(2, 4, 3), (2, 4, 93)]


async def test_everybody_elses_spending_is_their_own(store: Store) -> None:
    service = service_on(store, default(1), default(1, "assistant"))
    await spent(store)
    with pytest.raises(BudgetExceededError):
        await service.reserve("default", spend())
    await service.reserve("default", spend("b", user_id="bea", assistant_id=UUID(int=8)))
    await service.reserve("elsewhere", spend("c"))
    await service.reserve("default", spend("d", user_id=None, assistant_id=None))


async def test_the_exempt_are_never_refused_and_always_written_down(store: Store) -> None:
    service = service_on(store, default(1))
    await spent(store)
    (standing,) = await service.reserve("default", spend(is_exempt=True))
    assert (standing.used, standing.reserved, standing.left) == (1, 1, 0)


async def test_looking_reserves_nothing(store: Store) -> None:
    service = service_on(store, default(1))
    book = LimitBook(BudgetPolicy(defaults=(default(1),)), store.clock)
    async with store.transactions.write("default") as tx:
        await check(tx, book, spend())
    assert await left(service) == [(0, 0, 1)]
    await service.reserve("default", spend())
    async with store.transactions.read("default") as tx:
        with pytest.raises(BudgetExceededError):
            await check(tx, book, spend("other"))
        await check(tx, book, spend())


# Limits that are stored


async def test_limits_are_stored_replaced_and_removed(store: Store) -> None:
    service = service_on(store, default(9))
    set_ = [terms(3), terms(500, "cost_micros", period="month", anchor=date(2026, 1, 31))]
    found = await service.set_limits(BY, "user", "ann", set_)
    assert {(each.measure, each.amount, each.anchor) for each in found.limits} == {
        ("turns", 3, None),
        ("cost_micros", 500, date(2026, 1, 31)),
    }
    assert {(each.name, each.limit) for each in found.standings} == {
        ("user/turns/day", 3),
        ("user/cost_micros/month", 500),
    }
    found = await service.set_limits(BY, "user", "ann", [terms(None)])
    assert ([each.amount for each in found.limits], found.standings) == ([None], [])
    await service.remove_limits(BY, "user", "ann")
    assert await left(service) == [(0, 0, 9)]
    async with store.transactions.read("default") as tx:
        acts = await tx.audit.entries(AuditFilter(act="budget.set"))
    assert [(act.subject, act.actor_id, act.detail) for act in acts[::2]] == [
        ("ann", "root", {"scope": "user"}),
        ("ann", "root", {"scope": "user", "turns/day": 3, "cost_micros/month": 500}),
    ]


async def test_limits_are_listed_page_by_page(store: Store) -> None:
    service = service_on(store, default(9))
    for subject in ("ann", "bea", "*"):
        await service.set_limits(BY, "user", subject, [terms(1), terms(2, period="month")])
    await service.set_limits(BY, "workspace", "*", [terms(5)])
    found: list[Limit] = []
    cursor: str | None = None
    pages = 0
    while pages == 0 or cursor:
        page = await service.page(BY, limit=2, cursor=cursor)
        found += page.limits
        cursor, pages = page.next_cursor, pages + 1
    whose = [(each.scope, each.subject) for each in found]
    assert pages == 4
    assert whose == [
        *[("user", "*")] * 2,
        *[("user", "ann")] * 2,
        *[("user", "bea")] * 2,
        ("workspace", "default"),
    ]
    for wrong in ("zz", "5b5d", b"[1]".hex(), "ff"):
        with pytest.raises(InvalidError) as caught:
            await service.page(BY, limit=2, cursor=wrong)
        assert caught.value.field == "cursor"


async def test_a_limit_of_months_begins_at_its_anchor(store: Store) -> None:
    service = service_on(store)
    await service.set_limits(BY, "user", "ann", [terms(5, period="month", anchor=date(2025, 10, 31))])
    (standing,) = (await service.of_subject(BY, "user", "ann")).standings
    assert (standing.starts_at.date(), standing.resets_at.date()) == (date(2025, 12, 31), date(2026, 1, 31))
    assert standing.resets_in_seconds == (standing.resets_at - store.clock.now()) // timedelta(seconds=1) + 1


# What it costs where nothing is limited


class Counting:
    """Counts the statements that read, and the transactions that write."""

    def __init__(self, store: Store) -> None:
        self.count = 0
        database = store.database.unobserved
        self._rows = database.rows
        database.rows = self.rows
        self._written, self._before = database.written, database.written.commits

    async def rows(self, statement: Any, parameters: Parameters = None, within: Within = None) -> Sequence[Values]:
        self.count += 1
        return await self._rows(statement, parameters, within)

    @property
    def commits(self) -> int:
        return self._written.commits - self._before


async def test_without_limits_it_costs_no_statements_but_a_look_now_and_then(store: Store) -> None:
    service, counting = service_on(store), Counting(store)
    clock: Any = store.clock
    assert await service.reserve("default", spend()) == ()
    first = counting.count
    assert first == 2
    for number in range(5):
        assert await service.reserve("default", spend(f"k{number}")) == ()
    assert (counting.count, counting.commits) == (first, 0)
    clock.move(seconds=LOOK.total_seconds())
    await service.reserve("default", spend())
    assert counting.count == 2 * first


async def test_with_limits_of_the_settings_it_costs_one_reading_statement(store: Store) -> None:
    service = service_on(store, default(50), default(500, period="month"), default(50, "workspace"))
    await service.reserve("default", spend())
    counting = Counting(store)
    await service.reserve("default", spend("other"))
    assert (counting.count, counting.commits) == (1, 1)


async def test_the_first_limit_is_known_at_once_where_it_was_set_and_elsewhere_soon(database_url: str) -> None:
    clock = SettableClock()
    async with open_store(database_url, clock) as one, open_store(database_url, clock) as other:
        here, there = service_on(one), service_on(other)
        for service in (here, there):
            assert await service.reserve("default", spend()) == ()
        await here.set_limits(BY, "user", "ann", [terms(0)])
        with pytest.raises(BudgetExceededError):
            await here.reserve("default", spend())
        assert await there.reserve("default", spend()) == ()
        clock.move(seconds=LOOK.total_seconds())
        with pytest.raises(BudgetExceededError):
            await there.reserve("default", spend())


def names(standings: Sequence[Standing]) -> list[str]:
    return [each.name for each in standings]


async def test_one_statement_sums_up_however_many_limits_hold(store: Store) -> None:
    limits = [
        default(1000, scope, measure, period=period)
        for scope in ("workspace", "user", "assistant")
        for measure in ("turns", "tokens", "cost_micros")
        for period in ("day", "month")
    ]
    service = service_on(store, *limits)
    await spent(store)
    standings = await service.reserve("default", spend(tokens=5, cost_micros=9))
    assert len(set(names(standings))) == 18
    figures = {each.measure: (each.used, each.reserved) for each in standings}
    assert figures == {"turns": (1, 1), "tokens": (15, 5), "cost_micros": (7, 9)}
