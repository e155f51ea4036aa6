"""Accounting without a store: tokens, exact cost, names of models, what was cut, and nested work (section 7)."""

import asyncio
import contextlib
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.usage import bill, model_call

from workbench.domain.errors import InvalidError
from workbench.domain.ids import new_id
from workbench.domain.usage.accumulating import accumulating, note_call
from workbench.domain.usage.arithmetic import entered, finish_reason_of, micros, readable, summed, total_of
from workbench.domain.usage.model import (
    MAX_TOKENS,
    ModelCall,
    ReportedCall,
    ReportedUsage,
    UsageSummary,
)
from workbench.domain.usage.prices import Price, PricedModel, PriceTable
from workbench.domain.usage.totals import UsageFilter, day_of, group_keys

NOW = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)
NO_PRICES = PriceTable(())


def reported(**fields: Any) -> ReportedCall:
    return ReportedCall(**{"call_id": "c1", "model": "m", **fields})


def ledger(prices: PriceTable = NO_PRICES, now: datetime = NOW, **fields: Any) -> ModelCall:
    return entered(reported(**fields), None, 1, prices, now)


def priced(*names: str, prompt: str = "1", **more: Any) -> PricedModel:
    prices = [Price(since=date(2026, 1, 1), prompt=Decimal(prompt), completion=Decimal(2))]
    return PricedModel(names=names, **{"prices": prices, **more})


# U1


def test_u1_a_bill_is_the_sum_of_all_calls_over_all_epochs() -> None:
    calls = [
        model_call(None, NOW, epoch=1),
        model_call(None, NOW, epoch=2, call_id="c2", model="n", cost_micros=9),
        model_call(None, NOW, epoch=2, call_id="c3", cost_micros=None),
    ]
    row = summed(bill(None), calls, new_id(), "default", NOW)
    assert (row.prompt_tokens, row.completion_tokens, row.total_tokens) == (30, 15, 45)
    assert (row.cached_tokens, row.reasoning_tokens, row.call_count) == (12, 3, 3)
    assert (row.cost_micros, row.cost_complete, row.usage_day) == (16, False, date(2026, 3, 31))
    assert {
        name: (share.calls, share.cost_micros, share.cost_complete) for name, share in row.model_breakdown.items()
    } == {
        "m": (2, 7, False),
        "n": (1, 9, True),
    }


# U4


@pytest.mark.parametrize(
    ("given", "total"),
    [(None, 15), (0, 15), (14, 15), (15, 15), (40, 40)],
    ids=["missing", "zero", "less", "same", "more"],
)
def test_u4_the_given_total_counts_unless_it_is_less_than_its_parts(given: int | None, total: int) -> None:
    assert total_of(reported(prompt_tokens=10, completion_tokens=5, total_tokens=given)) == total


@pytest.mark.parametrize("tokens", [-1, 1.5, "7", None, True, MAX_TOKENS + 1])
def test_u4_a_call_with_tokens_that_are_none_is_skipped_with_a_warning(tokens: object) -> None:
    calls = [{"call_id": "a"}, {"call_id": "b", "prompt_tokens": tokens}, {"call_id": "c", "prompt_tokens": 3}]
    read, warnings = readable(calls)
    assert [call.call_id for call in read] == ["a", "c"]
    assert [(warning.code, warning.path) for warning in warnings] == [("call_skipped", "usage.calls[1]")]


@pytest.mark.parametrize("tokens", [b"-1", b"1.5", b'"7"'])
def test_u4_a_report_over_http_with_such_tokens_is_not_valid(tokens: bytes) -> None:
    body = b'{"calls": [{"call_id": "a", "prompt_tokens": %b}]}' % tokens
    with pytest.raises(msgspec.ValidationError, match=r"calls\[0\].prompt_tokens|\$\.calls"):
        msgspec.json.decode(body, type=ReportedUsage)


# U5


@pytest.mark.parametrize(
    ("usd", "cost"),
    [("0.0000005", 0), ("0.0000015", 2), ("0.0000025", 2), ("0.00000250000000000000000000001", 3), ("0.012345", 12345)],
)
def test_u5_a_cost_is_exact_and_rounded_half_to_even(usd: str, cost: int) -> None:
    assert micros(Decimal(usd)) == cost
    call = msgspec.json.decode(b'{"call_id": "a", "cost_usd": %b}' % usd.encode(), type=ReportedCall)
    assert entered(call, None, 1, NO_PRICES, NOW).cost_micros == cost


@pytest.mark.parametrize("usd", ["-0.01", "NaN", "Infinity", "1000001", "1e-31", "1e-999999"])
def test_u5_a_cost_that_is_none_is_refused(usd: str) -> None:
    assert readable([{"call_id": "a", "cost_usd": usd}])[0] == []


