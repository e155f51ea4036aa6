"""Conversations: made, listed, looked at, changed, deleted."""

from collections.abc import Sequence
from uuid import UUID

from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.clock import Clock
from workbench.domain.contents.model import sweep
from workbench.domain.conversations.events import conversation_created, conversation_deleted, conversation_updated
from workbench.domain.conversations.model import (
    Conversation,
    ConversationChange,
    ConversationDetails,
    ConversationList,
    NewConversation,
)
from workbench.domain.conversations.ports import ConversationFilter, ConversationTx, ListedConversation
from workbench.domain.errors import ForbiddenError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.messages.model import MessageType
from workbench.domain.paging import MAX_PAGE, Cursor
from workbench.domain.participants.model import Participant
from workbench.domain.sizes import SizeLimits
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.users.service import meet


class ConversationService:
    """Acts about conversations."""

    def __init__(self, transactions: Transactions[ConversationTx], clock: Clock, limits: SizeLimits) -> None:
        self._transactions = transactions
        self._clock = clock
        self._limits = limits

    async def create(self, principal: Principal, new: NewConversation) -> ConversationDetails:
        """Make a conversation that the caller owns and takes part in."""
        return await retrying(lambda: self._create(principal, new))

    async def _create(self, principal: Principal, new: NewConversation) -> ConversationDetails:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            user = await meet(tx, principal, now)
            conversation = Conversation.created(new_id(), new, principal.id, now)
            self._limits.check_json("metadata", conversation.metadata)
            owner = Participant.of_user(conversation.id, user.id, user.name, user.image, now)
            details = ConversationDetails.of(conversation, owner.conversation_permission, [owner])
            tx.conversations.add(conversation)
            tx.participants.add(owner)
            tx.events.record(conversation_created(details))
        return details

    async def mine(
        self,
        principal: Principal,
        message_types: Sequence[MessageType],
        *,
        include_inactive: bool = False,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> ConversationList:
        """The caller's conversations, newest first: all, or a page when a limit or cursor is given."""
        behind = Cursor.decode(cursor) if cursor else None
        paged = limit is not None or behind is not None
        size = min(MAX_PAGE if limit is None else limit, MAX_PAGE)
        wanted = ConversationFilter(
            include_inactive=include_inactive and principal.is_user, limit=size + 1 if paged else None, behind=behind
        )
        async with self._transactions.read(principal.workspace_id) as tx:
            listed = await tx.conversations.of(principal, wanted)
            shown = listed[:size] if paged else listed
            found = await _details_of_each(tx, shown, message_types)
        if not paged:
            return ConversationList(conversations=found)
        return ConversationList(conversations=found, next_cursor=_cursor_behind(shown, more=len(listed) > size))

    async def get(
        self, principal: Principal, conversation_id: UUID, message_types: Sequence[MessageType]
    ) -> ConversationDetails:
        """One conversation. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            seat = await tx.participants.seat(conversation_id, principal)
            seat.require_see()
            conversation = await tx.conversations.require(conversation_id)
            listed = ListedConversation(conversation=conversation, permission=seat.permission)
            return (await _details_of_each(tx, [listed], message_types))[0]

    async def change(
        self, principal: Principal, conversation_id: UUID, change: ConversationChange
    ) -> ConversationDetails:
        """Change title or metadata. Raises NotFoundError where the caller may not."""
        return await retrying(lambda: self._change(principal, conversation_id, change))

    async def _change(
        self, principal: Principal, conversation_id: UUID, change: ConversationChange
    ) -> ConversationDetails:
        async with self._transactions.write(principal.workspace_id) as tx:
            seat = await tx.participants.seat(conversation_id, principal)
            seat.require_administer()
            conversation = (await tx.conversations.require(conversation_id)).changed(change)
            self._limits.check_json("metadata", conversation.metadata)
            everyone = await tx.participants.all_of(conversation_id)
            details = ConversationDetails.of(conversation, seat.permission, everyone)
            tx.conversations.change(conversation)
            tx.events.record(conversation_updated(details))
        return details

    async def made_it(self, principal: Principal, conversation_id: UUID) -> bool:
        """Whether the caller is the assistant that made the conversation."""
        async with self._transactions.read(principal.workspace_id) as tx:
            return await _made_it(tx, principal, conversation_id)

    async def delete(self, principal: Principal, conversation_id: UUID) -> None:
        """Delete the caller's own conversation, or one that it made as an assistant; its assistants are told to leave.

        Raises NotFoundError where the caller cannot see it, ForbiddenError where they see but do not own it, ConflictError
        where others still need it.
        """
        await retrying(lambda: self._delete(principal, conversation_id))

    async def _delete(self, principal: Principal, conversation_id: UUID) -> None:
        async with self._transactions.write(principal.workspace_id) as tx:
            seat = await tx.participants.seat(conversation_id, principal)
            seat.require_see()
            if not (seat.owns or await _made_it(tx, principal, conversation_id)):
                raise ForbiddenError("only its owner can delete a conversation")
            await tx.occupants.make_way(conversation_id)
            conversation = await tx.conversations.require(conversation_id)
            everyone = await tx.participants.all_of(conversation_id)
            details = ConversationDetails.of(conversation, seat.permission, everyone)
            tx.deliveries.end_all(conversation_id)
            tx.events.record(conversation_deleted(details))
            tx.conversations.remove(conversation_id)
            tx.jobs.enqueue(sweep(self._clock.now()))
            tx.audit.record(
                NewAuditEntry(actor=Actor.of(principal), act="conversation.deleted", subject=str(conversation_id))
            )


async def _made_it(tx: ConversationTx, principal: Principal, conversation_id: UUID) -> bool:
    return principal.role == "assistant" and await tx.conversations.is_made_by(conversation_id, UUID(principal.id))


async def _details_of_each(
    tx: ConversationTx, listed: Sequence[ListedConversation], message_types: Sequence[MessageType]
) -> list[ConversationDetails]:
    """Whole conversations from three statements, however many they are."""
    ids = [item.conversation.id for item in listed]
    participants = await tx.participants.all_of_each(ids)
    latest = await tx.messages.latest_of_each(ids, message_types)
    return [
        ConversationDetails.of(
            item.conversation,
            item.permission,
            participants.get(item.conversation.id, []),
            latest.get(item.conversation.id),
        )
        for item in listed
    ]


def _cursor_behind(shown: Sequence[ListedConversation], *, more: bool) -> str | None:
    if not more:
        return None
    last = shown[-1].conversation
    return Cursor(created_datetime=last.created_datetime, id=last.id).encode()
