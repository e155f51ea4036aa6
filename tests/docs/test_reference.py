"""The reference says what the program says; a page that fell behind fails here, with the command that mends it."""

import asyncio
import re
from pathlib import Path

import click
import pytest

from docs import generate
from workbench.entrypoints.cli.main import main
from workbench.wiring.setting_names import setting_names, unknown_names
from workbench.wiring.settings import Settings

DOCS = Path(generate.__file__).parent
PAGES = [*sorted(DOCS.rglob("*.md")), *(DOCS.parent / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))]


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_generated_parts_are_as_the_program_says() -> None:
    assert list(generate.stale_pages()) == [], "run: .venv/bin/python docs/generate.py"


def test_a_stale_page_is_seen() -> None:
    page = "reference/errors.md"
    right = text_of(DOCS / page)
    assert generate.renewed(page, right.replace("| `not_found` | 404 |", "| `not_found` | 410 |")) == right
    with pytest.raises(ValueError, match="has no place"):
        generate.renewed(page, "# Errors")


def unknown_settings(text: str) -> set[str]:
    named = re.findall(r"WORKBENCH(?:__(?:[A-Z]+(?:_[A-Z]+)*|<NAME>))+", text)
    return set(unknown_names(named, setting_names(Settings))) - {"WORKBENCH__DB__POOLSIZE"}


def test_pages_name_settings_that_exist() -> None:
    assert {page.name: wrong for page in PAGES if (wrong := unknown_settings(text_of(page)))} == {}
    assert unknown_settings("WORKBENCH__DB__URI and WORKBENCH__DB__URL") == {"WORKBENCH__DB__URI"}
    assert unknown_settings("WORKBENCH__MCP__DESK__URL and WORKBENCH__MCP__DESK__URI") == {"WORKBENCH__MCP__DESK__URI"}


def test_no_page_has_both_sides_of_a_merge_in_it() -> None:
    marks = re.compile(r"^(?:<{7}|[|]{7}|>{7})", re.MULTILINE)
    assert [page.name for page in PAGES if marks.search(text_of(page))] == []


def misused_commands(text: str) -> list[str]:
    """The uses of the command line in blocks of bash that name a verb or an option that it does not have."""
    blocks = "\n".join(re.findall(r"^```bash.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    uses = re.findall(r"(?:^|\$\()workbench ([^)|\n#]+)", blocks.replace("\\\n", " "), re.MULTILINE)
    return [use for use in uses if not is_understood(use.split())]


def is_understood(words: list[str]) -> bool:
    command: click.Command | None = main
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), words.pop(0)) if words else None
    if command is None:
        return False
    options = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
    return {word.partition("=")[0] for word in words if word.startswith("-")} <= options


def test_pages_use_the_command_line_as_it_is() -> None:
    assert {page.name: wrong for page in PAGES if (wrong := misused_commands(text_of(page)))} == {}
    planted = "```bash\nworkbench serve --wrokers 2\nT=$(workbench tokn --user ann)\nworkbench db check --json\n```"
    assert misused_commands(planted) == ["serve --wrokers 2", "tokn --user ann"]


def missing_targets(text: str) -> set[str]:
    targets = set(re.findall(r"^([a-z]+):", text_of(DOCS.parent / "Makefile"), re.MULTILINE))
    return set(re.findall(r"\bmake ([a-z]+)(?= ONCE|`|  +#|$)", text, re.MULTILINE)) - targets


def test_pages_name_make_targets_that_exist() -> None:
    assert {page.name: wrong for page in PAGES if (wrong := missing_targets(text_of(page)))} == {}
    assert missing_targets("`make demo` and `make love`") == {"love"}


def broken_links(page: Path, text: str) -> list[str]:
    targets = [target for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in target]
    return [target for target in targets if not (page.parent / target).exists()]


def test_links_lead_somewhere() -> None:
    assert {page.name: wrong for page in PAGES if (wrong := broken_links(page, text_of(page)))} == {}
    assert broken_links(DOCS / "index.md", "[a](index.md) [b](nowhere.md#x)") == ["nowhere.md"]


async def test_the_program_that_embeds_the_service_runs(tmp_path: Path) -> None:
    program = re.search(
        r"^```python\n(.*?)^```", text_of(DOCS / "howto/embed-and-swap-adapters.md"), re.MULTILINE | re.DOTALL
    )
    assert program is not None
    placed = program[1].replace('Path("data")', f"Path({str(tmp_path)!r})")
    await asyncio.to_thread(exec, placed, {"__name__": "embedding"})
    assert (tmp_path / "workbench.db").exists()
