"""The wall between workspaces: with another workspace's ids no method of any repository finds or changes anything."""

import inspect
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import select
from tests.contracts.test_transactions import message, new_conversation
from tests.support import budget_rows, flow_rows, lifecycle_rows, session_rows, turn_rows, usage_rows
from tests.support.databases import Store

from workbench.adapters.sql.jobs import SqlJobQueue
from workbench.adapters.sql.schema import metadata
from workbench.adapters.sql.transactions import SqlTransaction
from workbench.domain.assistant_services.model import NewRegistration, Registration, RegistrationFilter, Sign
from workbench.domain.assistants.model import Assistant, StoredAssistant
from workbench.domain.clock import Clock
from workbench.domain.contents.model import Content
from workbench.domain.conversations.model import Conversation, NewConversation
from workbench.domain.conversations.ports import ConversationFilter
from workbench.domain.delivery.model import DeadLetter, Delivery
from workbench.domain.delivery.ports import LetterFilter
from workbench.domain.errors import NotFoundError, StaleError
from workbench.domain.events.model import NewEvent
from workbench.domain.files.model import FileAtVersion, FileLimits, RoomUsed, StoredFile, StoredVersion
from workbench.domain.flows.model import StoredFlow
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.jobs.model import Job, NewJob
from workbench.domain.lifecycle.person import Erasure
from workbench.domain.messages.model import Message, MessageQuery, StoredMessage
from workbench.domain.participants.model import Participant
from workbench.domain.shares.model import NewRedemption, ShareFilter, StoredShare
from workbench.domain.turns.model import Turn
from workbench.domain.usage.model import UsageRow
from workbench.domain.users.model import StoredUser


class World(msgspec.Struct, kw_only=True):
    """One of everything, in one workspace."""

    workspace: str
    conversation: Conversation
    empty: Conversation
    service: Registration
    assistant: Assistant
    seats: list[Participant]
    message: Message
    spare: Message
    delivery: Delivery
    letter: DeadLetter
    job: Job
    share: StoredShare
    content: Content
    file: FileAtVersion
    erasure: Erasure
    turn: Turn
    usage: UsageRow
    flow: StoredFlow
    clock: Clock


async def fill(store: Store, workspace: str) -> World:
    """Put one of everything into the workspace; ann and bea are in each."""
    now = store.clock.now()
    conversation_id = await new_conversation(store, workspace)
    empty_id = await empty_conversation(store, workspace)
    await store.seat_user(conversation_id, "bea", workspace_id=workspace)
    said, spare = msgspec.structs.replace(message(store), has_debug_data=True), message(store)
    service = Registration.created(
        NewRegistration(assistant_service_id=f"{workspace}.example", name="Service", description=""), "ann", "Ann", now
    )
    assistant = Assistant(
        id=new_id(),
        name="Robot",
        image=None,
        assistant_service_id=service.assistant_service_id,
        assistant_service_online=True,
        template_id="default",
        metadata={},
        created_datetime=now,
    )
    letter = some_letter(assistant.id, conversation_id, now)
    person = Participant.of_user(conversation_id, str(assistant.id), "Robot", None, now)
    row = {field: getattr(person, field) for field in person.__struct_fields__}
    share, (content, file) = some_share(conversation_id, now), some_file(workspace, conversation_id, now)
    flow = await flow_rows.begin_flow(store, workspace)
    async with store.transactions.write(workspace) as tx:
        add_share_and_file(tx, share, content, file)
        flow_rows.add_flows(tx, store.clock)
        erasure, usage, _, _ = (
            lifecycle_rows.add_lifecycle(tx, workspace, conversation_id, now),
            usage_rows.add_usage(tx, workspace, conversation_id, said.id, now),
            budget_rows.add_budgets(tx, workspace, now),
            session_rows.add_session(tx, workspace, conversation_id, now),
        )
        add_users(tx, now)
        tx.registrations.add(service)
        tx.registrations.heard(sign(service, now + timedelta(hours=1)))
        tx.assistants.add(StoredAssistant(assistant=assistant, owner_id="ann"))
        tx.participants.add(Participant(**{**row, "role": "assistant"}))
        for each, debug in ((said, {"a": 1}), (spare, {})):
            tx.messages.add(StoredMessage(conversation_id=conversation_id, message=each, debug_data=debug))
        turn = turn_rows.add_turn(tx, conversation_id, assistant.id, spare.id, now)
        add_delivery(tx, assistant.id, conversation_id, letter)
        tx.jobs.enqueue(NewJob(kind=f"of-{workspace}", key="title", payload={}, run_at=now))
    (job,) = await SqlJobQueue(store.database).claim([f"of-{workspace}"], now, 1)
    async with store.transactions.read(workspace) as tx:
        delivery = await tx.deliveries.find(assistant.id, conversation_id)
        assert delivery is not None
        return World(
            workspace=workspace,
            conversation=await tx.conversations.require(conversation_id),
            empty=await tx.conversations.require(empty_id),
            service=service,
            assistant=assistant,
            seats=await tx.participants.all_of(conversation_id),
            message=said,
            spare=spare,
            delivery=delivery,
            letter=letter,
            job=job,
            share=share,
            content=content,
            file=file,
            erasure=erasure,
            turn=turn,
            usage=usage,
            flow=flow,
            clock=store.clock,
        )


