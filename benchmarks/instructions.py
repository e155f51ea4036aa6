"""`python -m benchmarks.instructions [--only sqlite] [--write PAGE]`: what a request costs, in instructions.

Times move with the machine, and with whoever else is on it. The instructions that valgrind's callgrind counts hardly do,
so that two states of the program can be compared on any day. What the kernel and PostgreSQL do is not in them.
"""

import argparse
import asyncio
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import report, servers, turns
from benchmarks.client import Connection, Request
from benchmarks.scenarios import Figure, all_have, connect, fill, new_conversation, open_streams
from benchmarks.servers import Server

STREAMS = 100
TURNS = 16
DEPTH = 1000
# An interpreter under valgrind is some fifty times slower.
START_SECONDS = 300.0

Act = Callable[[int], Awaitable[None]]
"""Does something so many times."""


@dataclass(frozen=True)
class Measured:
    """A path: what is done, how often before and while it is counted, and what of it one costs."""

    begin: Callable[[Server], Awaitable[Act]]
    times: int
    of_each: int = 1
    on_floor: bool = False
    """Whether the floor is counted, too. With many clients its writers on SQLite lock each other out."""


async def _all(connections: Sequence[Connection], make: Callable[[int], Request], times: int) -> None:
    numbers = iter(range(times))

    async def one(place: int, connection: Connection) -> None:
        for _ in numbers:
            await connection.json(*make(place))

    await asyncio.gather(*(one(place, connection) for place, connection in enumerate(connections)))


async def _posting(server: Server, clients: int) -> Act:
    connections = await connect(server, clients)
    ids = [await new_conversation(connections[0]) for _ in connections]
    return partial(
        _all, connections, lambda place: ("POST", f"/conversations/{ids[place]}/messages", {"content": "hi"})
    )


async def _reading(server: Server) -> Act:
    connections = await connect(server, 1)
    conversation = await new_conversation(connections[0])
    await fill(server, conversation, DEPTH)
    connections = await connect(server, 1)
    return partial(_all, connections, lambda _: ("GET", f"/conversations/{conversation}/messages?limit=100", None))


async def _streaming(server: Server) -> Act:
    (connection,) = await connect(server, 1)
    path = f"/conversations/{await new_conversation(connection)}"
    streams = list(await open_streams(server, path, STREAMS))

    async def act(times: int) -> None:
        for _ in range(times):
            had = len(streams[0].arrivals)
            await connection.json("POST", f"{path}/messages", {"content": "hi"})
            await all_have(streams, had + 1)

    return act


async def _producing(server: Server) -> Act:
    stage = await turns.set_up(server, TURNS)
    for turn in stage.turns:
        await turn.begin()
    batches = itertools.count(1)

    async def act(times: int) -> None:
        ours = [next(batches) for _ in range(times // TURNS)]
        await asyncio.gather(*(turn.send_at_once(range(ours[0], ours[-1] + 1)) for turn in stage.turns))

    return act


PATHS = {
    "a post, one client": Measured(partial(_posting, clients=1), 150, on_floor=True),
    "a post, 16 clients at once": Measured(partial(_posting, clients=16), 480),
    "a page of 100 messages": Measured(_reading, 60),
    f"a batch of a turn's deltas, to {turns.WATCHERS} watchers, of {TURNS} turns at once": Measured(_producing, 480),
    f"an event to one of {STREAMS} streams, its part of the post included": Measured(_streaming, 20, STREAMS),
}


async def _count(server: Server, path: Measured) -> None:
    act = await path.begin(server)
    # What is compiled and kept when it is first used is not of interest.
    await act(max(20, path.times // 5))
    await _switch(server, "on")
    await act(path.times)
    await _switch(server, "off")


async def _switch(server: Server, state: str) -> None:
    command = ["callgrind_control", "--instr=" + state, str(server.process.pid)]
    switching = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if await switching.wait():
        raise RuntimeError("callgrind could not be switched " + state)


def _counted(folder: Path) -> int:
    """Add up what callgrind wrote: one file for each time it was switched off, and one at the end."""
    lines = [line for file in folder.iterdir() for line in file.read_text(encoding="utf-8").splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("totals:"))


def _measure(kind: str, folder: Path, path: Measured, *, on_floor: bool) -> float:
    counts = folder / "counts"
    counts.mkdir(parents=True)
    file = f"--callgrind-out-file={counts}/out"
    under = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "-q", file]
    with servers.databases(kind, folder) as create:
        url = create("counted")
        running = (
            servers.floor("floor", servers.for_floor(url), under)
            if on_floor
            else servers.workbench(kind, folder / "data", url, under=under)
        )
        with running as server:
            asyncio.run(_count(server, path))
    return _counted(counts) / path.times / path.of_each


def main() -> None:
    """Count each path on each database."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions")
    parser.add_argument("--only", choices=servers.KINDS, help="one database only")
    report.add_options(parser)
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        parser.error("needs valgrind (apt-get install valgrind)")
    servers.START_SECONDS = START_SECONDS
    before = report.state_of_machine()
    columns: report.Columns = {}
    for kind in servers.KINDS:
        if options.only in (None, kind):
            for column, on_floor in ((kind, False), (f"{kind} floor", True)):
                columns[column] = _column(kind, on_floor=on_floor)
    report.tell("instructions", report.Results(before, columns), options)


def _column(kind: str, *, on_floor: bool) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for name, path in PATHS.items():
        if on_floor and not path.on_floor:
            continue
        with tempfile.TemporaryDirectory(prefix="workbench-instructions-", ignore_cleanup_errors=True) as folder:
            counted = _measure(kind, Path(folder), path, on_floor=on_floor)
        figures[name] = Figure(name, counted / 1000, "thousand")
        print(f"{kind}{' floor' if on_floor else ''}: {name}: {counted:,.0f}", flush=True)
    return figures


if __name__ == "__main__":
    main()
