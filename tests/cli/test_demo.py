"""The demo: run as a newcomer runs it, and its parts where a real assistant would have to misbehave."""

import asyncio
import contextlib
import io
import json
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
import httpx
import psutil
import pytest
from rich.console import Console
from tests.support.assistants import RecordingAssistantService
from tests.support.processes import WORKBENCH
from tests.support.service import Service, running_service

from workbench.entrypoints.cli.processes import Child, child, while_alive
from workbench.entrypoints.cli.talk import LINES, Talk, expected_answer
from workbench.entrypoints.cli.transcript import Transcript

AWAY = "http://127.0.0.1:1"


class RunningDemo:
    """The demo as a process, in a temporary folder of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""

    async def until(self, words: str) -> str:
        """Read on until a line has these words, and give all that was printed."""
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            while words not in self.output:
                line = await self.process.stdout.readline()
                assert line, self.output
                self.output += line.decode()
        return self.output

    async def end(self) -> tuple[int | None, str]:
        """Wait for its end; its exit code, and all that was printed."""
        async with asyncio.timeout(30):
            self.output += (await self.process.communicate())[0].decode()
        return self.process.returncode, self.output

    def pid_of(self, name: str) -> int:
        """The process that the demo says this is."""
        found = re.search(rf"the {name} +http\S+ +\(process (\d+)\)", self.output)
        assert found is not None, self.output
        return int(found[1])


@asynccontextmanager
async def running_demo(folder: Path, *options: str, **environment: str) -> AsyncGenerator[RunningDemo]:
    """Start it where settings and a proxy are set that are not for it; at the end nothing of it may be left."""
    misleading = {"WORKBENCH__SERVICE__PORT": "not a port", "workbench__data_root": "/proc/1", "NO_PROXY": ""}
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), AWAY)
    process = await asyncio.create_subprocess_exec(
        WORKBENCH,
        "demo",
        *options,
        env={**os.environ, **misleading, **proxies, "TMPDIR": str(folder), "COLUMNS": "100", **environment},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        demo = RunningDemo(process)
        await demo.until("Starting")
        yield demo
        assert list(folder.iterdir()) == []
        assert processes_in(folder) == []
    finally:
        for left in processes_in(folder):
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()
        await process.communicate()


def processes_in(folder: Path) -> list[psutil.Process]:
    """The processes that work in a folder or below it."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd().startswith(str(folder)):
                found.append(process)
    return found


async def test_once_it_prints_the_transcript_and_ends_well(tmp_path: Path) -> None:
    async with running_demo(tmp_path, "--once") as demo:
        code, output = await demo.end()
    assert code == 0, output
    said = [line[10:] for line in output.partition("\nAnother")[0].splitlines()[1:] if line]
    assert said[:2] == ['          Ann opens the conversation "A first talk"', "          Echo joins the conversation"]
    assert said.count("          Echo: thinking...") == 1 + len(LINES)
    heard = [line.split(maxsplit=1) for line in said if line.startswith(("Ann", "Echo"))]
    assert [who for who, _ in heard] == ["Echo", *["Ann", "Echo"] * len(LINES)]
    assert ["Ann", "/reverse desserts, I stressed"] in heard
    assert ["Echo", "desserts I ,stressed"] in heard
    answered, _, worked_on = output.partition("hosts itself")[2].partition("\nA problem is worked on")
    shown = [line.strip() for line in answered.splitlines()]
    assert shown[0] == ", answers by a small script in the place of a model:"
    assert shown[1].startswith("Ann       Please write a note")
    assert shown[2].startswith('Mo calls write_file {"filename":"note.txt"')
    assert shown[3].startswith('and gets back {"filename":"note.txt","version":1')
    assert shown[4].startswith("Mo        I called the tool write_file")
    assert re.match(r"Stored once, with its usage: \d+ tokens read, \d+ written", shown[-1])
    told = [line.strip() for line in worked_on.splitlines()]
    assert told[1].startswith("Ann       The printer on the second floor")
    assert told[2].startswith("the playbook printer-offline fits")
    assert [line[:5] for line in told[3:9]] == ["Guide", "Ann  "] * 3
    assert "Bob finds it in the queue, after 3 steps, and takes it over" in told
    assert told[-1] == "Every answer came as expected."
    assert "## Resolution" in told
    assert "\x1b" not in output


