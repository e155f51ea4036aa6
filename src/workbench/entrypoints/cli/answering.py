"""Ann's question to an assistant that the service hosts itself, and the answer as it streams."""

import asyncio
from typing import Any

import httpx
import msgspec
import rich_click as click
from rich.console import Console
from rich.text import Text

from workbench.entrypoints.cli.transcript import INDENT, NAME_STYLES, NAME_WIDTH, printable

SERVICE_ID = "workbench.model"
NAME = "Mo"
TITLE = "A streamed answer"
QUESTION = "Please write a note that the printer on the second floor is out of paper."
LOOK_SECONDS = 0.05
TURN_SECONDS = 60.0
LONGEST_SHOWN = 100
ENDINGS = frozenset({"turn.finalized", "turn.aborted", "turn.failed"})


class StreamedAnswer:
    """A question posted like any other message; the turn that answers it is watched event by event."""

    def __init__(self, ann: httpx.AsyncClient, console: Console) -> None:
        self._ann = ann
        self._console = console
        self._is_mid_line = False
        self._results = 0

    async def play(self) -> list[str]:
        """Ask, show the answer as it comes, and tell what did not come."""
        new = {"assistant_service_id": SERVICE_ID, "template_id": "files", "name": NAME}
        assistant = (await self._ann.post("/assistants", json=new)).raise_for_status().json()["id"]
        conversation = (await self._ann.post("/conversations", json={"title": TITLE})).raise_for_status()
        path = f"/conversations/{conversation.json()['id']}"
        (await self._ann.put(f"{path}/participants/{assistant}", json={})).raise_for_status()
        (await self._ann.post(f"{path}/messages", json={"content": QUESTION})).raise_for_status()
        self._say("Ann", "user", QUESTION)
        try:
            async with asyncio.timeout(TURN_SECONDS):
                ending = await self._watch(f"{path}/turns", await self._turn_id(f"{path}/turns"))
        except TimeoutError:
            return [f"an end of {NAME}'s answer within {TURN_SECONDS:g} seconds"]
        return self._judged(ending)

    async def _turn_id(self, path: str) -> str:
        """The turn that the service opened for the message."""
        while not (turns := (await self._ann.get(path)).raise_for_status().json()["turns"]):  # noqa: ASYNC110 - it is opened elsewhere
            await asyncio.sleep(LOOK_SECONDS)
        return turns[0]["turn_id"]

    async def _watch(self, path: str, turn_id: str) -> dict[str, Any]:
        """Show what happens in the turn, and answer with how it ended. Raises when the stream ends before that."""
        async with self._ann.stream("GET", f"{path}/{turn_id}/stream", timeout=None) as response:
            response.raise_for_status()
            name = ""
            async for line in response.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    data = msgspec.json.decode(value)
                    if name in ENDINGS:
                        return {**data, "event": name}
                    self._show(name, data)
        raise httpx.RemoteProtocolError("The turn's stream has ended.")

    def _show(self, name: str, data: dict[str, Any]) -> None:
        if name == "text.delta":
            self._stream(data["delta"])
        elif name == "tool.args":
            self._aside(f"{NAME} calls {data['toolName']} {_short(data['args'])}")
        elif name == "tool.result":
            self._results += 1
            self._aside(f"and gets back {_short(data['result'])}")

    def _judged(self, ending: dict[str, Any]) -> list[str]:
        """Tell what it took, and what is missing of what was to be seen."""
        self._end_line()
        if ending["event"] != "turn.finalized":
            error: dict[str, Any] = ending["error"] or {}
            raise click.ClickException(f"{NAME}'s answer ended as {ending['event']}: {error.get('message')}")
        usage = ending["usage"]
        if usage is None:
            return ["the usage of the answer"]
        counts = f"{usage['prompt_tokens']} tokens read, {usage['completion_tokens']} written"
        self._aside(f"Stored once, with its usage: {counts}.")
        return [] if self._results else [f"the result of a tool that {NAME} called"]

    def _stream(self, delta: str) -> None:
        if not self._is_mid_line:
            self._is_mid_line = True
            self._console.print(_head(NAME, "assistant"), end="")
        text = printable(delta).replace("\n", "\n" + " " * INDENT)
        self._console.print(Text(text), end="", soft_wrap=True)

    def _end_line(self) -> None:
        if self._is_mid_line:
            self._is_mid_line = False
            self._console.print()

    def _say(self, who: str, role: str, text: str) -> None:
        self._console.print(_head(who, role) + Text(printable(text)), soft_wrap=True)

    def _aside(self, text: str) -> None:
        self._end_line()
        self._console.print(Text(" " * INDENT) + Text(printable(text), "dim italic"), soft_wrap=True)


def _head(name: str, role: str) -> Text:
    return Text(" " * (INDENT - NAME_WIDTH)) + Text(name.ljust(NAME_WIDTH), NAME_STYLES[role])


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
