"""`workbench retention`, `audit` and `stats`: what is kept how long, who did what, and how much there is."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from tests.cli.test_cli import plain, run
from tests.contracts.test_transactions import message, new_conversation, post
from tests.support.clocks import SettableClock
from tests.support.databases import Store, open_store

from workbench.entrypoints.cli.running import operator


@pytest.fixture
async def store(database_url: str) -> AsyncGenerator[Store]:
    """A conversation of forty days ago, with a message of then and one of now, in each of two workspaces."""
    past, now = SettableClock(datetime.now(UTC) - timedelta(days=40)), SettableClock(datetime.now(UTC))
    async with open_store(database_url, past) as old, open_store(database_url, now) as young:
        for workspace in ("default", "elsewhere"):
            conversation = await new_conversation(old, workspace)
            for each, text in ((old, "old"), (young, "young")):
                await post(each, conversation, message(each, text), workspace)
        yield young


async def workbench(url: str, folder: Path, *arguments: str, **settings: str) -> Result:
    given = {"WORKBENCH__DB__URL": url, "WORKBENCH__DB__POSTGRESQL_SSL_MODE": "disable", **settings}
    return await asyncio.to_thread(run, folder, *arguments, **given)


async def found(url: str, folder: Path, *arguments: str, **settings: str) -> dict[str, Any]:
    result = await workbench(url, folder, *arguments, "--json", **settings)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def test_a_workspace_s_rules_are_set_shown_and_taken_back(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    shown = await found(database_url, tmp_path, "retention", "show")
    effective = {"messages_days": None, "files_days": None, "events_days": 7.0}
    assert shown == {"workspace_id": "default", "own": {}, "effective": effective}
    arguments = ("retention", "set", "--messages", "30", "--files", "forever", "--events", "2.5")
    after = await found(database_url, tmp_path, *arguments)
    own = {"messages_days": 30.0, "files_days": None, "events_days": 2.5}
    assert (after["own"], after["effective"]) == (own, own)
    assert await found(database_url, tmp_path, "retention", "show") == after
    said = await workbench(database_url, tmp_path, "retention", "set", "--events", "default")
    assert said.output.splitlines() == [
        "messages: 30 days, by the workspace's own rule",
        "files: forever, by the workspace's own rule",
        "events: 7 days, by the settings",
    ]
    assert (await found(database_url, tmp_path, "retention", "show", "--workspace", "elsewhere"))["own"] == {}


@pytest.mark.parametrize(
    "arguments", [(), ("--messages", "0"), ("--messages", "never"), ("--files", "1e9"), ("--events", "0.5")]
)
async def test_rules_that_cannot_be_are_wrong_usage(
    store: Store, database_url: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    assert (await workbench(database_url, tmp_path, "retention", "set", *arguments)).exit_code == 2
    assert (await found(database_url, tmp_path, "audit", "list"))["entries"] == []


async def test_a_run_removes_what_a_dry_run_said_and_is_written_down(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    month = {"WORKBENCH__RETENTION__MESSAGES_DAYS": "30"}
    forecast = await found(database_url, tmp_path, "retention", "run", "--dry-run", **month)
    assert forecast["workspaces"]["default"] == {"messages": 1, "files": 0, "events": 2, "dead_letters": 0}
    assert forecast["dry_run"] is True
    assert (await found(database_url, tmp_path, "audit", "list"))["entries"] == []
    one = await found(database_url, tmp_path, "retention", "run", "--workspace", "elsewhere", **month)
    assert one["workspaces"] == {"elsewhere": forecast["workspaces"]["elsewhere"]}
    ran = await workbench(database_url, tmp_path, "retention", "run", **month)
    assert ran.exit_code == 0
    assert "Removed" in ran.stdout
    assert "removing: " in ran.stderr
    assert (await found(database_url, tmp_path, "retention", "run", **month))["workspaces"] == {}
    (entry,) = (await found(database_url, tmp_path, "audit", "list"))["entries"]
    assert (entry["act"], entry["subject"]) == ("retention.run", "default")
    assert entry["detail"] == forecast["workspaces"]["default"]
    assert (entry["actor_kind"], entry["actor_id"]) == ("operator", operator().id)


async def test_on_a_terminal_a_bar_moves_and_no_lines_are_printed(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    month = {"WORKBENCH__RETENTION__MESSAGES_DAYS": "30", "FORCE_COLOR": "1", "TERM": "xterm"}
    ran = await workbench(database_url, tmp_path, "retention", "run", **month)
    assert ran.exit_code == 0
    assert "removing: " not in ran.stderr
    assert "━" in ran.stderr
    assert "removed" in ran.stderr


async def test_the_record_is_filtered_and_shown_to_people(store: Store, database_url: str, tmp_path: Path) -> None:
    for days in ("30", "40"):
        await found(database_url, tmp_path, "retention", "set", "--messages", days)
    listed = await workbench(database_url, tmp_path, "audit", "list")
    assert listed.exit_code == 0
    assert "retention.set" in listed.output
    assert "messages_days 40.0" in plain(listed)
    for arguments, expected in (
        (("--act", "retention.set"), 2),
        (("--act", "key.reset"), 0),
        (("--actor", operator().id), 2),
        (("--actor", "nobody"), 0),
        (("--since", "2000-01-01"), 2),
        (("--since", (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%d")), 0),
        (("--workspace", "elsewhere"), 0),
    ):
        assert len((await found(database_url, tmp_path, "audit", "list", *arguments))["entries"]) == expected, arguments
    newest_first = [
        each["detail"]["messages_days"] for each in (await found(database_url, tmp_path, "audit", "list"))["entries"]
    ]
    assert newest_first == [40.0, 30.0]
    assert (await workbench(database_url, tmp_path, "audit", "list", "--act", "nothing.known")).exit_code == 2


async def test_how_much_there_is_by_workspace(store: Store, database_url: str, tmp_path: Path) -> None:
    stats = await found(database_url, tmp_path, "stats")
    assert stats["database_bytes"] > 10_000
    assert [each["workspace_id"] for each in stats["workspaces"]] == ["default", "elsewhere"]
    for each in stats["workspaces"]:
        assert (each["conversations"], each["messages"], each["events"], each["users"]) == (1, 2, 3, 0)
        assert (each["files"], each["file_bytes"], each["deliveries"], each["dead_letters"], each["jobs"]) == (0,) * 5
    shown = await workbench(database_url, tmp_path, "stats")
    assert shown.exit_code == 0
    assert "dead letters" in shown.output
    assert "database:" in shown.output
