"""`workbench demo`: the service and an assistant, each as its own process, and a conversation between them and you."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import rich_click as click

from workbench.entrypoints.cli.transcript import Transcript
from workbench.wiring.local_tokens import sign_local_token
from workbench.wiring.settings import Settings

START_SECONDS = 30.0
ANNOUNCED_EVERY_SECONDS = 0.05
ANSWER_SECONDS = 20.0
STOP_SECONDS = 10.0
TOKEN_HOURS = 12
SERVICE_ID = "echo.workbench.example"
LINES: tuple[tuple[str, str], ...] = (
    ("chat", "Good morning! Is anybody here?"),
    ("command", "/reverse desserts, I stressed"),
    ("chat", "That is all for today, thank you."),
)


class Child:
    """A process of the demo's own, whose first lines tell when it is ready."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process
        self.output: list[str] = []

    async def says(self, words: str) -> str:
        """Wait for a line with these words, and give what follows them. Raises ClickException where it ends first."""
        stream = self.process.stdout
        async with asyncio.timeout(START_SECONDS):
            while stream is not None and (line := (await stream.readline()).decode()):
                self.output.append(line.rstrip())
                if words in line:
                    return line.partition(words)[2].split()[0]
        raise click.ClickException("\n".join([f"{self.name} ended before it was ready:", *self.output[-20:]]))

    async def drain(self) -> None:
        """Read on, so that the process never waits for us."""
        stream = self.process.stdout
        while stream is not None and (line := await stream.readline()):
            self.output = [*self.output[-19:], line.decode().rstrip()]

    async def stop(self) -> None:
        """End it, kindly first."""
        if self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


@click.command()
@click.option("--once", is_flag=True, help="Stop after the transcript; exit 1 if an expected answer is missing.")
def demo(*, once: bool) -> None:
    """Start the service with an assistant on a temporary data folder, and show a conversation as it happens."""
    with tempfile.TemporaryDirectory(prefix="workbench-demo-", ignore_cleanup_errors=True) as folder:
        missing = asyncio.run(_demo(Path(folder), once=once))
    if missing:
        raise click.ClickException("No answer came to: " + "; ".join(missing))


async def _demo(folder: Path, *, once: bool) -> list[str]:
    settings = Settings.of(data_root=folder)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for ending in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(ending, ended.set)
    async with _child("the service", folder, "serve", "--port", "0") as service:
        url = await service.says("serving on ")
        async with _child("the assistant", folder, "--workbench-url", url, "--port", "0") as assistant:
            address = await assistant.says("listening on ")
            token = sign_local_token(
                settings, user_id="ann", name="Ann", workspace="default", ttl_seconds=TOKEN_HOURS * 3600
            )
            readers = [asyncio.create_task(child.drain()) for child in (service, assistant)]
            async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}) as ann:
                talk = await Talk.begin(ann)
                following = asyncio.create_task(talk.follow())
                missing = await talk.play()
                if not once and not missing:
                    _explain(url, address, folder, token, talk.path, (service, assistant))
                    await ended.wait()
            for task in (following, *readers):
                task.cancel()
            await asyncio.gather(following, *readers, return_exceptions=True)
    return missing


@asynccontextmanager
async def _child(name: str, folder: Path, *arguments: str) -> AsyncGenerator[Child]:
    """Run a process of ours, with none of the settings that the caller may have for another service."""
    module = "workbench.entrypoints.cli.main" if arguments[0] == "serve" else "workbench.examples.echo_assistant"
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("WORKBENCH__")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        env={**inherited, "WORKBENCH__DATA_ROOT": str(folder), "WORKBENCH__LOGGING__LOG_LEVEL": "WARNING"},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    child = Child(name, process)
    try:
        yield child
    finally:
        await child.stop()


class Talk:
    """Ann's conversation with the assistant."""

    def __init__(self, ann: httpx.AsyncClient, path: str, assistant_id: str) -> None:
        self._ann = ann
        self.path = path
        self._assistant_id = assistant_id
        self._transcript = Transcript()
        self._heard = asyncio.Condition()
        self._replies: list[dict[str, Any]] = []
        self._following = asyncio.Event()

    @classmethod
    async def begin(cls, ann: httpx.AsyncClient) -> "Talk":
        """Make the assistant, as soon as its service has announced itself, and the conversation."""
        assistant = {"assistant_service_id": SERVICE_ID, "name": "Echo"}
        async with asyncio.timeout(START_SECONDS):
            created = await ann.post("/assistants", json=assistant)
            while created.status_code == HTTPStatus.BAD_REQUEST:
                await asyncio.sleep(ANNOUNCED_EVERY_SECONDS)
                created = await ann.post("/assistants", json=assistant)
        made = await ann.post("/conversations", json={"title": "A first talk"})
        return cls(
            ann, f"/conversations/{made.raise_for_status().json()['id']}", created.raise_for_status().json()["id"]
        )

    async def follow(self) -> None:
        """Print the conversation's events as they come."""
        async with self._ann.stream("GET", f"{self.path}/events", timeout=None) as response:
            self._following.set()
            name = ""
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    message = self._transcript.show(name, line[6:])
                    if message is not None:
                        async with self._heard:
                            self._replies.append(message)
                            self._heard.notify_all()

    async def play(self) -> list[str]:
        """Add the assistant, say the lines one by one, and tell which of them found no answer."""
        await self._following.wait()
        seat = f"{self.path}/participants/{self._assistant_id}"
        (await self._ann.put(seat, json={}, timeout=ANSWER_SECONDS)).raise_for_status()
        missing = [] if await self._is_answered(None) else ["the assistant's joining"]
        for kind, text in LINES:
            message_id = str(uuid.uuid4())
            new = {"id": message_id, "content": text, "message_type": kind}
            (await self._ann.post(f"{self.path}/messages", json=new)).raise_for_status()
            if not await self._is_answered(message_id, _expected(kind, text)):
                missing.append(text)
        return missing

    async def _is_answered(self, message_id: str | None, expected: str = "") -> bool:
        """Wait for the assistant's message; to one of ours it says in its metadata which one it answers."""

        def is_it(message: dict[str, Any]) -> bool:
            from_it = message["sender"]["participant_id"] == self._assistant_id
            answers = message["metadata"].get("reply_to") if message_id else None
            return from_it and answers == message_id and expected in message["content"]

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS), self._heard:
                await self._heard.wait_for(lambda: any(map(is_it, self._replies)))
                return True
        return False


def _expected(kind: str, text: str) -> str:
    """What the answer must contain: what was said, or for the command its argument backwards."""
    return text.partition(" ")[2][::-1] if kind == "command" else text


def _explain(url: str, assistant_url: str, folder: Path, token: str, path: str, children: Sequence[Child]) -> None:
    """Say what runs where, and what to try."""
    service, assistant = children
    click.echo(
        f"""
What is running until you press Ctrl-C:
  the service    {url}  (process {service.process.pid}; its interface: {url}/docs)
  the assistant  {assistant_url}  (process {assistant.process.pid})
  the data       {folder}

Try it from another terminal:
  TOKEN={token}
  curl -H "Authorization: Bearer $TOKEN" {url}{path}/messages
  curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
    -d '{{"content": "Hello from curl"}}' {url}{path}/messages
  curl -H "Authorization: Bearer $TOKEN" -N {url}{path}/events
"""
    )
