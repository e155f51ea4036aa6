"""`python -m benchmarks.profiling [--seconds S] [--only sqlite] [--write PAGE]`: where the time of the hot paths goes.

py-spy looks at the running server a few hundred times a second, from outside. A moment belongs to the innermost frame
of a room or a library; the standard library's frames belong to who called them.
"""

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import uvloop

from benchmarks import report, scenarios, servers
from benchmarks.client import closed_loop
from benchmarks.scenarios import Effort, Figure, connect, fill, new_conversation
from benchmarks.servers import Server

SAMPLES_A_SECOND = 250
WARM_UP_SECONDS = 2.0
SHOWN = 10
ROOMS = {
    "workbench/domain/": "domain",
    "workbench/adapters/sql/": "adapters/sql",
    "workbench/adapters/": "other adapters",
    "workbench/entrypoints/": "entrypoints",
    "workbench/wiring/": "wiring",
    "litestar/": "Litestar",
    "uvicorn/": "uvicorn",
    "sqlalchemy/": "SQLAlchemy",
    "asyncpg/": "asyncpg",
    "dishka/": "dishka",
    "prometheus_client/": "prometheus-client",
    "structlog/": "structlog",
    "limits/": "limits",
}
LOOP = "event loop, sockets, kernel"

_FRAME = re.compile(r"(?P<name>.+) \((?P<file>[^()]+?)(:\d+)?\)$")


@dataclass
class Profile:
    """Moments by room, and by function of ours."""

    rooms: Counter[str]
    functions: Counter[str]

    def shares(self) -> list[Figure]:
        """Each room's part of the time."""
        total = self.rooms.total() or 1
        return [Figure(room, 100 * count / total, "%") for room, count in self.rooms.most_common()]


def read_stacks(lines: Sequence[str]) -> Profile:
    """Read py-spy's raw form: frames from the outermost to the innermost, and how often they were seen."""
    profile = Profile(Counter(), Counter())
    for line in lines:
        stack, _, count = line.rpartition(" ")
        room, function = _innermost(stack.split(";"))
        profile.rooms[room] += int(count)
        if function:
            profile.functions[function] += int(count)
    return profile


def _innermost(frames: Sequence[str]) -> tuple[str, str | None]:
    for frame in reversed(frames):
        found = _FRAME.match(frame)
        file = found["file"] if found else ""
        for part, room in ROOMS.items():
            if found and (at := file.find(part)) >= 0:
                return room, f"`{found['name']}` in {file[at:]}" if part.startswith("workbench") else None
    return LOOP, None


async def _posting(server: Server, seconds: float) -> None:
    connections = await connect(server, 16)
    ids = [await new_conversation(connections[0]) for _ in connections]
    await closed_loop(
        connections, lambda number, n: ("POST", f"/conversations/{ids[number]}/messages", {"content": f"{n}"}), seconds
    )


async def _reading(server: Server, seconds: float) -> None:
    connections = await connect(server, 4)
    conversation = await new_conversation(connections[0])
    await fill(server, conversation, 1000)
    path = f"/conversations/{conversation}/messages?limit=100"
    await closed_loop(connections, lambda _number, _n: ("GET", path, None), seconds)


async def _fanning_out(server: Server, seconds: float) -> None:
    await scenarios.streaming(server, replace(Effort(), seconds=seconds, streams=500))


PATHS: dict[str, Callable[[Server, float], Awaitable[None]]] = {
    "post a message, 16 clients": _posting,
    "read a page of 100, 4 clients": _reading,
    "events to 500 streams": _fanning_out,
}


async def _watched(server: Server, run: Callable[[Server, float], Awaitable[None]], seconds: float) -> Profile:
    """Run the path, and look at the server in the middle of it."""
    with tempfile.TemporaryDirectory(prefix="workbench-profile-") as folder:
        raw = Path(folder) / "raw"
        looking = [str(Path(sys.executable).with_name("py-spy")), "record", "--format", "raw", "--output", str(raw)]
        looking += ["--rate", str(SAMPLES_A_SECOND), "--duration", f"{seconds:.0f}", "--pid", str(server.process.pid)]
        running = asyncio.ensure_future(run(server, seconds + 3 * WARM_UP_SECONDS))
        await asyncio.sleep(WARM_UP_SECONDS)
        spy = await asyncio.create_subprocess_exec(*looking, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if await spy.wait():
            raise RuntimeError("py-spy could not look at the server: it needs the right to trace processes")
        await running
        return read_stacks(raw.read_text(encoding="utf-8").splitlines())


def main() -> None:
    """Profile each path on each database."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiling")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--only", choices=servers.KINDS, help="one database only")
    report.add_options(parser)
    options = parser.parse_args()
    before = report.state_of_machine()
    columns: report.Columns = {}
    with tempfile.TemporaryDirectory(prefix="workbench-profile-", ignore_cleanup_errors=True) as folder:
        for kind in servers.KINDS:
            if options.only in (None, kind):
                columns |= _profile(kind, Path(folder), options.seconds)
    report.tell("profile", report.Results(before, columns), options)


def _profile(kind: str, folder: Path, seconds: float) -> report.Columns:
    columns: report.Columns = {}
    with servers.databases(kind, folder) as create:
        for number, (name, run) in enumerate(PATHS.items()):
            url = create(f"profiled{number}")
            with servers.workbench(kind, folder / f"data-{kind}-{number}", url) as server:
                profile = uvloop.run(_watched(server, run, seconds))
            columns[f"{kind}: {name}"] = {figure.name: figure for figure in profile.shares()}
            print(f"{kind}: {name}")
            for function, count in profile.functions.most_common(SHOWN):
                print(f"  {100 * count / profile.rooms.total():5.1f} % {function}")
    return columns


if __name__ == "__main__":
    main()
