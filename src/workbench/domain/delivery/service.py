"""Bringing events to assistants: in order, at least once, each conversation for itself."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.clock import Clock
from workbench.domain.delivery.model import (
    DeadLetter,
    Delivery,
    DeliveryPolicy,
    envelope,
    is_for_assistants,
    is_refusal,
)
from workbench.domain.delivery.ports import DeliveryMeter, DeliveryTx, Recipient
from workbench.domain.errors import UpstreamError
from workbench.domain.events.model import Event
from workbench.domain.ids import RANDOM, continue_cause, new_id
from workbench.domain.transactions import Transactions

BATCH = 50
NOT_FOUND = 404


class DeliveryService:
    """One delivery's next steps. The worker that holds the assistant's lease calls it; nobody else may."""

    def __init__(
        self,
        transactions: Transactions[DeliveryTx],
        client: AssistantClient,
        clock: Clock,
        policy: DeliveryPolicy,
        meter: DeliveryMeter,
    ) -> None:
        self._transactions = transactions
        self._client = client
        self._clock = clock
        self._policy = policy
        self._meter = meter

    async def proceed(self, delivery: Delivery, may_send: Callable[[], bool]) -> Delivery | None:
        """Do what waits: join anew, bring a batch of events, or say farewell.

        Answers with the delivery as it then stands, to go on with at its `retry_at` (at once where that is
        None), or with None when nothing waits any more. `may_send` is asked before each call out.
        """
        async with self._transactions.read(delivery.workspace_id) as tx:
            current = await tx.deliveries.find(*delivery.key)
            if current is None or current.state == "joining":
                return None
            events = await tx.events.of_conversation(current.conversation_id, current.position, BATCH)
            # Read last: an assistant that was taken out since must not hear of what came with that.
            recipient = await tx.recipients.recipient(*delivery.key)
        if recipient is not None and recipient.state != current.state:
            return current
        if current.state == "leaving":
            return await self._say_farewell(current, recipient)
        if not events:
            return None
        if recipient is None:
            return await self._failed(current, UpstreamError("the assistant's service has no known address"), events[0])
        return await self._go_on(current, recipient, events, may_send)

    async def _go_on(
        self, current: Delivery, recipient: Recipient, events: Sequence[Event], may_send: Callable[[], bool]
    ) -> Delivery:
        continue_cause(events[0].correlation_id, events[0].trace_parent)
        if current.state == "rejoining":
            current = await self._join_anew(current, recipient, events[0])
            if current.retry_at is not None or not may_send():
                return current
        return await self._bring(current, recipient, events, may_send)

    async def _bring(
        self, delivery: Delivery, recipient: Recipient, events: Sequence[Event], may_send: Callable[[], bool]
    ) -> Delivery:
        """Send the events one after the other; what arrived is remembered even where the next one fails."""
        done = delivery.position
        failure: tuple[UpstreamError, Event] | None = None
        for event in events:
            if not may_send():
                break
            try:
                await self._send(recipient, delivery.conversation_id, event)
            except UpstreamError as error:
                failure = (error, event)
                break
            done = event.position
        if done > delivery.position:
            async with self._transactions.write(delivery.workspace_id) as tx:
                tx.deliveries.advance(delivery, done)
            delivery = msgspec.structs.replace(delivery, position=done, attempts=0, retry_at=None)
        return await self._failed(delivery, *failure) if failure else delivery

    async def _send(self, recipient: Recipient, conversation_id: UUID, event: Event) -> None:
        if is_for_assistants(event):
            continue_cause(event.correlation_id, event.trace_parent)
            await self._in_time(self._client.post_event(recipient.address, conversation_id, envelope(event)))
            self._meter.attempted("delivered")

    async def _failed(self, delivery: Delivery, error: UpstreamError, event: Event) -> Delivery:
        """Plan the next try, or set the event aside where no try would help."""
        now = self._clock.now()
        if is_refusal(error) or self._policy.gives_up(event.timestamp, now):
            letter = DeadLetter(
                id=new_id(),
                assistant_id=delivery.assistant_id,
                conversation_id=delivery.conversation_id,
                position=event.position,
                event_id=event.id,
                event_type=event.type,
                envelope=envelope(event).decode("ascii"),
                reason=error.detail,
                failed_datetime=now,
            )
            self._meter.attempted("set_aside")
            async with self._transactions.write(delivery.workspace_id) as tx:
                tx.deliveries.set_aside(letter)
                tx.deliveries.advance(delivery, event.position)
            return msgspec.structs.replace(delivery, position=event.position, attempts=0, retry_at=None)
        if error.retry_after_seconds is not None:
            return await self._hold(delivery, error.detail, error.retry_after_seconds)
        return await self._put_off(delivery, error)

    async def _hold(self, delivery: Delivery, reason: str, seconds: float) -> Delivery:
        """Wait for a service that is not called at present. Nothing was tried, so nothing is counted."""
        later = seconds * (1 + RANDOM.random() / 2)
        retry_at = self._clock.now() + timedelta(seconds=later)
        async with self._transactions.write(delivery.workspace_id) as tx:
            tx.deliveries.hold(delivery, retry_at, reason)
        return msgspec.structs.replace(delivery, retry_at=retry_at)

    async def _put_off(self, delivery: Delivery, error: UpstreamError) -> Delivery:
        self._meter.attempted("failed")
        attempts = delivery.attempts + 1
        pause = self._policy.pause(attempts, RANDOM.random())
        retry_at = self._clock.now() + timedelta(seconds=pause)
        async with self._transactions.write(delivery.workspace_id) as tx:
            tx.deliveries.fail(delivery, retry_at, error.detail)
            if error.status == NOT_FOUND:
                tx.deliveries.rejoin(delivery)
        return msgspec.structs.replace(delivery, attempts=attempts, retry_at=retry_at)

    async def _join_anew(self, delivery: Delivery, recipient: Recipient, event: Event) -> Delivery:
        """Introduce the assistant to a service that lost its memory, then the conversation to the assistant."""
        try:
            address, title = recipient.address, recipient.conversation_title
            await self._in_time(self._client.put_assistant(address, recipient.assistant_name, recipient.template_id))
            await self._in_time(self._client.put_conversation(address, delivery.conversation_id, title))
        except UpstreamError as error:
            failure = UpstreamError(error.detail, retry_after_seconds=error.retry_after_seconds)
            return await self._failed(delivery, failure, event)
        async with self._transactions.write(delivery.workspace_id) as tx:
            tx.deliveries.connect(*delivery.key)
        return msgspec.structs.replace(delivery, state="live", retry_at=None)

    async def _say_farewell(self, delivery: Delivery, recipient: Recipient | None) -> Delivery | None:
        """Tell the assistant that it is out; one that cannot be reached for too long is let go."""
        # The event that it comes from may be forgotten by now.
        continue_cause("", None)
        try:
            if recipient is not None:
                await self._in_time(self._client.delete_conversation(recipient.address, delivery.conversation_id))
        except UpstreamError as error:
            too_often = delivery.attempts >= self._farewell_attempts
            if not is_refusal(error) and not too_often:
                # Counted also where the service is left alone: a farewell has no age by which to let it go.
                return await self._put_off(delivery, UpstreamError(error.detail))
        async with self._transactions.write(delivery.workspace_id) as tx:
            tx.deliveries.finish(delivery)
        return None

    async def _in_time(self, call: Awaitable[None]) -> None:
        """Bound a whole call, from connecting to the end of the answer, so that it ends before the lease does."""
        try:
            async with asyncio.timeout(self._policy.timeout_seconds):
                await call
        except TimeoutError as error:
            raise UpstreamError(f"no answer within {self._policy.timeout_seconds:g} seconds") from error

    @property
    def _farewell_attempts(self) -> int:
        """As many tries as fit into the time after which events are given up."""
        return int(self._policy.give_up_after_hours * 3600 / self._policy.max_retry_seconds) + 8
