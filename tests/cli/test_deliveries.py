"""`workbench deliveries`: what waits is listed, what could not be brought is replayed or dropped."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import Result
from tests.cli.test_cli import plain, run
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import Behaviour, status
from tests.support.service import Service, running_service
from tests.workers.test_delivery import QUICK, Talk, begin, told

STRANGE = Behaviour(status=400, body=b"no [bold]thanks[/x] \x1b[2J")


@pytest.fixture
async def service(sqlite_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    async with running_service(sqlite_url, tmp_path / "data", delivery=QUICK) as service:
        yield service


@pytest.fixture
async def recorder() -> AsyncGenerator[RecordingAssistantService]:
    async with RecordingAssistantService() as running:
        yield running


async def dead(service: Service, recorder: RecordingAssistantService, *contents: str) -> Talk:
    """A conversation in which an assistant refused all of this."""
    talk = await begin(service, recorder)
    await recorder.wait_for(1)
    recorder.answer(Kind.EVENT, *[STRANGE] * len(contents))
    await talk.say(*contents)
    url = f"/assistants/{talk.assistant}/delivery"
    async with asyncio.timeout(8):
        while (await talk.ann.get(url)).json()["dead_letter_count"] < len(contents):  # noqa: ASYNC110 - what another process says
            await asyncio.sleep(0.02)
    return talk


async def deliveries(service: Service, folder: Path, *arguments: str) -> Result:
    url = service.database_url
    return await asyncio.to_thread(run, folder, "deliveries", *arguments, WORKBENCH__DB__URL=url)


async def test_what_waits_and_what_is_dead_is_listed(
    service: Service, recorder: RecordingAssistantService, tmp_path: Path
) -> None:
    talk = await dead(service, recorder, "one", "two")
    listed = await deliveries(service, tmp_path, "list")
    assert listed.exit_code == 0, listed.output
    assert talk.conversation in listed.output
    assert "no [bold]thanks[/x]" in listed.output
    assert "\x1b[2J" not in listed.output
    found = json.loads((await deliveries(service, tmp_path, "list", "--json")).output)
    assert [each["state"] for each in found["deliveries"]] == ["live"]
    assert [letter["event_type"] for letter in found["dead_letters"]] == ["message.created"] * 2
    for option, value in (("--assistant", str(uuid4())), ("--workspace", "elsewhere")):
        none = json.loads((await deliveries(service, tmp_path, "list", "--json", option, value)).output)
        assert none == {"deliveries": [], "dead_letters": []}


async def test_dead_letters_are_replayed(service: Service, recorder: RecordingAssistantService, tmp_path: Path) -> None:
    talk = await dead(service, recorder, "one", "two", "three")
    found = json.loads((await deliveries(service, tmp_path, "list", "--json")).output)
    newest = found["dead_letters"][0]["id"]
    one = await deliveries(service, tmp_path, "replay", newest)
    assert (one.exit_code, one.output) == (0, "1 replayed.\n")
    recorder.answer(Kind.EVENT, status(400, "still not"))
    failed = await deliveries(service, tmp_path, "replay", "--all")
    assert failed.exit_code == 1
    assert "0 replayed." in failed.output
    assert "still not" in plain(failed)
    done = await deliveries(service, tmp_path, "replay", "--all", "--json")
    assert json.loads(done.output) == {"replayed": 2, "error": None}
    assert told(recorder, talk) == ["three", "one", "two"]
    assert (await deliveries(service, tmp_path, "replay", newest)).exit_code == 3


async def test_dead_letters_are_dropped(service: Service, recorder: RecordingAssistantService, tmp_path: Path) -> None:
    talk = await dead(service, recorder, "one", "two")
    assert "2 would be dropped." in (await deliveries(service, tmp_path, "drop", "--all", "--dry-run")).output
    letter = json.loads((await deliveries(service, tmp_path, "list", "--json")).output)["dead_letters"][0]["id"]
    assert (await deliveries(service, tmp_path, "drop", letter)).output == "1 dropped.\n"
    dropped = await deliveries(service, tmp_path, "drop", "--all", "--json")
    assert json.loads(dropped.output) == {"dropped": 1, "found": 1}
    url = f"/assistants/{talk.assistant}/delivery"
    assert (await talk.ann.get(url)).json()["dead_letter_count"] == 0
    assert (await deliveries(service, tmp_path, "drop", letter)).exit_code == 3


@pytest.mark.parametrize("verb", ["replay", "drop"])
async def test_something_must_be_named(service: Service, tmp_path: Path, verb: str) -> None:
    for arguments in ([], ["--all", str(uuid4())], ["not-an-id"]):
        assert (await deliveries(service, tmp_path, verb, *arguments)).exit_code == 2
