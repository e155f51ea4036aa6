"""What a handler is given: whom it speaks for, where, because of what, and how to act there."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import TypeVar
from uuid import UUID, uuid4, uuid5

import msgspec

from workbench.sdk.client import WorkbenchClient
from workbench.sdk.errors import CallError, SdkError, TurnLostError
from workbench.sdk.holding import NOT_OURS, turn_asked_in
from workbench.sdk.model import Event, Json, Message, NewMessage, plain
from workbench.sdk.producing import Answer
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
        self._is_in_turn = False  # whether the turn that we are asked in was taken up

    def answer(self) -> AbstractAsyncContextManager[Answer]:
        """Make the answer to the message of the event piece by piece, in a block: see `ConversationClient.answer`."""
        message = self.event.data.message if self.event else None
        if message is None:
            raise ValueError("there is no message to be answered")
        self._is_in_turn = True
        return self.conversation.answer(message)

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
        answer is stored once, as it was the first time. A message that asks us in a turn is answered in that turn.
        """
        message = self.event.data.message if self.event else None
        if message and message_type is None and await self._said_in_turn(message, text, metadata, debug_data):
            return
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

    async def _said_in_turn(self, message: Message, text: str, metadata: Json | None, debug_data: Json | None) -> bool:
        turn_id = turn_asked_in(message)
        if turn_id is None or self._is_in_turn:
            return False
        self._is_in_turn = True
        try:
            async with self.conversation.turn(turn_id) as answer:
                answer.ending.metadata, answer.ending.debug_data = metadata or {}, debug_data or {}
                await answer.text(text)
        except TurnLostError as error:
            log.info("answered before, or not wanted any more: %s", error)
        except CallError as error:
            if error.status not in NOT_OURS:  # others hear of what one assistant is asked
                raise
            return False
        return True

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
