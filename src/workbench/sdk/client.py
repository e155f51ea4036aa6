"""The workbench, as its callers see it: users with a token, services with a key, and assistants of a service."""

from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
from uuid import UUID

import msgspec

from workbench.sdk.assistant_client import AssistantClient
from workbench.sdk.calls import Calls
from workbench.sdk.conversation_client import ConversationClient
from workbench.sdk.model import (
    Assistant,
    Conversation,
    Json,
    StreamEvent,
    StreamGap,
)
from workbench.sdk.streams import conversation_events

PATIENCE_SECONDS = 5.0


class _Assistants(msgspec.Struct):
    assistants: list[Assistant]


class _Conversations(msgspec.Struct):
    conversations: list[Conversation]


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

    def __init__(self, calls: Calls) -> None:
        """Speak by way of these calls; rather ask `for_user` or `for_service`."""
        self._calls = calls

    @classmethod
    def for_user(cls, url: str, token: str, patience_seconds: float = PATIENCE_SECONDS) -> Self:
        """Speak as the user whose token this is, and repeat a call that fails for about so long."""
        return cls(Calls.to(url, {"Authorization": f"Bearer {token}"}, patience_seconds))

    @classmethod
    def for_service(
        cls, url: str, service_id: str, api_key: str = "", patience_seconds: float = PATIENCE_SECONDS
    ) -> Self:
        """Speak as an assistant service, and repeat a call that fails for about so long."""
        return cls(Calls.to(url, {"X-Assistant-Service-ID": service_id, "X-API-Key": api_key}, patience_seconds))

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
        headers = {"X-Assistant-ID": str(assistant_id)} | ({"X-Request-ID": correlation_id} if correlation_id else {})
        return WorkbenchClient(self._calls.with_headers(headers))

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
        return conversation_events(self._calls, f"/conversations/{conversation_id}/events", last_event_id)