async def test_it_stays_and_its_curl_lines_work(tmp_path: Path) -> None:
    async with running_demo(tmp_path) as demo:
        output = await demo.until("goes on here")
        pasted = [line.strip() for line in output.splitlines() if re.match(" +(AUTH=|TALK=|curl )", line)]
        assert len(pasted) == 5
        assert max(map(len, pasted[2:])) < 100
        listing, posting, following = ["\n".join([*pasted[:2], line]) for line in pasted[2:]]
        stream = await shell(following)
        assert "Good morning! Is anybody here?" in await output_of(await shell(listing))
        posted = json.loads(await output_of(await shell(posting)))
        assert (posted["sender"]["participant_id"], posted["content"]) == ("ann", "Hello")
        shown = await demo.until("You said: Hello")
        assert re.search(r"Ann +Hello\n", shown)
        assert stream.stdout is not None
        async with asyncio.timeout(10):
            assert b"message.created" in await stream.stdout.readuntil(b"message.created")
        for address in re.findall(r"http\S+/docs", output):
            async with httpx.AsyncClient(trust_env=False) as browser:
                assert (await browser.get(address)).status_code == 200
        assert Path(re.findall(r"database file +(\S+)", output)[0]).is_file()
        demo.process.send_signal(signal.SIGINT)
        assert (await demo.end())[0] == 0
        await stream.communicate()


async def shell(script: str) -> asyncio.subprocess.Process:
    own = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
    return await asyncio.create_subprocess_exec("bash", "-c", script, env=own, stdout=asyncio.subprocess.PIPE)


async def output_of(process: asyncio.subprocess.Process) -> str:
    async with asyncio.timeout(10):
        return (await process.communicate())[0].decode()


@pytest.mark.parametrize("name", ["service", "assistant"])
async def test_a_process_that_dies_ends_it_and_is_named_with_its_last_words(tmp_path: Path, name: str) -> None:
    async with running_demo(tmp_path) as demo:
        await demo.until("goes on here")
        os.kill(demo.pid_of(name), signal.SIGKILL)
        code, output = await demo.end()
    assert code == 1
    assert f"The {name} was ended by signal 9" in output
    assert {"service": "Workbench is serving on", "assistant": "listening on"}[name] in output


@pytest.mark.parametrize(("reached", "told"), [("Starting", signal.SIGINT), ("opens the conversation", signal.SIGTERM)])
async def test_told_to_stop_before_its_end_it_leaves_nothing(
    tmp_path: Path, reached: str, told: signal.Signals
) -> None:
    async with running_demo(tmp_path, "--once") as demo:
        await demo.until(reached)
        demo.process.send_signal(told)
        code, output = await demo.end()
    assert code == 130
    assert output.rstrip().endswith("Stopped.")


@asynccontextmanager
async def started(script: str, folder: Path) -> AsyncGenerator[Child]:
    async with child("the sample", [sys.executable, "-c", script], folder, {"SAMPLE": "a setting"}) as sample:
        yield sample


async def test_a_process_that_cannot_start_is_quoted(tmp_path: Path) -> None:
    async with started(
        "import os; print('no luck with', os.environ['SAMPLE']); raise SystemExit(3)", tmp_path
    ) as sample:
        with pytest.raises(
            click.ClickException, match=r"The sample ended, with exit code 3.*\n\nno luck with a setting"
        ):
            await sample.says_where("serving on ")


async def test_a_process_that_does_not_heed_is_killed(tmp_path: Path) -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('at http://x', flush=True)\n"
    async with started(f"{script}while True: time.sleep(60)", tmp_path) as sample:
        await sample.says_where("at ")
        assert sample.url == "http://x"
        stopping = asyncio.create_task(sample.stop())
        await asyncio.sleep(0)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        assert sample.process.returncode == -signal.SIGKILL


async def test_what_broke_a_connection_is_told_rather_than_that_it_broke() -> None:
    class Life:
        """Ends a moment after the work has noticed."""

        async def run(self) -> NoReturn:
            await broken.wait()
            raise click.ClickException("it died")

    async def work() -> None:
        broken.set()
        raise httpx.ReadError("connection lost")

    broken = asyncio.Event()
    with pytest.raises(click.ClickException, match="it died"):
        await while_alive(work(), [Life()])


