"""`workbench export` and `workbench import`: archives by the operator, whole or not at all, and in the record."""

import asyncio
import io
import json
import signal
import zipfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import pytest
from click import ClickException
from click.testing import Result
from tests.cli.test_cli import plain, run
from tests.http.test_duplicates import all_of, robot_of, talk_of
from tests.http.test_exports import eventful, of_type
from tests.http.test_imports import BAD, brought, exported, imported, of_the_older_service, rows, zipped
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import Behaviour, status
from tests.support.erasing import rows_of
from tests.support.processes import WORKBENCH, ServerProcess
from tests.support.saying import begin_many
from tests.support.service import Service, open_stream, running_service

from workbench.domain.errors import ConflictError
from workbench.entrypoints.cli.outlets import file_outlet
from workbench.entrypoints.cli.running import EXIT_STOPPED, operator


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    """A service that soon notices who went away."""
    watchful = {"assistant_service_online_check_interval_seconds": 0.5}
    async with running_service(database_url, tmp_path / "data", service=watchful) as running:
        yield running


@pytest.fixture
async def recorder(service: Service) -> AsyncGenerator[RecordingAssistantService]:
    async with RecordingAssistantService() as running:
        await running.announce(service.url)
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


async def workbench(service: Service, *arguments: str, **more: str) -> Result:
    settings = {"WORKBENCH__DB__URL": service.database_url, "WORKBENCH__DB__POSTGRESQL_SSL_MODE": "disable"}
    settings["WORKBENCH__DATA_ROOT"] = str(service.settings.data_root)
    return await asyncio.to_thread(run, Path.cwd(), *arguments, **{**settings, **more})


async def told(service: Service, *arguments: str, **more: str) -> dict[str, Any]:
    result = await workbench(service, *arguments, "--json", **more)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return json.loads(result.stdout)


async def acts(service: Service, workspace: str = "default") -> list[dict[str, Any]]:
    entries = (await told(service, "audit", "list", "--workspace", workspace))["entries"]
    return [entry for entry in entries if entry["act"].startswith("archive.")]


def stored(service: Service) -> set[Path]:
    return {path for path in service.settings.storage_root.rglob("*") if path.is_file()}


async def everything(service: Service) -> tuple[dict[str, list[Any]], set[Path]]:
    return await rows_of(service), stored(service)


async def test_what_an_operator_exports_comes_in_for_somebody_else(
    service: Service, recorder: RecordingAssistantService, folder: Path
) -> None:
    ann, bob = service.user("ann"), service.user("bob")
    robot = await robot_of(ann, recorder)
    original = await eventful(service, robot)
    await bob.get("/users/me")
    recorder.answer(Kind.EXPORT_CONVERSATION, then=Behaviour(status=200, body=b"\x00of the conversation"))
    file = folder / "plans.zip"
    out = await told(service, "export", "-o", str(file), "--conversation", original)
    counts = {"conversations": 1, "assistants": 1, "messages": 2, "files": 2, "bytes": file.stat().st_size}
    assert out == {"file": str(file), "counts": counts, "assistants_without_data": [], "next_after": None}
    assert (file.stat().st_mode & 0o777, list(folder.iterdir())) == (0o600, [file])

    forecast = await told(service, "import", str(file), "--owner", "bob", "--dry-run")
    report = await told(service, "import", str(file), "--owner", "bob")
    made = {"conversations": 1, "messages": 2, "files": 2, "file_bytes": 6}
    assert report["counts"] == forecast["counts"] == {**made, "new_assistants": 1, "assistants_used_again": 0}
    assert (forecast["dry_run"], forecast["conversation_ids"], forecast["assistant_ids"]) == (True, [], [])
    (copy,), (assistant,) = report["conversation_ids"], report["assistant_ids"]
    found = (await bob.get(f"/conversations/{copy}")).json()
    assert (found["title"], found["owner_id"], found["imported_from_conversation_id"]) == ("Plans", "bob", original)
    old, new = [
        await all_of(who, f"/conversations/{each}/messages", "messages") for who, each in ((ann, original), (bob, copy))
    ]
    assert [one["content"] for one in new] == [one["content"] for one in old]
    assert (await bob.get(f"/conversations/{copy}/files/a/b.txt?version=1")).content == b"one"
    joining = recorder.received(Kind.PUT_CONVERSATION)[-1]
    assert (joining.path, joining.form["from_export"]) == (
        f"/{assistant}/conversations/{copy}",
        b"\x00of the conversation",
    )
    assert (await ann.get(f"/conversations/{copy}")).status_code == 404

    came, went = await acts(service)
    me = operator()
    assert [(one["act"], one["actor_kind"], one["actor_id"], one["subject"]) for one in (came, went)] == [
        ("archive.imported", "operator", me.id, copy),
        ("archive.exported", "operator", me.id, original),
    ]
    assert came["detail"] == {"owner": "bob", **report["counts"], "conversation_ids": [copy]}
    assert went["detail"] == {**counts, "conversation_ids": [original]}


