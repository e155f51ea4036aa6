"""Using models for sessions, on both databases: admitted exactly, booked in any case (6). Numbers are of the specification."""

import asyncio
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests.support.databases import Store
from tests.support.session_rows import some_session

from workbench.adapters.metrics.sessions import PrometheusSessions
from workbench.domain.budgets.book import BudgetPolicy, LimitBook
from workbench.domain.budgets.model import Limit, Subjects
from workbench.domain.budgets.reserving import standings_of
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.troubleshooting.failures import ProviderError
from workbench.domain.troubleshooting.generating import GeneratingService
from workbench.domain.troubleshooting.generations import (
    CountFailed,
    Generation,
    GenerationPolicy,
    GenerationType,
    ServingModels,
)
from workbench.domain.troubleshooting.quotas import Plan, QuotaExceededError, plan_limits
from workbench.domain.usage.accumulating import Accumulator
from workbench.domain.usage.bookkeeping import Bookkeeping
from workbench.domain.usage.model import ReportedCall, UsageRow
from workbench.domain.usage.prices import Price, PricedModel, PriceTable
from workbench.domain.usage.totals import UsageFilter

ANN = Principal(workspace_id="default", role="user", id="ann")
PRICED = PricedModel(
    names=["priced"], prices=[Price(since=date(2020, 1, 1), prompt=Decimal(3), completion=Decimal(15))]
)


class NoMeter:
    def usage_refused(self, source: str) -> None:
        raise AssertionError(source)


class NoPrices(PriceTable):
    """Something that fails where nobody expects it."""

    def __init__(self) -> None:
        super().__init__([])

    def find(self, name: str) -> PricedModel | None:
        raise RuntimeError(name)


def service_on(
    store: Store,
    *limits: Limit,
    plan: Plan = "pro",
    count_failed: CountFailed = "billed",
    prices: PriceTable | None = None,
    registry: CollectorRegistry | None = None,
) -> GeneratingService:
    policy = GenerationPolicy(usual=ServingModels(models=("one", "two"), plan=plan), count_failed=count_failed)
    book = LimitBook(BudgetPolicy(defaults=limits), store.clock)
    books = Bookkeeping(prices or PriceTable([PRICED]), NoMeter(), store.clock)
    meter = PrometheusSessions(registry or CollectorRegistry())
    return GeneratingService(store.transactions, policy, book, books, meter)


def a_day(amount: int) -> Limit:
    return Limit(scope="user", measure="generations", period="day", amount=amount)


def wished(store: Store, kind: GenerationType = "flowpilot_respond", by: Principal = ANN) -> Generation:
    return Generation.wished(by, kind, some_session(new_id(), new_id(), store.clock.now()))


def call(**fields: Any) -> ReportedCall:
    usual = {"call_id": new_id().hex, "model": "m", "prompt_tokens": 10, "completion_tokens": 5}
    return ReportedCall(**{**usual, **fields})


async def rows(store: Store) -> list[UsageRow]:
    async with store.transactions.read("default") as tx:
        return list(await tx.usage.rows(UsageFilter(), None, 100))


async def held(store: Store) -> int:
    """How much is reserved."""
    book = LimitBook(BudgetPolicy(defaults=(a_day(100),)), store.clock)
    async with store.transactions.read("default") as tx:
        (standing,) = await standings_of(tx, book, Subjects(workspace="default", user="ann"))
    return standing.reserved


async def test_38_of_twenty_at_once_where_one_is_left_one_is_admitted(store: Store) -> None:
    generating = service_on(store, a_day(3))
    for _ in range(2):
        generation = wished(store)
        await generating.admit(generation)
        await generating.ask(generation, _answering(call()))
    tried = [generating.admit(wished(store)) for _ in range(20)]
    outcomes = await asyncio.gather(*tried, return_exceptions=True)
    assert [type(each) for each in outcomes if each is not None] == [QuotaExceededError] * 19
    assert await held(store) == 1


def _answering(*calls: ReportedCall, answer: str = "done") -> Any:
    async def ask(_: str, spent: Accumulator) -> str:
        spent.calls.extend(calls)
        return answer

    return ask


def _failing(kind: Any, *calls: ReportedCall) -> Any:
    async def ask(_: str, spent: Accumulator) -> str:
        spent.calls.extend(calls)
        raise ProviderError(kind)

    return ask


async def test_39_when_both_are_spent_the_month_is_told_of(store: Store) -> None:
    month = Limit(scope="user", measure="generations", period="month", amount=1)
    generating = service_on(store, a_day(1), month)
    await generating.admit(wished(store))
    with pytest.raises(QuotaExceededError) as refused:
        await generating.admit(wished(store))
    quota = refused.value.extra["quota"]
    assert (quota["deny_reason"], quota["plan"]) == ("monthly", "pro")
    assert (quota["daily"].used, quota["monthly"].used) == (1, 1)
    assert refused.value.extra["reset_at"] == quota["monthly"].reset_at
    assert refused.value.extra["message"] == "Monthly AI allowance used up"
    only_a_day = service_on(store, a_day(1))
    with pytest.raises(QuotaExceededError) as refused:
        await only_a_day.admit(wished(store))
    assert refused.value.extra["quota"]["deny_reason"] == "daily"
    assert refused.value.retry_after_seconds > 0


async def test_39_the_workspace_has_a_budget_too_and_admins_are_never_refused(store: Store) -> None:
    shared = Limit(scope="workspace", measure="generations", period="month", amount=1)
    generating = service_on(store, shared)
    await generating.admit(wished(store))
    with pytest.raises(QuotaExceededError) as refused:
        await generating.admit(wished(store, by=Principal(workspace_id="default", role="user", id="bob")))
    assert refused.value.extra["quota"]["deny_reason"] == "workspace_budget"
    root = Principal(workspace_id="default", role="user", id="root", is_admin=True)
    generation = wished(store, by=root)
    await generating.admit(generation)
    await generating.ask(generation, _answering(call()))
    assert [row.user_id for row in await rows(store)] == ["root"]


async def test_what_models_write_is_no_turn_but_counts_among_them(store: Store) -> None:
    """A limit on turns holds for all uses of models; one on generations says nothing of turns."""
    turns = Limit(scope="user", measure="turns", period="day", amount=1)
    generating = service_on(store, turns)
    generation = wished(store)
    await generating.admit(generation)
    await generating.ask(generation, _answering(call()))
    with pytest.raises(QuotaExceededError) as refused:
        await generating.admit(wished(store))
    assert (refused.value.extra["quota"]["deny_reason"], refused.value.extra["quota"]["daily"]) == ("daily", None)


async def test_42_an_unknown_price_is_null_and_a_known_one_exact(store: Store) -> None:
    generating = service_on(store)
    await generating.ask(wished(store), _answering(call()))
    await generating.ask(wished(store), _answering(call(model="priced")))
    priced, unpriced = await rows(store)
    assert (unpriced.cost_micros, unpriced.cost_complete) == (None, False)
    assert (priced.cost_micros, priced.cost_complete) == (10 * 3 + 5 * 15, True)


@pytest.mark.parametrize(("count_failed", "unbilled", "billed"), [("billed", 0, 1), ("all", 1, 1), ("none", 0, 0)])
async def test_43_a_failure_counts_where_it_was_billed(
    store: Store, count_failed: CountFailed, unbilled: int, billed: int
) -> None:
    generating = service_on(store, count_failed=count_failed)
    for calls in (call(prompt_tokens=0, completion_tokens=0), call()):
        with pytest.raises(ProviderError):
            await generating.ask(wished(store), _failing("bad_output", calls))
    second, first = await rows(store)
    assert (first.generations, first.total_tokens) == (unbilled, 0)
    assert (second.generations, second.total_tokens) == (billed, 15)
    assert {row.metadata["succeeded"] for row in (first, second)} == {False}
    assert {row.metadata["error_code"] for row in (first, second)} == {"bad_output"}


