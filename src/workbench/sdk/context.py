"""What a handler is given: whom it speaks for, where, because of what, and how to act there."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TypeVar
from uuid import UUID, uuid4, uuid5

import msgspec

from workbench.sdk.client import WorkbenchClient
from workbench.sdk.errors import CallError, SdkError
from workbench.sdk.model import Event, Json, NewMessage, plain
from workbench.sdk.store import Record
from workbench.sdk.templates import State, read_config

M = TypeVar("M", bound=msgspec.Struct)
Save = Callable[[Record], Awaitable[None]]

log = logging.getLogger(__name__)


class AssistantContext:
    """An assistant, and the workbench as it sees it."""

    def __init__(self, record: Record, workbench: WorkbenchClient, save: Save) -> None:
        self.workbench = workbench
        self.assistant_id = record.id
        self.assistant_name = record.name
        self.template_id = record.template_id
        self._record = record
        self._save = save

    def config(self, model: type[M]) -> M:
        """Read the assistant's config, as the model that its template has."""
        return read_config(model, self._record.config)


class Context(AssistantContext):
    """An assistant in a conversation; `event` is what happened there, if anything did."""

    def __init__(
        self, record: Record, conversation_id: UUID, workbench: WorkbenchClient, save: Save, event: Event | None = None
    ) -> None:
        super().__init__(record, workbench, save)
        self.conversation_id = conversation_id
        self.conversation = workbench.conversation(conversation_id)
        self.title = record.seats[conversation_id].title
        self.event = event
        self._replies = 0

    async def reply(
        self,
        text: str,
        *,
        message_type: str | None = None,
        metadata: Json | None = None,
        debug_data: Json | None = None,
    ) -> None:
        """Answer the event: a chat message with one, a command with a `command-response`.

        The id of the message follows from that of the event. Should the event come again, after a crash, the
        answer is stored once, as it was the first time.
        """
        message = self.event.data.message if self.event else None
        usual = "command-response" if message and message.message_type == "command" else "chat"
        new = NewMessage(
            id=self._next_id(),
            content=text,
            message_type=message_type or usual,
            metadata={**({"reply_to": str(message.id)} if message else {}), **(metadata or {})},
            debug_data=debug_data or {},
        )
        try:
            await self.conversation.post(new)
        except CallError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
            log.info("answered before: %s", error)

    @asynccontextmanager
    async def busy(self, status: str = "thinking...") -> AsyncGenerator[None]:
        """Show a status for as long as the block runs; a mere ornament, so that a failure is only logged."""
        await self._ornament("status", self.conversation.set_status(status))
        try:
            yield
        finally:
            await self._ornament("status", self.conversation.set_status(None))

    def read(self, state: State[M]) -> M:
        """Read what a state holds in this conversation."""
        return state.read(self._record.seats[self.conversation_id].states.get(state.id))

    async def write(self, state: State[M], value: M) -> None:
        """Keep a state, and tell those who look at it; that nobody could be told is only logged."""
        seat = self._record.seats[self.conversation_id]
        seat.states = {**seat.states, state.id: plain(value)}
        await self._save(self._record)
        await self.tell_state(state.id, "updated")

    async def tell_state(self, state_id: str, event: str) -> None:
        """Tell those who look at the conversation of a state: `updated`, or `focus` to have it shown."""
        me = self.workbench.assistant(self.assistant_id)
        await self._ornament("state event", me.send_state_event(state_id, event, self.conversation_id))

    async def _ornament(self, what: str, call: Awaitable[object]) -> None:
        try:
            await call
        except SdkError as error:
            cause = self.event.correlation_id if self.event else ""
            log.warning("%s not sent (correlation id %s): %s", what, cause, error)

    def _next_id(self) -> UUID:
        if self.event is None:
            return uuid4()
        self._replies += 1
        return uuid5(self.assistant_id, self.event.id if self._replies == 1 else f"{self.event.id}/{self._replies}")