async def test_an_archive_of_the_command_line_is_that_of_the_wire(
    service: Service, recorder: RecordingAssistantService, folder: Path
) -> None:
    ann = service.user("ann")
    original = await eventful(service, await robot_of(ann, recorder))
    await told(service, "export", "-o", str(folder / "a.zip"), "--conversation", original)
    by_hand, by_wire = zipfile.ZipFile(folder / "a.zip"), zipfile.ZipFile(io.BytesIO(await exported(ann, original)))
    assert by_hand.namelist() == by_wire.namelist()
    assert all(by_hand.read(name) == by_wire.read(name) for name in by_hand.namelist())


async def test_a_whole_workspace_goes_in_parts(service: Service, folder: Path) -> None:
    ann, eve = service.user("ann"), service.user("eve", "elsewhere")
    ours = sorted([await talk_of(ann, title=title) for title in ("a", "b", "c")])
    theirs = await talk_of(eve)
    whole = await told(service, "export", "-o", str(folder / "whole.zip"), "--all")
    assert (whole["counts"]["conversations"], whole["next_after"]) == (3, None)
    found: list[str] = []
    after: list[str] = []
    for part in ("1.zip", "2.zip"):
        out = await told(service, "export", "-o", str(folder / part), "--all", "--limit", "2", *after)
        found += [one["conversation_id"] for one in of_type(zipfile.ZipFile(folder / part), "Conversation")]
        after = ["--after", out["next_after"]]
    assert (found, out["next_after"]) == (ours, None)
    said = plain(await workbench(service, "export", "-o", str(folder / "3.zip"), "--all", "--limit", "2"))
    assert said.endswith(f"There are more conversations: go on with --after {ours[1]}")
    end = await workbench(service, "export", "-o", str(folder / "no.zip"), "--all", "--after", ours[-1])
    assert end.exit_code == 3
    assert await told(service, "import", str(folder / "whole.zip"), "--owner", "eve", "--workspace", "elsewhere")
    assert {one["title"] for one in await all_of(eve, "/conversations", "conversations")} > {"a", "b", "c"}
    ids = ["--conversation", ours[0], "--conversation", theirs]
    stranger = await workbench(service, "export", "-o", str(folder / "no.zip"), *ids)
    assert (stranger.exit_code, f"no conversation {theirs}" in plain(stranger)) == (3, True)
    nowhere = await workbench(service, "export", "-o", str(folder / "no.zip"), "--all", "--workspace", "nowhere")
    assert nowhere.exit_code == 3
    assert not (folder / "no.zip").exists()
    (brought_in,) = await acts(service, "elsewhere")
    assert (brought_in["act"], brought_in["subject"]) == ("archive.imported", "elsewhere")


