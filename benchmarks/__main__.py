"""`python -m benchmarks [--quick] [--deep N...] [--turns SECONDS] [--flows] [--rabbitmq] [--write PAGE]`: prints a table.

Nothing here is asserted: figures depend on the machine. What is written into a page is kept in `results/` too.
"""

import argparse
import contextlib
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import uvloop

from benchmarks import deep, delivering, files, flows, report, scenarios, servers, turns
from benchmarks.inbox import inbox
from benchmarks.scenarios import Effort, Figure
from benchmarks.servers import Create, Server

QUICK = Effort(
    starts=1, seconds=3, streams=200, file_mib=256, turns=20, turn_seconds=5, conversations=(100, 500), exported=2_000
)


def main() -> None:
    """Measure everything on both databases."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--quick", action="store_true", help="shorter, with fewer streams")
    parser.add_argument(
        "--deep", type=int, nargs="*", default=[100_000, 1_000_000], help="messages in deep histories; 0 leaves it out"
    )
    parser.add_argument("--only", choices=servers.KINDS, help="one database only")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--amqp-url", help="a RabbitMQ to measure flows on; without it, only the bus inside")
    which.add_argument("--rabbitmq", action="store_true", help="start a RabbitMQ for that")
    parser.add_argument("--flows", action="store_true", help="flows only")
    parser.add_argument(
        "--turns", type=float, metavar="SECONDS", help="the turns that stream at once, and nothing else"
    )
    report.add_options(parser)
    options = parser.parse_args()
    effort = QUICK if options.quick else Effort()
    if options.turns:
        effort.turn_seconds = options.turns
    before = report.state_of_machine()
    columns: report.Columns = {}
    with tempfile.TemporaryDirectory(prefix="workbench-bench-", ignore_cleanup_errors=True) as folder:
        if not options.turns:
            columns |= _measure_flows(Path(folder), effort, options)
        for kind in () if options.flows else servers.KINDS:
            if options.only in (None, kind):
                with servers.databases(kind, Path(folder)) as create:
                    if options.turns:
                        columns |= _measure_turns(kind, create, Path(folder), effort)
                    else:
                        columns |= _measure(kind, create, Path(folder), effort, options.deep)
    report.tell(_part(options), report.Results(before, columns), options)


def _measure_flows(folder: Path, effort: Effort, options: argparse.Namespace) -> report.Columns:
    with flows.broker(folder / "broker") if options.rabbitmq else contextlib.nullcontext(options.amqp_url) as url:
        found = uvloop.run(flows.flowing(folder, effort, url))
    return {kind: report.by_name(figures) for kind, figures in found.items()}


def _part(options: argparse.Namespace) -> str:
    """Name what is measured, as the place in the page is named."""
    if options.turns:
        return "turns"
    return "flows" if options.flows else "speed"


def _measure(kind: str, create: Create, folder: Path, effort: Effort, depths: list[int]) -> report.Columns:
    bare = create("bare")
    with _floor(kind, bare) as server:
        before = uvloop.run(scenarios.answering(server, effort))
    ours = _ours(kind, create, folder, effort, depths)
    floor = report.by_name(_ground(kind, bare, effort, depths))
    # The pace of the better moment, so that a bad one asks for no less.
    for figure in before:
        floor[figure.name] = max(floor[figure.name], figure, key=lambda each: each.value)
    return {kind: report.by_name(ours), kind + report.FLOOR: floor}


def _floor(kind: str, bare: str) -> contextlib.AbstractContextManager[Server]:
    return servers.floor(kind + report.FLOOR, servers.for_floor(bare))


def _ours(kind: str, create: Create, folder: Path, effort: Effort, depths: list[int]) -> list[Figure]:
    def start(number: int) -> contextlib.AbstractContextManager[Server]:
        return servers.workbench(kind, folder / f"start-{kind}-{number}", create(f"start{number}"))

    figures = [_starting(start, effort)]
    url = create("workbench")
    with servers.workbench(kind, folder / f"data-{kind}", url) as server:
        for scenario in (scenarios.posting, scenarios.reading, scenarios.streaming):
            figures += uvloop.run(scenario(server, effort))
        with inbox(delivering.ASSISTANTS) as services:
            figures += uvloop.run(delivering.delivering(server, services, effort))
        figures += uvloop.run(files.transferring(server, effort))
        figures += uvloop.run(turns.streaming_turns(server, effort))
        figures += uvloop.run(scenarios.listing(server, effort, partial(deep.gather_statistics, url)))
        figures += uvloop.run(scenarios.posting(server, effort, among=max(effort.conversations)))
        conversation = _deepened(server, url, effort.exported)
        figures += uvloop.run(delivering.exporting(server, conversation, effort.exported))
        for depth in filter(None, depths):
            figures += uvloop.run(scenarios.reading(server, effort, _deepened(server, url, depth), f"{depth:,}"))
    return figures


def _starting(start: Callable[[int], contextlib.AbstractContextManager[Server]], effort: Effort) -> Figure:
    """Start a few times, each on a new database, and give the median: the time of one moves by a third."""
    took: list[float] = []
    for number in range(effort.starts):
        with start(number) as server:
            took.append(server.started_in)
    return Figure("start until ready", statistics.median(took), "s")


def _deepened(server: Server, url: str, depth: int) -> str:
    """Make a conversation with so many messages."""
    conversation = uvloop.run(_one_conversation(server))
    deep.fill(url, conversation, depth)
    return conversation


def _ground(kind: str, bare: str, effort: Effort, depths: list[int]) -> list[Figure]:
    """Measure the floor."""
    figures = [_starting(lambda _number: _floor(kind, bare), effort)]
    with _floor(kind, bare) as server:
        figures += uvloop.run(scenarios.answering(server, effort))
        figures += uvloop.run(scenarios.posting(server, effort))
        figures += uvloop.run(scenarios.reading(server, effort))
        figures += uvloop.run(scenarios.streaming(server, effort))
        with inbox(delivering.ASSISTANTS) as services:
            figures += uvloop.run(delivering.telling(services, effort))
        figures += uvloop.run(files.transferring_bare(server, effort))
        figures += uvloop.run(turns.streaming_bare(server, effort))
        uvloop.run(deep.fill_bare(server, max(effort.exported, *effort.conversations)))
        figures += uvloop.run(scenarios.listing_bare(server, effort))
        figures += uvloop.run(delivering.dumping(server, effort.exported))
        for depth in filter(None, depths):
            uvloop.run(deep.fill_bare(server, depth))
            figures += uvloop.run(scenarios.reading(server, effort, deep.BARE, f"{depth:,}"))
    return figures


def _measure_turns(kind: str, create: Create, folder: Path, effort: Effort) -> report.Columns:
    with servers.workbench(kind, folder / f"data-{kind}", create("workbench")) as server:
        return {kind: report.by_name(uvloop.run(turns.streaming_turns(server, effort)))}


async def _one_conversation(server: Server) -> str:
    connection = (await scenarios.connect(server, 1))[0]
    try:
        return await scenarios.new_conversation(connection)
    finally:
        connection.close()


if __name__ == "__main__":
    main()
