"""Who may write is looked at by the commit itself: what another replica changed meanwhile counts, on both databases."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from uuid import UUID, uuid4

import msgspec
import pytest
from tests.contracts.test_transactions import new_conversation
from tests.support.databases import Store, open_store

from workbench.adapters.sql.writes import Writer
from workbench.domain.errors import ConflictError, NotFoundError, StaleError
from workbench.domain.identity.model import Principal
from workbench.domain.messages.model import Message, MessageQuery, NewMessage, Titling
from workbench.domain.messages.service import MessageService
from workbench.domain.participants.model import Participant, ParticipantChange
from workbench.domain.participants.ports import ParticipantTx
from workbench.domain.sizes import SizeLimits

ANN = Principal(role="user", id="ann", name="Ann", workspace_id="default")
CAY = Principal(role="user", id="cay", name="Cay", workspace_id="default")

Deprive = Callable[[Store, UUID], Awaitable[None]]


@pytest.fixture
async def other(database_url: str, store: Store) -> AsyncGenerator[Store]:
    """Another replica, which knows nothing of what the first keeps in mind."""
    async with open_store(database_url, store.clock) as opened:
        yield opened


def service(store: Store) -> MessageService:
    return MessageService(store.transactions, store.clock, SizeLimits(), Titling())


async def where_cay_wrote(store: Store) -> UUID:
    """A conversation of Ann's in which Cay has a seat, and has said one thing."""
    conversation = await new_conversation(store)
    await store.seat_user(conversation, "cay")
    await service(store).post(CAY, conversation, NewMessage(content="one"))
    return conversation


async def seat_of_cay(tx: ParticipantTx, conversation: UUID) -> Participant:
    return next(each for each in await tx.participants.all_of(conversation) if each.id == "cay")


async def change(store: Store, conversation: UUID, **changes: object) -> None:
    async with store.transactions.write("default") as tx:
        seat = await seat_of_cay(tx, conversation)
        tx.participants.change(msgspec.structs.replace(seat, **changes))


async def leave(store: Store, conversation: UUID) -> None:
    async with store.transactions.write("default") as tx:
        seat = await seat_of_cay(tx, conversation)
        tx.participants.change(seat.changed(ParticipantChange(active_participant=False), store.clock.now()))


async def may_only_read(store: Store, conversation: UUID) -> None:
    await change(store, conversation, conversation_permission="read")


async def is_put_out(store: Store, conversation: UUID) -> None:
    async with store.transactions.write("default") as tx:
        seat = await seat_of_cay(tx, conversation)
        tx.participants.remove(seat)


async def is_gone(store: Store, conversation: UUID) -> None:
    async with store.transactions.write("default") as tx:
        tx.conversations.remove(conversation)


async def said(store: Store, conversation: UUID) -> list[str]:
    async with store.transactions.read("default") as tx:
        return [message.content for message in await tx.messages.page(conversation, MessageQuery())]


@pytest.mark.parametrize("deprive", [leave, may_only_read, is_put_out, is_gone])
async def test_who_wrote_before_and_may_not_any_more_is_refused(store: Store, other: Store, deprive: Deprive) -> None:
    conversation = await where_cay_wrote(store)
    await deprive(other, conversation)
    with pytest.raises(NotFoundError):
        await service(store).post(CAY, conversation, NewMessage(content="two"))
    assert "two" not in await said(store, conversation)


async def test_who_comes_back_may_write_again(store: Store, other: Store) -> None:
    conversation = await where_cay_wrote(store)
    await leave(other, conversation)
    with pytest.raises(NotFoundError):
        await service(store).post(CAY, conversation, NewMessage(content="two"))
    await change(other, conversation, active_participant=True)
    await service(store).post(CAY, conversation, NewMessage(content="three"))
    assert await said(store, conversation) == ["one", "three"]


async def test_of_many_that_share_a_commit_only_who_may_not_is_refused(store: Store, other: Store) -> None:
    conversation = await new_conversation(store)
    await store.seat_user(conversation, "cay")
    for principal in (ANN, CAY):
        await service(store).post(principal, conversation, NewMessage(content="before"))
    await leave(other, conversation)
    posts = [
        service(store).post(principal, conversation, NewMessage(content=f"{principal.id} {number}"))
        for number in range(5)
        for principal in (ANN, CAY)
    ]
    outcomes = await asyncio.gather(*posts, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Message, NotFoundError] * 5
    assert sorted(await said(store, conversation))[:5] == [f"ann {number}" for number in range(5)]
    assert not any(content.startswith("cay") for content in await said(store, conversation))


async def test_who_was_put_out_learns_nothing_of_an_id(store: Store, other: Store) -> None:
    conversation = await new_conversation(store)
    await store.seat_user(conversation, "cay")
    first = await service(store).post(CAY, conversation, NewMessage(content="one", id=uuid4()))
    with pytest.raises(ConflictError):
        await service(store).post(CAY, conversation, NewMessage(content="another", id=first.id))
    assert await service(store).post(CAY, conversation, NewMessage(content="one", id=first.id)) == first
    await is_put_out(other, conversation)
    for content in ("one", "another"):
        with pytest.raises(NotFoundError):
            await service(store).post(CAY, conversation, NewMessage(content=content, id=first.id))


async def test_a_seat_in_another_workspace_lets_nobody_write(store: Store) -> None:
    conversation = await where_cay_wrote(store)
    with pytest.raises(NotFoundError):
        await service(store).post(
            msgspec.structs.replace(CAY, workspace_id="elsewhere"), conversation, NewMessage(content="two")
        )


async def test_what_else_a_block_stores_waits_for_the_writer_too(store: Store) -> None:
    conversation = await new_conversation(store)

    async def let_in() -> None:
        async with store.transactions.write("default") as tx:
            tx.participants.add(Participant.of_user(conversation, "dee", "Dee", None, store.clock.now()))
            tx.writes.require_writer(Writer(conversation, "user", "cay"))

    with pytest.raises(StaleError):
        await let_in()
    async with store.transactions.read("default") as tx:
        assert [each.id for each in await tx.participants.all_of(conversation)] == ["ann"]


async def test_who_is_believed_is_not_looked_up_once_more(store: Store) -> None:
    conversation = await new_conversation(store)
    await service(store).post(ANN, conversation, NewMessage(content="one"))
    before = store.database.written.reads
    await service(store).post(ANN, conversation, NewMessage(content="two"))
    assert store.database.written.reads == before


async def test_a_shared_commit_takes_as_many_statements_for_many_conversations_as_for_few(store: Store) -> None:
    async def statements(count: int) -> int:
        conversations = [await new_conversation(store) for _ in range(count)]
        for conversation in conversations:
            await service(store).post(ANN, conversation, NewMessage(content="before"))
        before = store.database.written.statements
        # The first is under way when the others come, which share the next commit.
        await asyncio.gather(*(service(store).post(ANN, each, NewMessage(content="now")) for each in conversations))
        return store.database.written.statements - before

    assert await statements(12) == await statements(3)
