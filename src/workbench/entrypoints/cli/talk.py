"""Ann's conversation with the example assistant, over HTTP like anybody's."""

import asyncio
import contextlib
import uuid
from http import HTTPStatus
from typing import Any, NoReturn

import httpx
import rich_click as click

from workbench.entrypoints.cli.transcript import Transcript

TITLE = "A first talk"
LINES: tuple[tuple[str, str], ...] = (
    ("chat", "Good morning! Is anybody here?"),
    ("command", "/reverse desserts, I stressed"),
    ("chat", "That is all for today, thank you."),
)
ANNOUNCED_SECONDS = 10.0
ANNOUNCED_EVERY_SECONDS = 0.05
ANSWER_SECONDS = 15.0
# What the later lines still get when an earlier one has used up the time.
LEAST_SECONDS = 0.3


class Talk:
    """A conversation: what is said in it, and whether it is answered as it should be."""

    def __init__(self, ann: httpx.AsyncClient, conversation_id: str, assistant_id: str, transcript: Transcript) -> None:
        self.path = f"/conversations/{conversation_id}"
        self._ann = ann
        self._assistant_id = assistant_id
        self._transcript = transcript
        self._heard = asyncio.Condition()
        self._answers: list[dict[str, Any]] = []

    @classmethod
    async def begin(
        cls, ann: httpx.AsyncClient, service_id: str, transcript: Transcript, seconds: float = ANNOUNCED_SECONDS
    ) -> "Talk":
        """Make the assistant, as soon as its service has announced itself, and the conversation.

        Raises ClickException when the service does not announce itself in that time.
        """
        assistant = await _made_assistant(ann, service_id, seconds)
        conversation = (await ann.post("/conversations", json={"title": TITLE})).raise_for_status()
        return cls(ann, conversation.json()["id"], assistant["id"], transcript)

    async def run(self) -> NoReturn:
        """Print the conversation's events, from its first on, as they come. Raises when the stream ends."""
        url = f"{self.path}/events"
        async with self._ann.stream("GET", url, headers={"Last-Event-ID": "0"}, timeout=None) as response:
            response.raise_for_status()
            name = ""
            async for line in response.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    await self._hear(self._transcript.show(name, value))
        raise httpx.RemoteProtocolError("The event stream has ended.")

    async def play(self, seconds: float = ANSWER_SECONDS) -> list[str]:
        """Add the assistant, say the lines one by one, and tell what was not answered in that time."""
        deadline = asyncio.get_running_loop().time() + seconds
        seat = f"{self.path}/participants/{self._assistant_id}"
        (await self._ann.put(seat, json={})).raise_for_status()
        missing = [] if await self._is_answered(deadline) else ["a greeting"]
        for kind, text in LINES:
            message_id = str(uuid.uuid4())
            new = {"id": message_id, "content": text, "message_type": kind}
            (await self._ann.post(f"{self.path}/messages", json=new)).raise_for_status()
            expected = expected_answer(kind, text)
            if not await self._is_answered(deadline, to=message_id, expected=expected):
                missing.append(f'the answer to "{text}", with "{expected[1]}" in it')
        return missing

    async def _hear(self, message: dict[str, Any] | None) -> None:
        if message is not None and message["sender"]["participant_id"] == self._assistant_id:
            async with self._heard:
                self._answers.append(message)
                self._heard.notify_all()

    async def _is_answered(
        self, deadline: float, *, to: str | None = None, expected: tuple[str, str] = ("chat", "")
    ) -> bool:
        """Wait for it. The assistant says in the metadata which message it answers; a greeting answers none."""
        kind, words = expected

        def is_it(answer: dict[str, Any]) -> bool:
            is_to = answer["metadata"].get("reply_to") == to
            return is_to and answer["message_type"] == kind and words in answer["content"]

        left = max(deadline - asyncio.get_running_loop().time(), LEAST_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left), self._heard:
                await self._heard.wait_for(lambda: any(map(is_it, self._answers)))
                return True
        return False


def expected_answer(kind: str, text: str) -> tuple[str, str]:
    """Work out the answer's type and words: what was said, or for the command its argument backwards."""
    return ("command-response", text.partition(" ")[2][::-1]) if kind == "command" else ("chat", text)


async def _made_assistant(ann: httpx.AsyncClient, service_id: str, seconds: float) -> dict[str, Any]:
    wanted = {"assistant_service_id": service_id, "name": "Echo"}
    deadline = asyncio.get_running_loop().time() + seconds
    while _is_unannounced(made := await ann.post("/assistants", json=wanted)):
        if asyncio.get_running_loop().time() > deadline:
            raise click.ClickException(f"The assistant has not announced itself: {made.text}")
        await asyncio.sleep(ANNOUNCED_EVERY_SECONDS)
    return made.raise_for_status().json()


def _is_unannounced(response: httpx.Response) -> bool:
    if response.status_code != HTTPStatus.BAD_REQUEST:
        return False
    fault = response.json()
    return fault.get("code") == "assistant_service_offline" or fault.get("field") == "assistant_service_id"
