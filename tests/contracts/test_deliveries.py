"""What Deliveries, Recipients and DeliveryQueue promise on both databases: who is to be told of what, and when."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import select
from tests.contracts.test_transactions import message, new_conversation, post
from tests.support.databases import Store

from workbench.adapters.sql.deliveries import SqlDeliveryQueue
from workbench.adapters.sql.repository import Query, columns_of
from workbench.adapters.sql.tables import dead_letters, deliveries
from workbench.domain.assistant_services.model import Heartbeat, Registration, Sign
from workbench.domain.assistants.model import Assistant, StoredAssistant
from workbench.domain.delivery.model import DeadLetter, Delivery
from workbench.domain.delivery.ports import Deliveries
from workbench.domain.ids import new_id

SERVICE = "robots.example"


async def write(store: Store, act: Callable[[Deliveries], None], workspace: str = "default") -> None:
    async with store.transactions.write(workspace) as tx:
        act(tx.deliveries)


async def found(store: Store, assistant: UUID, conversation: UUID) -> Delivery:
    async with store.transactions.read("default") as tx:
        delivery = await tx.deliveries.find(assistant, conversation)
    assert delivery is not None
    return delivery


async def is_gone(store: Store, assistant: UUID, conversation: UUID) -> bool:
    async with store.transactions.read("default") as tx:
        return await tx.deliveries.find(assistant, conversation) is None


async def waiting(store: Store, *conversations: UUID, limit: int = 100) -> list[tuple[UUID, UUID]]:
    """Whose turn it is where, of these conversations or of all."""
    found = await SqlDeliveryQueue(store.database).waiting(conversations or None, limit)
    return [delivery.key for delivery in found]


async def live(store: Store, conversation: UUID, position: int = 1) -> UUID:
    """Connect a new assistant that knows everything up to the position."""
    assistant = new_id()

    def connect(it: Deliveries) -> None:
        it.begin(assistant, conversation, position)

    await write(store, connect)
    await write(store, lambda it: it.connect(assistant, conversation))
    return assistant


async def test_events_are_held_for_an_assistant_until_it_has_joined(store: Store) -> None:
    conversation, assistant = await new_conversation(store), new_id()
    await write(store, lambda it: it.begin(assistant, conversation, 1))
    await post(store, conversation, message(store))
    assert await waiting(store) == []
    assert await found(store, assistant, conversation) == Delivery(
        workspace_id="default",
        assistant_id=assistant,
        conversation_id=conversation,
        state="joining",
        position=1,
        attempts=0,
        retry_at=None,
    )
    await write(store, lambda it: it.connect(assistant, conversation))
    assert await waiting(store) == [(assistant, conversation)]
    (delivery,) = await SqlDeliveryQueue(store.database).waiting(None, 10)
    assert delivery == await found(store, assistant, conversation)
    assert (delivery.state, delivery.position) == ("live", 1)


async def test_nothing_waits_where_nothing_has_happened(store: Store) -> None:
    quiet, busy = await new_conversation(store), await new_conversation(store)
    assistants = [await live(store, conversation) for conversation in (quiet, busy, busy)]
    assert await waiting(store) == []
    await post(store, busy, message(store))
    both = {(assistants[1], busy), (assistants[2], busy)}
    assert set(await waiting(store)) == set(await waiting(store, quiet, busy)) == both
    assert await waiting(store, quiet) == []
    await write(store, lambda it: it.advance(_of(assistants[1], busy), 2))
    assert await waiting(store, busy) == [(assistants[2], busy)]


async def test_the_queue_spans_workspaces(store: Store) -> None:
    conversation, assistant = await new_conversation(store, "elsewhere"), new_id()
    await write(store, lambda it: it.begin(assistant, conversation, 0), "elsewhere")
    await write(store, lambda it: it.connect(assistant, conversation), "elsewhere")
    (delivery,) = await SqlDeliveryQueue(store.database).waiting(None, 10)
    assert (delivery.workspace_id, delivery.key) == ("elsewhere", (assistant, conversation))
    assert await is_gone(store, assistant, conversation)  # seen from here


async def test_what_was_never_tried_comes_before_what_failed_and_the_longest_wait_first(store: Store) -> None:
    conversation = await new_conversation(store)
    first, second, third, fresh = [await live(store, conversation, 0) for _ in range(4)]
    now = store.clock.now()
    for minutes, assistant in ((3, third), (1, first), (2, second)):
        at = now + timedelta(minutes=minutes)
        await write(store, lambda it, who=assistant, at=at: it.fail(_of(who, conversation), at, "no"))
    expected = [fresh, first, second, third]
    assert [key[0] for key in await waiting(store)] == expected
    assert [key[0] for key in await waiting(store, conversation, limit=2)] == expected[:2]
    assert [key[0] for key in await waiting(store, limit=3)] == expected[:3]


async def test_failures_are_counted_until_something_arrives(store: Store) -> None:
    conversation = await new_conversation(store)
    assistant = await live(store, conversation, 0)
    later = store.clock.now() + timedelta(seconds=7)
    for _ in range(3):
        await write(store, lambda it: it.fail(_of(assistant, conversation), later, "x" * 5000))
    delivery = await found(store, assistant, conversation)
    assert (delivery.attempts, delivery.retry_at, delivery.position) == (3, later, 0)
    ((error,),) = await store.database.rows(select(deliveries.c.last_error))
    assert error == "x" * 2000
    await write(store, lambda it: it.advance(delivery, 1))
    delivery = await found(store, assistant, conversation)
    assert (delivery.attempts, delivery.retry_at, delivery.position) == (0, None, 1)


async def test_what_is_held_waits_without_counting_an_attempt(store: Store) -> None:
    conversation = await new_conversation(store)
    assistant = await live(store, conversation)
    later = store.clock.now() + timedelta(minutes=1)
    await write(store, lambda it: it.fail(_of(assistant, conversation), store.clock.now(), "no"))
    await write(store, lambda it: it.hold(_of(assistant, conversation), later, "y" * 5000))
    delivery = await found(store, assistant, conversation)
    assert (delivery.attempts, delivery.retry_at, delivery.state) == (1, later, "live")
    async with store.transactions.read("default") as tx:
        (status,) = await tx.deliveries.statuses(assistant, 10)
    assert status.last_error == "y" * 2000


async def test_a_position_never_goes_back(store: Store) -> None:
    conversation = await new_conversation(store)
    assistant = await live(store, conversation, 0)
    for position, expected in ((5, 5), (3, 5), (5, 5), (6, 6)):
        await write(store, lambda it, to=position: it.advance(_of(assistant, conversation), to))
        assert (await found(store, assistant, conversation)).position == expected


async def test_a_late_word_of_an_earlier_stay_changes_nothing_of_the_next(store: Store) -> None:
    conversation = await new_conversation(store)
    assistant = await live(store, conversation, 2)
    await write(store, lambda it: it.end(assistant, conversation))
    await write(store, lambda it: it.begin(assistant, conversation, 9))
    await write(store, lambda it: it.finish(_of(assistant, conversation)))  # of the farewell before
    await write(store, lambda it: it.advance(_of(assistant, conversation), 4))
    await write(store, lambda it: it.rejoin(_of(assistant, conversation)))
    delivery = await found(store, assistant, conversation)
    assert (delivery.state, delivery.position) == ("joining", 9)


async def test_joining_anew_keeps_the_count_of_failures(store: Store) -> None:
    conversation = await new_conversation(store)
    assistant = await live(store, conversation, 0)

    def fail(it: Deliveries) -> None:
        it.fail(_of(assistant, conversation), store.clock.now(), "Not Found")
        it.rejoin(_of(assistant, conversation))

    await write(store, fail)
    delivery = await found(store, assistant, conversation)
    assert (delivery.state, delivery.attempts) == ("rejoining", 1)
    assert await waiting(store) == [(assistant, conversation)]
    await write(store, lambda it: it.connect(assistant, conversation))
    delivery = await found(store, assistant, conversation)
    assert (delivery.state, delivery.attempts, delivery.retry_at) == ("live", 1, None)


async def test_a_farewell_waits_though_nothing_happens_and_nothing_takes_it_back(store: Store) -> None:
    conversation = await new_conversation(store)
    assistant = await live(store, conversation)
    await write(store, lambda it: it.fail(_of(assistant, conversation), store.clock.now(), "no"))
    await write(store, lambda it: it.end(assistant, conversation))
    await write(store, lambda it: it.connect(assistant, conversation))
    await write(store, lambda it: it.rejoin(_of(assistant, conversation)))
    delivery = await found(store, assistant, conversation)
    assert (delivery.state, delivery.attempts, delivery.retry_at) == ("leaving", 0, None)
    assert await waiting(store) == [(assistant, conversation)]
    await write(store, lambda it: it.finish(delivery))
    assert await is_gone(store, assistant, conversation)
    await write(store, lambda it: it.end(assistant, conversation))  # of somebody who was never in
    assert await waiting(store) == []


async def test_farewells_outlive_their_conversation(store: Store) -> None:
    gone, kept = await new_conversation(store), await new_conversation(store)
    assistants = [await live(store, gone) for _ in range(2)]
    bystander = await live(store, kept)
    async with store.transactions.write("default") as tx:
        tx.deliveries.end_all(gone)
        tx.conversations.remove(gone)
    assert set(await waiting(store)) == set(await waiting(store, gone)) == {(each, gone) for each in assistants}
    assert (await found(store, bystander, kept)).state == "live"


async def test_what_is_cancelled_or_finished_leaves_the_others_alone(store: Store) -> None:
    conversation = await new_conversation(store)
    one, two = [await live(store, conversation, 0) for _ in range(2)]
    await write(store, lambda it: it.finish(_of(one, conversation)))  # not leaving: it stays
    assert set(await waiting(store)) == {(one, conversation), (two, conversation)}
    await write(store, lambda it: it.cancel(one, conversation))
    assert await is_gone(store, one, conversation)
    assert await waiting(store) == [(two, conversation)]


async def test_no_workspace_touches_anothers_deliveries(store: Store) -> None:
    conversation = await new_conversation(store)
    assistant = await live(store, conversation, 0)
    before = await found(store, assistant, conversation)

    def meddle(it: Deliveries) -> None:
        it.advance(before, 1)
        it.fail(before, store.clock.now(), "no")
        it.rejoin(before)
        it.end(assistant, conversation)
        it.end_all(conversation)
        it.finish(before)
        it.cancel(assistant, conversation)

    await write(store, meddle, "elsewhere")
    assert await found(store, assistant, conversation) == before


async def test_a_letter_is_set_aside_whole(store: Store) -> None:
    conversation = await new_conversation(store)
    assistant = await live(store, conversation, 0)
    letter = DeadLetter(
        id=new_id(),
        assistant_id=assistant,
        conversation_id=conversation,
        position=1,
        event_id="5a58" * 8,
        event_type="conversation.created",
        envelope='{"data":"' + "e" * 100_000 + '"}',
        reason="r" * 5000,
        failed_datetime=store.clock.now(),
    )

    def set_aside(it: Deliveries) -> None:
        it.set_aside(letter)
        it.advance(_of(assistant, conversation), 1)

    await write(store, set_aside)
    query = Query(DeadLetter, select(*columns_of(dead_letters, *DeadLetter.__struct_fields__)))
    kept = query.convert(await store.database.rows(query.statement))
    assert kept == [msgspec.structs.replace(letter, reason="r" * 2000)]
    assert await waiting(store) == []


def sign(service_id: str, url: str, moment: datetime) -> Sign:
    """A sign of life."""
    return Sign(assistant_service_id=service_id, url=url, at=moment, expires=moment, with_current_key=True)


async def install(store: Store, service_id: str, url: str = "") -> UUID:
    """Register a service and one assistant of it."""
    now = store.clock.now()
    beat = Heartbeat(name="Robots", description="", url=url, online_expires_in_seconds=60)
    assistant = Assistant(
        id=new_id(),
        name="Robot",
        image=None,
        assistant_service_id=service_id,
        assistant_service_online=True,
        template_id="other",
        metadata={},
        created_datetime=now,
    )
    async with store.transactions.write("default") as tx:
        tx.registrations.add(Registration.self_made(service_id, beat, now))
        if url:
            tx.registrations.heard(sign(service_id, url, now))
    async with store.transactions.write("default") as tx:
        tx.assistants.add(StoredAssistant(assistant=assistant, owner_id="ann"))
    return assistant.id


async def test_a_recipient_is_known_with_all_that_introduces_it(store: Store) -> None:
    conversation = await new_conversation(store)
    known = await install(store, SERVICE, "http://127.0.0.1:9/my/")
    silent = await install(store, "silent.example")
    async with store.transactions.read("default") as tx:
        recipient = await tx.recipients.recipient(known, conversation)
        without = await tx.recipients.recipient(known, new_id())
        assert await tx.recipients.recipient(silent, conversation) is None  # never said where it is
        assert await tx.recipients.recipient(new_id(), conversation) is None
    async with store.transactions.read("elsewhere") as tx:
        assert await tx.recipients.recipient(known, conversation) is None
    assert recipient is not None
    assert (recipient.assistant_name, recipient.template_id, recipient.conversation_title) == (
        "Robot",
        "other",
        "New Conversation",
    )
    assert recipient.address.service.knows_its_key
    assert recipient.address.service.join(recipient.address.assistant_id) == f"http://127.0.0.1:9/my/{known}"
    assert without is not None
    assert without.conversation_title == ""  # a farewell after the conversation is gone


async def test_a_heartbeat_makes_what_waits_for_its_service_due(store: Store) -> None:
    conversation = await new_conversation(store)
    mine, other = await install(store, SERVICE, "http://127.0.0.1:9"), await install(store, "other.example")
    later = store.clock.now() + timedelta(minutes=5)
    for assistant in (mine, other):
        await write(store, lambda it, who=assistant: it.begin(who, conversation, 0))
        await write(store, lambda it, who=assistant: it.connect(who, conversation))
        await write(store, lambda it, who=assistant: it.fail(_of(who, conversation), later, "no"))
    async with store.transactions.write("default") as tx:
        tx.registrations.heard(sign(SERVICE, "http://127.0.0.1:9/", later))
    due, put_off = await found(store, mine, conversation), await found(store, other, conversation)
    assert (due.retry_at, due.attempts) == (None, 1)
    assert (put_off.retry_at, put_off.attempts) == (later, 1)


def _of(assistant: UUID, conversation: UUID) -> Delivery:
    """A delivery as far as its name goes; what else it says was true once."""
    return Delivery(
        workspace_id="default",
        assistant_id=assistant,
        conversation_id=conversation,
        state="live",
        position=0,
        attempts=0,
        retry_at=None,
    )
