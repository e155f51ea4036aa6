"""The tutorial is followed here as a reader follows it: every command of the page, in order, in four terminals."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.servers import eventually

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "first-conversation.md"
PORT = "3000"
MARK = "==the next command=="
READY = {"terminal 1": "is serving on", "terminal 2": "listening on", "terminal 3": MARK, "terminal 4": "200 OK"}


class Terminal:
    """A shell that is typed into; what it prints is kept."""

    def __init__(self, folder: Path, name: str, port: int) -> None:
        self._printed = folder / f"{name.replace(' ', '-')}.txt"
        tools = Path(sys.executable).parent
        env = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(folder), "WORKBENCH__SERVICE__PORT": str(port)}
        # curl writes the head of an answer to a file only with the first of the body, which is a sign of life.
        env["WORKBENCH__EVENTS__KEEP_ALIVE_SECONDS"] = "0.2"
        with self._printed.open("wb") as output:
            self._shell = subprocess.Popen(
                ["bash"], cwd=folder, env=env, stdin=subprocess.PIPE, stdout=output, stderr=output, text=True
            )

    @property
    def printed(self) -> str:
        return self._printed.read_text(encoding="utf-8")

    def type(self, text: str) -> int:
        """Enter the text; answers how much was printed before."""
        assert self._shell.stdin is not None
        before = len(self.printed)
        self._shell.stdin.write(f"{text}\n")
        self._shell.stdin.flush()
        return before

    async def interrupt(self) -> None:
        """Press Ctrl+C, and wait until the command has ended."""
        for child in self._children():
            os.kill(child, signal.SIGINT)
        await eventually(lambda: not self._children())

    def _children(self) -> list[int]:
        tasks = Path(f"/proc/{self._shell.pid}/task/{self._shell.pid}/children")
        return [int(child) for child in tasks.read_text().split()] if tasks.exists() else []

    def close(self) -> None:
        children = self._children()
        for child in children:
            os.kill(child, signal.SIGTERM)
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(20)


def blocks(kind: str) -> Iterator[tuple[str, str]]:
    """The page's blocks of that kind that name a terminal."""
    found = re.finditer(
        rf'^```{kind} title="(terminal \d)[^"]*"\n(.*?)^```', PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return ((match[1], match[2]) for match in found)


@contextmanager
def terminals(folder: Path, port: int) -> Iterator[dict[str, Terminal]]:
    with ExitStack() as stack:
        opened = {name: Terminal(folder, name, port) for name in READY}
        for terminal in opened.values():
            stack.callback(terminal.close)
        yield opened


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


async def test_the_tutorial_can_be_followed(tmp_path: Path) -> None:
    port = free_port()
    with terminals(tmp_path, port) as opened:
        for name, typed in blocks("bash"):
            terminal, ready = opened[name], READY[name]
            if ready is not MARK:
                await terminal.interrupt()
            before = terminal.type(typed.replace(PORT, str(port)) + (f"echo {MARK}" if ready is MARK else ""))
            await eventually(lambda at=before, seen=terminal, text=ready: text in seen.printed[at:], timeout_seconds=20)
        shown: defaultdict[str, str] = defaultdict(str)
        for name, text in blocks("text"):
            shown[name] += text
        promised = re.findall(r'"content":"([^"]+)"', shown["terminal 4"])
        assert len(promised) >= 5
        stream = opened["terminal 4"]
        await eventually(
            lambda: all(stream.printed.count(f'"content":"{text}"') for text in promised), timeout_seconds=20
        )
        # Live, and again behind position 5, which may still be on its way.
        await eventually(lambda: len(re.findall(r"^id: 6$", stream.printed, re.MULTILINE)) == 2, timeout_seconds=20)
        assert stream.printed.count("event: conversation.created") == 1
