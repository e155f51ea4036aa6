"""`python -m benchmarks.load [--seconds S] [--idle N] ...`: many streams, steady posts and assistants, for long.

Counts every error: a post that is refused, an event that a stream misses or gets twice, one that an assistant is not
told of. Reports how the server's memory grows. Then as many idle streams as `--idle` says, in one server process.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from benchmarks import report, servers
from benchmarks.client import Connection, quantile
from benchmarks.inbox import Arrival, Inbox, inbox
from benchmarks.memory import Sample, sampled, settled, slope_an_hour
from benchmarks.pacing import Posted, post_at_pace
from benchmarks.scenarios import Figure, new_conversation
from benchmarks.seats import assistants_of, seated
from benchmarks.servers import Server
from benchmarks.watchers import Watched, allow_many_files, watching

PATIENCE_SECONDS = 60.0
"""How long, after the last post, streams and assistants may take to have everything."""
SETTLING_SECONDS = 3.0


@dataclass(kw_only=True)
class Load:
    """How much, and for how long."""

    seconds: float = 600.0
    streams: int = 1000
    rate: float = 200.0
    assistants: int = 4
    conversations: int = 100
    seats: int = 1
    """Assistants in each conversation."""
    idle: int = 10_000
    idle_seconds: float = 240.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Put the load on, on each database, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    usual = asdict(Load())
    for name, value in usual.items():
        whole = isinstance(value, int)
        parser.add_argument(f"--{name.replace('_', '-')}", type=int if whole else float, default=value)
    parser.add_argument("--only", choices=servers.KINDS, help="one database only")
    report.add_options(parser)
    options = parser.parse_args(arguments)
    load = Load(**{name: getattr(options, name) for name in usual})
    allow_many_files()
    before = report.state_of_machine()
    columns: report.Columns = {}
    with tempfile.TemporaryDirectory(prefix="workbench-load-", ignore_cleanup_errors=True) as folder:
        for kind in servers.KINDS:
            if options.only in (None, kind):
                columns[kind] = {figure.name: figure for figure in _measure(kind, Path(folder), load)}
    report.tell("load", report.Results(before, columns), options)


def _measure(kind: str, folder: Path, load: Load) -> list[Figure]:
    figures: list[Figure] = []
    with servers.databases(kind, folder) as create:
        if load.seconds:
            with (
                servers.workbench(kind, folder / f"data-{kind}", create("loaded")) as server,
                inbox(load.assistants) as assistants,
            ):
                figures += uvloop.run(loading(server, assistants, load))
        if load.idle:
            with servers.workbench(kind, folder / f"idle-{kind}", create("idle")) as server:
                figures += uvloop.run(idling(server, load))
    return figures


async def loading(server: Server, services: Inbox, load: Load) -> list[Figure]:
    """Post at a steady rate to conversations that are watched and have assistants."""
    ann = await Connection(server.port, server.token).open()
    assistants = await assistants_of(server, ann, services.urls, "load")
    seats = await seated(ann, load.conversations, assistants, load.seats)
    ann.close()
    conversations = list(seats)
    paths = {_events(conversation): conversation for conversation in conversations}
    in_turn = list(paths)
    every = [in_turn[number % len(in_turn)] for number in range(load.streams)]
    with watching(server.port, server.token, every) as watchers:
        await watchers.opened()
        before, used, begun = server.sent(), server.cpu_seconds(), time.monotonic()
        async with sampled(server) as samples:
            posted = await post_at_pace(server, conversations, load.rate, load.seconds)
        took, used, after = time.monotonic() - begun, server.cpu_seconds() - used, server.sent()
        watched = await watchers.finish({path: posted.tried[paths[path]] for path in paths}, PATIENCE_SECONDS)
    told = await _told(services, len(posted.stored) * load.seats)
    return [
        *_outcome(posted, watched, told, seats),
        *_delays(posted, watched, told),
        Figure("posts", len(posted.took) / took, "/s"),
        Figure("events to streams", watched.events / took, "/s"),
        Figure("statements a post, deliveries included", (after - before) / max(len(posted.stored), 1), ""),
        Figure("server's CPU", 100 * used / took, "%"),
        *_growth(samples),
    ]


async def _told(services: Inbox, wanted: int) -> list[Arrival]:
    told: list[Arrival] = []
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        told += await services.collect()
        if len(told) >= wanted or time.monotonic() > end:
            return told
        await asyncio.sleep(0.2)


def _outcome(posted: Posted, watched: Watched, told: list[Arrival], seats: dict[str, list[str]]) -> list[Figure]:
    wanted = {(seat, talk, number) for talk, number in posted.stored for seat in seats[talk]}
    missing = wanted - {arrival[:3] for arrival in told}
    if posted.failures:
        print(f"first failure: {posted.failures[0]}")
    return [
        Figure("posts refused or failed", len(posted.failures), ""),
        Figure("events missed on streams", watched.missed, ""),
        Figure("events repeated or out of order on streams", watched.repeated, ""),
        Figure("streams that broke", watched.broken, ""),
        Figure("events not delivered", len(missing), ""),
        Figure("events delivered again", len(told) - len({arrival[:3] for arrival in told}), ""),
    ]


def _delays(posted: Posted, watched: Watched, told: list[Arrival]) -> list[Figure]:
    late = [arrival.late_seconds for arrival in told]
    return [
        figure
        for share in (0.5, 0.99)
        for figure in (
            Figure(f"answer to a post, p{share:.0%}"[:-1], quantile(posted.took, share) * 1e3, "ms"),
            Figure(f"post to stream, p{share:.0%}"[:-1], watched.late_quantile(share), "ms"),
            Figure(f"post to assistant, p{share:.0%}"[:-1], quantile(late, share) * 1e3, "ms"),
        )
    ]


def _growth(samples: Sequence[Sample]) -> list[Figure]:
    calm = settled(samples)
    return [
        Figure("memory after the warm-up", calm[0][1], "MiB"),
        Figure("memory at the end", calm[-1][1], "MiB"),
        Figure("memory grows by", slope_an_hour(calm), "MiB/h"),
    ]


async def idling(server: Server, load: Load) -> list[Figure]:
    """Open idle streams, on conversations of a hundred watchers each, and see what they cost."""
    ann = await Connection(server.port, server.token).open()
    conversations = [await new_conversation(ann) for _ in range(max(1, load.idle // 100))]
    ann.close()
    paths = [_events(conversations[number % len(conversations)]) for number in range(load.idle)]
    empty = server.memory_kib()
    begun = time.monotonic()
    with watching(server.port, server.token, paths) as watchers:
        await watchers.opened()
        opened = time.monotonic() - begun
        await asyncio.sleep(SETTLING_SECONDS)
        full, used, begun = server.memory_kib(), server.cpu_seconds(), time.monotonic()
        async with sampled(server) as samples:
            await asyncio.sleep(load.idle_seconds)
        used, took = server.cpu_seconds() - used, time.monotonic() - begun
        ann = await Connection(server.port, server.token).open()
        posting = time.monotonic()
        await ann.json("POST", f"/conversations/{conversations[0]}/messages", {"content": "still here"})
        posting = time.monotonic() - posting
        watched = await watchers.finish(dict.fromkeys(paths, 0), 0)
    ann.close()
    name = f"{load.idle:,} idle streams"
    return [
        Figure(f"{name}, opened in", opened, "s"),
        Figure("idle streams that broke", watched.broken, ""),
        Figure(f"{name}, server's memory", full / 1024, "MiB"),
        Figure("memory an idle stream", (full - empty) / load.idle, "KiB"),
        Figure(f"{name}, memory grows by", slope_an_hour(settled(samples)), "MiB/h"),
        Figure(f"{name}, server's CPU", 100 * used / took, "%"),
        Figure(f"{name}, a post is answered in", posting * 1e3, "ms"),
    ]


def _events(conversation: str) -> str:
    return f"/conversations/{conversation}/events"


if __name__ == "__main__":
    main()