def test_u5_costs_are_rounded_call_by_call_and_then_summed() -> None:
    half = [ledger(cost_usd=Decimal("0.0000005")) for _ in range(4)]
    assert summed(bill(None), half, new_id(), "default", NOW).cost_micros == 0


@given(st.decimals(min_value=0, max_value=1000, places=9), st.integers(0, 10**9))
def test_u5_no_computed_cost_is_off_by_more_than_half_a_micro(price: Decimal, tokens: int) -> None:
    table = PriceTable([priced("m", prompt=str(price))])
    call = ledger(table, prompt_tokens=tokens)
    assert call.cost_micros is not None
    assert abs(call.cost_micros - Fraction(price) * tokens) <= Fraction(1, 2)


def test_u5_the_provider_is_believed_before_the_price_table_and_nobody_else_is() -> None:
    table = PriceTable([priced("m")])
    told, computed = ledger(table, cost_usd=Decimal(1)), ledger(table, prompt_tokens=3, completion_tokens=2)
    unknown = ledger(NO_PRICES, prompt_tokens=3)
    assert (told.cost_micros, told.cost_source) == (1_000_000, "provider")
    assert (computed.cost_micros, computed.cost_source) == (7, "computed")
    assert (unknown.cost_micros, unknown.cost_source) == (None, "unknown")
    free = ledger(table, cost_usd=Decimal(0), prompt_tokens=3)
    assert (free.cost_micros, free.cost_source) == (0, "provider")


def test_u5_an_unknown_cost_is_not_zero() -> None:
    row = summed(bill(None), [ledger(prompt_tokens=3)], new_id(), "default", NOW)
    assert (row.cost_micros, row.cost_complete) == (None, False)


def test_u5_image_calls_have_token_names_of_their_own() -> None:
    image = ledger(call_kind="image_generation", input_tokens=50, output_tokens=4000)
    assert (image.prompt_tokens, image.completion_tokens, image.total_tokens) == (50, 4000, 4050)
    chat = ledger(input_tokens=50, prompt_tokens=3)
    assert chat.prompt_tokens == 3


def test_tokens_from_a_cache_and_into_it_have_prices_of_their_own() -> None:
    price = Price(
        since=date(2026, 1, 1),
        prompt=Decimal(10),
        completion=Decimal(100),
        cached=Decimal(1),
        cache_write=Decimal("12.5"),
    )
    assert price.micros(100, 3, 50, 20) == 30 * 10 + 50 * 1 + 250 + 300
    # Some providers leave tokens of the cache out of the prompt.
    assert price.micros(0, 0, 50, 0) == 50


def test_the_price_of_the_day_holds() -> None:
    first, second = (
        Price(since=since, prompt=Decimal(prompt), completion=Decimal(0))
        for since, prompt in ((date(2026, 1, 1), 5), (date(2026, 4, 1), 3))
    )
    table = PriceTable([PricedModel(names=["m"], prices=[second, first])])
    costs = [
        ledger(table, datetime(*day, tzinfo=UTC), prompt_tokens=1).cost_micros
        for day in ((2025, 12, 31), (2026, 1, 1), (2026, 3, 31), (2026, 4, 1), (2030, 1, 1))
    ]
    assert costs == [None, 5, 5, 3, 3]


# U6


def test_u6_a_name_is_matched_exactly_before_its_end() -> None:
    routed, bare = priced("azure/gpt", prompt="5"), priced("gpt", prompt="1")
    table = PriceTable([routed, bare])
    assert (table.find("azure/gpt"), table.find("gpt")) == (routed, bare)
    assert PriceTable([routed]).find("gpt") is routed
    assert PriceTable([bare]).find("somewhere/else/gpt") is bare
    assert PriceTable([bare]).find("gp") is None


def test_u6_an_end_that_could_mean_two_models_means_none() -> None:
    assert PriceTable([priced("azure/gpt"), priced("openai/gpt", prompt="2")]).find("gpt") is None


def test_an_operators_own_prices_win() -> None:
    own = priced("gpt", prompt="9")
    table = PriceTable([priced("gpt"), priced("other")], [own])
    assert table.find("gpt") is own
    assert table.find("x/gpt") is own
    assert table.find("other") is not None


def test_u6_a_call_takes_its_descriptions_from_the_table_but_says_itself_what_it_knows() -> None:
    table = PriceTable([priced("azure/gpt", provider="azure", display_name="GPT", model_ref="ref")])
    call = ledger(table, model="gpt", provider="mine")
    assert (call.model, call.provider, call.display_name, call.model_ref) == ("gpt", "mine", "GPT", "ref")


# U7, X10


