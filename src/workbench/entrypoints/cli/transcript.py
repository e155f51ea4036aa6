"""A conversation's events as lines for people."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

NAME_WIDTH = 10
INDENT = len("00:00:00  ") + NAME_WIDTH
NARROWEST = 40
TAB_WIDTH = 4
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
NAME_STYLES: Mapping[str, str] = MappingProxyType({"user": "bold cyan", "assistant": "bold magenta"})
TEXT_STYLES: Mapping[str, str] = MappingProxyType({"command": "yellow", "command-response": "green", "log": "dim"})


class Transcript:
    """Prints events one by one; remembers names from those that carry them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._names: dict[str, str] = {}
        self._seated: set[str] = set()

    def show(self, name: str, data: str) -> dict[str, Any] | None:
        """Print an event of the conversation's stream; a new message is also given back."""
        event = msgspec.json.decode(data)
        if name == "stream.gap":
            self._aside("--:--:--", "events are missing here: they are no longer kept")
            return None
        when = datetime.fromisoformat(event["timestamp"]).astimezone().strftime("%H:%M:%S")
        about = event["data"]
        if name.startswith("participant."):
            self._participant(when, about)
        elif name.startswith("conversation."):
            self._conversation(when, name, about["conversation"])
        elif name == "message.deleted":
            self._aside(when, f"a message of {self._name_of(about['message'])} is taken back")
        elif name == "message.created":
            self._message(when, about["message"])
            return about["message"]
        return None

    def _message(self, when: str, message: dict[str, Any]) -> None:
        name = printable(self._name_of(message)).ljust(NAME_WIDTH - 1)
        who = Text(f"{name} ", NAME_STYLES.get(message["sender"]["participant_role"], ""))
        self._line(when, who, Text(printable(message["content"]), TEXT_STYLES.get(message["message_type"], "")))

    def _conversation(self, when: str, name: str, conversation: dict[str, Any]) -> None:
        for participant in conversation["participants"]:
            self._meet(participant)
        if name == "conversation.created":
            owner = self._names.get(conversation["owner_id"], conversation["owner_id"])
            self._aside(when, f'{owner} opens the conversation "{conversation["title"]}"')
        else:
            self._aside(when, f'the conversation "{conversation["title"]}" is {name.partition(".")[2]}')

    def _participant(self, when: str, data: dict[str, Any]) -> None:
        for participant in data["participants"]:
            self._names[participant["id"]] = participant["name"]
        participant = data["participant"]
        name, was_seated = participant["name"], participant["id"] in self._seated
        self._meet(participant)
        if was_seated != participant["active_participant"]:
            self._aside(when, f"{name} {'leaves' if was_seated else 'joins'} the conversation")
        if participant["status"]:
            self._aside(when, f"{name}: {participant['status']}")

    def _meet(self, participant: dict[str, Any]) -> None:
        who = participant["id"]
        self._names[who] = participant["name"]
        if participant["active_participant"]:
            self._seated.add(who)
        else:
            self._seated.discard(who)

    def _name_of(self, message: dict[str, Any]) -> str:
        sender: str = message["sender"]["participant_id"]
        return self._names.get(sender, sender)

    def _aside(self, when: str, text: str) -> None:
        self._line(when, Text(" " * NAME_WIDTH), Text(printable(text), "dim italic"))

    def _line(self, when: str, who: Text, text: Text) -> None:
        """Print it with the later lines of a text below its first; only a terminal needs long ones broken."""
        width = max(self._console.width - INDENT, NARROWEST)
        lines = text.wrap(self._console, width) if self._console.is_terminal else text.split("\n", allow_blank=True)
        head = Text.assemble((f"{when}  ", "dim"), who)
        for line in lines:
            whole = Text.assemble(head, line)
            whole.rstrip()
            self._console.print(whole, soft_wrap=True)
            head = Text(" " * INDENT)


def printable(text: str) -> str:
    """Replace what would move the cursor or change the terminal; others write these texts."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else REPLACEMENT for letter in text.expandtabs(TAB_WIDTH)
    )
