"""`workbench storage verify`: flaws are named, strays removed, and the exit code tells."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from click.testing import Result
from tests.cli.test_cli import run
from tests.support.service import Service, running_service


@pytest.fixture
async def service(sqlite_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    async with running_service(sqlite_url, tmp_path / "data") as service:
        yield service


async def verify(service: Service, folder: Path, *options: str) -> Result:
    settings = {
        "WORKBENCH__DB__URL": service.database_url,
        "WORKBENCH__STORAGE__ROOT": str(service.settings.storage_root),
    }
    return await asyncio.to_thread(run, folder, "storage", "verify", *options, **settings)


async def store(service: Service, *contents: bytes) -> list[Path]:
    ann = service.user()
    conversation = (await ann.post("/conversations", json={})).json()["id"]
    for content in contents:
        answer = await ann.put(f"/conversations/{conversation}/files", files={"files": ("a", content)})
        assert answer.status_code == 200
    found = [path for path in service.settings.storage_root.rglob("*") if path.is_file()]
    return sorted(found, key=lambda path: path.stat().st_size)


async def test_what_is_whole_is_said_to_be_so(service: Service, tmp_path: Path) -> None:
    await store(service, b"1", b"22")
    result = await verify(service, tmp_path)
    assert (result.exit_code, result.output) == (0, "2 contents, 3 bytes read, 0 flaws, 0 removed.\n")


async def test_flaws_are_named_and_strays_removed(service: Service, tmp_path: Path) -> None:
    gone, altered = await store(service, b"1", b"22")
    gone.unlink()
    altered.write_bytes(b"23")
    stray = altered.with_name("stray")
    stray.write_bytes(b"stray")
    os.utime(stray, (0, 0))
    result = await verify(service, tmp_path)
    assert result.exit_code == 1
    for line in (f"missing: default/{gone.parent.name}/{gone.name} (1 bytes): the bytes are gone", "orphaned: "):
        assert line in result.output
    assert result.output.endswith("2 contents, 3 bytes read, 3 flaws, 0 removed.\n")
    assert stray.exists()
    result = await verify(service, tmp_path, "--repair", "--json")
    report = json.loads(result.output)
    assert (result.exit_code, report["found"], report["repaired"]) == (1, 3, 1)
    assert {flaw["fault"]: flaw["repaired"] for flaw in report["flaws"]} == {
        "missing": False,
        "altered": False,
        "orphaned": True,
    }
    assert not stray.exists()
