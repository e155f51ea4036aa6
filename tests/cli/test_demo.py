"""The demo, run as a newcomer runs it."""

import asyncio
import os
import re
import signal
from pathlib import Path

import httpx
from tests.support.processes import WORKBENCH


async def run_demo(folder: Path, *options: str) -> asyncio.subprocess.Process:
    environment = {**os.environ, "WORKBENCH__SERVICE__PORT": "not a port", "TMPDIR": str(folder), "NO_COLOR": "1"}
    return await asyncio.create_subprocess_exec(
        WORKBENCH, "demo", *options, env=environment, cwd=folder, stdout=asyncio.subprocess.PIPE
    )


async def test_once_it_prints_the_transcript_and_ends_well(tmp_path: Path) -> None:
    process = await run_demo(tmp_path, "--once")
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    assert re.search(r"Ann +/reverse desserts, I stressed", output)
    assert re.search(r"Echo +desserts I ,stressed", output)
    assert "Echo: thinking..." in output
    assert list(tmp_path.iterdir()) == []


async def test_it_stays_until_it_is_told_to_stop(tmp_path: Path) -> None:
    process = await run_demo(tmp_path)
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(30):
        while "-N" not in "".join(lines[-1:]):
            line = (await process.stdout.readline()).decode()
            assert line, lines
            lines.append(line)
    shown = [line.strip() for line in lines if line.strip().startswith(("curl", "TOKEN="))]
    token, listing = shown[0].removeprefix("TOKEN="), shown[1].rpartition(" ")[2]
    assert len(shown) == 4
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as client:
        contents = [message["content"] for message in (await client.get(listing)).json()["messages"]]
    assert "Good morning! Is anybody here?" in contents
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(15):
        await process.communicate()
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []
