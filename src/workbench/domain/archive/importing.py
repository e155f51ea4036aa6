"""Importing: everything is checked first, then stored where nobody sees it, and shown in one last commit.

Until that commit the importer has no seat in what is imported. Whatever fails before takes it all away again; and if
this process dies, a job that was set down with the first row does.
"""

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from workbench.domain.archive.checking import RecordCheck, RecordLimits, checked
from workbench.domain.archive.model import (
    RECORDS,
    ImportResult,
    Seated,
    assistant_data_path,
    conversation_data_path,
)
from workbench.domain.archive.ports import ImportTx, OpenedArchive, Unpacker
from workbench.domain.archive.records import (
    ArchiveRecord,
    AssistantRecord,
    AssistantSeatRecord,
    ConversationRecord,
    DebugRecord,
    MessageRecord,
    UserSeatRecord,
)
from workbench.domain.archive.storing import ArchivedFiles, Import, Manifest, undo_later
from workbench.domain.assistant_services.model import AssistantAddress
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.assistants.model import Assistant, StoredAssistant, seat_of
from workbench.domain.clock import Clock
from workbench.domain.conversations.events import conversation_created
from workbench.domain.conversations.model import Conversation, ConversationDetails
from workbench.domain.errors import InvalidError, UpstreamError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.messages.model import Message, Sender, StoredMessage
from workbench.domain.participants.model import Participant
from workbench.domain.sizes import SizeLimits
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.users.model import StoredUser
from workbench.domain.users.service import meet

BLOCK = 500
"""Messages stored in one commit."""
UNKNOWN_USER = "unknown imported user"