def add_delivery(tx: SqlTransaction, assistant_id: UUID, conversation_id: UUID, letter: DeadLetter) -> None:
    """What an assistant is told, and what it could not be told."""
    tx.deliveries.begin(assistant_id, conversation_id, 0)
    tx.deliveries.connect(assistant_id, conversation_id)
    tx.deliveries.set_aside(letter)


def add_users(tx: SqlTransaction, now: datetime) -> None:
    """Ann and bea."""
    for user_id in ("ann", "bea"):
        tx.users.put(StoredUser(id=user_id, name=user_id, image=None, service_user=False, created_datetime=now))


def some_file(workspace: str, conversation_id: UUID, now: datetime) -> tuple[Content, FileAtVersion]:
    """A file of one version, and its content."""
    content = Content(hash="ab" * 32, storage_key=f"{workspace}/key", size=3)
    stored = StoredFile(
        id=new_id(), conversation_id=conversation_id, filename="a.txt", current_version=1, created_datetime=now
    )
    return content, FileAtVersion(file=stored, version=version_of(stored))


async def empty_conversation(store: Store, workspace: str) -> UUID:
    """A conversation with nobody in it, made by an assistant."""
    empty = Conversation.created(new_id(), NewConversation(), "ann", store.clock.now())
    async with store.transactions.write(workspace) as tx:
        tx.conversations.add(empty, made_by=empty.id)
    return empty.id


def add_share_and_file(tx: SqlTransaction, share: StoredShare, content: Content, file: FileAtVersion) -> None:
    tx.shares.add(share)
    tx.shares.redeem(redemption_of(share, new_id()))
    tx.contents.add(content)
    tx.contents.add(unused(tx.writes.workspace_id))
    tx.files.add(file.file, file.version)
    tx.files.take_room(share.conversation_id, 3, FileLimits())


def some_letter(assistant_id: UUID, conversation_id: UUID, now: datetime) -> DeadLetter:
    """An event that was set aside."""
    return DeadLetter(
        id=new_id(),
        assistant_id=assistant_id,
        conversation_id=conversation_id,
        position=1,
        event_id="e" * 32,
        event_type="message.created",
        envelope="{}",
        reason="refused",
        failed_datetime=now,
    )


def some_share(conversation_id: UUID, now: datetime) -> StoredShare:
    """A share of ann's."""
    return StoredShare(
        id=new_id(),
        owner=StoredUser(id="ann", name="ann", image=None, service_user=False, created_datetime=now),
        conversation_id=conversation_id,
        conversation_title="",
        label="",
        conversation_permission="read",
        is_redeemable=True,
        created_datetime=now,
        metadata={},
    )


def redemption_of(share: StoredShare, redemption_id: UUID) -> NewRedemption:
    """Bea took the share up."""
    return NewRedemption(
        id=redemption_id,
        conversation_share_id=share.id,
        redeemed_by_user_id="bea",
        conversation_permission="read",
        new_participant=True,
        created_datetime=share.created_datetime,
    )


def version_of(file: StoredFile, version: int = 1) -> StoredVersion:
    """A version of the file."""
    return StoredVersion(
        file_id=file.id,
        version=version,
        participant_id="ann",
        participant_role="user",
        created_datetime=file.created_datetime,
        metadata={},
        content_type="text/plain",
        file_size=3,
        content_hash="ab" * 32,
        storage_filename="cd" * 32,
    )