async def test_a_row_says_what_it_was_for_and_releases_what_was_reserved(store: Store) -> None:
    generating = service_on(store, a_day(5), plan="team")
    generation = wished(store, "flowpilot_pickup")
    await generating.admit(generation)
    assert await held(store) == 1
    assert await generating.ask(generation, _answering(call())) == "done"
    assert await held(store) == 0
    (row,) = await rows(store)
    assert (row.usage_type, row.user_id, row.generations) == ("flowpilot_pickup", "ann", 1)
    assert row.conversation_id == generation.conversation_id
    assert row.metadata == {
        "session_id": str(generation.session_id),
        "owner_id": "cay",
        "tier": "team",
        "succeeded": True,
        "error_code": None,
    }


async def test_a_job_is_at_the_expense_of_the_workspace_alone(store: Store) -> None:
    shared = Limit(scope="workspace", measure="generations", period="month", amount=2)
    generating = service_on(store, a_day(0), shared)
    session = some_session(new_id(), new_id(), store.clock.now())
    for _ in range(2):
        generation = Generation.of_job("default", "flowpilot_output", session)
        await generating.admit(generation)
        await generating.ask(generation, _answering(call()))
    with pytest.raises(QuotaExceededError):
        await generating.admit(Generation.of_job("default", "flowpilot_output", session))
    assert {(row.user_id, row.metadata["owner_id"]) for row in await rows(store)} == {(None, "cay")}


async def test_what_was_to_begin_and_did_not_is_in_no_conversation(store: Store) -> None:
    generating = service_on(store)
    with pytest.raises(ProviderError):
        await generating.ask(wished(store, "flowpilot_start"), _failing("timeout", call()))
    (row,) = await rows(store)
    assert (row.conversation_id, row.metadata["session_id"], row.metadata["error_code"]) == (None, None, "timeout")


async def test_the_second_model_is_asked_where_the_first_one_fails(store: Store) -> None:
    registry = CollectorRegistry()
    generating, asked = service_on(store, registry=registry), list[str]()

    async def ask(model: str, spent: Accumulator) -> str:
        asked.append(model)
        spent.calls.append(call(model=model, provider=f"of-{model}"))
        if model == "one":
            raise ProviderError("overloaded")
        return model

    assert await generating.ask(wished(store), ask) == "two"
    labels = {"operation": "flowpilot_respond"}
    for provider, result in (("of-one", "overloaded"), ("of-two", "done")):
        named = {**labels, "provider": provider, "result": result}
        assert registry.get_sample_value("workbench_model_requests_total", named) == 1
    assert registry.get_sample_value("workbench_model_latency_seconds_count", labels) == 1
    (row,) = await rows(store)
    assert (asked, sorted(row.model_breakdown), row.call_count) == (["one", "two"], ["one", "two"], 2)


async def test_an_answer_of_no_use_is_not_tried_elsewhere(store: Store) -> None:
    generating, asked = service_on(store), list[str]()

    async def ask(model: str, spent: Accumulator) -> str:
        asked.append(model)
        spent.calls.append(call())
        raise ProviderError("bad_output")

    with pytest.raises(ProviderError):
        await generating.ask(wished(store), ask)
    assert asked == ["one"]


async def test_who_is_cancelled_pays_all_the_same(store: Store) -> None:
    generating, begun = service_on(store, a_day(5)), asyncio.Event()
    generation = wished(store)
    await generating.admit(generation)

    async def ask(_: str, spent: Accumulator) -> str:
        spent.calls.append(call())
        begun.set()
        await asyncio.sleep(60)
        return "never"

    task = asyncio.create_task(generating.ask(generation, ask))
    await begun.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    (row,) = await rows(store)
    assert (row.metadata["error_code"], row.generations) == ("cancelled", 1)
    assert await held(store) == 0


async def test_books_that_cannot_be_kept_cost_nobody_their_answer(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    generating = service_on(store, prices=NoPrices())
    assert await generating.ask(wished(store), _answering(call())) == "done"
    assert "could not be written down" in caplog.text


def test_plans_are_limits() -> None:
    assert plan_limits("unlimited") == ()
    assert [(each.name, each.amount) for each in plan_limits("team", date(2026, 1, 31))] == [
        ("user/generations/day", 300),
        ("user/generations/month", 5000),
        ("workspace/generations/month", 20_000),
    ]
    assert [each.anchor for each in plan_limits("free", date(2026, 1, 31))] == [None, date(2026, 1, 31)]