@pytest.mark.parametrize(
    ("reason", "completion", "cap", "found"),
    [
        ("length", 1, None, "length"),
        ("length", 1, 100, "length"),
        (None, 100, 100, "length"),
        (None, 101, 100, "length"),
        (None, 99, 100, None),
        (None, 100, None, None),
        (None, 0, 0, None),
        ("stop", 100, 100, "stop"),
        ("tool_calls", 500, 100, "tool_calls"),
    ],
)
def test_u7_x10_what_was_cut(reason: str | None, completion: int, cap: int | None, found: str | None) -> None:
    call = reported(finish_reason=reason, completion_tokens=completion)
    assert finish_reason_of(call, cap) == found
    line = ledger(finish_reason=reason, completion_tokens=completion, max_output_tokens=cap)
    row = summed(bill(None), [ledger(finish_reason="stop"), line], new_id(), "default", NOW)
    assert row.truncated == (found == "length")


def test_u7_a_cap_of_the_price_table_holds_where_the_call_has_none() -> None:
    table = PriceTable([priced("m", max_output_tokens=100)])
    assert ledger(table, completion_tokens=100).finish_reason == "length"
    assert ledger(table, completion_tokens=100, max_output_tokens=200).finish_reason is None


# U8


def test_u8_totals_without_calls_become_one_entry() -> None:
    body = b'{"prompt_tokens": 100, "completion_tokens": 50, "cost_usd": 0.012345}'
    (call,) = msgspec.json.decode(body, type=ReportedUsage).all_calls
    line = entered(call, None, 1, NO_PRICES, NOW)
    assert (line.call_id, line.model, line.total_tokens, line.cost_micros) == ("total", "unknown", 150, 12345)


def test_u8_a_bill_without_a_payer_is_kept() -> None:
    nobody = bill(None, user_id=None, metadata={"conversation_owner": "ann"})
    row = summed(nobody, [model_call(None, NOW)], new_id(), "default", NOW)
    assert (row.user_id, row.metadata) == (None, {"conversation_owner": "ann"})


# U9


async def test_u9_nested_work_is_gathered_apart_and_the_outer_goes_on_afterwards() -> None:
    assert not note_call(reported(call_id="before"))
    with accumulating() as outer:
        note_call(reported(call_id="turn"))
        with contextlib.suppress(ZeroDivisionError), accumulating() as inner:
            note_call(reported(call_id="title"))
            _ = 1 / 0
        assert note_call(reported(call_id="turn again"))
    assert [call.call_id for call in outer.calls] == ["turn", "turn again"]
    assert [call.call_id for call in inner.calls] == ["title"]
    assert not note_call(reported(call_id="after"))


async def test_u9_tasks_gather_apart() -> None:
    async def work(name: str) -> list[str]:
        with accumulating() as gathered:
            await asyncio.sleep(0)
            note_call(reported(call_id=name))
            await asyncio.sleep(0)
        return [call.call_id for call in gathered.calls]

    assert await asyncio.gather(work("a"), work("b")) == [["a"], ["b"]]


# Who sees the cost; days and keys


def test_the_cost_is_shown_only_to_those_who_may_see_it() -> None:
    row = summed(bill(None), [model_call(None, NOW)], new_id(), "default", NOW)
    shown = msgspec.to_builtins(UsageSummary.of(row, with_cost=True))
    hidden = msgspec.to_builtins(UsageSummary.of(row, with_cost=False))
    assert {name for name in shown if name not in hidden} == {"cost_micros", "cost_complete"}
    assert hidden["total_tokens"] == 15


def test_days_are_bounded() -> None:
    bounded = UsageFilter().bounded(NOW)
    assert (bounded.first_day, bounded.last_day) == (date(2026, 3, 2), date(2026, 3, 31))
    year = UsageFilter(first_day=date(2025, 3, 31))
    assert year.bounded(NOW).last_day == date(2026, 3, 31)
    for wrong in (UsageFilter(first_day=date(2025, 3, 30)), UsageFilter(first_day=date(2026, 4, 1))):
        with pytest.raises(InvalidError) as caught:
            wrong.bounded(NOW)
        assert caught.value.field == "from"
    assert UsageFilter(last_day=date(1, 1, 2)).bounded(NOW).first_day == date.min


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "20260101T00", "2026-1-1"])
def test_what_is_no_day_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        day_of(text, "to")
    assert caught.value.field == "to"


@pytest.mark.parametrize("words", [[], [""], ["user,shoe"], ["user", "model", "day", "service"]])
def test_what_cannot_be_summed_up_by_is_refused_by_name(words: list[str]) -> None:
    with pytest.raises(InvalidError) as caught:
        group_keys(words)
    assert caught.value.field == "group_by"
    assert group_keys(["user, model", "user"]) == ["user", "model"]