def unused(workspace: str) -> Content:
    """A content that no file refers to."""
    return Content(hash=f"{workspace:c<64}", storage_key=f"{workspace}/unused", size=3)


def sign(service: Registration, expires: datetime, url: str = "http://127.0.0.1:9/") -> Sign:
    """A sign of life of the service."""
    return Sign(
        assistant_service_id=service.assistant_service_id,
        url=url,
        at=service.created_datetime,
        expires=expires,
        with_current_key=True,
    )


ANN = Principal(workspace_id="elsewhere", role="user", id="ann", name="Ann")
EVE = Principal(workspace_id="elsewhere", role="user", id="eve", name="Eve")

Read = Callable[[SqlTransaction, World], Awaitable[object]]
Write = Callable[[SqlTransaction, World], object]

# What each reading method answers where the id is another workspace's; NotFoundError where it raises that.
READS: dict[str, tuple[Read, object]] = {
    "users.find": (lambda tx, w: tx.users.find("cay"), None),
    "users.visible_to": (lambda tx, w: tx.users.visible_to(EVE, ["ann", "bea", "cay"]), []),
    "registrations.find": (lambda tx, w: tx.registrations.find(w.service.assistant_service_id), None),
    "registrations.address": (lambda tx, w: tx.registrations.address(w.service.assistant_service_id), None),
    "registrations.addresses": (lambda tx, w: tx.registrations.addresses([w.service.assistant_service_id]), []),
    "registrations.all_of": (lambda tx, w: tx.registrations.all_of(RegistrationFilter(created_by=("cay",))), []),
    "registrations.told_online": (lambda tx, w: tx.registrations.told_online(w.service.assistant_service_id), False),
    "assistants.owned_by": (lambda tx, w: tx.assistants.owned_by("cay"), []),
    "assistants.active_in": (lambda tx, w: tx.assistants.active_in(w.conversation.id), []),
    "assistants.of_service": (lambda tx, w: tx.assistants.of_service(w.service.assistant_service_id), []),
    "participants.conversations_with": (
        lambda tx, w: tx.participants.conversations_with([w.assistant.id], active=False),
        [],
    ),
    "deliveries.statuses": (lambda tx, w: tx.deliveries.statuses(w.assistant.id, 10), []),
    "deliveries.letters": (lambda tx, w: tx.deliveries.letters(LetterFilter(assistant_id=w.assistant.id)), []),
    "deliveries.letter": (lambda tx, w: tx.deliveries.letter(w.letter.id), None),
    "deliveries.count_letters": (lambda tx, w: tx.deliveries.count_letters(w.assistant.id), 0),
    "assistants.find": (lambda tx, w: tx.assistants.find(w.assistant.id), None),
    "assistants.is_visible_to": (lambda tx, w: tx.assistants.is_visible_to(w.assistant.id, ANN), False),
    "recipients.recipient": (lambda tx, w: tx.recipients.recipient(w.assistant.id, w.conversation.id), None),
    "conversations.require": (lambda tx, w: tx.conversations.require(w.conversation.id), NotFoundError),
    "conversations.may_be_titled": (lambda tx, w: tx.untitled.may_be_titled(w.conversation.id), NotFoundError),
    "conversations.of": (lambda tx, w: tx.conversations.of(CAY, ConversationFilter(include_inactive=True)), []),
    "participants.seat": (lambda tx, w: tx.participants.seat(w.conversation.id, ANN), NotFoundError),
    "participants.expect_writer": (
        lambda tx, w: tx.participants.expect_writer(w.conversation.id, ANN, anew=True),
        NotFoundError,
    ),
    "participants.is_owner": (lambda tx, w: tx.sight.is_owner(w.conversation.id, ANN), NotFoundError),
    "participants.all_of": (lambda tx, w: tx.participants.all_of(w.conversation.id), []),
    "participants.all_of_each": (lambda tx, w: tx.participants.all_of_each([w.conversation.id]), {}),
    "participants.conversations_of": (lambda tx, w: tx.sight.conversations_of("cay"), []),
    "messages.find": (lambda tx, w: tx.messages.find(w.message.id), None),
    "messages.page": (lambda tx, w: tx.messages.page(w.conversation.id, MessageQuery()), []),
    "messages.containing": (lambda tx, w: tx.messages.containing(w.conversation.id, [], 10), []),
    "messages.latest_of_each": (lambda tx, w: tx.messages.latest_of_each([w.conversation.id], ["chat"]), {}),
    "files.listed": (lambda tx, w: tx.files.listed(w.conversation.id, ""), []),
    "files.count": (lambda tx, w: tx.files.count(w.conversation.id), 0),
    "files.named": (lambda tx, w: tx.files.named(w.conversation.id, ["a.txt"]), []),
    "files.versions": (lambda tx, w: tx.files.versions(w.conversation.id, "a.txt", None), []),
    "files.download": (lambda tx, w: tx.files.download(w.conversation.id, "a.txt", 1), None),
    "files.room_used": (
        lambda tx, w: tx.files.room_used(w.conversation.id),
        RoomUsed(conversation_bytes=0, workspace_bytes=0),
    ),
    "conversations.is_made_by": (lambda tx, w: tx.conversations.is_made_by(w.empty.id, w.empty.id), False),
    "imports.titles_like": (lambda tx, w: tx.imports.titles_like("cay", ""), []),
    "exports.visible": (lambda tx, w: tx.exports.visible("cay", [w.conversation.id]), []),
    "exports.administered_with": (lambda tx, w: tx.exports.administered_with("cay", w.assistant.id), []),
    "exports.existing": (lambda tx, w: tx.exports.existing([w.conversation.id]), []),
    "exports.with_assistant": (lambda tx, w: tx.exports.with_assistant(w.assistant.id), []),
    "exports.seated": (lambda tx, w: tx.exports.seated([w.conversation.id]), []),
    "exports.online": (lambda tx, w: tx.exports.online([w.assistant.id]), {}),
    "shares.find": (lambda tx, w: tx.shares.find(w.share.id), None),
    "shares.owned_by": (lambda tx, w: tx.shares.owned_by("cay", ShareFilter()), []),
    "shares.title_and_owner_of": (lambda tx, w: tx.shares.title_and_owner_of(w.conversation.id), NotFoundError),
    "shares.redemptions_of": (lambda tx, w: tx.shares.redemptions_of(w.share.id), []),
    "shares.redeemed_by": (lambda tx, w: tx.shares.redeemed_by("cay"), []),
    "contents.known": (lambda tx, w: tx.contents.known([unused("default").hash]), []),
    "events.conversation_head": (lambda tx, w: tx.events.conversation_head(w.conversation.id), 0),
    "events.of_conversation": (lambda tx, w: tx.events.of_conversation(w.conversation.id, 0, 10), []),
    "events.of_user": (lambda tx, w: tx.events.of_user("cay", 0, 10), []),
    "deliveries.find": (lambda tx, w: tx.deliveries.find(w.assistant.id, w.conversation.id), None),
}
CAY = Principal(workspace_id="elsewhere", role="user", id="cay", name="Cay")

