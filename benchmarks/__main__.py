"""`python -m benchmarks [--quick] [--deep N] [--turns SECONDS]`: measures, and prints a table in Markdown.

Nothing here is asserted: figures depend on the machine. `RESULTS.md` keeps what was measured, with the machine.
"""

import argparse
import contextlib
import platform
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import psutil
import uvloop

from benchmarks import deep, files, flows, scenarios, servers, turns
from benchmarks.scenarios import Effort, Figure

Create = Callable[[str], str]
"""Makes a new database of that name and gives its URL."""


def main() -> None:
    """Measure everything on both databases."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--quick", action="store_true", help="shorter, with fewer streams")
    parser.add_argument("--deep", type=int, default=1_000_000, help="messages in the deep history; 0 leaves it out")
    parser.add_argument("--only", choices=["sqlite", "postgresql"], help="one database only")
    parser.add_argument("--amqp-url", help="a RabbitMQ to measure flows on; without it, only the bus inside")
    parser.add_argument("--flows", action="store_true", help="flows only")
    parser.add_argument(
        "--turns", type=float, metavar="SECONDS", help="the turns that stream at once, and nothing else"
    )
    options = parser.parse_args()
    effort = Effort(seconds=3, streams=200, file_mib=256, turns=20, turn_seconds=5) if options.quick else Effort()
    if options.turns:
        effort.turn_seconds = options.turns
    print(f"{platform.machine()}, {psutil.cpu_count()} cores, Python {platform.python_version()}, client on it too\n")
    columns: dict[str, dict[str, Figure]] = {}
    with tempfile.TemporaryDirectory(prefix="workbench-bench-", ignore_cleanup_errors=True) as folder:
        if not options.turns:
            columns["flows"] = _by_name(uvloop.run(flows.flowing(Path(folder), effort, options.amqp_url)))
        for kind in () if options.flows else ("sqlite", "postgresql"):
            if options.only in (None, kind):
                with _databases(kind, Path(folder)) as create:
                    if options.turns:
                        columns |= _measure_turns(kind, create, Path(folder), effort)
                    else:
                        columns |= _measure(kind, create, Path(folder), effort, options.deep)
    _print_table(columns)


@contextlib.contextmanager
def _databases(kind: str, folder: Path) -> Generator[Create]:
    if kind == "sqlite":
        yield lambda name: f"sqlite:///{folder / name}.db"
        return
    (folder / "postgresql").mkdir()
    with servers.postgresql(folder / "postgresql") as create:
        yield create


def _measure(kind: str, create: Create, folder: Path, effort: Effort, depth: int) -> dict[str, dict[str, Figure]]:
    url = create("workbench")
    with servers.workbench(kind, folder / f"data-{kind}", url) as server:
        figures = [Figure("start until ready", server.started_in, "s")]
        for scenario in (scenarios.posting, scenarios.reading, scenarios.listing, scenarios.streaming):
            figures += uvloop.run(scenario(server, effort))
        figures += uvloop.run(files.transferring(server, effort))
        figures += uvloop.run(turns.streaming_turns(server, effort))
        if depth:
            conversation = uvloop.run(_one_conversation(server))
            deep.fill(url, conversation, depth)
            figures += uvloop.run(scenarios.reading(server, effort, conversation, f"{depth:,}"))
    driver = "sqlite+aiosqlite" if kind == "sqlite" else "postgresql+asyncpg"
    bare = create("bare")
    with servers.floor(f"{kind} floor", driver + bare[bare.index(":") :]) as server:
        ground = [Figure("start until ready", server.started_in, "s")]
        ground += uvloop.run(scenarios.posting(server, effort))
        ground += uvloop.run(scenarios.reading(server, effort))
    return {kind: _by_name(figures), f"{kind} floor": _by_name(ground)}


def _measure_turns(kind: str, create: Create, folder: Path, effort: Effort) -> dict[str, dict[str, Figure]]:
    with servers.workbench(kind, folder / f"data-{kind}", create("workbench")) as server:
        return {kind: _by_name(uvloop.run(turns.streaming_turns(server, effort)))}


async def _one_conversation(server: servers.Server) -> str:
    connection = (await scenarios.connect(server, 1))[0]
    try:
        return await scenarios.new_conversation(connection)
    finally:
        connection.close()


def _by_name(figures: list[Figure]) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures}


def _print_table(columns: dict[str, dict[str, Figure]]) -> None:
    names = list(dict.fromkeys(name for figures in columns.values() for name in figures))
    print("| |" + "".join(f" {column} |" for column in columns))
    print("|---|" + "---|" * len(columns))
    for name in names:
        cells = [figures.get(name) for figures in columns.values()]
        print(f"| {name} |" + "".join(f" {cell.value:,.1f} {cell.unit} |" if cell else " |" for cell in cells))


if __name__ == "__main__":
    main()
