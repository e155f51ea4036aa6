"""One conversation in the workbench, as somebody who takes part in it sees it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from urllib.parse import quote
from uuid import UUID

import msgspec

from workbench.sdk.calls import Calls, taking_missing_for_an_answer
from workbench.sdk.files_client import FilesClient
from workbench.sdk.holding import LEASE_SECONDS, take_answer, take_turn
from workbench.sdk.model import (
    Conversation,
    Json,
    Message,
    NewMessage,
    Participant,
)
from workbench.sdk.producing import Answer, producing
from workbench.sdk.turns_client import TurnsClient


class _Messages(msgspec.Struct):
    messages: list[Message]


class _Participants(msgspec.Struct):
    participants: list[Participant]


class _ConversationChange(msgspec.Struct, omit_defaults=True):
    title: str | None = None
    metadata: Json | None = None


class ConversationClient:
    """One conversation, as somebody who takes part in it."""

    def __init__(self, calls: Calls, conversation_id: UUID) -> None:
        self.id = conversation_id
        self._calls = calls
        self._path = f"/conversations/{conversation_id}"

    @property
    def files(self) -> FilesClient:
        """Its files."""
        return FilesClient(self._calls, f"{self._path}/files")

    @property
    def turns(self) -> TurnsClient:
        """Its turns, for those who ask and who watch."""
        return TurnsClient(self._calls, f"{self._path}/turns")

    def turn(
        self, turn_id: str, *, lease_seconds: int = LEASE_SECONDS, resume: bool = False
    ) -> AbstractAsyncContextManager[Answer]:
        """Make, as its assistant, the answer of a turn that is open; the turn ends with the block.

        What a producer who was lost had made is dropped, unless we `resume` it. We count as lost when nothing is heard of
        us for `lease_seconds`, from 10 to 600. Raises TurnLostError when the turn has ended, or another producer has it.
        """
        taking = take_turn(self._calls, self.turns.path, turn_id, lease_seconds=lease_seconds, resume=resume)
        return producing(taking)

    def answer(self, message: Message, *, lease_seconds: int = LEASE_SECONDS) -> AbstractAsyncContextManager[Answer]:
        """Make, as an assistant, the answer to a message, in the turn that it asks us in or in one of our own.

        Raises TurnLostError when the message was answered already, or is just now; CallError when we are busy with
        another turn (its `code` is `turn_active`).
        """
        return producing(take_answer(self._calls, self.turns.path, message, lease_seconds=lease_seconds))

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
