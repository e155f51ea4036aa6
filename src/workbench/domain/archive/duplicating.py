"""Duplicating a conversation: its records in one commit, then what its assistants know of it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from workbench.domain.archive.model import CopyRequest, ImportResult
from workbench.domain.archive.ports import CopyTx
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.clock import Clock
from workbench.domain.conversations.events import conversation_created
from workbench.domain.conversations.model import Conversation, ConversationDetails
from workbench.domain.delivery.ports import Recipient
from workbench.domain.errors import UpstreamError
from workbench.domain.files.model import FileLimits
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.participants.model import Participant
from workbench.domain.sizes import SizeLimits
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.known import GUIDE_ID

PATIENCE = timedelta(minutes=3)
"""After so long an assistant that is still to be told of the copy is told by delivery, without what it knew."""


class _Copied(msgspec.Struct, frozen=True, kw_only=True):
    """A copy that is stored, and the assistants that are to be told of it."""

    conversation: Conversation
    assistants: dict[UUID, Recipient | None]


class DuplicateService:
    """Makes duplicates."""

    def __init__(
        self,
        transactions: Transactions[CopyTx],
        client: AssistantClient,
        clock: Clock,
        sizes: SizeLimits,
        limits: FileLimits,
    ) -> None:
        self._transactions = transactions
        self._client = client
        self._clock = clock
        self._sizes = sizes
        self._limits = limits

    async def duplicate(self, principal: Principal, conversation_id: UUID, wanted: CopyRequest) -> ImportResult:
        """Copy a conversation in which the caller may write.

        An assistant that cannot be reached is told of the copy when it can. Raises NotFoundError, TooLargeError.
        """
        copied = await retrying(lambda: self._store(principal, conversation_id, wanted))
        await asyncio.gather(
            *(
                self._introduce(principal.workspace_id, conversation_id, copied.conversation, assistant_id, recipient)
                for assistant_id, recipient in copied.assistants.items()
            )
        )
        return ImportResult(conversation_ids=[copied.conversation.id], assistant_ids=[*copied.assistants])

    async def _store(self, principal: Principal, conversation_id: UUID, wanted: CopyRequest) -> _Copied:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            (await tx.participants.seat(conversation_id, principal)).require_write()
            original = await tx.conversations.require(conversation_id)
            copy = wanted.copy_of(original, new_id(), now)
            self._sizes.check_json("metadata", copy.metadata)
            used = await tx.files.room_used(conversation_id)
            self._limits.check_room(msgspec.structs.replace(used, conversation_bytes=0), used.conversation_bytes)
            everyone = _copies_of(await tx.participants.all_of(conversation_id), copy.id)
            tx.conversations.add(copy, made_by=None if principal.is_user else UUID(principal.id))
            tx.copies.copy(conversation_id, copy.id)
            tx.files.take_room(copy.id, used.conversation_bytes, self._limits)
            tx.events.record(conversation_created(ConversationDetails.of(copy, "read_write", everyone)))
            assistants = await _recipients(tx, everyone, copy.id, now)
        return _Copied(conversation=copy, assistants=assistants)

    async def _introduce(
        self,
        workspace_id: str,
        source_id: UUID,
        copy: Conversation,
        assistant_id: UUID,
        recipient: Recipient | None,
    ) -> None:
        """Let an assistant know the copy as it knows the original; failing that, leave it to delivery."""
        if recipient is None:
            return
        try:
            data = await self._client.export_conversation(recipient.address, source_id)
            await self._client.restore_conversation(recipient.address, copy.id, copy.title, data)
        except UpstreamError:
            # The breaker has logged it. Delivery introduces the assistant when its service is back.
            return
        async with self._transactions.write(workspace_id) as tx:
            tx.deliveries.connect(assistant_id, copy.id)


async def _recipients(
    tx: CopyTx, everyone: Sequence[Participant], copy_id: UUID, now: datetime
) -> dict[UUID, Recipient | None]:
    """How the assistants of the copy are reached; their events wait until they know it. The guide is told nothing."""
    found: dict[UUID, Recipient | None] = {}
    for participant in everyone:
        if participant.role == "assistant" and participant.id != str(GUIDE_ID):
            assistant_id = UUID(participant.id)
            recipient = await tx.recipients.recipient(assistant_id, copy_id)
            found[assistant_id] = recipient if participant.online else None
            tx.deliveries.introduce(assistant_id, copy_id, now + PATIENCE if participant.online else now)
    return found


def _copies_of(participants: Sequence[Participant], copy_id: UUID) -> list[Participant]:
    """Who takes part in the copy: those active in the original, without what is noted of them."""
    return [
        msgspec.structs.replace(one, conversation_id=copy_id, metadata={})
        for one in participants
        if one.active_participant
    ]