async def test_more_conversations_than_a_statement_names_go_in_one_archive(service: Service, folder: Path) -> None:
    await service.user("ann").get("/users/me")
    await begin_many(service, 520)
    out = await told(service, "export", "-o", str(folder / "all.zip"), "--all")
    assert out["counts"]["conversations"] == 520
    archive = zipfile.ZipFile(folder / "all.zip")
    ids = [one["conversation_id"] for one in of_type(archive, "Conversation")]
    assert ids == sorted(ids)
    assert [one["conversation_id"] for one in of_type(archive, "UserParticipant")] == ids
    (entry,) = await acts(service)
    detail = entry["detail"]
    assert (detail["first_conversation_id"], detail["last_conversation_id"]) == (ids[0], ids[-1])
    assert "conversation_ids" not in detail


async def test_an_assistant_goes_with_all_that_it_is_in(
    service: Service, recorder: RecordingAssistantService, folder: Path
) -> None:
    ann, bob = service.user("ann"), service.user("bob")
    robot = await robot_of(ann, recorder)
    both, left = await talk_of(ann, robot), await talk_of(ann, robot)
    await ann.put(f"/conversations/{left}/participants/{robot}", json={"active_participant": False})
    await talk_of(bob)
    file = folder / "robot.zip"
    assert (await told(service, "export", "-o", str(file), "--assistant", robot))["counts"]["assistants"] == 1
    assert [one["conversation_id"] for one in of_type(zipfile.ZipFile(file), "Conversation")] == [both]
    (entry,) = await acts(service)
    assert entry["subject"] == robot
    unknown = await workbench(service, "export", "-o", str(folder / "no.zip"), "--assistant", str(uuid4()))
    assert unknown.exit_code == 3


async def test_services_that_do_not_answer_fail_an_export_unless_they_are_skipped(
    service: Service, recorder: RecordingAssistantService, folder: Path
) -> None:
    ann = service.user("ann")
    robot = await robot_of(ann, recorder)
    conversation = await talk_of(ann, robot)
    export = ("export", "-o", str(folder / "a.zip"), "--conversation", conversation)
    recorder.answer(Kind.EXPORT_ASSISTANT, then=status(503))
    assert (await workbench(service, *export)).exit_code == 7
    await recorder.announce(service.url, expires_seconds=0)
    offline = await workbench(service, *export)
    assert (offline.exit_code, "is offline" in plain(offline)) == (7, True)
    assert list(folder.iterdir()) == []
    assert await acts(service) == []
    out = await told(service, *export, "--skip-offline")
    assert out["assistants_without_data"] == [robot]
    await recorder.announce(service.url)
    out = await told(service, *export, "--skip-offline", "--force")
    assert out["assistants_without_data"] == [robot]  # it is there, and fails
    assert zipfile.ZipFile(folder / "a.zip").namelist() == ["workbench.jsonl"]
    said = plain(await workbench(service, *export, "--skip-offline", "--force"))
    assert said.endswith(f"whose services did not answer: {robot}")
    report = await told(service, "import", str(folder / "a.zip"), "--owner", "bob", "--owner-name", "Bob")
    assert report["counts"]["new_assistants"] == 1


async def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(service: Service, folder: Path) -> None:
    conversation = await talk_of(service.user("ann"))
    file, link = folder / "a.zip", folder / "link.zip"
    file.write_bytes(b"dear")
    link.symlink_to(file)
    export = ("export", "--conversation", conversation, "-o")
    refused = await workbench(service, *export, str(file))
    assert (refused.exit_code, "--force replaces it" in plain(refused)) == (5, True)
    assert (file.read_bytes(), await acts(service)) == (b"dear", [])
    assert (await workbench(service, *export, str(folder), "--force")).exit_code == 1
    assert (await workbench(service, *export, str(folder / "no" / "a.zip"))).exit_code == 1
    assert (await workbench(service, *export, str(link), "--force")).exit_code == 0
    assert zipfile.ZipFile(file).testzip() is None
    assert link.is_symlink()
    assert sorted(folder.iterdir()) == [file, link]


