"""`python -m tests.fuzz`: Schemathesis against `workbench serve`, as every kind of caller, for so many seconds.

A line for each caller; its whole report where something was found.
"""

import argparse
import asyncio
import io
import random
import re
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from tests.support.assistants import RecordingAssistantService
from tests.support.fuzzing import CALLERS, World, fuzz
from tests.support.processes import ServerProcess

CASES = re.compile(r"(\d+) generated, .*passed")


async def is_quiet(server: ServerProcess, seconds: int, seed: int) -> bool:
    """Ask as each caller for its share of the time; whether nothing was found."""
    async with RecordingAssistantService() as assistants:
        world = World(server.url, await server.token("ann"), assistants)
        quiet = True
        for caller, share in CALLERS.items():
            options = ("--seed", str(seed), "--max-time", str(max(1, round(seconds * share))))
            with redirect_stdout(io.StringIO()) as report:
                found_nothing = await asyncio.to_thread(fuzz, world, caller, f"{server.url}/openapi.json", *options)
            sys.stdout.write(_told(caller, report.getvalue(), found_nothing=found_nothing))
            sys.stdout.flush()
            quiet &= found_nothing
        if not quiet:
            sys.stdout.write(f"To repeat: make fuzz FUZZ_SEED={seed} FUZZ_SECONDS={seconds}\n")
        world.close()
    return quiet


def _told(caller: str, report: str, *, found_nothing: bool) -> str:
    cases = CASES.search(report)
    if found_nothing and cases:
        return f"as {caller}: {cases[1]} requests, nothing found\n"
    return f"{report}\nas {caller}: see above\n"


async def main(seconds: int, seed: int) -> int:
    """Run a server with an empty database for the time; the exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = ServerProcess(folder, f"sqlite+aiosqlite:///{folder}/workbench.db")
        server.environment["WORKBENCH__LIMITS__REDEMPTIONS_PER_MINUTE"] = "1000000"
        server.environment["WORKBENCH__LIMITS__PACE"] = "1000000"
        try:
            await server.start()
            return 0 if await is_quiet(server, seconds, seed) else 1
        finally:
            await server.kill()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="in all")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="to repeat a run")
    chosen = parser.parse_args()
    sys.exit(asyncio.run(main(chosen.seconds, chosen.seed)))
