"""A conversation's events as lines for people."""

from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

NAME_WIDTH = 10
STYLES = {"user": "bold cyan", "assistant": "bold magenta"}


class Transcript:
    """Prints events one by one; remembers names from those that carry them."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._names: dict[str, str] = {}

    def show(self, name: str, data: str) -> dict[str, Any] | None:
        """Print an event of the conversation's stream; a new message is also given back."""
        event = msgspec.json.decode(data)
        when = datetime.fromisoformat(event["timestamp"]).astimezone().strftime("%H:%M:%S")
        if name == "message.created":
            message: dict[str, Any] = event["data"]["message"]
            self._line(when, message["sender"]["participant_role"], self._name_of(message), message["content"])
            return message
        if name in ("participant.created", "participant.updated"):
            self._participant(when, name, event["data"])
        return None

    def _participant(self, when: str, name: str, data: dict[str, Any]) -> None:
        for participant in data["participants"]:
            self._names[participant["id"]] = participant["name"]
        participant = data["participant"]
        if name == "participant.created":
            self._aside(when, f"{participant['name']} joins the conversation")
        elif participant["status"]:
            self._aside(when, f"{participant['name']}: {participant['status']}")

    def _name_of(self, message: dict[str, Any]) -> str:
        sender: str = message["sender"]["participant_id"]
        return self._names.get(sender, sender)

    def _line(self, when: str, role: str, who: str, text: str) -> None:
        line = Text().append(f"{when}  ", style="dim").append(f"{who:<{NAME_WIDTH}}", style=STYLES.get(role, "bold"))
        self._console.print(line.append(text))

    def _aside(self, when: str, text: str) -> None:
        self._console.print(Text(f"{when}  {'':<{NAME_WIDTH}}{text}", style="dim italic"))