def _write(out: IO[bytes], content: bytes, ending: Exception) -> None:
    out.write(content)
    raise ending


def test_a_file_is_there_only_when_it_is_whole(folder: Path) -> None:
    file = folder / "a"
    with pytest.raises(KeyError), file_outlet(file, force=False) as out:
        _write(out, b"half", KeyError())
    assert list(folder.iterdir()) == []
    with pytest.raises(ConflictError), file_outlet(file, force=False):
        file.write_bytes(b"somebody was faster")
    assert (file.read_bytes(), list(folder.iterdir())) == (b"somebody was faster", [file])
    full = OSError(28, "No space left on device")
    with pytest.raises(ClickException, match="was not written"), file_outlet(file, force=True) as out:
        _write(out, b"half", full)
    assert (file.read_bytes(), list(folder.iterdir())) == (b"somebody was faster", [file])


async def test_an_archive_that_no_import_would_take_is_not_made(service: Service, folder: Path) -> None:
    ann = service.user("ann")
    conversation = await talk_of(ann)
    await ann.post(f"/conversations/{conversation}/messages", json={"content": "x" * 900_000})
    await ann.post(f"/conversations/{conversation}/messages", json={"content": "x" * 900_000})
    export = ("export", "-o", str(folder / "a.zip"), "--all")
    for limit, value, words in (
        ("ARCHIVE_BYTES", "100", "100 bytes"),
        ("ARCHIVE_UNPACKED_BYTES", "1000", "1000 bytes unpacked"),
        ("ARCHIVE_BYTES", "100000", "200 times its size when unpacked"),
    ):
        over = await workbench(service, *export, **{f"WORKBENCH__LIMITS__{limit}": value})
        assert (over.exit_code, words in plain(over)) == (6, True), over.output
    assert (list(folder.iterdir()), await acts(service)) == ([], [])


async def test_a_dry_run_changes_nothing(service: Service, recorder: RecordingAssistantService, folder: Path) -> None:
    ann = service.user("ann")
    robot = await robot_of(ann, recorder)
    file = folder / "a.zip"
    file.write_bytes(await exported(ann, await eventful(service, robot)))
    await ann.put(f"/conversations/{await talk_of(ann)}/files", files={"files": ("a", b"there")})
    before, asked = await everything(service), len(recorder.requests)
    for owner in (["--owner", "ann"], ["--owner", "new", "--owner-name", "New"]):
        shown = await workbench(service, "import", str(file), *owner, "--dry-run")
        assert shown.exit_code == 0, shown.output
        assert plain(shown).startswith("Would import 1 conversations with 2 messages and 2 versions of files (6 bytes)")
    assert plain(shown).endswith("1 new assistants, 0 used again.")
    assert await everything(service) == before
    assert len(recorder.requests) == asked


