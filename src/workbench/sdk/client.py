"""The workbench, as its callers see it: users with a token, services with a key, and assistants of a service."""

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
from uuid import UUID

import httpx
import msgspec

from workbench.sdk.calls import TIMEOUT, Calls
from workbench.sdk.errors import CallError
from workbench.sdk.model import (
    Assistant,
    Config,
    Conversation,
    Json,
    Message,
    NewMessage,
    Participant,
    StateData,
    StateDescription,
    StreamEvent,
    StreamGap,
    plain,
)
from workbench.sdk.streams import EventReader

PATIENCE_SECONDS = 5.0


@contextmanager
def taking_missing_for_an_answer() -> Generator[None]:
    """Go on behind the block when there is no such thing."""
    try:
        yield
    except CallError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise


class _Assistants(msgspec.Struct):
    assistants: list[Assistant]


class _Conversations(msgspec.Struct):
    conversations: list[Conversation]


class _Messages(msgspec.Struct):
    messages: list[Message]


class _Participants(msgspec.Struct):
    participants: list[Participant]


class _States(msgspec.Struct):
    states: list[StateDescription]


class _ConversationChange(msgspec.Struct, omit_defaults=True):
    title: str | None = None
    metadata: Json | None = None


class _AssistantChange(msgspec.Struct, omit_defaults=True):
    name: str | None = None
    image: str | None = None
    metadata: Json | None = None


class _NewAssistant(msgspec.Struct, omit_defaults=True):
    assistant_service_id: str
    name: str
    template_id: str = "default"
    image: str | None = None
    metadata: Json = {}


class _NewConversation(msgspec.Struct, omit_defaults=True):
    title: str = ""
    metadata: Json = {}


