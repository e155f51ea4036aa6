"""The ledger on both databases: what is settled once, what is upgraded, and sums that equal their rows (section 7, W13)."""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any, cast
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import select
from tests.contracts.test_transactions import message, new_conversation
from tests.support.clocks import SettableClock
from tests.support.databases import Store
from tests.support.usage import bill, model_call, settled

from workbench.adapters.sql.usage_tables import token_usage, token_usage_models
from workbench.domain.errors import StaleError
from workbench.domain.ids import new_id
from workbench.domain.messages.model import StoredMessage
from workbench.domain.paging import Cursor
from workbench.domain.usage.bookkeeping import Bookkeeping, settle
from workbench.domain.usage.model import ModelCall, Settled, UsageRow
from workbench.domain.usage.prices import PriceTable
from workbench.domain.usage.totals import GroupKey, GroupTotals, Totals, UsageFilter


async def rows(store: Store, **wanted: Any) -> list[UsageRow]:
    async with store.transactions.read("default") as tx:
        return list(await tx.usage.rows(UsageFilter(**wanted), None, 1000))


async def ledger(store: Store, turn_pk: UUID) -> list[ModelCall]:
    async with store.transactions.read("default") as tx:
        return list(await tx.usage.calls_of_turn(turn_pk))


async def record(store: Store, *calls: ModelCall) -> None:
    async with store.transactions.write("default") as tx:
        tx.usage.record_calls(calls)


async def models_in_sql(store: Store) -> list[tuple[str, int]]:
    statement = select(token_usage_models.c.model, token_usage_models.c.total_tokens).order_by(
        token_usage_models.c.model
    )
    return [(row[0], row[1]) for row in await store.database.rows(statement)]


async def test_a_call_is_written_down_once(store: Store) -> None:
    turn, now = new_id(), store.clock.now()
    await record(store, model_call(turn, now))
    await record(store, model_call(turn, now, total_tokens=999), model_call(turn, now, call_id="c2"))
    assert [(call.call_id, call.total_tokens, call.late) for call in await ledger(store, turn)] == [
        ("c1", 15, False),
        ("c2", 15, False),
    ]
    assert await ledger(store, new_id()) == []


async def test_a_call_comes_back_as_it_was_written(store: Store) -> None:
    turn = new_id()
    full = model_call(turn, store.clock.now(), model_ref="r", provider="p", latency_ms=12, cost_micros=None)
    await record(store, full)
    assert await ledger(store, turn) == [full]


# U1


async def test_u1_no_calls_make_no_row(store: Store) -> None:
    assert (await settled(store, bill(new_id()))).outcome == "none"
    assert await rows(store) == []


async def test_u1_all_calls_are_summed_those_of_the_block_included(store: Store) -> None:
    turn, now = new_id(), store.clock.now()
    await record(store, model_call(turn, now, epoch=1))
    result = await settled(store, bill(turn), model_call(turn, now, epoch=2, call_id="c2", model="n"))
    (row,) = await rows(store)
    assert (result.outcome, row.total_tokens, row.call_count, row.cost_micros) == ("inserted", 30, 2, 14)
    assert row == result.row
    assert [call.late for call in await ledger(store, turn)] == [False, False]
    assert await models_in_sql(store) == [("m", 15), ("n", 15)]
    details = (await store.database.rows(select(token_usage.c.call_details)))[0][0]
    assert [call["call_id"] for call in details["calls"]] == ["c1", "c2"]


async def test_u1_a_call_that_comes_between_reading_and_storing_makes_the_block_stale(store: Store) -> None:
    turn, now = new_id(), store.clock.now()
    await record(store, model_call(turn, now))

    async def interrupted() -> None:
        async with store.transactions.write("default") as tx:
            await settle(tx, bill(turn), now)
            await record(store, model_call(turn, now, call_id="c2"))

    with pytest.raises(StaleError):
        await interrupted()
    assert await rows(store) == []
    assert cast("UsageRow", (await settled(store, bill(turn))).row).call_count == 2


# U2, U3


async def test_u2_the_first_authoritative_bill_holds_and_the_other_is_told(store: Store) -> None:
    turn, now = new_id(), store.clock.now()
    first = await settled(store, bill(turn), model_call(turn, now))
    again = await settled(store, bill(turn), model_call(turn, now, call_id="c2", cost_micros=900))
    assert (first.outcome, again.outcome) == ("inserted", "kept_existing")
    assert again.row == first.row
    assert again.refused is not None
    assert again.refused.cost_micros == 907
    assert await rows(store) == [first.row]