async def test_a_dry_run_fails_where_the_import_would(
    service: Service, recorder: RecordingAssistantService, folder: Path
) -> None:
    ann = service.user("ann")
    robot = await robot_of(ann, recorder)
    file, elsewhere = folder / "a.zip", ["--owner", "eve", "--owner-name", "Eve", "--workspace", "elsewhere"]
    original = await eventful(service, robot)
    file.write_bytes(await exported(ann, original))
    with zipfile.ZipFile(file) as archive:
        parts: dict[str, bytes | str] = {name: archive.read(name) for name in archive.namelist()}
    cut = folder / "cut.zip"
    cut.write_bytes(zipped({name: content for name, content in parts.items() if not name.startswith("files/")}))
    cases: list[tuple[Path, list[str], dict[str, str], int, str]] = [
        (file, elsewhere, {}, 2, f"assistant service id {recorder.service_id} is not valid"),
        (cut, ["--owner", "ann"], {}, 2, "the archive does not hold the bytes"),
        (file, ["--owner", "ann"], {"ARCHIVE_BYTES": "100"}, 6, "an archive is limited to 100 bytes"),
        (file, ["--owner", "ann"], {"FILE_BYTES": "2"}, 6, "a/b.txt is over the limit of a file"),
        (
            file,
            ["--owner", "ann"],
            {"CONVERSATION_FILE_BYTES": "5"},
            6,
            "the files of this conversation are at their limit",
        ),
        (
            file,
            ["--owner", "ann"],
            {"WORKSPACE_FILE_BYTES": "11"},
            6,
            "the files of this workspace are at their limit",
        ),
        (file, ["--owner", "nobody"], {}, 3, "there is no user nobody in this workspace"),
        (file, ["--owner", "semantic-workbench"], {}, 2, "the service's own user cannot own conversations"),
    ]
    offline = (file, ["--owner", "ann"], dict[str, str](), 7, "its service is offline")
    before = await everything(service)
    for given, owner, limits, code, words in [*cases, offline]:
        if words == offline[-1]:
            async with open_stream(ann, f"/conversations/{original}/events") as stream:
                await recorder.announce(service.url, expires_seconds=0)
                await stream.next()  # the service tells of who went, which is no doing of ours
            before = await everything(service)
        settings = {f"WORKBENCH__LIMITS__{name}": value for name, value in limits.items()}
        rehearsed, done = [
            await workbench(service, "import", str(given), *owner, *dry, **settings) for dry in (["--dry-run"], [])
        ]
        assert (rehearsed.exit_code, done.exit_code) == (code, code), (words, rehearsed.output, done.output)
        assert words in plain(rehearsed)
        assert plain(rehearsed) == plain(done)
        after = await everything(service)
        assert after[0]["conversations"] == before[0]["conversations"]
        assert after[0]["audit"] == before[0]["audit"]


async def test_what_is_no_archive_ends_with_2_and_leaves_nothing(service: Service, folder: Path) -> None:
    await service.user("ann").get("/users/me")
    before = await everything(service)
    file = folder / "bad.zip"
    for archive, _ in BAD:
        file.write_bytes(archive)
        for more in ([], ["--dry-run"]):
            result = await workbench(service, "import", str(file), "--owner", "ann", *more)
            assert (result.exit_code, "Traceback" in result.output) == (2, False), result.output
    assert (await workbench(service, "import", str(folder / "none.zip"), "--owner", "ann")).exit_code == 2
    assert await everything(service) == before


async def test_who_never_signed_in_gets_a_name(service: Service, folder: Path) -> None:
    (folder / "a.zip").write_bytes(of_the_older_service()[0])
    await told(service, "import", str(folder / "a.zip"), "--owner", "cay", "--owner-name", "Cay C.")
    (mine,) = await all_of(service.user("cay", name=""), "/conversations", "conversations")
    assert [(one["id"], one["name"]) for one in mine["participants"] if one["active_participant"]] == [
        ("cay", "Cay C.")
    ]
    await told(service, "import", str(folder / "a.zip"), "--owner", "cay", "--owner-name", "Somebody")
    assert (await service.user("cay", name="").get("/users/me")).json()["name"] == "Cay C."


@pytest.mark.parametrize(
    "choice",
    [(), ("--all", "--assistant", str(uuid4())), ("--conversation", str(uuid4()), "--limit", "2"), ("--after", "x")],
)
def test_wrong_usage_is_refused(folder: Path, choice: tuple[str, ...]) -> None:
    assert run(folder, "export", "-o", "a.zip", *choice).exit_code == 2
    assert run(folder, "import", "a.zip").exit_code == 2


