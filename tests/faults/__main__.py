"""`python -m tests.faults`: servers are killed, starved and misled for so many rounds, and everything is compared."""

import argparse
import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.cluster import Cluster, running
from tests.faults.faults import DISK, DISK_BY_LIMIT, POSTGRES, Fault
from tests.faults.rounds import Round, faults_of, play
from tests.faults.table import table
from tests.support.assistants import RecordingAssistantService
from tests.support.postgres import Postgres

from workbench.wiring import migrations
from workbench.wiring.settings import Settings

DISK_MEBIBYTES = 512


def say(text: str) -> None:
    """Say it at once: whoever waits for minutes likes to see something."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextlib.asynccontextmanager
async def on_sqlite(folder: Path) -> AsyncGenerator[tuple[Cluster, Sequence[Fault]]]:
    """One server on SQLite; on a small file system of its own, where we may mount one."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEBIBYTES}m", "workbench-faults", str(folder)]
    is_mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0  # noqa: ASYNC221 - at the start
    if not is_mounted:
        say("No file system can be mounted here, so a full disk is a limit on the size of files instead.")
    try:
        settings = Settings.of(data_root=folder / "data")
        await asyncio.to_thread(migrations.upgrade, settings)
        async with running(Cluster("SQLite", folder, settings.database_url, 1, None)) as cluster:
            yield cluster, [*([DISK] if is_mounted else []), DISK_BY_LIMIT]
    finally:
        if is_mounted:
            subprocess.run(["umount", str(folder)], check=True)  # noqa: ASYNC221 - at the end


@contextlib.asynccontextmanager
async def on_postgresql(folder: Path) -> AsyncGenerator[tuple[Cluster, Sequence[Fault]]]:
    """Two replicas, on a PostgreSQL of their own."""
    place = Path(tempfile.mkdtemp(prefix="workbench-faults-pg-"))
    postgres = await asyncio.to_thread(Postgres, place, "faults")
    await asyncio.to_thread(postgres.prepare)
    url = postgres.create()
    async with running(Cluster("two replicas on PostgreSQL", folder, url, 2, postgres)) as cluster:
        yield cluster, POSTGRES


INSTALLATIONS = {"sqlite": on_sqlite, "postgresql": on_postgresql}


@dataclass(frozen=True)
class Extent:
    """So many rounds on each installation, behind those that are skipped; the seed says which fault each has, and when."""

    rounds: int
    skipped: int
    seed: int

    def __str__(self) -> str:
        return f"--rounds {self.rounds} --skip {self.skipped} --seed {self.seed}"


async def run(names: Sequence[str], extent: Extent, seconds: float) -> int:
    """Play on each installation in its share of the time; the exit code."""
    _clear_up_when_told_to_stop()
    begins = time.monotonic()
    played: list[tuple[str, list[Round]]] = []
    async with RecordingAssistantService() as recorder:
        for number, installation in enumerate(INSTALLATIONS[name] for name in names):
            ends = begins + seconds * (number + 1) / len(names)
            with tempfile.TemporaryDirectory(prefix="workbench-faults-") as name:
                folder = Path(name)
                async with installation(folder) as (cluster, more):
                    say(f"{cluster.name}. To repeat: python -m tests.faults {extent}")
                    played.append((cluster.name, await _rounds(cluster, recorder, more, extent, ends)))
                if any(done.findings for done in played[-1][1]):
                    _show_logs(folder)
    findings = sum(len(done.findings) for _, all_rounds in played for done in all_rounds)
    say(f"\n{table(played)}\n\n{extent}, {time.monotonic() - begins:.0f} s, {findings} findings")
    return 1 if findings else 0


def _clear_up_when_told_to_stop() -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _rounds(
    cluster: Cluster, recorder: RecordingAssistantService, more: Sequence[Fault], extent: Extent, ends: float
) -> list[Round]:
    chance = random.Random(f"{extent.seed} {cluster.name}")
    faults = faults_of(chance, more)
    played: list[Round] = []
    for number in range(1, extent.skipped + extent.rounds + 1):
        fault, luck = next(faults), random.Random(chance.random())
        if number <= extent.skipped:
            continue
        if played and time.monotonic() > ends:
            break
        done = await play(cluster, recorder, number, fault, luck)
        played.append(done)
        say(
            f"  {done.number:3}  {done.fault:<32} {done.seconds:5.1f} s  killed {done.kills}  "
            f"acknowledged {done.acknowledged}  seen {done.seen}"
        )
        for finding in done.findings:
            say(f"       FOUND {finding.rule}: {finding.detail}")
    return played


def _show_logs(folder: Path) -> None:
    for log in sorted(folder.glob("replica-*/log")):
        say(f"\nThe end of {log.parent.name}'s log:\n{log.read_text(errors='replace')[-4000:]}")


if __name__ == "__main__":
    # Calls go to this machine alone; reading the certificates of all authorities takes longer than most of them.
    os.environ["SSL_CERT_FILE"] = str(Path(__file__).parents[1] / "support" / "authority.pem")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="on each installation")
    parser.add_argument("--seconds", type=float, default=3600, help="in all; after that no new round begins")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="to repeat a run")
    parser.add_argument("--skip", type=int, default=0, help="rounds at the beginning, to come to a later one at once")
    parser.add_argument("--on", choices=INSTALLATIONS, action="append", help="one of the installations alone")
    chosen = parser.parse_args()
    extent = Extent(chosen.rounds, chosen.skip, chosen.seed)
    sys.exit(asyncio.run(run(chosen.on or list(INSTALLATIONS), extent, chosen.seconds)))
