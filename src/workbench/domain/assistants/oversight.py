"""Delivery, as an assistant's owner and operators see and steer it: how far it is, and what was set aside."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from workbench.domain.assistant_services.model import CircuitState
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.assistants.ports import AssistantTx
from workbench.domain.assistants.service import owned
from workbench.domain.audit.model import Act, Actor, NewAuditEntry
from workbench.domain.clock import Clock
from workbench.domain.delivery.model import DeadLetter, DeliveryState, DeliveryStatus
from workbench.domain.delivery.ports import LetterFilter
from workbench.domain.errors import NotFoundError, UpstreamError
from workbench.domain.identity.model import Principal
from workbench.domain.paging import MAX_PAGE, Cursor
from workbench.domain.transactions import Transactions


class ConversationDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """How far an assistant is in one conversation."""

    assistant_id: UUID
    conversation_id: UUID
    state: DeliveryState
    position: int
    head: int
    lag_events: int
    lag_seconds: float
    attempts: int
    retry_datetime: datetime | None
    last_error: str | None

    @classmethod
    def of(cls, status: DeliveryStatus, now: datetime) -> "ConversationDelivery":
        """What the stored status says at this moment."""
        return cls(
            assistant_id=status.assistant_id,
            conversation_id=status.conversation_id,
            state=status.state,
            position=status.position,
            head=status.head,
            lag_events=status.lag_events,
            lag_seconds=status.lag_seconds(now),
            attempts=status.attempts,
            retry_datetime=status.retry_at,
            last_error=status.last_error,
        )


class AssistantDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """How far an assistant is: in all, and in each of the conversations that are furthest behind.

    `circuit` says whether the replica that answers calls the service, or waits since it failed again and again.
    """

    assistant_id: UUID
    assistant_service_online: bool
    circuit: CircuitState
    lag_events: int
    lag_seconds: float
    dead_letter_count: int
    conversations: list[ConversationDelivery]


class DeadLetterList(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of dead letters; `next_cursor` leads to the next one, if there is one."""

    dead_letters: list[DeadLetter]
    next_cursor: str | None = None


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a replay: how many were brought, and why the next one was not."""

    replayed: int
    error: str | None


class OversightService:
    """Acts about deliveries. A principal stands for the owner of the assistant; operators name a workspace."""

    def __init__(self, transactions: Transactions[AssistantTx], client: AssistantClient, clock: Clock) -> None:
        self._transactions = transactions
        self._client = client
        self._clock = clock

    async def of_assistant(self, principal: Principal, assistant_id: UUID) -> AssistantDelivery:
        """How far the caller's assistant is. Raises NotFoundError."""
        now = self._clock.now()
        async with self._transactions.read(principal.workspace_id) as tx:
            stored = await owned(tx, principal, assistant_id)
            letters = await tx.deliveries.count_letters(assistant_id)
            statuses = await tx.deliveries.statuses(assistant_id, MAX_PAGE)
        each = [ConversationDelivery.of(status, now) for status in statuses]
        return AssistantDelivery(
            assistant_id=assistant_id,
            assistant_service_online=stored.assistant.assistant_service_online,
            circuit=self._client.circuit(stored.assistant.assistant_service_id),
            lag_events=sum(one.lag_events for one in each),
            lag_seconds=max((one.lag_seconds for one in each), default=0.0),
            dead_letter_count=letters,
            conversations=each,
        )

    async def letters(
        self, principal: Principal, assistant_id: UUID, *, limit: int, cursor: str | None
    ) -> DeadLetterList:
        """A page of what could not be brought to the caller's assistant, newest first. Raises NotFoundError."""
        size = min(limit, MAX_PAGE)
        behind = Cursor.decode(cursor) if cursor else None
        wanted = LetterFilter(assistant_id=assistant_id, limit=size + 1, behind=behind)
        async with self._transactions.read(principal.workspace_id) as tx:
            await owned(tx, principal, assistant_id)
            found = await tx.deliveries.letters(wanted)
        shown = list(found[:size])
        if len(found) <= size or not shown:
            return DeadLetterList(dead_letters=shown)
        last = Cursor(created_datetime=shown[-1].failed_datetime, id=shown[-1].id)
        return DeadLetterList(dead_letters=shown, next_cursor=last.encode())

    async def replay_own(self, principal: Principal, assistant_id: UUID, letter_id: UUID) -> None:
        """Bring one of them now. Raises NotFoundError, UpstreamError where it still cannot be brought."""
        await self._require_own(principal, assistant_id, letter_id)
        await self.replay(principal.workspace_id, letter_id, Actor.of(principal))

    async def replay_all_own(self, principal: Principal, assistant_id: UUID) -> Replay:
        """Bring all of them now, oldest first, up to the first that fails. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            await owned(tx, principal, assistant_id)
        return await self.replay_all(principal.workspace_id, assistant_id, Actor.of(principal))

    async def drop_own(self, principal: Principal, assistant_id: UUID, letter_id: UUID) -> None:
        """Forget one of them. Raises NotFoundError."""
        await self._require_own(principal, assistant_id, letter_id)
        await self.drop(principal.workspace_id, letter_id, Actor.of(principal))

    async def statuses(self, workspace_id: str, assistant_id: UUID | None) -> list[ConversationDelivery]:
        """How far the workspace's assistants are, or one is; those furthest behind first, at most a page of them."""
        async with self._transactions.read(workspace_id) as tx:
            found = await tx.deliveries.statuses(assistant_id, MAX_PAGE)
        return [ConversationDelivery.of(status, self._clock.now()) for status in found]

    async def dead_letters(self, workspace_id: str, assistant_id: UUID | None) -> Sequence[DeadLetter]:
        """The newest dead letters of the workspace, or of one assistant, at most a page of them."""
        async with self._transactions.read(workspace_id) as tx:
            return await tx.deliveries.letters(LetterFilter(assistant_id=assistant_id))

    async def replay(self, workspace_id: str, letter_id: UUID, actor: Actor) -> None:
        """Bring a dead letter now, and forget it. Raises NotFoundError, UpstreamError."""
        async with self._transactions.read(workspace_id) as tx:
            letter = await tx.deliveries.letter(letter_id)
            if letter is None:
                raise NotFoundError
            recipient = await tx.recipients.recipient(letter.assistant_id, letter.conversation_id)
        if recipient is None:
            raise UpstreamError("the assistant's service has no known address")
        await self._client.post_event(recipient.address, letter.conversation_id, letter.envelope.encode())
        await self._forget(workspace_id, letter_id, actor, "dead_letter.replayed")

    async def replay_all(self, workspace_id: str, assistant_id: UUID | None, actor: Actor) -> Replay:
        """Bring all dead letters, oldest first, up to the first that fails."""
        replayed = 0
        for letter in reversed(await self.dead_letters(workspace_id, assistant_id)):
            try:
                await self.replay(workspace_id, letter.id, actor)
            except NotFoundError:
                continue  # somebody else was faster
            except UpstreamError as error:
                return Replay(replayed=replayed, error=error.detail)
            replayed += 1
        return Replay(replayed=replayed, error=None)

    async def drop(self, workspace_id: str, letter_id: UUID, actor: Actor) -> None:
        """Forget a dead letter. Raises NotFoundError."""
        await self._forget(workspace_id, letter_id, actor, "dead_letter.dropped")

    async def _forget(self, workspace_id: str, letter_id: UUID, actor: Actor, act: Act) -> None:
        async with self._transactions.write(workspace_id) as tx:
            letter = await tx.deliveries.letter(letter_id)
            if letter is None:
                raise NotFoundError
            tx.deliveries.drop(letter_id)
            detail = {"assistant_id": str(letter.assistant_id), "event_type": letter.event_type}
            tx.audit.record(NewAuditEntry(actor=actor, act=act, subject=str(letter_id), detail=detail))

    async def _require_own(self, principal: Principal, assistant_id: UUID, letter_id: UUID) -> None:
        async with self._transactions.read(principal.workspace_id) as tx:
            await owned(tx, principal, assistant_id)
            letter = await tx.deliveries.letter(letter_id)
        if letter is None or letter.assistant_id != assistant_id:
            raise NotFoundError
