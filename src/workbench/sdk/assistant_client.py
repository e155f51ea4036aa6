"""One assistant in the workbench, as its owner or the assistant itself sees it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec

from workbench.sdk.calls import Calls, taking_missing_for_an_answer
from workbench.sdk.model import (
    Assistant,
    Config,
    Conversation,
    Json,
    StateData,
    StateDescription,
    plain,
)


class _Conversations(msgspec.Struct):
    conversations: list[Conversation]


class _States(msgspec.Struct):
    states: list[StateDescription]


class _AssistantChange(msgspec.Struct, omit_defaults=True):
    name: str | None = None
    image: str | None = None
    metadata: Json | None = None


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