WRITES: dict[str, Write] = {
    "users.put": lambda tx, w: tx.users.put(
        StoredUser(id="ann", name="X", image=None, service_user=False, created_datetime=w.conversation.created_datetime)
    ),
    "participants.rename": lambda tx, w: tx.nameplates.rename("ann", "X", None),
    "registrations.heard": lambda tx, w: tx.registrations.heard(
        sign(w.service, w.conversation.created_datetime, "http://evil")
    ),
    "registrations.change": lambda tx, w: tx.registrations.change(w.service.assistant_service_id, {"name": "X"}),
    "registrations.key_replaced": lambda tx, w: tx.registrations.key_replaced(
        w.service.assistant_service_id, w.conversation.created_datetime
    ),
    "registrations.tell": lambda tx, w: tx.registrations.tell(w.service.assistant_service_id, online=True),
    "registrations.remove": lambda tx, w: tx.registrations.remove(w.service.assistant_service_id),
    "assistants.change": lambda tx, w: tx.assistants.change(msgspec.structs.replace(w.assistant, name="X")),
    "assistants.remove": lambda tx, w: tx.assistants.remove(w.assistant.id),
    "conversations.remove": lambda tx, w: tx.conversations.remove(w.conversation.id),
    "participants.change": lambda tx, w: tx.participants.change(
        msgspec.structs.replace(w.seats[0], active_participant=False)
    ),
    "participants.remove": lambda tx, w: tx.participants.remove(w.seats[0]),
    "messages.add": lambda tx, w: tx.messages.add(
        StoredMessage(conversation_id=w.conversation.id, message=w.message, debug_data={})
    ),
    "messages.remove": lambda tx, w: tx.messages.remove(w.message.id),
    "files.add": lambda tx, w: tx.files.add(
        msgspec.structs.replace(w.file.file, id=UUID(int=8), filename="b.txt"),
        msgspec.structs.replace(w.file.version, file_id=UUID(int=8)),
    ),
    "files.add_version": lambda tx, w: tx.files.add_version(w.file.file, version_of(w.file.file, 2)),
    "files.change": lambda tx, w: tx.files.change(w.file.with_metadata({"a": 1})),
    "files.take_room": lambda tx, w: tx.files.take_room(w.conversation.id, 1, FileLimits()),
    "files.remove": lambda tx, w: tx.files.remove(w.file.file),
    "copies.copy": lambda tx, w: tx.copies.copy(w.conversation.id, w.empty.id),
    "imports.attach_debug": lambda tx, w: tx.imports.attach_debug(w.spare.id, {"a": 1}),
    "shares.redeem": lambda tx, w: tx.shares.redeem(redemption_of(w.share, UUID(int=9))),
    "shares.remove": lambda tx, w: tx.shares.remove(w.share),
    "contents.touch": lambda tx, w: tx.contents.touch(w.content),
    "contents.forget": lambda tx, w: tx.contents.forget(unused(w.workspace), w.job.run_at),
    "events.record": lambda tx, w: tx.events.record(
        NewEvent(conversation_id=w.conversation.id, type="conversation.deleted", data={})
    ),
    "deliveries.drop": lambda tx, w: tx.deliveries.drop(w.letter.id),
    "deliveries.begin": lambda tx, w: tx.deliveries.begin(w.assistant.id, w.conversation.id, 99),
    "deliveries.introduce": lambda tx, w: tx.deliveries.introduce(w.assistant.id, w.conversation.id, w.job.run_at),
    "deliveries.connect": lambda tx, w: tx.deliveries.connect(w.assistant.id, w.conversation.id),
    "deliveries.cancel": lambda tx, w: tx.deliveries.cancel(w.assistant.id, w.conversation.id),
    "deliveries.end": lambda tx, w: tx.deliveries.end(w.assistant.id, w.conversation.id),
    "deliveries.end_all": lambda tx, w: tx.deliveries.end_all(w.conversation.id),
    "deliveries.advance": lambda tx, w: tx.deliveries.advance(w.delivery, 99),
    "deliveries.fail": lambda tx, w: tx.deliveries.fail(w.delivery, w.conversation.created_datetime, "x"),
    "deliveries.hold": lambda tx, w: tx.deliveries.hold(w.delivery, w.conversation.created_datetime, "x"),
    "deliveries.rejoin": lambda tx, w: tx.deliveries.rejoin(w.delivery),
    "deliveries.finish": lambda tx, w: tx.deliveries.finish(w.delivery),
    "jobs.enqueue": lambda tx, w: tx.jobs.enqueue(
        NewJob(kind=w.job.kind, key=w.job.key, payload={"a": 1}, run_at=w.job.run_at)
    ),
    "jobs.finish": lambda tx, w: tx.jobs.finish(w.job),
}

