"""`workbench backup` and `restore`: taken while the service works, and as good as what it was taken from."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from tests.cli.test_cli import plain, run
from tests.support.databases import copy_of_template
from tests.support.servers import eventually
from tests.support.service import Service, running_service

from workbench.wiring import backups
from workbench.wiring.settings import Settings


@pytest.fixture
async def service(sqlite_template: Path, tmp_path: Path) -> AsyncGenerator[Service]:
    """A service that keeps everything in one folder, as by default."""
    root = tmp_path / "data"
    root.mkdir()
    async with running_service(copy_of_template(sqlite_template, root), root) as running:
        yield running


async def act(folder: Path, *arguments: str, root: str = "data") -> Result:
    return await asyncio.to_thread(run, folder, *arguments, WORKBENCH__DATA_ROOT=str(folder / root))


async def fill(service: Service) -> str:
    ann = service.user()
    conversation = (await ann.post("/conversations", json={"title": "Kept"})).json()["id"]
    for content in (b"first", b"second"):
        answer = await ann.put(f"/conversations/{conversation}/files", files={"files": ("a.txt", content)})
        assert answer.status_code == 200
    return f"/conversations/{conversation}"


def contents_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def test_what_was_acknowledged_before_it_is_in_a_backup_made_under_load(service: Service, tmp_path: Path) -> None:
    path = await fill(service)
    ann = service.user()
    acknowledged: list[str] = []

    async def post() -> None:
        while True:
            acknowledged.append((await ann.post(f"{path}/messages", json={"content": "x" * 2000})).json()["id"])

    posting = asyncio.create_task(post())
    await eventually(lambda: len(acknowledged) >= 50)
    before = len(acknowledged)
    made = await act(tmp_path, "backup", str(tmp_path / "kept"), "--json")
    during = len(acknowledged)
    posting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await posting
    assert (made.exit_code, json.loads(made.output)["manifest"]["contents"]) == (0, 2)
    assert during > before, "nothing was written meanwhile"
    restored = await act(tmp_path, "restore", str(tmp_path / "kept"), root="new")
    assert restored.exit_code == 0, plain(restored)
    async with running_service(f"sqlite:///{tmp_path / 'new' / 'workbench.db'}", tmp_path / "new") as again:
        # The keys came along: a token of before is as good as ever.
        ann = again.client(Authorization=f"Bearer {service.token()}")
        answer = await ann.get(f"{path}/messages", params={"limit": 500})
        found = [message["id"] for message in answer.json()["messages"] if message["message_type"] == "chat"]
        # A beginning of what was acknowledged, or one more that was on its way.
        assert found[:before] == acknowledged[:before]
        assert found == acknowledged[: len(found)]
        for version, content in enumerate((b"first", b"second"), 1):
            assert (await ann.get(f"{path}/files/a.txt", params={"version": version})).content == content


async def test_a_content_that_is_swept_meanwhile_is_not_missed(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(service)
    gone, *_ = contents_of(tmp_path / "data" / "files")
    database = tmp_path / "data" / "workbench.db"

    def sweep(step: str) -> None:
        # As the service does with what nothing refers to; here right after the first snapshot.
        if "contents" not in step and gone.exists():
            with contextlib.closing(sqlite3.connect(database)) as connection, connection:
                key = gone.relative_to(tmp_path / "data" / "files").as_posix()
                connection.execute("DELETE FROM contents WHERE storage_key = ?", (key,))
            gone.unlink()

    settings = Settings.of(data_root=tmp_path / "data")
    outcome = await asyncio.to_thread(backups.make_backup, settings, tmp_path / "kept", sweep)
    assert (outcome.flaws, outcome.manifest.contents) == ([], 1)
    assert len(contents_of(tmp_path / "kept" / "files")) == 1
    checked = await act(tmp_path, "restore", str(tmp_path / "kept"), "--dry-run")
    assert checked.exit_code == 0


async def test_bytes_that_are_missing_or_altered_are_named_at_both_ends(service: Service, tmp_path: Path) -> None:
    await fill(service)
    gone, altered = contents_of(tmp_path / "data" / "files")
    gone.unlink()
    altered.write_bytes(b"something else")
    made = await act(tmp_path, "backup", str(tmp_path / "kept"))
    assert made.exit_code == 1
    assert f"{gone.name}: its bytes are gone" in made.output
    assert f"{altered.name}: its bytes were altered" in made.output
    checked = await act(tmp_path, "restore", str(tmp_path / "kept"), "--dry-run", "--json", root="new")
    assert (checked.exit_code, len(json.loads(checked.output)["flaws"])) == (1, 2)
    assert not (tmp_path / "new" / "workbench.db").exists()


async def test_a_backup_that_is_damaged_is_refused(service: Service, tmp_path: Path) -> None:
    await fill(service)
    kept = tmp_path / "kept"
    assert (await act(tmp_path, "backup", str(kept))).exit_code == 0
    with (kept / "workbench.db").open("r+b") as file:
        file.seek(5000)
        file.write(b"?")
    refused = await act(tmp_path, "restore", str(kept), root="new")
    assert (refused.exit_code, "is not as it was backed up" in plain(refused)) == (2, True)
    manifest: dict[str, Any] = json.loads((kept / "backup.json").read_text())
    (kept / "backup.json").write_text(json.dumps({**manifest, "revision": "9999"}))
    refused = await act(tmp_path, "restore", str(kept), root="new")
    assert (refused.exit_code, "made by a newer program" in plain(refused)) == (2, True)
    (kept / "backup.json").unlink()
    assert (await act(tmp_path, "restore", str(kept), root="new")).exit_code == 3


async def test_nothing_that_is_there_is_overwritten(service: Service, tmp_path: Path) -> None:
    await fill(service)
    kept = tmp_path / "kept"
    assert (await act(tmp_path, "backup", str(kept))).exit_code == 0
    assert (await act(tmp_path, "backup", str(kept))).exit_code == 5
    refused = await act(tmp_path, "restore", str(kept))
    assert (refused.exit_code, "is there already" in plain(refused)) == (5, True)
    other = tmp_path / "new" / "keys"
    other.mkdir(parents=True)
    (key,) = [path for path in (kept / "keys").iterdir() if "token" in path.name or "issuer" in path.name][:1]
    (other / key.name).write_bytes(b"another")
    refused = await act(tmp_path, "restore", str(kept), root="new")
    assert (refused.exit_code, "is another key" in plain(refused)) == (5, True)
    assert not (tmp_path / "new" / "workbench.db").exists()


async def test_a_backup_and_a_restore_that_were_cut_go_on(service: Service, tmp_path: Path) -> None:
    await fill(service)
    settings, kept = Settings.of(data_root=tmp_path / "data"), tmp_path / "kept"

    def cut(step: str) -> None:
        if step.startswith("1 contents"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await asyncio.to_thread(backups.make_backup, settings, kept, cut)
    assert (kept.exists(), kept.with_name("kept.partial").exists()) == (False, True)
    await asyncio.to_thread(backups.make_backup, settings, kept, lambda _: None)
    assert not kept.with_name("kept.partial").exists()
    new = Settings.of(data_root=tmp_path / "new")
    seen: list[str] = []

    def cut_restore(step: str) -> None:
        seen.append(step)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await asyncio.to_thread(backups.use_backup, new, kept, cut_restore, dry_run=False)
    assert contents_of(tmp_path / "new" / "files")
    outcome = await asyncio.to_thread(backups.use_backup, new, kept, lambda _: None, dry_run=False)
    assert (outcome.flaws, len(contents_of(tmp_path / "new" / "files"))) == ([], 2)
    assert oct((tmp_path / "new" / "keys").stat().st_mode & 0o777) == "0o700"


def test_other_kinds_of_installation_are_refused_with_what_to_use_instead(tmp_path: Path) -> None:
    refused = run(tmp_path, "backup", str(tmp_path / "kept"), WORKBENCH__DB__URL="postgresql://somewhere/db")
    assert (refused.exit_code, "Use pg_dump for PostgreSQL" in plain(refused)) == (2, True)
    refused = run(tmp_path, "backup", str(tmp_path / "kept"))
    assert (refused.exit_code, "there is no database yet" in plain(refused)) == (3, True)
