"""Posting, reading and taking back messages."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.errors import ConflictError, NotFoundError, WorkbenchError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.messages.events import message_created, message_deleted
from workbench.domain.messages.model import (
    MAX_WORDS,
    Message,
    MessageDebug,
    MessageQuery,
    NewMessage,
    Sender,
    StoredMessage,
    TitleRequest,
    Titling,
)
from workbench.domain.messages.ports import MessageTx
from workbench.domain.participants.model import Seat
from workbench.domain.parts.flattening import parts_of
from workbench.domain.parts.model import Slot
from workbench.domain.sizes import SizeLimits
from workbench.domain.transactions import Transactions, retrying


class TurnOpenedError(ConflictError):
    """The turn of this answer was opened just now"""

    code = "turn_active"


class MessageService:
    """Acts about messages."""

    def __init__(
        self, transactions: Transactions[MessageTx], clock: Clock, limits: SizeLimits, titling: Titling
    ) -> None:
        self._transactions = transactions
        self._clock = clock
        self._limits = limits
        self._titling = titling

    async def post(self, principal: Principal, conversation_id: UUID, new: NewMessage) -> Message:
        """Store the message and its event, or answer with what the same id and body stored before.

        Raises NotFoundError (no seat that may write), ConflictError (the id names another message), TooLargeError,
        TurnOpenedError where a turn is under way whose answer this is.
        """
        new.require_within(self._limits)
        return await retrying(lambda: self._post(principal, conversation_id, new))

    async def _post(self, principal: Principal, conversation_id: UUID, new: NewMessage) -> Message:
        async with self._transactions.write(principal.workspace_id) as tx:
            named = new.slot_for(principal)
            may_be_there = new.id is not None or named is not None
            await tx.participants.expect_writer(conversation_id, principal, anew=may_be_there)
            wanted = self._message(principal, conversation_id, new)
            if new.id is not None and (stored := await tx.messages.find(new.id)):
                return _same(stored, wanted)
            if named is not None:
                taken = await _take_slot(tx, conversation_id, named, wanted.message)
                if taken is not None:
                    return taken
            if self._titling.is_on and wanted.message.is_users_chat:
                await _ask_for_title(tx, wanted)
            tx.messages.add(wanted)
            await tx.overheard.said(wanted)
            tx.events.record(message_created(conversation_id, wanted.message))
        return wanted.message

    def _message(self, principal: Principal, conversation_id: UUID, new: NewMessage) -> StoredMessage:
        metadata, debug_data = new.split_debug()
        message = Message(
            id=new.id or new_id(),
            sender=new.sender_for(principal),
            message_type=new.message_type,
            timestamp=self._clock.now(),
            content_type=new.content_type,
            content=new.content,
            filenames=new.filenames or [],
            metadata=metadata,
            has_debug_data=bool(debug_data),
        )
        return StoredMessage(conversation_id=conversation_id, message=message, debug_data=debug_data)

    async def page(
        self, principal: Principal, conversation_id: UUID, query: MessageQuery, *, with_parts: bool = False
    ) -> list[Message]:
        """The messages asked for, oldest first. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            seat = await tx.participants.seat(conversation_id, principal)
            seat.require_read()
            found = await tx.messages.page(conversation_id, query)
            return await _with_parts(tx, found) if with_parts else found

    async def get(
        self, principal: Principal, conversation_id: UUID, message_id: UUID, *, with_parts: bool = False
    ) -> Message:
        """One message. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            stored, _ = await _read(tx, principal, conversation_id, message_id)
            return (await _with_parts(tx, [stored.message]))[0] if with_parts else stored.message

    async def debug_data(self, principal: Principal, conversation_id: UUID, message_id: UUID) -> MessageDebug:
        """The debug data of a message. Raises NotFoundError, also where it has none."""
        async with self._transactions.read(principal.workspace_id) as tx:
            stored, _ = await _read(tx, principal, conversation_id, message_id)
        if not stored.debug_data:
            raise NotFoundError
        return MessageDebug(message_id=message_id, debug_data=stored.debug_data)

    async def search(
        self, principal: Principal, conversation_id: UUID, words: Sequence[str], limit: int
    ) -> list[Message]:
        """Messages that contain all of the words, whatever their case, of the newest `SEARCHED`; the newest first.

        Raises NotFoundError.
        """
        async with self._transactions.read(principal.workspace_id) as tx:
            (await tx.participants.seat(conversation_id, principal)).require_read()
            return await tx.messages.containing(conversation_id, words[:MAX_WORDS], limit)

    async def delete(self, principal: Principal, conversation_id: UUID, message_id: UUID) -> None:
        """Take a message back: its sender, the conversation's owner, or whoever may write.

        Raises NotFoundError, ConflictError (turn_active) for an answer that is still made.
        """
        await retrying(lambda: self._delete(principal, conversation_id, message_id))

    async def _delete(self, principal: Principal, conversation_id: UUID, message_id: UUID) -> None:
        async with self._transactions.write(principal.workspace_id) as tx:
            seat, stored = await _find(tx, principal, conversation_id, message_id)
            if stored is None:
                raise await _not_there(tx, seat, message_id)
            sent_it = stored.message.sender == Sender(participant_role="user", participant_id=principal.id)
            if not (seat.owns or seat.may_write or sent_it):
                raise NotFoundError
            tx.messages.remove(message_id)
            await tx.overheard.taken_back(stored)
            tx.events.record(message_deleted(conversation_id, stored.message))


async def _with_parts(tx: MessageTx, found: list[Message]) -> list[Message]:
    """The same with their parts; one that was sent without any is a text."""
    parts = await tx.turn_slots.parts_of([message.id for message in found])
    return [
        msgspec.structs.replace(message, parts=parts.get(message.id) or parts_of(message.content)) for message in found
    ]


async def _take_slot(tx: MessageTx, conversation_id: UUID, named: tuple[str, Slot], message: Message) -> Message | None:
    """Take the slot of a turn for a message, or give the message of the same sender that has it.

    A slot of somebody else's stays theirs, and then this is a message like any other. Raises TurnOpenedError.
    """
    taken = await tx.turn_slots.slot(conversation_id, *named)
    if taken is None:
        tx.turn_slots.reserve(conversation_id, *named, message.id)
        return None
    stored = await tx.messages.find(taken)
    if stored is None:
        pending = await tx.turn_slots.pending(conversation_id, taken)
        if pending is not None and message.sender.participant_id == str(pending.assistant_id):
            raise TurnOpenedError
        return None
    return stored.message if stored.message.sender == message.sender else None


async def _ask_for_title(tx: MessageTx, stored: StoredMessage) -> None:
    """Set down that a title is wanted, in the commit of the message: neither is there without the other."""
    message = stored.message
    if await tx.untitled.may_be_titled(stored.conversation_id):
        request = TitleRequest(conversation_id=stored.conversation_id, message_id=message.id)
        tx.jobs.enqueue(request.job(message.timestamp))


async def _read(
    tx: MessageTx, principal: Principal, conversation_id: UUID, message_id: UUID
) -> tuple[StoredMessage, Seat]:
    seat, stored = await _find(tx, principal, conversation_id, message_id)
    if stored is None:
        raise NotFoundError
    return stored, seat


async def _find(
    tx: MessageTx, principal: Principal, conversation_id: UUID, message_id: UUID
) -> tuple[Seat, StoredMessage | None]:
    seat = await tx.participants.seat(conversation_id, principal)
    seat.require_read()
    stored = await tx.messages.find(message_id)
    return seat, stored if stored is not None and stored.conversation_id == conversation_id else None


async def _not_there(tx: MessageTx, seat: Seat, message_id: UUID) -> WorkbenchError:
    """Say that there is no such message, or, to who may delete it later, that it is still made."""
    pending = await tx.turn_slots.pending(seat.conversation_id, message_id) if seat.may_write or seat.owns else None
    if pending is None:
        return NotFoundError()
    extra = {"active_turn_id": pending.turn_id}
    return ConflictError("This answer is still made: cancel its turn first", code="turn_active", extra=extra)


def _same(stored: StoredMessage, wanted: StoredMessage) -> Message:
    """Answer a repeated post. Raises ConflictError where the id was used for something else."""
    same_place = stored.conversation_id == wanted.conversation_id
    if not (same_place and stored.message.repeats(wanted.message) and stored.debug_data == wanted.debug_data):
        raise ConflictError(f"message with id {wanted.message.id} already exists", code="message_exists", field="id")
    return stored.message
