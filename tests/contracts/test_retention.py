"""Removal by age on both databases: by setting, by workspace, by conversation; nothing else goes, and nothing is left."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import func, select
from sqlalchemy.dialects import sqlite
from tests.contracts.test_transactions import message, new_conversation, post
from tests.support.clocks import SettableClock
from tests.support.databases import Store, open_store
from tests.support.lifecycle import expiry_of, run_out

from workbench.adapters.sql.lifecycle_tables import audit, conversation_retention
from workbench.adapters.sql.retention import _AGED
from workbench.adapters.sql.tables import dead_letters, file_versions, jobs, message_debug
from workbench.domain.audit.model import Actor
from workbench.domain.contents.model import SWEEP_JOB, Content
from workbench.domain.delivery.model import DeadLetter
from workbench.domain.errors import InvalidError
from workbench.domain.files.model import FileAtVersion, FileLimits, StoredFile, StoredVersion
from workbench.domain.ids import new_id
from workbench.domain.lifecycle.model import Expired, RetentionPolicy, RetentionReport, Terms, WorkspaceRules
from workbench.domain.lifecycle.retention import RetentionService
from workbench.domain.messages.model import MessageQuery, StoredMessage

OPERATOR = Actor(kind="operator", id="root")
MONTH = RetentionPolicy(defaults=Terms(messages_days=30, files_days=30, events_days=7), audit_days=365, least_days=1)


def moved(store: Store, **span: float) -> None:
    clock = store.clock
    assert isinstance(clock, SettableClock)
    clock.move(**span)


async def say(store: Store, conversation_id: UUID, *contents: str, workspace: str = "default") -> None:
    for content in contents:
        said = msgspec.structs.replace(message(store, content), has_debug_data=True)
        async with store.transactions.write(workspace) as tx:
            tx.messages.add(StoredMessage(conversation_id=conversation_id, message=said, debug_data={"why": content}))


async def kept(store: Store, conversation_id: UUID, workspace: str = "default") -> list[str]:
    async with store.transactions.read(workspace) as tx:
        return [each.content for each in await tx.messages.page(conversation_id, MessageQuery(limit=500))]


async def count(store: Store, table: Any) -> int:
    return (await store.database.rows(select(func.count()).select_from(table)))[0][0]


async def set_aside(store: Store, conversation_id: UUID) -> None:
    letter = DeadLetter(
        id=new_id(),
        assistant_id=uuid4(),
        conversation_id=conversation_id,
        position=1,
        event_id="e" * 32,
        event_type="message.created",
        envelope="{}",
        reason="refused",
        failed_datetime=store.clock.now(),
    )
    async with store.transactions.write("default") as tx:
        tx.deliveries.set_aside(letter)


async def upload(store: Store, conversation_id: UUID, name: str, size: int) -> StoredFile:
    """Store a further version of the file, or its first."""
    now = store.clock.now()
    content = Content(hash=uuid4().hex * 2, storage_key=str(uuid4()), size=size)
    async with store.transactions.read("default") as tx:
        found = await tx.files.named(conversation_id, [name])
    file = StoredFile(
        id=new_id(), conversation_id=conversation_id, filename=name, current_version=1, created_datetime=now
    )
    file = found[0].file if found else file
    version = StoredVersion(
        file_id=file.id,
        version=file.current_version + bool(found),
        participant_id="ann",
        participant_role="user",
        created_datetime=now,
        metadata={},
        content_type="text/plain",
        file_size=size,
        content_hash=content.hash,
        storage_filename="f" * 64,
    )
    async with store.transactions.write("default") as tx:
        tx.contents.add(content)
        tx.files.take_room(conversation_id, size, FileLimits())
        (tx.files.add_version if found else tx.files.add)(file, version)
    return file


async def test_old_messages_go_with_their_debug_data_and_letters_and_young_ones_stay(store: Store) -> None:
    old, young = await new_conversation(store), await new_conversation(store)
    await say(store, old, "one", "two")
    await set_aside(store, old)
    moved(store, days=20)
    await say(store, old, "three")
    await say(store, young, "four")
    await set_aside(store, young)
    moved(store, days=10)
    expiry = expiry_of(store, MONTH)
    assert (await run_out(expiry)).workspaces["default"].messages == 0  # to the microsecond as old as allowed
    moved(store, seconds=1)
    forecast = await expiry.forecast()
    report = await run_out(expiry)
    assert report.workspaces["default"] == Expired(messages=2, dead_letters=1)
    assert forecast.workspaces["default"] == report.workspaces["default"]
    assert forecast.dry_run
    assert (await kept(store, old), await kept(store, young)) == (["three"], ["four"])
    assert (await count(store, message_debug), await count(store, dead_letters)) == (2, 1)
    assert await run_out(expiry) == RetentionReport(dry_run=False)


async def test_what_is_removed_goes_in_bounded_steps(store: Store) -> None:
    conversations_ = [await new_conversation(store) for _ in range(3)]
    for each in conversations_:
        await say(store, each, *map(str, range(7)))
    moved(store, days=31)
    aged = expiry_of(store, MONTH)
    removed = [await aged._aged.remove("default", conversations_[0], store.clock.now(), 3) for _ in range(4)]
    assert removed == [3, 3, 1, 0]
    steps = [step.expired.messages async for step in aged.run() if step.expired.messages]
    assert steps == [7, 7]


async def test_young_messages_between_old_ones_stay(store: Store) -> None:
    conversation = await new_conversation(store)
    await say(store, conversation, "old")
    moved(store, days=25)
    await say(store, conversation, "young")
    moved(store, days=-25)
    await say(store, conversation, "old too")
    moved(store, days=31)
    assert (await run_out(expiry_of(store, MONTH))).workspaces["default"].messages == 2
    assert await kept(store, conversation) == ["young"]


async def test_a_workspace_has_rules_of_its_own_and_another_is_left_alone(store: Store) -> None:
    rules = RetentionService(store.transactions, MONTH)
    here, there = await new_conversation(store), await new_conversation(store, "elsewhere")
    await say(store, here, "here")
    await say(store, there, "there", workspace="elsewhere")
    forever = WorkspaceRules(messages_days=None)
    shown = await rules.set_workspace("elsewhere", forever, frozenset(), OPERATOR)
    assert (shown.effective.messages_days, shown.effective.events_days) == (None, 7)
    moved(store, days=31)
    assert set((await run_out(expiry_of(store, MONTH))).workspaces) == {"default", "elsewhere"}
    assert (await kept(store, here), await kept(store, there, "elsewhere")) == ([], ["there"])
    back = await rules.set_workspace("elsewhere", WorkspaceRules(), frozenset({"messages_days"}), OPERATOR)
    assert (back.own, back.effective) == (WorkspaceRules(), MONTH.defaults)
    assert (await run_out(expiry_of(store, MONTH), only="default")).workspaces == {}
    assert (await run_out(expiry_of(store, MONTH), only="elsewhere")).workspaces["elsewhere"].messages == 1


async def test_a_conversation_keeps_things_shorter_but_never_longer(store: Store) -> None:
    short, long, plain = [await new_conversation(store) for _ in range(3)]
    async with store.transactions.write("default") as tx:
        tx.retention.set_conversation(short, Terms(messages_days=2, events_days=1))
        tx.retention.set_conversation(long, Terms(messages_days=1000, events_days=1000))
    for each in (short, long, plain):
        await say(store, each, "said")
    moved(store, days=3)
    forecast = await expiry_of(store, MONTH).forecast()
    report = await run_out(expiry_of(store, MONTH))
    assert report.workspaces["default"] == forecast.workspaces["default"] == Expired(messages=1, events=1)
    assert [await kept(store, each) for each in (short, long, plain)] == [[], ["said"], ["said"]]
    moved(store, days=28)
    await run_out(expiry_of(store, MONTH))
    assert [await kept(store, each) for each in (short, long, plain)] == [[], [], []]
    async with store.transactions.write("default") as tx:
        tx.conversations.remove(short)
    assert await count(store, conversation_retention) == 2  # the rules of a conversation go with it


async def test_events_never_outlive_the_messages_that_they_repeat(store: Store) -> None:
    conversation = await new_conversation(store)
    await post(store, conversation, message(store, "said"))
    moved(store, days=3)
    policy = RetentionPolicy(defaults=Terms(messages_days=2, events_days=7))
    assert (await run_out(expiry_of(store, policy))).workspaces["default"] == Expired(messages=1, events=2)


async def test_readers_are_told_of_the_gap_that_a_conversation_of_shorter_memory_leaves(store: Store) -> None:
    short, plain = await new_conversation(store), await new_conversation(store)
    await store.seat_user(plain, "bea")
    for each in (short, plain, short):
        await post(store, each, message(store))
    async with store.transactions.write("default") as tx:
        tx.retention.set_conversation(short, Terms(events_days=1))
    moved(store, days=2)
    await post(store, short, message(store, "young"))
    assert (await run_out(expiry_of(store, MONTH))).workspaces["default"].events == 3
    async with store.transactions.read("default") as tx:
        assert [e.feed_position for e in await tx.events.of_workspace(0, 10)] == [2, 4, 6]
        assert (await tx.events.floor_of_user("ann"), await tx.events.floor_of_user("bea")) == (5, 0)
        assert await tx.events.floor() == 0
        assert [e.position for e in await tx.events.of_conversation(short, 0, 10)] == [4]


async def test_old_versions_of_files_go_and_give_their_room_back(store: Store) -> None:
    conversation = await new_conversation(store)
    await upload(store, conversation, "old", 5)
    await upload(store, conversation, "both", 7)
    moved(store, days=20)
    await upload(store, conversation, "both", 11)
    moved(store, days=11)
    forecast = await expiry_of(store, MONTH).forecast()
    report = await run_out(expiry_of(store, MONTH))
    assert report.workspaces["default"].files == forecast.workspaces["default"].files == 2
    async with store.transactions.read("default") as tx:
        assert [each.file.filename for each in await tx.files.listed(conversation, "")] == ["both"]
        left: Sequence[FileAtVersion] = await tx.files.versions(conversation, "both", None)
        assert [(each.version.version, each.file.current_version) for each in left] == [(2, 2)]
        room = await tx.files.room_used(conversation)
    assert (room.conversation_bytes, room.workspace_bytes) == (11, 11)
    assert (await store.database.rows(select(jobs.c.kind)))[0][0] == SWEEP_JOB
    moved(store, days=30)
    assert (await run_out(expiry_of(store, MONTH))).workspaces["default"].files == 1
    assert await count(store, file_versions) == 0


async def test_files_follow_a_conversation_s_own_terms(store: Store) -> None:
    short, plain = await new_conversation(store), await new_conversation(store)
    async with store.transactions.write("default") as tx:
        tx.retention.set_conversation(short, Terms(files_days=1))
    for each in (short, plain):
        await upload(store, each, "a", 3)
    moved(store, days=2)
    forecast = await expiry_of(store, MONTH).forecast()
    assert forecast.workspaces["default"].files == 1
    assert (await run_out(expiry_of(store, MONTH))).workspaces["default"].files == 1
    async with store.transactions.read("default") as tx:
        assert [len(await tx.files.listed(each, "")) for each in (short, plain)] == [0, 1]


async def test_the_audit_record_has_an_age_of_its_own(store: Store) -> None:
    expiry = expiry_of(store, MONTH)
    await new_conversation(store)
    rules = RetentionService(store.transactions, MONTH)
    await rules.set_workspace("default", WorkspaceRules(files_days=9), frozenset(), OPERATOR)
    moved(store, days=300)
    await rules.set_workspace("default", WorkspaceRules(files_days=8), frozenset(), OPERATOR)
    moved(store, days=66)
    assert (await expiry.forecast()).audit_entries == 1
    assert (await run_out(expiry, only="default")).audit_entries == 0
    assert (await run_out(expiry)).audit_entries == 1
    assert await count(store, audit) == 1


async def test_conversations_of_their_own_terms_are_read_page_by_page(store: Store) -> None:
    made = [await new_conversation(store) for _ in range(5)]
    async with store.transactions.write("default") as tx:
        for each in made:
            tx.retention.set_conversation(each, Terms(messages_days=1, files_days=2, events_days=3))
        found, after = [], None
    async with store.transactions.read("default") as tx:
        while page := await tx.retention.own_terms(after, 2):
            assert len(page) <= 2
            found += page
            after = page[-1].conversation_id
    assert {each.conversation_id for each in found} == set(made)
    assert len(found) == 5
    assert all(each.terms == Terms(messages_days=1, files_days=2, events_days=3) for each in found)


@pytest.mark.parametrize("field", ["messages_days", "events_days"])
async def test_nothing_goes_before_it_can_be_delivered(store: Store, field: str) -> None:
    rules = RetentionService(store.transactions, MONTH)
    with pytest.raises(InvalidError) as refused:
        await rules.set_workspace("default", WorkspaceRules(**{field: 0.5}), frozenset(), OPERATOR)
    assert refused.value.field == field
    assert await count(store, audit) == 0


async def test_what_is_due_is_found_without_a_look_at_messages_that_stay(sqlite_url: str) -> None:
    """One step down the index for each conversation, however long it is. (PostgreSQL's plan depends on how much is there.)"""
    compiled = _AGED.compile(dialect=sqlite.dialect())
    async with open_store(sqlite_url) as store:
        plan = await store.database.transact(
            lambda connection: connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {compiled}", (1,) * len(compiled.positiontup or ())
            ).all()
        )
    steps = [row[3] for row in plan]
    assert any("SEARCH messages USING PRIMARY KEY (conversation_id=?)" in step for step in steps), steps
    assert not any(step.startswith("SCAN messages") for step in steps)
