"""`workbench playbooks`: files in, files out. The numbers are those of the specification of sessions (16)."""

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cli.test_lifecycle import workbench
from tests.http.test_playbooks import BOMB
from tests.support.playbooks import EXAMPLE, document

REPORT = "The printer on the second floor shows offline and jobs are stuck in the print queue"
HERE = ("--workspace", "default")


def example(key: str, title: str = "A printer") -> str:
    return EXAMPLE.replace("printer-offline", key).replace("Printer offline or not printing", title)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with two good playbooks, one bad, and a file that is none."""
    folder = tmp_path / "shelf"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "one.yaml").write_text(example("one"))
    (folder / "deep" / "er" / "two.json").write_bytes(msgspec.json.encode(document(key="two")))
    (folder / "deep" / "bad.yml").write_text(example("bad").replace("start: scope", "start: nowhere"))
    (folder / "README.md").write_text("no playbook")
    return folder


async def said(url: str, folder: Path, *arguments: str, code: int = 0) -> Any:
    result = await workbench(url, folder, "playbooks", *arguments, *HERE, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def told(answer: Any) -> dict[str, tuple[str, int | None]]:
    return {Path(each["path"]).name: (each["status"], each["version"]) for each in answer["results"]}


async def test_66_one_bad_file_stops_nothing_else(database_url: str, tmp_path: Path, shelf: Path) -> None:
    missing = str(tmp_path / "missing.yaml")
    taken = await said(database_url, tmp_path, "import", str(shelf), missing, code=1)
    assert told(taken) == {
        "one.yaml": ("draft", 1),
        "two.json": ("draft", 1),
        "bad.yml": ("error", None),
        "missing.yaml": ("error", None),
    }
    assert taken["errors"] == 2
    bad = next(each for each in taken["results"] if each["path"].endswith("bad.yml"))
    assert {each["level"] for each in bad["findings"]} >= {"error"}
    assert any(each["path"] == "start" for each in bad["findings"])
    again = await said(database_url, tmp_path, "import", str(shelf / "one.yaml"), str(shelf / "deep" / "er"))
    assert told(again) == {"one.yaml": ("unchanged", 1), "two.json": ("unchanged", 1)}
    acts = await workbench(database_url, tmp_path, "audit", "list", "--act", "playbook.imported", "--json")
    assert acts.stdout.count('"actor_kind":"operator"') + acts.stdout.count('"actor_kind": "operator"') == 2


@pytest.mark.parametrize("command", ["validate", "import", "publish", "export", "match"])
async def test_66_without_a_workspace_nothing_is_done(sqlite_url: str, tmp_path: Path, command: str) -> None:
    result = await workbench(sqlite_url, tmp_path, "playbooks", command, str(tmp_path / "none"))
    assert result.exit_code == 2
    assert "--workspace" in result.output


async def test_files_are_checked_and_nothing_is_kept(sqlite_url: str, tmp_path: Path, shelf: Path) -> None:
    checked = await said(sqlite_url, tmp_path, "validate", str(shelf), code=1)
    assert told(checked) == {"one.yaml": ("valid", None), "two.json": ("valid", None), "bad.yml": ("error", None)}
    plain = await workbench(sqlite_url, tmp_path, "playbooks", "validate", str(shelf), *HERE)
    assert plain.exit_code == 1
    assert "one.yaml: one valid" in plain.output
    assert "  error start: " in plain.output
    tried = await said(sqlite_url, tmp_path, "import", str(shelf / "one.yaml"), "--dry-run", "--publish")
    assert told(tried)["one.yaml"][1] == 1
    assert (await said(sqlite_url, tmp_path, "export", str(tmp_path / "out")))["results"] == []


async def test_65_a_bomb_is_refused_at_once(sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "bomb.yaml"
    file.write_text(BOMB)
    began = time.monotonic()
    refused = await said(sqlite_url, tmp_path, "validate", str(file), code=1)
    assert refused["results"][0]["status"] == "error"
    assert time.monotonic() - began < 5  # with the start of the command, which takes most of it
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (300 << 10))
    assert "262144" in (await said(sqlite_url, tmp_path, "import", str(large), code=1))["results"][0]["detail"]


async def test_what_is_published_is_found_and_written_out_again(database_url: str, tmp_path: Path, shelf: Path) -> None:
    await said(database_url, tmp_path, "import", str(shelf / "one.yaml"))
    (shelf / "one.yaml").write_text(example("one", "Another printer"))
    second = await said(database_url, tmp_path, "import", str(shelf / "one.yaml"), "--publish")
    assert told(second) == {"one.yaml": ("published", 2)}
    back = await said(database_url, tmp_path, "publish", "one", "nothing", "--version", "1", code=1)
    assert told(back) == {"one": ("published", 1), "nothing": ("error", None)}
    out = tmp_path / "out"
    written = await said(database_url, tmp_path, "export", str(out))
    assert told(written) == {"one.yaml": ("written", 1)}
    assert (out / "one.yaml").read_text() == example("one")
    both = await said(database_url, tmp_path, "export", str(out), "one", "printer-offline", "none", code=1)
    assert told(both) == {"one.yaml": ("written", 1), "printer-offline.yaml": ("written", 0), "none": ("error", None)}
    elsewhere = await workbench(database_url, tmp_path, "playbooks", "export", str(out), "one", "--workspace", "other")
    assert elsewhere.exit_code == 1


async def test_reports_are_tried(sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    file.write_text(REPORT)
    found = await said(sqlite_url, tmp_path, "match", str(file))
    (first,) = found["results"]
    assert (first["decision"], first["candidates"][0]["key"]) == ("run", "printer-offline")
    by_text = await said(sqlite_url, tmp_path, "match", "--text", REPORT)
    assert by_text["results"][0]["candidates"] == first["candidates"]
    plain = await workbench(sqlite_url, tmp_path, "playbooks", "match", str(file), *HERE)
    assert "printer-offline" in plain.output
    assert (await workbench(sqlite_url, tmp_path, "playbooks", "match", *HERE)).exit_code == 2
