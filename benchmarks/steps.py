"""`python -m benchmarks.steps [--only sqlite] [--top 30]`: what a request costs in steps of the interpreter, by function.

A profile by time shows what is long at once, and little of what is spread over many small calls. Steps hardly move from
run to run. What C does within one is not in them.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import servers
from benchmarks.instructions import PATHS, Measured
from benchmarks.servers import Server

Counted = tuple[str, int, int]
"""A function, how often it was called, and how many steps were taken in it."""

ANSWER_SECONDS = 10.0
# A traced interpreter is some ten times slower.
START_SECONDS = 60.0


async def _count(server: Server, path: Measured, file: Path) -> list[Counted]:
    act = await path.begin(server)
    await act(max(20, path.times // 5))
    os.kill(server.process.pid, signal.SIGUSR1)
    await _has(file, filled=False)
    await act(path.times)
    os.kill(server.process.pid, signal.SIGUSR2)
    await _has(file, filled=True)
    return [(name, calls, steps) for name, calls, steps in json.loads(file.read_text(encoding="utf-8"))]


async def _has(file: Path, *, filled: bool) -> None:
    """Wait for the server's answer to a signal. Raises TimeoutError."""
    async with asyncio.timeout(ANSWER_SECONDS):
        while not file.exists() or (filled and not file.stat().st_size):  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)


def measure(kind: str, folder: Path, path: Measured) -> list[Counted]:
    """Count what a path takes, all of its repetitions together."""
    folder.mkdir(parents=True)
    file = folder / "steps.json"
    under = [sys.executable, "-m", "benchmarks.stepping", str(file)]
    with (
        servers.databases(kind, folder) as create,
        servers.workbench(kind, folder / "data", create("stepped"), under=under) as server,
    ):
        return asyncio.run(_count(server, path, file))


def show(name: str, counted: Sequence[Counted], times: int, top: int) -> None:
    """Print the functions that take most, each for one request."""
    steps, calls = sum(each[2] for each in counted), sum(each[1] for each in counted)
    print(f"\n{name}: {steps / times:,.0f} steps in {calls / times:,.0f} calls", flush=True)
    for function, called, stepped in sorted(counted, key=lambda each: -each[2])[:top]:
        print(f"  {stepped / times:8.1f} {called / times:7.1f}  {function}")


def main() -> None:
    """Count each path on each database."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps")
    parser.add_argument("--only", choices=servers.KINDS, help="one database only")
    parser.add_argument("--top", type=int, default=30, help="how many functions are shown of each")
    options = parser.parse_args()
    servers.START_SECONDS = START_SECONDS
    with tempfile.TemporaryDirectory(prefix="workbench-bench-", ignore_cleanup_errors=True) as folder:
        for kind in servers.KINDS:
            if options.only not in (None, kind):
                continue
            for number, (name, path) in enumerate(PATHS.items()):
                counted = measure(kind, Path(folder) / kind / str(number), path)
                show(f"{kind}: {name}", counted, path.times * path.of_each, options.top)


if __name__ == "__main__":
    main()
