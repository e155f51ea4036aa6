"""A message, and what a caller sends to make one."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, cast
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from workbench.domain.identity.model import Principal, Role
from workbench.domain.jobs.model import NewJob
from workbench.domain.participants.model import deep_merge
from workbench.domain.parts.model import Parts, Slot
from workbench.domain.sizes import SizeLimits

MessageType = Literal["chat", "command", "command-response", "log", "note", "notice"]

MAX_PAGE = 500
"""Front ends ask for exactly 500 and take a shorter page as the end, so the cap may not be lower."""
DEFAULT_PAGE = 100
MAX_FILENAMES = 1000
SEARCHED = 10_000
"""How many messages of a conversation a search looks through."""
MAX_WORDS = 10
TITLE_JOB = "title"
"""The kind of job that asks a model for a conversation's title."""


SLOT_OF: dict[str, Slot] = {"user": "input", "assistant": "output"}
SLOT_TYPES: dict[Slot, frozenset[str]] = {
    "input": frozenset({"chat", "command"}),
    "output": frozenset({"chat", "command-response"}),
}
"""The types that may take each slot of a turn: what an assistant notes on the way is no answer."""
MAX_TURN_ID = 128

_TURN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:~@-]*")


def is_turn_id(text: str) -> bool:
    """Whether a client may give a turn this id."""
    return len(text) <= MAX_TURN_ID and _TURN_ID.fullmatch(text) is not None


class Sender(msgspec.Struct, frozen=True):
    """Who a message is from."""

    participant_role: Role
    participant_id: str


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller sends. A null is as good as an absent value for the optional ones."""

    content: str
    id: UUID | None = None
    sender: Sender | None = None
    message_type: MessageType = "chat"
    content_type: Annotated[str, msgspec.Meta(max_length=255)] = "text/plain"
    filenames: Annotated[list[str], msgspec.Meta(max_length=MAX_FILENAMES)] | None = None
    metadata: dict[str, Any] | None = None
    debug_data: dict[str, Any] | None = None
    turn_id: str | None = None
    token_usage: Any = None
    """What an answer took, as an assistant says it; of anybody else it counts for nothing (turns, 5, L4)."""

    def slot_for(self, principal: Principal) -> tuple[str, Slot] | None:
        """The slot of a turn that it takes: that of who it is from, in the turn it names, if its type may (turns, 5)."""
        named = (self.turn_id, (self.metadata or {}).get("turn_id"))
        turn_id = next((each for each in named if isinstance(each, str) and is_turn_id(each)), None)
        if turn_id is None:
            return None
        slot = SLOT_OF.get(self.sender_for(principal).participant_role)
        return None if slot is None or self.message_type not in SLOT_TYPES[slot] else (turn_id, slot)

    def require_within(self, limits: SizeLimits) -> None:
        """Raise TooLargeError naming the first limit that is passed."""
        limits.check_content(self.content)
        limits.check_json("metadata", self.metadata)
        limits.check_json("debug_data", self.debug_data)

    def split_debug(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The metadata without its `debug`, and all debug data there is: that `debug` merged with `debug_data`."""
        metadata = self.metadata or {}
        if "debug" not in metadata:
            return metadata, self.debug_data or {}
        debug: Any = metadata["debug"]
        if debug and not isinstance(debug, dict):
            debug = {"debug": debug}
        kept = {key: value for key, value in metadata.items() if key != "debug"}
        return kept, deep_merge(cast("dict[str, Any]", debug or {}), self.debug_data or {})

    def sender_for(self, principal: Principal) -> Sender:
        """Who it counts as being from: the caller, or the user whom an assistant names."""
        if principal.role == "assistant" and self.sender is not None and self.sender.participant_role == "user":
            return self.sender
        return Sender(participant_role=principal.role, participant_id=principal.id)


class Message(msgspec.Struct, frozen=True):
    """What was said."""

    id: UUID
    sender: Sender
    message_type: MessageType
    timestamp: datetime
    content_type: str
    content: str
    filenames: list[str]
    metadata: dict[str, Any]
    has_debug_data: bool
    parts: Parts | UnsetType = UNSET
    """What it is made of; only there for those who ask for it."""

    @property
    def is_users_chat(self) -> bool:
        """Whether it is chat, and counts as being from a user."""
        return self.message_type == "chat" and self.sender.participant_role == "user"

    def repeats(self, other: "Message") -> bool:
        """Whether both say the same, but for the time."""
        return self == msgspec.structs.replace(other, timestamp=self.timestamp)


class MessageList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list."""

    messages: list[Message]


class MessageDebug(msgspec.Struct, frozen=True, kw_only=True):
    """What its sender attached for developers."""

    message_id: UUID
    debug_data: dict[str, Any]


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message with what belongs to it but is not shown with it."""

    conversation_id: UUID
    message: Message
    debug_data: dict[str, Any]


class PendingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a turn that is still made: it has its id, and no place in the conversation."""

    turn_id: str
    assistant_id: UUID


class Titling(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a model chooses titles for conversations that people did not name."""

    is_on: bool = False


class TitleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a title is to be chosen for: the conversation up to and including a message."""

    conversation_id: UUID
    message_id: UUID

    def job(self, now: datetime) -> NewJob:
        """Have it done at once, and once however many messages come meanwhile."""
        payload = msgspec.to_builtins(self)
        return NewJob(kind=TITLE_JOB, key=str(self.conversation_id), payload=payload, run_at=now)


class MessageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages are asked for: OR within one field, AND between fields.

    The newest `limit` matches are meant, always listed oldest first; with `oldest_first` it is the oldest
    `limit` matches, so that a reader can page forward with `after`.
    """

    participant_roles: tuple[Role, ...] = ()
    participant_ids: tuple[str, ...] = ()
    message_types: tuple[MessageType, ...] = ()
    before: UUID | None = None
    after: UUID | None = None
    limit: int = DEFAULT_PAGE
    oldest_first: bool = False
