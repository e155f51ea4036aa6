"""`workbench budgets`: limits are set, listed and removed, and their standing is shown."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_cli import plain, run
from tests.cli.test_lifecycle import workbench


async def found(url: str, folder: Path, *arguments: str, **settings: str) -> Any:
    result = await workbench(url, folder, "budgets", *arguments, "--json", **settings)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def terms(limits: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(each["scope"], each["subject"], each["measure"], each["period"], each["amount"]) for each in limits]


async def test_limits_are_set_shown_listed_and_removed(database_url: str, tmp_path: Path) -> None:
    arguments = ("set", "user:ann", "turns/day=20", "cost_micros/month=5000000", "--anchor", "2026-01-31")
    after = await found(database_url, tmp_path, *arguments)
    anns = [("user", "ann", "cost_micros", "month", 5_000_000), ("user", "ann", "turns", "day", 20)]
    assert terms(after["limits"]) == anns
    assert [each["anchor"] for each in after["limits"]] == ["2026-01-31", None]
    assert [(each["name"], each["left"]) for each in after["standings"]] == [
        ("user/cost_micros/month", 5_000_000),
        ("user/turns/day", 20),
    ]
    assert (await found(database_url, tmp_path, "show", "user:ann"))["limits"] == after["limits"]
    await found(database_url, tmp_path, "set", "workspace", "tokens/day=1000")
    await found(database_url, tmp_path, "set", "user:*", "turns/day=unlimited")
    listed = await found(database_url, tmp_path, "list")
    assert terms(listed["limits"]) == [
        ("user", "*", "turns", "day", None),
        *anns,
        ("workspace", "default", "tokens", "day", 1000),
    ]
    elsewhere = await found(database_url, tmp_path, "list", "--workspace", "elsewhere")
    assert elsewhere == {"limits": [], "defaults": [], "next_cursor": None}
    removed = await workbench(database_url, tmp_path, "budgets", "remove", "user:ann")
    assert (removed.exit_code, removed.stdout) == (0, "removed\n")
    assert (await found(database_url, tmp_path, "show", "user:ann"))["limits"] == []
    acts = await workbench(database_url, tmp_path, "audit", "list", "--act", "budget.set", "--json")
    assert acts.stdout.count("budget.set") == 4


async def test_they_are_printed_for_people_with_those_of_the_settings(database_url: str, tmp_path: Path) -> None:
    default = '[{"scope": "user", "measure": "tokens", "period": "day", "amount": 777}]'
    settings = {"WORKBENCH__BUDGETS__LIMITS": default}
    arguments = ("budgets", "set", "user:ann", "turns/month=20", "--anchor", "2026-01-31")
    said = await workbench(database_url, tmp_path, *arguments, **settings)
    assert said.output.splitlines()[0] == "stored: turns/month=20, months from 2026-01-31"
    assert "tokens/day" in said.output
    listed = (await workbench(database_url, tmp_path, "budgets", "list", **settings)).output
    assert all(word in listed for word in ("turns/month", "2026-01-31", "by the settings", "777"))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("set", "user:ann"), "Missing argument"),
        (("set", "user:", "turns/day=1"), "neither workspace nor user:ID nor assistant:ID"),
        (("set", "group:ann", "turns/day=1"), "neither workspace nor user:ID nor assistant:ID"),
        (("set", "workspace:other", "turns/day=1"), "neither workspace nor user:ID nor assistant:ID"),
        (("set", "user:ann", "turns/week=1"), "is no limit such as turns/day=100"),
        (("set", "user:ann", "turns/day=-1"), "is no limit such as turns/day=100"),
        (("set", "user:ann", f"turns/day={10**15}"), "is no limit such as turns/day=100"),
        (("set", "user:ann", "turns/day=1", "turns/day=2"), "one limit for each measure and period"),
        (("set", "assistant:robot", "turns/day=1"), "no assistant's id"),
    ],
)
async def test_what_cannot_be_is_a_wrong_usage(
    sqlite_url: str, tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    result = await workbench(sqlite_url, tmp_path, "budgets", *arguments)
    assert result.exit_code == 2
    assert complaint in plain(result)


def test_limits_and_zones_that_cannot_be_stop_the_start(tmp_path: Path) -> None:
    limit = '{"scope": "user", "measure": "turns", "period": "day", "amount": 1}'
    for name, value, complaint in (
        ("LIMITS", f"[{limit}, {limit}]", "has two limits of the same scope, measure and period"),
        ("LIMITS", f'[{limit[:-1]}, "anchor": "2026-01-31"}}]', "only months have an anchor"),
        ("LIMITS", f"[{limit.replace('1}', '-1}')}]", "greater than or equal to 0"),
        ("TIME_ZONE", "Mars/Olympus", "is no time zone that this machine knows"),
        ("WORKSPACE_TIME_ZONES", '{"a": "../etc"}', "is no time zone that this machine knows"),
    ):
        result = run(tmp_path, "budgets", "list", **{f"WORKBENCH__BUDGETS__{name}": value})
        assert (result.exit_code, complaint in plain(result)) == (2, True), result.output
