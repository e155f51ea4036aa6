"""What a model is shown when it is asked for a title, and what is made of its answer."""

import msgspec

from workbench.domain.identity.model import Role
from workbench.domain.messages.model import Message

SHOWN_MESSAGES = 10
MAX_SHOWN_LENGTH = 4000
"""Characters of one message that the model is shown; a title needs no more, and a prompt has an end."""
MAX_TITLE_LENGTH = 100
USAGE_TYPE = "chat_title"
"""What the calls of models are booked as."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What was said, and on which side."""

    role: Role
    content: str

    @classmethod
    def of(cls, message: Message) -> "Line":
        """What the model is shown of a message; whoever is no user is the assistant."""
        role: Role = "user" if message.sender.participant_role == "user" else "assistant"
        return cls(role=role, content=message.content[:MAX_SHOWN_LENGTH])


class Untitled(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation that wants a title: the one it has, and what was said last, the oldest line first."""

    current_title: str
    lines: tuple[Line, ...]


def clean_title(text: str) -> str:
    """Put a model's title on one line of bounded length; blank stays blank."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:MAX_TITLE_LENGTH].strip()