async def talk_with(service: Service, service_id: str, seconds: float) -> Talk:
    return await Talk.begin(service.user(), service_id, Transcript(Console(file=io.StringIO())), seconds)


async def test_answers_that_do_not_come_are_named(sqlite_url: str, tmp_path: Path) -> None:
    silent = RecordingAssistantService()
    async with running_service(sqlite_url, tmp_path / "data") as service, silent:
        await silent.announce(service.url)
        talk = await talk_with(service, silent.service_id, seconds=5)
        missing = await while_alive(talk.play(seconds=0), [talk])
    assert missing[0] == "a greeting"
    assert all(f'to "{text}"' in told for (_, text), told in zip(LINES, missing[1:], strict=True))
    assert "desserts I ,stressed" in missing[2]


async def test_an_assistant_service_that_never_comes_is_named(sqlite_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data") as service:
        with pytest.raises(click.ClickException, match=r"has not announced itself: .*nobody\.example"):
            await talk_with(service, "nobody.example", seconds=0)


def test_expected_answers_follow_from_what_is_said() -> None:
    assert expected_answer("chat", "Hello") == ("chat", "Hello")
    assert expected_answer("command", "/reverse ab c") == ("command-response", "c ba")


ANN = {"id": "ann", "name": "Ann", "active_participant": True, "status": None}


def shown(console: Console, *events: tuple[str, dict[str, Any]]) -> list[str]:
    """What a transcript prints of events, without the times."""
    transcript = Transcript(console)
    for name, data in events:
        transcript.show(name, json.dumps({"timestamp": "2026-11-20T10:00:00Z", "data": data}))
    assert isinstance(console.file, io.StringIO)
    return [line[10:] for line in console.file.getvalue().splitlines()]


def participant(event: str, **changes: Any) -> tuple[str, dict[str, Any]]:
    return event, {"participant": ANN | changes, "participants": [ANN | changes]}


def said(content: str, message_type: str = "chat", who: str = "ann") -> tuple[str, dict[str, Any]]:
    sender = {"participant_id": who, "participant_role": "user"}
    return "message.created", {"message": {"sender": sender, "message_type": message_type, "content": content}}


def test_the_transcript_tells_who_comes_what_they_do_and_who_goes() -> None:
    assert shown(
        Console(file=io.StringIO()),
        participant("participant.created"),
        participant("participant.updated", status="typing..."),
        participant("participant.updated"),
        said("Hello"),
        ("message.deleted", said("Hello")[1]),
        said("Who am I?", who="a stranger"),
        participant("participant.updated", active_participant=False),
    ) == [
        "          Ann joins the conversation",
        "          Ann: typing...",
        "Ann       Hello",
        "          a message of Ann is taken back",
        "a stranger Who am I?",
        "          Ann leaves the conversation",
    ]


def test_long_and_many_lines_stay_below_each_other_on_a_terminal() -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=60)
    lines = shown(terminal, participant("participant.created"), said("one\n\n" + "word " * 12))
    assert lines[1:] == [
        "Ann       one",
        "",
        "          " + "word " * 7 + "word",
        "          " + "word " * 3 + "word",
    ]


def test_into_a_pipe_long_lines_go_whole() -> None:
    lines = shown(Console(file=io.StringIO(), width=60), participant("participant.created"), said("word " * 40))
    assert len(lines) == 2


def test_nobody_s_text_can_take_over_the_terminal() -> None:
    lines = shown(
        Console(file=io.StringIO()),
        participant("participant.created", name="A\x1b[2Jnn", status="\x07"),
        said("\x1b]0;title\x07 \tbye"),
    )
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", "".join(lines))


def test_colours_tell_people_assistants_and_commands_apart_unless_they_are_unwanted() -> None:
    def printed(color_system: Any) -> str:
        terminal = Console(file=io.StringIO(), force_terminal=True, color_system=color_system)
        return "\n".join(shown(terminal, participant("participant.created"), said("/help", "command")))

    assert "\x1b[1;36mAnn" in printed("standard")
    assert "\x1b[33m/help" in printed("standard")
    assert "\x1b" not in printed(None)