async def test_u2_a_provisional_bill_is_upgraded_once_with_its_models(store: Store) -> None:
    turn, now = new_id(), store.clock.now()
    reaped = await settled(store, bill(turn, source="recovery", provisional=True), model_call(turn, now))
    cast("SettableClock", store.clock).move(days=1)
    healed = await settled(store, bill(turn), model_call(turn, now, call_id="c2", model="n", total_tokens=20))
    once_more = await settled(store, bill(turn), model_call(turn, now, call_id="c3"))
    assert [each.outcome for each in (reaped, healed, once_more)] == ["inserted", "upgraded", "kept_existing"]
    (row,) = await rows(store)
    assert (row.source, row.provisional, row.total_tokens, row.call_count) == ("server", False, 35, 2)
    assert reaped.row is not None
    assert (row.id, row.created_datetime, row.usage_day) == (
        reaped.row.id,
        reaped.row.created_datetime,
        reaped.row.usage_day,
    )
    assert await models_in_sql(store) == [("m", 15), ("n", 20)]


@pytest.mark.parametrize("there_is_provisional", [True, False])
async def test_u2_a_provisional_bill_replaces_nothing(store: Store, there_is_provisional: bool) -> None:
    turn, now = new_id(), store.clock.now()
    first = await settled(store, bill(turn, provisional=there_is_provisional), model_call(turn, now))
    late = await settled(store, bill(turn, source="legacy", provisional=True))
    assert late.outcome == "kept_existing"
    assert await rows(store) == [first.row]


async def test_u2_s14_the_bill_of_a_message_is_that_of_its_turn(store: Store) -> None:
    turn, now = new_id(), store.clock.now()
    conversation_id = await new_conversation(store, "default")
    said = message(store)
    async with store.transactions.write("default") as tx:
        tx.messages.add(StoredMessage(conversation_id=conversation_id, message=said, debug_data={}))
    legacy = bill(None, message_id=said.id, source="legacy", provisional=True)
    async with store.transactions.write("default") as tx:
        posted = await settle(tx, legacy, now, [model_call(None, now, cost_micros=1)])
    upgraded = await settled(store, bill(turn, message_id=said.id), model_call(turn, now, cost_micros=12345))
    async with store.transactions.write("default") as tx:
        later = await settle(tx, legacy, now, [model_call(None, now, cost_micros=99999)])
    assert [each.outcome for each in (posted, upgraded, later)] == ["inserted", "upgraded", "kept_existing"]
    (row,) = await rows(store)
    assert (row.turn_pk, row.message_id, row.cost_micros) == (turn, said.id, 12345)


async def test_u2_a_message_that_has_a_row_of_its_own_does_not_keep_a_turn_from_its_bill(store: Store) -> None:
    turn, other, now = new_id(), new_id(), store.clock.now()
    async with store.transactions.write("default") as tx:
        await settle(tx, bill(None, message_id=other, provisional=True), now, [model_call(None, now)])
    await settled(store, bill(turn, provisional=True), model_call(turn, now))
    assert (await settled(store, bill(turn, message_id=other))).outcome == "upgraded"
    assert sorted(row.provisional for row in await rows(store)) == [False, True]


async def test_u2_of_many_at_once_one_bill_is_stored(store: Store) -> None:
    turn, now = new_id(), store.clock.now()
    bills = [bill(turn, source="recovery", provisional=True), *(bill(turn) for _ in range(5))]
    outcomes = await asyncio.gather(*(settled(store, each, model_call(turn, now)) for each in bills))
    counted = Counter(each.outcome for each in outcomes)
    assert counted["inserted"] == 1
    assert counted["kept_existing"] >= 4
    (row,) = await rows(store)
    assert not row.provisional


async def test_t5_a_call_after_the_bill_is_late_but_not_after_a_provisional_one(store: Store) -> None:
    turn, now = new_id(), store.clock.now()
    await settled(store, bill(turn, provisional=True), model_call(turn, now))
    await record(store, model_call(turn, now, call_id="c2"))
    await settled(store, bill(turn))
    await record(store, model_call(turn, now, call_id="c3"))
    assert [(call.call_id, call.late) for call in await ledger(store, turn)] == [
        ("c1", False),
        ("c2", False),
        ("c3", True),
    ]
    assert (await rows(store))[0].call_count == 2


async def test_a_block_that_fails_leaves_neither_calls_nor_bill(store: Store) -> None:
    turn, now = new_id(), store.clock.now()

    async def failing() -> None:
        async with store.transactions.write("default") as tx:
            tx.usage.record_calls([model_call(turn, now)])
            await settle(tx, bill(turn), now)
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        await failing()
    assert await ledger(store, turn) == []
    assert await rows(store) == []