# These take no id of something that is there: they add a row of the block's own workspace, read all of that
# workspace, or (conversations.change) store over what the same block has read.
WITHOUT_AN_ID = {
    *("registrations.add", "assistants.add", "conversations.add", "participants.add", "deliveries.set_aside"),
    *("events.head", "events.floor", "events.outside", "events.of_workspace", "conversations.change"),
    *("contents.add", "contents.behind", "shares.add", "imports.open_workspace"),
    *("imports.file_bytes", "exports.page"),
}


READS |= budget_rows.READS | flow_rows.READS | lifecycle_rows.READS | turn_rows.READS | usage_rows.READS
WRITES |= budget_rows.WRITES | flow_rows.WRITES | lifecycle_rows.WRITES | turn_rows.WRITES | usage_rows.WRITES
WITHOUT_AN_ID |= (
    budget_rows.WITHOUT_AN_ID | lifecycle_rows.WITHOUT_AN_ID | turn_rows.WITHOUT_AN_ID | usage_rows.WITHOUT_AN_ID
)
WITHOUT_AN_ID |= flow_rows.WITHOUT_AN_ID | session_rows.WITHOUT_AN_ID
READS |= session_rows.READS
WRITES |= session_rows.WRITES


def test_every_method_of_every_repository_is_in_the_tables() -> None:
    methods: set[str] = set()
    for name, part in inspect.getmembers(SqlTransaction, lambda member: isinstance(member, property)):
        kind = inspect.signature(cast("property", part).fget or print).return_annotation
        shared = {
            "nameplates": "participants",
            "sight": "participants",
            "untitled": "conversations",
            "turn_slots": "turns",
        }.get(name, name)
        methods |= {f"{shared}.{method}" for method in vars(kind) if not method.startswith("_")}
    assert methods == {*READS, *WRITES, *WITHOUT_AN_ID}


