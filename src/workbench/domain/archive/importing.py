"""Importing: everything is checked first, then stored where nobody sees it, and shown in one last commit.

Until that commit the importer has no seat in what is imported. Whatever fails before takes it all away again; and if
this process dies, a job that was set down with the first row does.
"""

import asyncio
from collections.abc import AsyncIterable, Callable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from workbench.domain.archive.model import ImportCounts, ImportReport, Watch, listed, unwatched
from workbench.domain.archive.planning import Introduction, introductions, plan_import, read_manifest, records_of
from workbench.domain.archive.ports import ImportTx, OpenedArchive, Unpacker
from workbench.domain.archive.records import DebugRecord, MessageRecord
from workbench.domain.archive.storing import ArchivedFiles, Import, Manifest, undo_later
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.assistants.model import StoredAssistant
from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.clock import Clock
from workbench.domain.conversations.events import conversation_created
from workbench.domain.conversations.model import Conversation, ConversationDetails
from workbench.domain.errors import UpstreamError
from workbench.domain.identity.model import Principal
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

    async def run(
        self, principal: Principal, chunks: AsyncIterable[bytes], by: Actor | None = None, watch: Watch = unwatched
    ) -> ImportReport:
        """Import an archive for a user: all of it, or nothing. `by` is who does it, if it is not the user.

        Raises InvalidError (not an archive, or not one that holds together), TooLargeError, UpstreamError (an assistant's
        service does not take its part).
        """
        async with self._unpacker.open(chunks) as archive:
            manifest = await read_manifest(archive, self._sizes, watch)
            begun = await retrying(lambda: self._begin(principal, manifest))
            try:
                await self._store_messages(principal, archive, begun, lambda n: watch("messages", n, manifest.messages))
                stored_bytes = await self._files.store(principal.workspace_id, archive, manifest, begun, watch)
                await retrying(lambda: self._seat(principal, begun))
                await self._introduce(archive, begun, watch)
                counts = begun.counts(manifest, stored_bytes)
                await retrying(lambda: self._show(principal, begun, counts, by or Actor.of(principal)))
            except BaseException:
                # Shielded: who goes away in the middle is not to leave half of it behind.
                await asyncio.shield(self._undo(principal, begun))
                raise
        return ImportReport(
            dry_run=False,
            conversation_ids=[*begun.conversations.values()],
            assistant_ids=[*begun.assistants.values()],
            counts=counts,
        )

    async def _begin(self, principal: Principal, manifest: Manifest) -> Import:
        """Store conversations, in which nobody has a seat yet, and assistants; and what takes them away again."""
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            await meet(tx, principal, now)
            tx.imports.open_workspace()
            begun = await plan_import(tx, principal, manifest, now)
            for conversation in begun.details.values():
                tx.conversations.add(conversation)
            for assistant_id in begun.new_assistants:
                tx.assistants.add(StoredAssistant(assistant=begun.known[assistant_id], owner_id=principal.id))
            undo_later(tx, begun, principal.id, now)
        return begun

    async def _store_messages(
        self, principal: Principal, archive: OpenedArchive, begun: Import, told: Callable[[int], object]
    ) -> None:
        """Store what was said in blocks, in its order, and then the debug data of it."""
        block: list[MessageRecord | DebugRecord] = []
        count = 0
        async for record in records_of(archive, self._sizes):
            count += isinstance(record, MessageRecord)
            if isinstance(record, MessageRecord | DebugRecord):
                block.append(record)
                # Debug data hangs on messages that are stored: one block has either.
                if len(block) == BLOCK or type(block[0]) is not type(record):
                    rest = [] if type(block[0]) is type(record) else [block.pop()]
                    await self._store_block(principal, begun, block)
                    block = rest
                    told(count)
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

    async def _seat(self, principal: Principal, begun: Import) -> None:
        """Give everybody but the importer their seats; assistants are to know the conversation before its events."""
        now = self._clock.now()
        everyone = [seat for seats in begun.seats.values() for seat in seats]
        async with self._transactions.write(principal.workspace_id) as tx:
            for user_id in {seat.id for seat in everyone if seat.role == "user"}:
                if await tx.users.find(user_id) is None:
                    tx.users.put(_placeholder(user_id, now))
            for seat in everyone:
                tx.participants.add(seat)
                if seat.role == "assistant" and seat.active_participant:
                    tx.deliveries.begin(UUID(seat.id), seat.conversation_id, 0)

    async def _introduce(self, archive: OpenedArchive, begun: Import, watch: Watch) -> None:
        """Let services restore what they kept."""
        done, total = 0, len(begun.new_assistants) + len(begun.active_assistants())
        async for one in introductions(archive, begun):
            if one.conversation is None:
                begun.told.append(one.address)
                await self._introduce_assistant(one)
            else:
                await self._introduce_conversation(one, one.conversation)
            done += 1
            watch("assistants", done, total)

    async def _introduce_assistant(self, one: Introduction) -> None:
        name, template_id = one.assistant.name, one.assistant.template_id
        if one.data is None:
            await self._client.put_assistant(one.address, name, template_id)
        else:
            await self._client.restore_assistant(one.address, name, template_id, one.data)

    async def _introduce_conversation(self, one: Introduction, conversation: Conversation) -> None:
        if one.data is None:
            await self._client.put_conversation(one.address, conversation.id, conversation.title)
        else:
            await self._client.restore_conversation(one.address, conversation.id, conversation.title, one.data)

    async def _show(self, principal: Principal, begun: Import, counts: ImportCounts, by: Actor) -> None:
        """Seat the importer, which lets them see it all, and write it down; events flow from here on."""
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
            tx.audit.record(_entry(principal, begun, counts, by))

    async def _undo(self, principal: Principal, begun: Import) -> None:
        """Take everything away again; services forget the assistants that they were told of, if they can be reached."""
        await self._files.undo(principal.workspace_id, begun)
        for address in begun.told:
            try:
                await self._client.delete_assistant(address)
            except UpstreamError:
                continue


def _entry(principal: Principal, begun: Import, counts: ImportCounts, by: Actor) -> NewAuditEntry:
    made = [*begun.details]
    return NewAuditEntry(
        actor=by,
        act="archive.imported",
        subject=str(made[0]) if len(made) == 1 else principal.workspace_id,
        detail={"owner": principal.id, **msgspec.structs.asdict(counts), **listed(made)},
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
