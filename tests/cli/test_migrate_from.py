"""`workbench migrate-from`: an existing service's data is here afterwards, whole, and works."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import Result
from sqlalchemy import text
from tests.cli.test_cli import plain, run
from tests.support.assistants import RecordingAssistantService
from tests.support.databases import open_store, owner_of
from tests.support.postgres import Postgres
from tests.support.semantic_workbench import SemanticWorkbench
from tests.support.servers import eventually
from tests.support.service import running_service

from workbench.domain.audit.model import Actor
from workbench.wiring.moving import move_in
from workbench.wiring.settings import Settings

SOMEBODY = Actor(kind="operator", id="somebody")


@pytest.fixture(params=["sqlite", "postgresql"])
async def theirs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[SemanticWorkbench]:
    """A service to be moved, on each database that it can have."""
    files = tmp_path / "their files"
    files.mkdir()
    if request.param == "sqlite":
        made = SemanticWorkbench(f"sqlite:///{tmp_path / 'their workbench.db'}", files)
        await made.make()
        yield made
        return
    server: Postgres = request.getfixturevalue("postgres_server")
    made = SemanticWorkbench(owner_of(server.create_empty()), files)
    await made.make()
    yield made
    server.drop(made.url)


@pytest.fixture
async def recorder() -> AsyncGenerator[RecordingAssistantService]:
    async with RecordingAssistantService() as running:
        yield running


@pytest.fixture
async def theirs_on_sqlite(tmp_path: Path) -> SemanticWorkbench:
    """One of them, where it does not matter which."""
    files = tmp_path / "their files"
    files.mkdir()
    made = SemanticWorkbench(f"sqlite:///{tmp_path / 'theirs.db'}", files)
    await made.make()
    return made


def move(folder: Path, theirs: SemanticWorkbench, database_url: str, *options: str) -> Result:
    settings = {"WORKBENCH__DB__URL": database_url, "WORKBENCH__DB__POSTGRESQL_SSL_MODE": "disable"}
    return run(folder, "migrate-from", theirs.url, "--files", str(theirs.files), *options, **settings)


async def test_everything_arrives_and_works(
    theirs: SemanticWorkbench, database_url: str, tmp_path: Path, recorder: RecordingAssistantService
) -> None:
    moved = await asyncio.to_thread(move, tmp_path, theirs, database_url, "--json")
    assert moved.exit_code == 0, plain(moved)
    report = json.loads(moved.output)
    assert await count(database_url, "audit") == [1]
    assert (moved.exit_code, report["whole"], report["flaws"]) == (0, True, [])
    assert report["counts"]["conversationmessage"] == len(theirs.messages)
    assert report["same"]["bytes of files"]
    async with running_service(database_url, tmp_path / "data") as service:
        ann, ben = service.user("ann"), service.user("ben")
        titles = {each["title"] for each in (await ann.get("/conversations")).json()["conversations"]}
        assert titles == {"Trouble", "Quiet"}
        path = f"/conversations/{theirs.conversation}"
        assert (await ben.get(path)).json()["conversation_permission"] == "read"
        assert (await ann.get(path)).json()["metadata"] == {"note": "ü"}
        messages = (await ann.get(f"{path}/messages", params={"limit": 2})).json()["messages"]
        assert [message["content"] for message in messages] == ["message 1197 \\u0000", "message 1198 \\u0000"]
        debug = await ann.get(f"{path}/messages/{theirs.messages[1]}/debug_data")
        assert debug.json()["debug_data"] == {"why": "because"}
        for version, content in enumerate(theirs.versions, 1):
            read = await ann.get(f"{path}/files/notes/plan.txt", params={"version": version})
            assert read.content == content
        assert (await ann.get(f"/conversation-shares/{theirs.share}")).json()["label"] == "for Ben"
        # Its assistants go on from here, under the ids that their service knows.
        assert (await recorder.announce(service.url)).status_code == 200
        posted = (await ann.post(f"{path}/messages", json={"content": "after the move"})).json()["id"]

        def told() -> list[str]:
            events = recorder.events(theirs.assistant, theirs.conversation)
            return [event["data"]["message"]["id"] for event in events if event["event"] == "message.created"]

        await eventually(lambda: len(told()) == 1)
        assert told() == [posted]
        latest = (await ann.get(f"{path}/messages", params={"limit": 2})).json()["messages"]
        assert [message["content"] for message in latest] == ["message 1198 \\u0000", "after the move"]


async def test_a_rehearsal_counts_and_changes_nothing(
    theirs: SemanticWorkbench, sqlite_url: str, tmp_path: Path
) -> None:
    rehearsed = await asyncio.to_thread(move, tmp_path, theirs, sqlite_url, "--dry-run", "--json")
    report = json.loads(rehearsed.output)
    assert (rehearsed.exit_code, report["comparisons"]) == (0, [])
    assert (report["counts"]["conversationmessage"], report["counts"]["fileversion"]) == (len(theirs.messages), 2)
    assert await count(sqlite_url, "conversations", "users", "workspaces", "contents") == [0, 0, 0, 0]
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file() and "keys" not in path.parts]


async def test_a_second_move_takes_what_came_since(
    theirs_on_sqlite: SemanticWorkbench, database_url: str, tmp_path: Path
) -> None:
    theirs = theirs_on_sqlite
    assert (await asyncio.to_thread(move, tmp_path, theirs, database_url)).exit_code == 0
    late = UUID(int=7)
    await theirs.execute(
        "INSERT INTO conversationmessage SELECT 9999, "
        f"'{late.hex}', conversation_id, created_datetime, sender_participant_id, sender_participant_role, "
        "message_type, 'late', content_type, metadata, filenames FROM conversationmessage WHERE sequence = 5"
    )
    again = await asyncio.to_thread(move, tmp_path, theirs, database_url)
    assert (again.exit_code, "Everything arrived." in again.output) == (0, True)
    assert await count(database_url, "messages", "contents", "file_versions") == [len(theirs.messages) + 1, 2, 2]


async def test_a_move_that_was_cut_goes_on(
    theirs_on_sqlite: SemanticWorkbench, database_url: str, tmp_path: Path
) -> None:
    theirs, steps = theirs_on_sqlite, list[str]()
    settings = Settings.of(data_root=tmp_path / "data", db={"url": database_url, "postgresql_ssl_mode": "disable"})

    def cut(step: str) -> None:
        steps.append(step)
        if steps.count("conversationmessage: 500 rows") == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await move_in(settings, theirs.url, theirs.files, "default", SOMEBODY, cut)
    assert await count(database_url, "messages", "files") == [1000, 0]
    report = await move_in(settings, theirs.url, theirs.files, "default", SOMEBODY, steps.append)
    assert report.is_whole
    assert await count(database_url, "messages", "files") == [len(theirs.messages), 1]


async def test_bytes_that_are_gone_are_named_and_the_rest_arrives(
    theirs_on_sqlite: SemanticWorkbench, sqlite_url: str, tmp_path: Path
) -> None:
    theirs = theirs_on_sqlite
    theirs.path_of(2).unlink()
    theirs.path_of(1).write_bytes(b"longer than it says")
    moved = await asyncio.to_thread(move, tmp_path, theirs, sqlite_url)
    assert moved.exit_code == 1
    assert f"notes/plan.txt, version 2, of conversation {theirs.conversation}: left out" in plain(moved)
    assert "5 bytes are recorded, 19 are there" in plain(moved)
    async with running_service(sqlite_url, tmp_path / "data") as service:
        read = await service.user("ann").get(f"/conversations/{theirs.conversation}/files/notes/plan.txt")
        assert read.content == b"longer than it says"


async def test_what_was_altered_here_does_not_pass_for_moved(
    theirs_on_sqlite: SemanticWorkbench, sqlite_url: str, tmp_path: Path
) -> None:
    theirs = theirs_on_sqlite
    assert (await asyncio.to_thread(move, tmp_path, theirs, sqlite_url)).exit_code == 0
    ours = SemanticWorkbench(sqlite_url, theirs.files)
    await ours.execute("UPDATE messages SET content = 'altered' WHERE sequence = 5")
    altered = next(path for path in (tmp_path / "data" / "files").rglob("*") if path.is_file())
    altered.write_bytes(b"altered")
    moved = await asyncio.to_thread(move, tmp_path, theirs, sqlite_url, "--json")
    report = json.loads(moved.output)
    assert moved.exit_code == 1
    assert [name for name, same in report["same"].items() if not same] == ["conversationmessage", "bytes of files"]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE conversationmessage SET message_type = 'song' WHERE sequence = 7", "Invalid enum value 'song'"),
        ("UPDATE conversation SET metadata = '[1]'", "$.meta_data"),
        ("UPDATE conversation SET metadata = '{'", "A row of conversation cannot be taken"),
    ],
)
async def test_a_row_that_cannot_be_taken_is_named(
    theirs_on_sqlite: SemanticWorkbench, sqlite_url: str, tmp_path: Path, statement: str, words: str
) -> None:
    await theirs_on_sqlite.execute(statement)
    for options in ([], ["--dry-run"]):
        moved = await asyncio.to_thread(move, tmp_path, theirs_on_sqlite, sqlite_url, *options)
        assert moved.exit_code == 2
        assert words in plain(moved)
        assert "Correct it there" in plain(moved)


async def test_an_older_schema_is_taken_and_a_strange_one_refused(
    theirs_on_sqlite: SemanticWorkbench, sqlite_url: str, tmp_path: Path
) -> None:
    theirs = theirs_on_sqlite
    for table, column in (("assistant", "template_id"), ("userparticipant", "metadata")):
        await theirs.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    assert (await asyncio.to_thread(move, tmp_path, theirs, sqlite_url)).exit_code == 0
    await theirs.execute("ALTER TABLE conversation DROP COLUMN title")
    refused = await asyncio.to_thread(move, tmp_path, theirs, sqlite_url)
    assert (refused.exit_code, "it lacks conversation.title" in plain(refused)) == (2, True)


def test_what_is_not_there_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    nowhere = SemanticWorkbench(f"sqlite:///{tmp_path / 'nothing.db'}", tmp_path / "theirs")
    refused = move(tmp_path, nowhere, f"sqlite:///{tmp_path / 'ours.db'}")
    assert (refused.exit_code, (tmp_path / "nothing.db").exists()) == (3, False)
    refused = move(tmp_path, nowhere, f"sqlite:///{tmp_path / 'ours.db'}", "--workspace", "No Name")
    assert (refused.exit_code, "A workspace's name" in plain(refused)) == (2, True)


async def count(database_url: str, *tables: str) -> list[int]:
    """How many rows there are in tables of ours."""
    async with open_store(database_url) as store:
        return [(await store.database.rows(text(f"SELECT count(*) FROM {table}")))[0][0] for table in tables]
