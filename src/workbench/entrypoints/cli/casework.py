"""Ann's problem with a printer: a troubleshooting session that a colleague takes over, and what is written of it."""

from typing import Any

import httpx
from rich.console import Console
from rich.text import Text

from workbench.entrypoints.cli.transcript import INDENT, NAME_STYLES, NAME_WIDTH, printable

SESSIONS = "/ai-sessions"
REPORT = "The printer on the second floor shows offline and jobs are stuck in the print queue"
FIELDS = {"printer_name": "PRN-02"}
ANSWERS = (0, 0, 1)
"""Which of the options is the answer to each step."""
HEADINGS = ("## Problem", "## Steps taken", "## Escalations", "## Resolution")
RESOLUTION = {"resolution_summary": "The switch port of the printer was off", "resolution_action": "fixed"}


class Casework:
    """A session from what is reported to its documentation, by the playbooks that come with the package alone."""

    def __init__(self, ann: httpx.AsyncClient, token_of_bob: str, console: Console) -> None:
        self._client = ann
        self._as_bob = {"Authorization": f"Bearer {token_of_bob}"}
        self._console = console

    async def play(self) -> list[str]:
        """Show it, and tell what is missing in the documentation at its end."""
        self._say("Ann", "user", REPORT)
        started = await self._post(SESSIONS, {"intake_content": {"text": REPORT, "fields": FIELDS}})
        path, step = f"{SESSIONS}/{started['session_id']}", started["first_step"]
        best = started["candidates"][0]
        self._aside(f"the playbook {best['key']} fits, with a score of {best['score']:.2f}")
        for place in ANSWERS:
            step = await self._answer(path, step, place)
        await self._post(f"{path}/escalate", {"reason": "I cannot see the switch from here"})
        self._aside("Ann asks for a colleague")
        waiting = await self._client.get(f"{SESSIONS}/escalation-queue", headers=self._as_bob)
        queue = waiting.raise_for_status().json()["items"]
        self._aside(f"Bob finds it in the queue, after {queue[0]['step_count']} steps, and takes it over")
        await self._post(f"{SESSIONS}/{queue[0]['session_id']}/pickup", {}, self._as_bob)
        await self._post(f"{path}/resolve", RESOLUTION, self._as_bob)
        self._say("Bob", "user", RESOLUTION["resolution_summary"])
        written = await self._client.get(f"{path}/documentation", params={"format": "markdown"})
        told = written.raise_for_status().text
        self._aside("What is written of it, without a model:")
        for line in told.splitlines():
            self._console.print(Text((" " * INDENT + printable(line)).rstrip()), soft_wrap=True)
        return [f"{heading} in the documentation" for heading in HEADINGS if heading not in told]

    async def _answer(self, path: str, step: dict[str, Any], place: int) -> dict[str, Any]:
        """Show a step, answer it with one of the things that it offers, and give what is asked next."""
        option = step["options"][place]
        self._say("Guide", "assistant", step["content"]["prompt"])
        self._say("Ann", "user", option["label"])
        answer = {"step_id": step["step_id"], "option_value": option["value"]}
        return (await self._post(f"{path}/respond", answer))["next_step"]

    async def _post(self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
        """As Ann, unless the headers say otherwise."""
        return (await self._client.post(path, json=body, headers=headers)).raise_for_status().json()

    def _say(self, name: str, role: str, text: str) -> None:
        head = Text(" " * (INDENT - NAME_WIDTH)) + Text(name.ljust(NAME_WIDTH), NAME_STYLES[role])
        self._console.print(head + Text(printable(text)), soft_wrap=True)

    def _aside(self, text: str) -> None:
        self._console.print(Text(f"{' ' * INDENT}{text}", "dim"), soft_wrap=True)
