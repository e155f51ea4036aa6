"""`workbench db copy`: one of our databases in another, whole, or a clear word why not."""

import asyncio
import json
from collections.abc import Generator
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import Result
from sqlalchemy import Connection, bindparam, create_engine, text
from tests.cli.test_cli import plain, run
from tests.support.databases import db_of, open_store, owner_of
from tests.support.postgres import Postgres
from tests.support.service import running_service

from workbench.adapters.clock import SystemClock
from workbench.adapters.sql.leases import SqlLeases
from workbench.adapters.sql.schema import Id
from workbench.wiring import migrations
from workbench.wiring.moving import copy_database
from workbench.wiring.settings import Settings

MESSAGES = 1300


@pytest.fixture(params=["sqlite", "postgresql"])
def target_url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """Where to copy to: an empty file or database, without a schema."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'copy' / 'workbench.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres_server")
    url = server.create_empty()
    yield url
    server.drop(url)


@pytest.fixture
async def filled_url(database_url: str, tmp_path: Path) -> str:
    """A database that a service has filled over HTTP, and that is more than a page."""
    async with running_service(database_url, tmp_path / "data") as service:
        ann = service.user("ann")
        conversation = (await ann.post("/conversations", json={"metadata": {"ü": 1.0, "a": [True, None]}})).json()["id"]
        path = f"/conversations/{conversation}"
        await ann.put(f"{path}/files", files={"files": ("a/ü.txt", b"abc", "text/plain")})
        share = {"conversation_id": conversation, "label": "", "conversation_permission": "read"}
        await ann.post("/conversation-shares", json=share)
        await ann.post(f"{path}/messages", json={"content": "hello", "debug_data": {"why": "so"}})
    fill = text(
        "INSERT INTO messages SELECT workspace_id, conversation_id, sequence + :step, :key, sender_role, sender_id,"
        " message_type, timestamp, content_type, content, filenames, metadata, has_debug_data FROM messages"
        " WHERE sequence = 1"
    )
    async with open_store(database_url) as store:

        def work(connection: Connection) -> None:
            connection.execute(
                fill.bindparams(bindparam("key", type_=Id)),
                [{"step": step, "key": UUID(int=step)} for step in range(1, MESSAGES)],
            )
            connection.execute(text(f"UPDATE conversations SET message_head = {MESSAGES}"))

        await store.database.transact(work)
    return database_url


def copy(folder: Path, source: str, target: str, *options: str) -> Result:
    settings = {"WORKBENCH__DB__POSTGRESQL_SSL_MODE": "disable"}
    if owner_of(target) != target:
        settings["WORKBENCH__DB__POSTGRESQL_OWNER_URL"] = owner_of(target)
    return run(folder, "db", "copy", source, target, *options, **settings)


def settings_of(folder: Path, url: str) -> Settings:
    return Settings.of(data_root=folder / "data", db=db_of(url))


async def test_all_tables_arrive_on_either_database(filled_url: str, target_url: str, tmp_path: Path) -> None:
    copied = await asyncio.to_thread(copy, tmp_path, filled_url, target_url, "--json")
    assert copied.exit_code == 0, plain(copied)
    report = json.loads(copied.output)
    assert report["whole"]
    counts = report["counts"]
    assert (counts["messages"], counts["conversations"], counts["file_versions"]) == (MESSAGES, 1, 1)
    assert "leases" not in counts
    async with running_service(target_url, tmp_path / "data") as service:
        ann = service.user("ann")
        (conversation,) = (await ann.get("/conversations")).json()["conversations"]
        assert conversation["metadata"] == {"ü": 1.0, "a": [True, None]}
        path = f"/conversations/{conversation['id']}"
        assert (await ann.get(f"{path}/files/a/ü.txt")).content == b"abc"
        posted = await ann.post(f"{path}/messages", json={"content": "after the copy"})
        assert posted.status_code == 200
        assert len((await ann.get(f"{path}/messages", params={"limit": 500})).json()["messages"]) == 500


async def test_a_copy_that_was_cut_goes_on(filled_url: str, target_url: str, tmp_path: Path) -> None:
    source, target = settings_of(tmp_path, filled_url), settings_of(tmp_path, target_url)
    await asyncio.to_thread(migrations.upgrade, target)

    def cut(step: str) -> None:
        if step == "messages: 1000 rows":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await copy_database(source, target, cut)
    steps: list[str] = []
    report = await copy_database(source, target, steps.append)
    assert report.is_whole
    assert [step for step in steps if step.startswith("messages")] == [f"messages: {MESSAGES - 1000} rows"]


async def test_a_target_with_rows_of_its_own_is_left_alone(sqlite_url: str, target_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data") as service:
        await service.user("ann").post("/conversations", json={})
    await asyncio.to_thread(migrations.upgrade, settings_of(tmp_path, target_url))
    async with running_service(target_url, tmp_path / "other") as service:
        await service.user("ben").post("/conversations", json={})
    refused = await asyncio.to_thread(copy, tmp_path, sqlite_url, target_url)
    assert (refused.exit_code, "that the source does not begin with" in plain(refused)) == (5, True)
    async with open_store(target_url) as store:
        assert [row[0] for row in await store.database.rows(text("SELECT id FROM users"))] == ["ben"]


async def test_what_was_altered_in_the_copy_is_found(sqlite_url: str, target_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data") as service:
        await service.user("ann").post("/conversations", json={})
    assert (await asyncio.to_thread(copy, tmp_path, sqlite_url, target_url)).exit_code == 0
    async with open_store(target_url) as store:
        await store.database.transact(lambda connection: connection.execute(text("UPDATE users SET name = 'Eve'")))
    refused = await asyncio.to_thread(copy, tmp_path, sqlite_url, target_url)
    assert (refused.exit_code, "rows in users" in plain(refused)) == (5, True)


async def test_a_source_that_changes_meanwhile_is_not_called_whole(sqlite_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data") as service:
        await service.user("ann").post("/conversations", json={})
        target = settings_of(tmp_path, f"sqlite:///{tmp_path / 'copy.db'}")
        await asyncio.to_thread(migrations.upgrade, target)
    changing = create_engine(sqlite_url)

    def change(step: str) -> None:
        if step == "comparing users":
            with changing.begin() as connection:
                connection.execute(text("UPDATE users SET name = 'Eve'"))

    report = await copy_database(settings_of(tmp_path, sqlite_url), target, change)
    changing.dispose()
    assert [each.name for each in report.comparisons if not each.is_same] == ["users"]
    assert not report.is_whole


async def test_a_service_at_work_stops_the_copy(sqlite_url: str, tmp_path: Path) -> None:
    async with open_store(sqlite_url, SystemClock()) as store:
        await SqlLeases(store.database).acquire(["pruning"], "somebody", 60)
    refused = await asyncio.to_thread(copy, tmp_path, sqlite_url, f"sqlite:///{tmp_path / 'copy.db'}")
    assert (refused.exit_code, "A service is at work on the source" in plain(refused)) == (5, True)


def test_what_cannot_be_copied_is_said(sqlite_url: str, tmp_path: Path) -> None:
    refused = copy(tmp_path, f"sqlite:///{tmp_path / 'nothing.db'}", f"sqlite:///{tmp_path / 'copy.db'}")
    assert (refused.exit_code, "there is no database yet" in plain(refused)) == (3, True)
    assert not (tmp_path / "copy.db").exists()
    refused = copy(tmp_path, sqlite_url, sqlite_url)
    assert (refused.exit_code, "the same database" in plain(refused)) == (5, True)
    refused = copy(tmp_path, sqlite_url, "mysql://somewhere")
    assert refused.exit_code == 2