async def test_no_method_finds_what_is_in_another_workspace(store: Store) -> None:
    world = await fill(store, "default")
    await store.seat_user(world.conversation.id, "cay")
    store.group.remembered.turns.keep("default", world.turn)
    ours = await fill(store, "elsewhere")
    found: dict[str, object] = {}
    for name, (read, _) in READS.items():
        async with store.transactions.read("elsewhere") as tx:
            try:
                found[name] = await read(tx, world)
            except NotFoundError:
                found[name] = NotFoundError
    assert found == {name: expected for name, (_, expected) in READS.items()}
    async with store.transactions.read("elsewhere") as tx:
        recipient = await tx.recipients.recipient(ours.assistant.id, world.conversation.id)
        assert recipient is not None
        assert recipient.conversation_title == ""


async def contents(store: Store, workspace: str) -> dict[str, list[Any]]:
    """Every row of a workspace."""
    rows: dict[str, list[Any]] = {}
    for table in metadata.sorted_tables:
        if "workspace_id" in table.c:
            found = await store.database.rows(select(table).where(table.c.workspace_id == workspace))
            rows[table.name] = sorted((tuple(row) for row in found), key=repr)
    return rows


async def test_no_method_changes_what_is_in_another_workspace(store: Store) -> None:
    world = await fill(store, "default")
    await fill(store, "elsewhere")
    before = await contents(store, "default")
    assert all(before[table] for table in ("users", "messages", "message_debug", "deliveries", "events"))
    changed: list[str] = []
    for name, write in WRITES.items():
        try:
            async with store.transactions.write("elsewhere") as tx:
                await carried_out(write, tx, world)
        except (NotFoundError, StaleError):
            pass
        if await contents(store, "default") != before:
            changed.append(name)
            before = await contents(store, "default")
    assert changed == []


async def carried_out(write: Write, tx: SqlTransaction, world: World) -> None:
    outcome = write(tx, world)
    if inspect.isawaitable(outcome):
        await outcome


async def test_the_same_writes_are_heard_in_the_workspace_itself(store: Store) -> None:
    """So that the test above is not passed by writes that never do anything."""
    idle: list[str] = []
    for name, write in WRITES.items():
        if name in ("deliveries.finish", "contents.touch"):
            continue  # only a delivery that says its farewell is finished; and the clock of touches stands still
        workspace = f"of-{name}"
        world = await fill(store, workspace)
        before = await contents(store, workspace)
        if name == "messages.add":
            world.message = msgspec.structs.replace(world.message, id=UUID(int=7))
        if name == "deliveries.connect":
            continue  # it flows already
        async with store.transactions.write(workspace) as tx:
            await carried_out(write, tx, world)
        if await contents(store, workspace) == before:
            idle.append(name)
    assert idle == []


@pytest.mark.parametrize("workspace", ["default", "elsewhere"])
async def test_the_same_user_has_a_row_and_a_name_in_each_workspace(store: Store, workspace: str) -> None:
    await fill(store, "default")
    await fill(store, "elsewhere")
    async with store.transactions.write(workspace) as tx:
        tx.nameplates.rename("ann", "Anna", None)
    for each in ("default", "elsewhere"):
        async with store.transactions.read(each) as tx:
            conversation_ids = await tx.sight.conversations_of("ann")
            everyone = await tx.participants.all_of(conversation_ids[0])
        assert everyone[0].name == ("Anna" if each == workspace else "Ann")