class WorkbenchClient:
    """A caller of the workbench, to be closed at the end, best by `async with`.

    Every call may raise CallError, with the status and the detail of a refusal, and UnreachableError.
    """

    def __init__(self, url: str, headers: Mapping[str, str], patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Open a pool of connections; rather ask `for_user` or `for_service`.

        A call that fails because the workbench is away or busy is repeated for about so long.
        """
        self._calls = Calls(httpx.AsyncClient(base_url=url, timeout=TIMEOUT), headers, patience_seconds)

    @classmethod
    def for_user(cls, url: str, token: str) -> Self:
        """Speak as the user whose token this is."""
        return cls(url, {"Authorization": f"Bearer {token}"})

    @classmethod
    def for_service(
        cls, url: str, service_id: str, api_key: str = "", patience_seconds: float = PATIENCE_SECONDS
    ) -> Self:
        """Speak as an assistant service."""
        return cls(url, {"X-Assistant-Service-ID": service_id, "X-API-Key": api_key}, patience_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, also for the assistants who share them."""
        await self._calls.http.aclose()

    def as_assistant(self, assistant_id: UUID, correlation_id: str = "") -> "WorkbenchClient":
        """Speak as an assistant of the service, because of a request of that correlation id, on our connections."""
        twin = object.__new__(WorkbenchClient)
        headers = {"X-Assistant-ID": str(assistant_id)} | ({"X-Request-ID": correlation_id} if correlation_id else {})
        twin._calls = self._calls.with_headers(headers)
        return twin

    async def announce(self, service_id: str, heartbeat: Mapping[str, Any]) -> None:
        """Say, as a service, where it is and for how long it counts as online without another word."""
        await self._calls.send(
            "PUT", f"/assistant-service-registrations/{quote(service_id, safe='')}", heartbeat, dict, once=True
        )

    async def assistants(self, conversation_id: UUID | None = None) -> list[Assistant]:
        """List a user's own assistants, or those in a conversation."""
        query = {"conversation_id": str(conversation_id)} if conversation_id else None
        return (await self._calls.get("/assistants", _Assistants, query)).assistants

    async def create_assistant(
        self,
        assistant_service_id: str,
        name: str,
        *,
        template_id: str = "default",
        image: str | None = None,
        metadata: Json | None = None,
    ) -> Assistant:
        """Make an assistant of a service's template."""
        new = _NewAssistant(assistant_service_id, name, template_id, image, metadata or {})
        return await self._calls.send("POST", "/assistants", new, Assistant, once=True)

    def assistant(self, assistant_id: UUID) -> "AssistantClient":
        """Name the assistant that is meant."""
        return AssistantClient(self._calls, assistant_id)

    async def conversations(self) -> list[Conversation]:
        """List the conversations in which the caller takes part."""
        return (await self._calls.get("/conversations", _Conversations)).conversations

    async def create_conversation(self, title: str = "", metadata: Json | None = None) -> Conversation:
        """Open a conversation, as a user; without a title it has the default one."""
        new = _NewConversation(title, metadata or {})
        return await self._calls.send("POST", "/conversations", new, Conversation, once=True)

    def conversation(self, conversation_id: UUID) -> "ConversationClient":
        """Name the conversation that is meant."""
        return ConversationClient(self._calls, conversation_id)

    def events(
        self, conversation_id: UUID, last_event_id: str | None = None
    ) -> AsyncGenerator[StreamEvent | StreamGap]:
        """Read what happens in a conversation, behind that event or from now on, until you stop.

        A connection that breaks is taken up again behind the last event. A `StreamGap` says that events are
        missing. Raises CallError when the workbench does not let us read, or no longer.
        """
        return EventReader(self._calls, f"/conversations/{conversation_id}/events", last_event_id).read()


class AssistantClient:
    """One assistant, as its owner or as itself."""

    def __init__(self, calls: Calls, assistant_id: UUID) -> None:
        self.id = assistant_id
        self._calls = calls
        self._path = f"/assistants/{assistant_id}"

    async def get(self) -> Assistant:
        """Look at it."""
        return await self._calls.get(self._path, Assistant)

    async def change(
        self, *, name: str | None = None, image: str | None = None, metadata: Json | None = None
    ) -> Assistant:
        """Change what is given; `metadata` replaces all that was there."""
        return await self._calls.send("PATCH", self._path, _AssistantChange(name, image, metadata), Assistant)

    async def delete(self) -> None:
        """Delete it; one that is gone already is as well."""
        with taking_missing_for_an_answer():
            await self._calls.tell("DELETE", self._path)

    async def config(self) -> Config:
        """Read its config."""
        return await self._calls.get(f"{self._path}/config", Config)

    async def set_config(self, config: msgspec.Struct | Mapping[str, Any]) -> Config:
        """Set its config; the service answers 400 to one that does not fit."""
        return await self._calls.send("PUT", f"{self._path}/config", {"config": plain(config)}, Config)

    async def conversations(self) -> list[Conversation]:
        """List the conversations in which it takes part."""
        return (await self._calls.get(f"{self._path}/conversations", _Conversations)).conversations

    async def states(self, conversation_id: UUID) -> list[StateDescription]:
        """List the states that it shows in a conversation."""
        return (await self._calls.get(self._states_path(conversation_id), _States)).states

    async def state(self, conversation_id: UUID, state_id: str) -> StateData:
        """Read a state."""
        return await self._calls.get(self._states_path(conversation_id, state_id), StateData)

    async def set_state(
        self, conversation_id: UUID, state_id: str, data: msgspec.Struct | Mapping[str, Any]
    ) -> StateData:
        """Set a state."""
        path = self._states_path(conversation_id, state_id)
        return await self._calls.send("PUT", path, {"data": plain(data)}, StateData)

    async def send_state_event(self, state_id: str, event: str, conversation_id: UUID | None = None) -> None:
        """Tell, as the assistant, that a state was `created`, `updated` or `deleted`, or wants the `focus`.

        Without a conversation all hear of it in which the assistant takes part.
        """
        query = {"conversation_id": str(conversation_id)} if conversation_id else None
        body = {"state_id": state_id, "event": event, "state": None}  # the wire wants the member, and drops it
        await self._calls.tell("POST", f"{self._path}/states/events", body, query)

    def _states_path(self, conversation_id: UUID, state_id: str = "") -> str:
        states = f"{self._path}/conversations/{conversation_id}/states"
        return f"{states}/{quote(state_id, safe='')}" if state_id else states


class ConversationClient:
    """One conversation, as somebody who takes part in it."""

    def __init__(self, calls: Calls, conversation_id: UUID) -> None:
        self.id = conversation_id
        self._calls = calls
        self._path = f"/conversations/{conversation_id}"

    async def get(self) -> Conversation:
        """Look at it."""
        return await self._calls.get(self._path, Conversation)

    async def change(self, *, title: str | None = None, metadata: Json | None = None) -> Conversation:
        """Change what is given; `metadata` is merged with what was there."""
        return await self._calls.send("PATCH", self._path, _ConversationChange(title, metadata), Conversation)

    async def delete(self) -> None:
        """Delete it; one that is gone already is as well."""
        with taking_missing_for_an_answer():
            await self._calls.tell("DELETE", self._path)

    async def messages(
        self,
        *,
        message_types: Sequence[str] = ("chat",),
        participant_ids: Sequence[str] = (),
        before: UUID | None = None,
        after: UUID | None = None,
        limit: int = 100,
    ) -> list[Message]:
        """List the newest messages, oldest first. An empty sequence of types or senders means all of them."""
        query: Json = {"message_type": list(message_types), "participant_id": list(participant_ids), "limit": limit}
        cursors = {"before": before, "after": after}
        query.update({name: str(cursor) for name, cursor in cursors.items() if cursor is not None})
        return (await self._calls.get(f"{self._path}/messages", _Messages, query)).messages

    async def message(self, message_id: UUID) -> Message:
        """Look at one message."""
        return await self._calls.get(f"{self._path}/messages/{message_id}", Message)

    async def post(self, message: NewMessage | str) -> Message:
        """Say something; after a failure only a message with an id of its own is sent again."""
        new = NewMessage(content=message) if isinstance(message, str) else message
        return await self._calls.send("POST", f"{self._path}/messages", new, Message, once=new.id is None)

    async def participants(self, *, include_inactive: bool = False) -> list[Participant]:
        """List who takes part; a conversation that is gone has nobody."""
        query = {"include_inactive": "true"} if include_inactive else None
        with taking_missing_for_an_answer():
            return (await self._calls.get(f"{self._path}/participants", _Participants, query)).participants
        return []

    async def me(self) -> Participant:
        """Look at the caller's own seat."""
        return await self._calls.get(f"{self._path}/participants/me", Participant)

    async def add(self, participant_id: UUID | str) -> Participant:
        """Give an assistant a seat."""
        return await self._seat(participant_id, {})

    async def remove(self, participant_id: UUID | str = "me") -> Participant:
        """Take the seat from an assistant, or leave."""
        return await self._seat(participant_id, {"active_participant": False})

    async def set_status(self, status: str | None) -> Participant:
        """Show what the caller is busy with, or clear it."""
        return await self._seat("me", {} if status is None else {"status": status})

    async def _seat(self, participant_id: UUID | str, change: Json) -> Participant:
        path = f"{self._path}/participants/{quote(str(participant_id), safe='')}"
        return await self._calls.send("PUT", path, change, Participant)