class CountingMeter:
    """Remembers whose bills were refused."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def usage_refused(self, source: str) -> None:
        self.refused.append(source)


async def test_u2_a_refused_bill_is_logged_with_both_figures_and_counted(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    turn, now = new_id(), store.clock.now()
    meter = CountingMeter()
    books = Bookkeeping(PriceTable(()), meter, store.clock)
    books.tell(await settled(store, bill(turn), model_call(turn, now, cost_micros=12345)))
    books.tell(Settled(outcome="none"))
    assert meter.refused == []
    books.tell(await settled(store, bill(turn, source="external"), model_call(turn, now, call_id="c2")))
    assert meter.refused == ["external"]
    assert "server gave it: 15 tokens, 12345 micro-USD" in caplog.text
    assert "external: 30 tokens, 12352 micro-USD" in caplog.text


# U8


async def test_u8_a_row_without_a_payer_is_stored(store: Store) -> None:
    turn = new_id()
    nobody = bill(turn, user_id=None, metadata={"conversation_owner": "ann"})
    await settled(store, nobody, model_call(turn, store.clock.now()))
    (row,) = await rows(store)
    assert (row.user_id, row.metadata) == (None, {"conversation_owner": "ann"})


# W13


SUMS = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens")
KEYS: dict[GroupKey, Any] = {
    "user": lambda row: row.user_id,
    "conversation": lambda row: row.conversation_id,
    "workspace": lambda row: row.workspace_id,
    "assistant": lambda row: row.assistant_id,
    "service": lambda row: row.assistant_service_id,
    "day": lambda row: row.usage_day,
    "usage_type": lambda row: row.usage_type,
}


def summed_by_hand(found: list[UsageRow]) -> Totals:
    known = [row.cost_micros for row in found if row.cost_micros is not None]
    return Totals(
        **{name: sum(getattr(row, name) for row in found) for name in SUMS},
        cost_micros=sum(known) if known else None,
        cost_complete=all(row.cost_complete for row in found),
        turns=sum(row.turn_pk is not None for row in found),
        calls=sum(row.call_count for row in found),
    )


def only_totals(group: GroupTotals) -> Totals:
    return Totals(**{name: getattr(group, name) for name in Totals.__struct_fields__})


async def many_turns(store: Store) -> tuple[UUID, UUID]:
    """Turns of three payers in two conversations over four days, some with two models, some without a known cost."""
    one, two = await new_conversation(store, "default"), await new_conversation(store, "default")
    clock = cast("SettableClock", store.clock)
    for place in range(24):
        turn, now = new_id(), clock.now()
        costs = (None if place % 5 == 0 else place, place * 3)
        calls = [
            model_call(turn, now, call_id=f"c{nth}", model=model, prompt_tokens=place, cost_micros=cost)
            for nth, (model, cost) in enumerate(zip(("m", "n"), costs, strict=True))
            if nth <= place % 2
        ]
        what = bill(
            turn,
            user_id=("ann", "bea", None)[place % 3],
            conversation_id=(one, two, None)[place % 4 % 3],
            assistant_id=UUID(int=place % 2),
            assistant_service_id=("s.example", None)[place % 2],
            usage_type=("chat", "title")[place % 7 == 0],
        )
        await settled(store, what, *calls)
        clock.move(hours=4)
    return one, two


async def test_w13_totals_equal_the_sum_of_the_rows_by_every_key(store: Store) -> None:
    await many_turns(store)
    everything = await rows(store)
    assert len(everything) == 24
    async with store.transactions.read("default") as tx:
        assert await tx.usage.total(UsageFilter()) == summed_by_hand(everything)
        for key, of_row in KEYS.items():
            groups = await tx.usage.groups(UsageFilter(), [key], None, 100)
            found = {getattr(group, key): only_totals(group) for group in groups}
            expected = {value: [row for row in everything if of_row(row) == value] for value in map(of_row, everything)}
            assert found == {value: summed_by_hand(own) for value, own in expected.items()}, key
        by_model = {group.model: group for group in await tx.usage.groups(UsageFilter(), ["model"], None, 100)}
    for model, group in by_model.items():
        shares = [row.model_breakdown[str(model)] for row in everything if model in row.model_breakdown]
        assert group.total_tokens == sum(share.total_tokens for share in shares)
        assert group.cost_micros == sum(share.cost_micros or 0 for share in shares)
        assert group.calls == sum(share.calls for share in shares)
        assert group.turns == len(shares)
        assert group.cost_complete == all(share.cost_complete for share in shares)
    assert sum(group.total_tokens for group in by_model.values()) == summed_by_hand(everything).total_tokens


async def test_w13_totals_equal_the_sum_of_the_rows_under_every_filter(store: Store) -> None:
    one, _ = await many_turns(store)
    everything = await rows(store)
    days = sorted({row.usage_day for row in everything})
    filters: list[dict[str, Any]] = [
        {"user_id": "ann"},
        {"conversation_id": one},
        {"assistant_id": UUID(int=1)},
        {"usage_type": "title"},
        {"model": "n"},
        {"first_day": days[1], "last_day": days[2]},
        {"user_id": "bea", "model": "m", "first_day": days[1], "usage_type": "chat"},
        {"user_id": "nobody"},
        {"last_day": date(1, 1, 1)},
        {"first_day": date(9999, 12, 31), "last_day": date(9999, 12, 31)},
    ]
    for wanted in filters:
        found = await rows(store, **wanted)
        async with store.transactions.read("default") as tx:
            total = await tx.usage.total(UsageFilter(**wanted))
            groups = await tx.usage.groups(UsageFilter(**wanted), ["day", "user"], None, 100)
        assert total == summed_by_hand(found), wanted
        assert sum(group.total_tokens for group in groups) == total.total_tokens
        assert len(found) < len(everything)
    assert {row.usage_day for row in await rows(store, first_day=days[1], last_day=days[2])} == {days[1], days[2]}


async def test_w13_deleting_a_conversation_keeps_its_usage(store: Store) -> None:
    one, _ = await many_turns(store)
    turn, said = new_id(), message(store)
    async with store.transactions.write("default") as tx:
        tx.messages.add(StoredMessage(conversation_id=one, message=said, debug_data={}))
    await settled(store, bill(turn, conversation_id=one, message_id=said.id), model_call(turn, store.clock.now()))
    async with store.transactions.read("default") as tx:
        before = await tx.usage.total(UsageFilter(conversation_id=one))
        models = await tx.usage.models_of(one)
    assert said.id in {row.message_id for row in await rows(store)}
    async with store.transactions.write("default") as tx:
        tx.conversations.remove(one)
    async with store.transactions.read("default") as tx:
        assert await tx.usage.total(UsageFilter(conversation_id=one)) == before
        assert await tx.usage.models_of(one) == models
    assert {row.message_id for row in await rows(store)} == {None}


async def test_pages_of_rows_and_of_groups_together_are_all_of_them(store: Store) -> None:
    await many_turns(store)
    everything = await rows(store)
    assert everything == sorted(everything, key=lambda row: (row.created_datetime, row.id), reverse=True)
    found: list[UsageRow] = []
    async with store.transactions.read("default") as tx:
        after: Cursor | None = None
        while page := await tx.usage.rows(UsageFilter(), after, 5):
            found += page
            after = Cursor(created_datetime=page[-1].created_datetime, id=page[-1].id)
        keys: list[GroupKey] = ["user", "conversation", "day"]
        whole = await tx.usage.groups(UsageFilter(), keys, None, 1000)
        walked: list[GroupTotals] = []
        place: list[str] | None = None
        while groups := await tx.usage.groups(UsageFilter(), keys, place, 4):
            walked += groups
            place = [str(getattr(groups[-1], key) or "") for key in keys]
    assert found == everything
    assert walked == list(whole)
    assert len(walked) > 8


async def test_a_day_is_one_of_utc(store: Store) -> None:
    clock = cast("SettableClock", store.clock)
    until = datetime(2031, 5, 6, 23, 59, 59, 999_999, tzinfo=UTC) - clock.now()
    clock.move(days=until.days, seconds=until.seconds, microseconds=until.microseconds)
    for _ in range(2):
        turn = new_id()
        await settled(store, bill(turn), model_call(turn, clock.now()))
        clock.move(seconds=1)
    assert [row.usage_day for row in await rows(store)] == [date(2031, 5, 7), date(2031, 5, 6)]
    assert len(await rows(store, last_day=date(2031, 5, 6))) == 1
    assert len(await rows(store, first_day=date(2031, 5, 7))) == 1


async def test_sums_beyond_what_a_float_holds_are_exact(store: Store) -> None:
    turn, now = new_id(), store.clock.now()
    large = 10**12
    calls = [
        model_call(turn, now, call_id=f"c{nth}", total_tokens=large, cost_micros=large, prompt_tokens=large - nth)
        for nth in range(1000)
    ]
    await settled(store, bill(turn), *calls)
    for _ in range(10):
        other = new_id()
        await settled(store, bill(other), *(msgspec.structs.replace(call, turn_pk=other) for call in calls[:999]))
    async with store.transactions.read("default") as tx:
        total = await tx.usage.total(UsageFilter())
    assert total == summed_by_hand(await rows(store))
    assert total.total_tokens > 2**53
