"""A copy of PostgreSQL with its own tools, made and put back as the page on backups says, past the wall between workspaces."""

import asyncio
import os
import re
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.support.databases import db_of, owner_of
from tests.support.deploying import ROOT
from tests.support.postgres import Postgres
from tests.support.service import running_service

from workbench.wiring import migrations
from workbench.wiring.connecting import on_connection
from workbench.wiring.settings import Settings

PAGE = ROOT / "docs" / "howto" / "back-up-and-restore.md"
WORKSPACES = ("one", "two")


def line_of(program: str) -> str:
    """The line of the page that runs the program."""
    (line,) = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if f"{program} -" in line]
    return line


def carry_out(line: str, programs: Path, folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the page, as an operator does who has put the owner's address into the variable."""
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "OWNER_URL": owner_of(url)}
    return subprocess.run(
        ["bash", "-euc", line], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100
    )


async def fill(url: str, folder: Path) -> None:
    async with running_service(url, folder) as service:
        for workspace in WORKSPACES:
            (await service.user("ann", workspace).post("/conversations", json={})).raise_for_status()


async def test_a_copy_holds_all_workspaces_and_comes_back_behind_the_wall(
    postgres_url: str, postgres_server: Postgres, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    await fill(postgres_url, data)
    made = await asyncio.to_thread(carry_out, line_of("pg_dump"), postgres_server.programs, tmp_path, postgres_url)
    assert made.returncode == 0, made.stderr
    restored = postgres_server.create_empty("vector")
    try:
        put_back = await asyncio.to_thread(
            carry_out, line_of("pg_restore"), postgres_server.programs, tmp_path, restored
        )
        assert put_back.returncode == 0, put_back.stderr
        settings = Settings.of(data_root=data, db=db_of(restored))
        await asyncio.to_thread(migrations.upgrade, settings)
        assert await asyncio.to_thread(migrations.check, settings) == []
        async with running_service(restored, data) as service:
            for workspace in WORKSPACES:
                listed = (await service.user("ann", workspace).get("/conversations")).json()
                assert len(listed["conversations"]) == 1
        unsaid = text("SELECT count(*) FROM conversations")
        assert await on_connection(settings, lambda connection: connection.execute(unsaid).scalar_one()) == 0
    finally:
        postgres_server.drop(restored)


@pytest.mark.parametrize(
    ("left_out", "code", "sees_all"),
    [("", 0, True), ("PGOPTIONS='-c app.duty=backup' ", 0, False), ("--enable-row-security ", 1, False)],
)
async def test_what_the_page_says_of_a_copy_made_otherwise_is_so(
    postgres_url: str, postgres_server: Postgres, tmp_path: Path, left_out: str, code: int, sees_all: bool
) -> None:
    await fill(postgres_url, tmp_path / "data")
    line = line_of("pg_dump")
    assert left_out in line
    readable = line.replace(left_out, "").replace("--format=custom", "--data-only --table=conversations")
    made = await asyncio.to_thread(carry_out, readable, postgres_server.programs, tmp_path, postgres_url)
    assert made.returncode == code, made.stderr
    dump = tmp_path / "workbench.dump"
    copied = dump.read_text(encoding="utf-8") if dump.exists() else ""
    assert (re.search(r"\tann\s", copied) is not None) is sees_all