class ImportService:
    """Takes archives in."""

    def __init__(
        self,
        transactions: Transactions[ImportTx],
        unpacker: Unpacker,
        files: ArchivedFiles,
        client: AssistantClient,
        clock: Clock,
        sizes: SizeLimits,
    ) -> None:
        self._transactions = transactions
        self._unpacker = unpacker
        self._files = files
        self._client = client
        self._clock = clock
        self._sizes = sizes

    async def run(self, principal: Principal, chunks: AsyncIterable[bytes]) -> ImportResult:
        """Import an archive: all of it, or nothing.

        Raises InvalidError (not an archive, or not one that holds together), TooLargeError, UpstreamError (an assistant's
        service does not take its part).
        """
        async with self._unpacker.open(chunks) as archive:
            manifest = await self._read(archive)
            begun = await retrying(lambda: self._begin(principal, manifest))
            try:
                await self._store_messages(principal, archive, begun)
                await self._files.store(principal.workspace_id, archive, manifest, begun)
                await retrying(lambda: self._seat(principal, manifest, begun))
                await self._introduce(archive, begun)
                await retrying(lambda: self._show(principal, begun))
            except BaseException:
                # Shielded: who goes away in the middle is not to leave half of it behind.
                await asyncio.shield(self._undo(principal, begun))
                raise
        return ImportResult(
            conversation_ids=[*begun.conversations.values()], assistant_ids=[*begun.assistants.values()]
        )

    async def _read(self, archive: OpenedArchive) -> Manifest:
        """Go over everything once, so that nothing is begun that cannot be finished."""
        manifest = Manifest()
        async for record in self._records(archive):
            manifest.take(record)
        return manifest

    def _records(self, archive: OpenedArchive) -> AsyncIterator[ArchiveRecord]:
        """Read the records, each checked against those before it."""
        return checked(archive.read(RECORDS), RecordCheck(archive.paths, self._sizes), RecordLimits())

    async def _begin(self, principal: Principal, manifest: Manifest) -> Import:
        """Store conversations, in which nobody has a seat yet, and assistants; and what takes them away again."""
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            await meet(tx, principal, now)
            tx.imports.open_workspace()
            begun = Import(id=new_id(), debugged=manifest.debugged)
            titles = _Numbering()
            for record in manifest.conversations:
                title = titles.next(record.title, await tx.imports.titles_like(principal.id, record.title))
                conversation = _conversation(record, title, principal.id, now)
                tx.conversations.add(conversation)
                begun.conversations[record.conversation_id] = conversation.id
                begun.details[conversation.id] = conversation
            await _add_assistants(tx, principal, manifest, begun, now)
            undo_later(tx, begun, principal.id, now)
        return begun

    async def _store_messages(self, principal: Principal, archive: OpenedArchive, begun: Import) -> None:
        """Store what was said in blocks, in its order, and then the debug data of it."""
        block: list[MessageRecord | DebugRecord] = []
        async for record in self._records(archive):
            if isinstance(record, MessageRecord | DebugRecord):
                block.append(record)
                # Debug data hangs on messages that are stored: one block has either.
                if len(block) == BLOCK or type(block[0]) is not type(record):
                    rest = [] if type(block[0]) is type(record) else [block.pop()]
                    await self._store_block(principal, begun, block)
                    block = rest
        if block:
            await self._store_block(principal, begun, block)

    async def _store_block(
        self, principal: Principal, begun: Import, block: Sequence[MessageRecord | DebugRecord]
    ) -> None:
        async with self._transactions.write(principal.workspace_id) as tx:
            for record in block:
                if isinstance(record, DebugRecord):
                    tx.imports.attach_debug(begun.named(record.message_id), record.data)
                else:
                    tx.messages.add(_message(record, begun))

    async def _seat(self, principal: Principal, manifest: Manifest, begun: Import) -> None:
        """Give everybody but the importer their seats; assistants are to know the conversation before its events."""
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            for user_id in {seat.user_id for seat in manifest.user_seats}:
                if await tx.users.find(user_id) is None:
                    tx.users.put(_placeholder(user_id, now))
            begun.seats = {conversation_id: [] for conversation_id in begun.details}
            for seat in manifest.user_seats:
                if seat.user_id != principal.id:
                    self._take_seat(tx, begun, _users_seat(seat, begun, now))
            for seat in manifest.assistant_seats:
                taken = _assistants_seat(seat, begun, now)
                self._take_seat(tx, begun, taken)
                if taken.active_participant:
                    tx.deliveries.begin(UUID(taken.id), taken.conversation_id, 0)

    def _take_seat(self, tx: ImportTx, begun: Import, seat: Participant) -> None:
        self._sizes.check_json("metadata", seat.metadata)
        taken = begun.seats[seat.conversation_id]
        if not any((one.role, one.id) == (seat.role, seat.id) for one in taken):
            taken.append(seat)
            tx.participants.add(seat)

    async def _introduce(self, archive: OpenedArchive, begun: Import) -> None:
        """Let services restore what they kept: first of new assistants, then of each in its conversations."""
        old_of = {new: old for old, new in begun.assistants.items()}
        old_talk = {new: old for old, new in begun.conversations.items()}
        for assistant_id in begun.new_assistants:
            assistant, address = begun.known[assistant_id], begun.addresses[assistant_id]
            _require_online(assistant)
            data = await _whole(archive, assistant_data_path(old_of[assistant_id]))
            begun.told.append(address)
            if data is None:
                await self._client.put_assistant(address, assistant.name, assistant.template_id)
            else:
                await self._client.restore_assistant(address, assistant.name, assistant.template_id, data)
        for seat in begun.active_assistants():
            assistant_id = UUID(seat.id)
            address, title = begun.addresses[assistant_id], begun.details[seat.conversation_id].title
            _require_online(begun.known[assistant_id])
            old = Seated(assistant_id=old_of[assistant_id], conversation_id=old_talk[seat.conversation_id])
            data = await _whole(archive, conversation_data_path(old))
            if data is None:
                await self._client.put_conversation(address, seat.conversation_id, title)
            else:
                await self._client.restore_conversation(address, seat.conversation_id, title, data)

    async def _show(self, principal: Principal, begun: Import) -> None:
        """Seat the importer, which lets them see it all; events flow from here on."""
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            user = await meet(tx, principal, now)
            for conversation_id, conversation in begun.details.items():
                mine = Participant.of_user(conversation_id, user.id, user.name, user.image, now)
                tx.participants.add(mine)
                everyone = [mine, *begun.seats[conversation_id]]
                tx.events.record(conversation_created(ConversationDetails.of(conversation, "read_write", everyone)))
            for seat in begun.active_assistants():
                tx.deliveries.connect(UUID(seat.id), seat.conversation_id)

    async def _undo(self, principal: Principal, begun: Import) -> None:
        """Take everything away again; services forget the assistants that they were told of, if they can be reached."""
        await self._files.undo(principal.workspace_id, begun)
        for address in begun.told:
            try:
                await self._client.delete_assistant(address)
            except UpstreamError:
                continue


async def _add_assistants(tx: ImportTx, principal: Principal, manifest: Manifest, begun: Import, now: datetime) -> None:
    if not manifest.assistants:
        return
    mine = await tx.assistants.owned_by(principal.id)
    names = _Numbering()
    for record in manifest.assistants:
        registration = await tx.registrations.find(record.assistant_service_id)
        service = await tx.registrations.address(record.assistant_service_id)
        if registration is None or service is None:
            raise InvalidError(
                f"assistant service id {record.assistant_service_id} is not valid", field="assistant_service_id"
            )
        same = next((one for one in mine if _is_same(one, record)), None)
        assistant = same or _assistant(record, names.next(record.name, [one.name for one in mine]), now)
        if same is None:
            tx.assistants.add(StoredAssistant(assistant=assistant, owner_id=principal.id))
            begun.new_assistants.append(assistant.id)
        begun.assistants[record.assistant_id] = assistant.id
        online = registration.assistant_service_online
        begun.known[assistant.id] = msgspec.structs.replace(assistant, assistant_service_online=online)
        begun.addresses[assistant.id] = AssistantAddress(assistant_id=assistant.id, service=service)


class _Numbering:
    """Names that are there already get a number (contract, 6.4)."""

    def __init__(self) -> None:
        self._given: list[str] = []

    def next(self, name: str, taken: Sequence[str]) -> str:
        numbered = re.compile(rf"{re.escape(name.lower())}(?: \(\d+\))?")
        count = sum(bool(numbered.fullmatch(each.lower())) for each in [*taken, *self._given])
        self._given.append(f"{name} ({count})" if count else name)
        return self._given[-1]


def _conversation(record: ConversationRecord, title: str, owner_id: str, now: datetime) -> Conversation:
    return Conversation(
        id=new_id(),
        title=title,
        owner_id=owner_id,
        imported_from_conversation_id=record.conversation_id,
        metadata=record.meta_data,
        created_datetime=now,
    )


def _is_same(mine: Assistant, record: AssistantRecord) -> bool:
    wanted = (record.assistant_service_id, record.template_id, record.name)
    return (mine.assistant_service_id, mine.template_id, mine.name) == wanted


def _assistant(record: AssistantRecord, name: str, now: datetime) -> Assistant:
    return Assistant(
        id=new_id(),
        name=name,
        image=record.image,
        assistant_service_id=record.assistant_service_id,
        assistant_service_online=False,
        template_id=record.template_id,
        metadata=record.meta_data,
        created_datetime=now,
    )


def _message(record: MessageRecord, begun: Import) -> StoredMessage:
    message = Message(
        id=begun.named(record.message_id),
        sender=Sender(
            participant_role=record.sender_participant_role,
            participant_id=begun.participant(record.sender_participant_role, record.sender_participant_id),
        ),
        message_type=record.message_type,
        timestamp=record.created_datetime,
        content_type=record.content_type,
        content=record.content,
        filenames=record.filenames,
        metadata=record.meta_data,
        has_debug_data=record.message_id in begun.debugged,
    )
    return StoredMessage(conversation_id=begun.conversations[record.conversation_id], message=message, debug_data={})


def _placeholder(user_id: str, now: datetime) -> StoredUser:
    return StoredUser(id=user_id, name=UNKNOWN_USER, image=None, service_user=False, created_datetime=now)


def _users_seat(record: UserSeatRecord, begun: Import, now: datetime) -> Participant:
    """People do not follow by themselves: their seats are there for what they said."""
    conversation_id = begun.conversations[record.conversation_id]
    return msgspec.structs.replace(
        Participant.of_user(conversation_id, record.user_id, record.name, record.image, now),
        active_participant=False,
        conversation_permission=record.conversation_permission,
        metadata=record.meta_data,
    )


def _assistants_seat(record: AssistantSeatRecord, begun: Import, now: datetime) -> Participant:
    """An assistant that did not come along keeps its name and image, but is not there."""
    conversation_id = begun.conversations[record.conversation_id]
    assistant_id = begun.assistants.get(record.assistant_id)
    if assistant_id is not None:
        seat = seat_of(begun.known[assistant_id], conversation_id, now)
        active = record.active_participant
        return msgspec.structs.replace(seat, active_participant=active, metadata=record.meta_data)
    return Participant(
        role="assistant",
        id=str(record.assistant_id),
        conversation_id=conversation_id,
        name=record.name,
        image=record.image,
        status=None,
        status_updated_timestamp=now,
        active_participant=False,
        online=False,
        conversation_permission="read_write",
        metadata=record.meta_data,
    )


def _require_online(assistant: Assistant) -> None:
    if not assistant.assistant_service_online:
        raise UpstreamError(f"Failed to connect to assistant {assistant.name}; its service is offline")


async def _whole(archive: OpenedArchive, path: str) -> bytes | None:
    if path not in archive.paths:
        return None
    return b"".join([chunk async for chunk in archive.read(path)])