async def test_acts_over_the_wire_are_in_the_record(service: Service, recorder: RecordingAssistantService) -> None:
    ann, cay = service.user("ann"), service.user("cay")
    robot = await robot_of(ann, recorder)
    original = await eventful(service, robot)
    archive = await exported(ann, original)
    assert (await cay.get("/conversations/export", params={"id": original})).status_code == 200
    (await ann.get(f"/assistants/{robot}/export")).raise_for_status()
    recorder.answer(Kind.PUT_CONVERSATION, then=status(503))
    assert (await brought(cay, archive)).status_code == 503
    recorder.behave()
    (copy,) = (await imported(cay, archive))["conversation_ids"]
    found = await acts(service)
    assert [(one["act"], one["actor_kind"], one["actor_id"], one["subject"]) for one in found] == [
        ("archive.imported", "user", "cay", copy),
        ("archive.exported", "user", "ann", robot),
        ("archive.exported", "user", "cay", "default"),
        ("archive.exported", "user", "ann", original),
    ]
    assert all(one["correlation_id"] for one in found)
    assert found[0]["detail"]["messages"] == 2
    assert (found[2]["detail"]["conversations"], found[2]["detail"]["conversation_ids"]) == (0, [])
    assert "Plans" not in json.dumps(found)
    shown = await workbench(service, "audit", "list", "--act", "archive.exported")
    assert "archive.imported" not in shown.output


async def test_a_bar_is_for_a_terminal(service: Service, folder: Path) -> None:
    conversation = await talk_of(service.user("ann"))
    export = ("export", "--conversation", conversation, "--force", "-o", str(folder / "a.zip"))
    assert (await workbench(service, *export)).stderr == ""
    assert "writing" in (await workbench(service, *export, FORCE_COLOR="1")).stderr
    imports = ("import", str(folder / "a.zip"), "--owner", "ann")
    assert (await workbench(service, *imports)).stderr == ""
    assert "reading" in (await workbench(service, *imports, FORCE_COLOR="1")).stderr


async def test_one_command_s_output_is_another_s_input(service: Service) -> None:
    ann = service.user("ann")
    conversation = await talk_of(ann, title="Piped")
    own = ServerProcess(service.settings.data_root, service.database_url).environment
    exporting = await asyncio.create_subprocess_exec(
        *(WORKBENCH, "export", "--conversation", conversation, "-o", "-", "--json"),
        env=own,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    archive, result = await exporting.communicate()
    assert json.loads(result)["counts"]["bytes"] == len(archive)
    importing = await asyncio.create_subprocess_exec(
        *(WORKBENCH, "import", "-", "--owner", "ann"), env=own, stdin=asyncio.subprocess.PIPE
    )
    await importing.communicate(archive)
    assert importing.returncode == 0
    titles = {one["title"] for one in await all_of(ann, "/conversations", "conversations")}
    assert titles == {"Piped", "Piped (1)"}


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGTERM, EXIT_STOPPED), (signal.SIGINT, 1)])
async def test_an_import_that_is_told_to_stop_leaves_nothing(
    service: Service, recorder: RecordingAssistantService, folder: Path, sign: signal.Signals, code: int
) -> None:
    ann, bob = service.user("ann"), service.user("bob")
    await bob.get("/users/me")
    file = folder / "a.zip"
    file.write_bytes(await exported(ann, await eventful(service, await robot_of(ann, recorder))))
    before = await rows(service)
    recorder.answer(Kind.PUT_CONVERSATION, then=Behaviour(delay_seconds=30))
    importing = await asyncio.create_subprocess_exec(
        *(WORKBENCH, "import", str(file), "--owner", "bob"),
        env=ServerProcess(service.settings.data_root, service.database_url).environment,
        stderr=asyncio.subprocess.DEVNULL,
    )
    joins = len(recorder.received(Kind.PUT_CONVERSATION))
    await recorder.wait_for(lambda it: len(it.received(Kind.PUT_CONVERSATION)) > joins, 20)
    assert (await rows(service))["conversations"] == before["conversations"] + 1
    meanwhile = await told(service, "export", "-o", str(folder / "b.zip"), "--all")
    assert meanwhile["counts"]["conversations"] == before["conversations"]
    importing.send_signal(sign)
    assert await asyncio.wait_for(importing.wait(), 20) == code
    assert await rows(service) == before
    recorder.behave()
