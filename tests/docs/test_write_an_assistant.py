"""The page on writing an assistant is followed here: its programs are run as they stand, against a real workbench."""

import asyncio
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
from tests.support.service import Service, running_service

from workbench.sdk import ConversationClient, NewMessage, StreamEvent, WorkbenchClient

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "write-an-assistant.md").read_text("utf-8")
WORKBENCH_URL = "http://127.0.0.1:3000"
TOKEN = "$(workbench token --user ann --name Ann)"


@pytest.fixture
async def service(sqlite_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    async with running_service(sqlite_url, tmp_path) as running:
        yield running


def blocks(kind: str) -> list[tuple[str, str]]:
    """The page's blocks of that kind, with their titles."""
    return re.findall(rf'^```{kind}(?: title="([\w.]+)")?\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL)


async def typed(command: str, service: Service, folder: Path) -> asyncio.subprocess.Process:
    """Type a command of the page, with the URL and the token that hold here."""
    here = command.replace(WORKBENCH_URL, service.url).replace(TOKEN, service.token())
    assert here.startswith("python ")
    arguments = here.removeprefix("python ").split()
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )


@asynccontextmanager
async def running(name: str, service: Service, folder: Path) -> AsyncGenerator[None]:
    """Save the page's program and run it by the page's command, until it has announced itself."""
    for title, code in blocks("python"):
        (folder / title).write_text(code, encoding="utf-8")
    start, _ = (command for _, command in blocks("bash"))
    program = await typed(start.replace("shout.py", name), service, folder)
    assert program.stdout is not None
    assert (await program.stdout.readline()).startswith(b"listening on ")
    try:
        await asyncio.wait_for(announced(service), 20)
        yield
    finally:
        program.terminate()
        await program.communicate()


async def announced(service: Service) -> None:
    wanted = {"assistant_service_id": "shout.workbench.example", "name": "Early"}
    while (await service.user().post("/assistants", json=wanted)).status_code != 201:  # noqa: ASYNC110 - over HTTP there is no event
        await asyncio.sleep(0.02)


async def heard(ann: WorkbenchClient, conversation_id: UUID, speaker: UUID, count: int) -> list[tuple[str, str]]:
    """The first things that somebody says in a conversation, with their types."""
    said: list[tuple[str, str]] = []
    async with aclosing(ann.events(conversation_id, last_event_id="0")) as events:
        async for event in events:
            message = event.data.message if isinstance(event, StreamEvent) else None
            if message and message.sender.participant_id == str(speaker):
                said.append((message.message_type, message.content))
            if len(said) == count:
                return said
    raise AssertionError("the stream has ended")


async def test_the_page_can_be_followed(service: Service, tmp_path: Path) -> None:
    async with running("shout.py", service, tmp_path):
        _, ask = (command for _, command in blocks("bash"))
        asking = await typed(ask, service, tmp_path)
        printed, _ = await asyncio.wait_for(asking.communicate(), 20)
    ((_, promised),) = blocks("text")
    assert printed.decode() == promised


async def test_the_longer_program_greets_counts_and_obeys(service: Service, tmp_path: Path) -> None:
    async with (
        running("counting_shout.py", service, tmp_path),
        WorkbenchClient.for_user(service.url, service.token()) as ann,
    ):
        assistant = await ann.create_assistant("shout.workbench.example", "Shout")
        talk = await conversation_with(ann, assistant.id)
        await talk.post("hello")
        for command in ("/count", "/dance"):
            await talk.post(NewMessage(content=command, message_type="command"))
        said = await asyncio.wait_for(heard(ann, talk.id, assistant.id, 4), 20)
    assert said == [
        ("chat", "HI"),
        ("chat", "HELLO!"),
        ("command-response", "1 answers so far"),
        ("command-response", "Type /help to see what I know."),
    ]


async def conversation_with(ann: WorkbenchClient, assistant_id: UUID) -> ConversationClient:
    talk = ann.conversation((await ann.create_conversation("In capitals")).id)
    await talk.add(assistant_id)
    return talk


def test_the_first_program_is_about_twenty_lines() -> None:
    (code,) = (code for title, code in blocks("python") if title == "shout.py")
    assert len(code.splitlines()) <= 20
