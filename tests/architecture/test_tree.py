"""The tree on the page about the architecture is the tree on the disk."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "workbench"
PAGE = ROOT / "docs" / "explanation" / "architecture.md"


def packages_on(page: str) -> set[str]:
    """The packages that the page draws, as paths; two spaces are one step down."""
    drawing = page.partition("<!-- generated: tree -->")[2].partition("<!-- end: tree -->")[0]
    found: set[str] = set()
    path: list[str] = []
    for line in re.findall(r"^ *[a-z_]+/(?= |$)", drawing, re.MULTILINE):
        depth = (len(line) - len(line.lstrip())) // 2
        path = [*path[:depth], line.strip().rstrip("/")]
        found.add("/".join(path))
    return found


def packages_under(folder: Path) -> set[str]:
    return {str(path.parent.relative_to(folder.parent)) for path in folder.rglob("__init__.py")}


def test_the_page_draws_every_package_and_no_other() -> None:
    assert packages_on(PAGE.read_text(encoding="utf-8")) == packages_under(SOURCE)


def test_a_package_that_is_gone_or_new_is_seen() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert packages_under(SOURCE) - packages_on(page.replace("    messages/", "    letters/")) == {
        "workbench/domain/messages"
    }
    assert packages_under(SOURCE) - packages_on(re.sub(r"^    users/.*\n", "", page, flags=re.MULTILINE)) == {
        "workbench/domain/users"
    }


def test_what_is_named_on_the_pages_exists() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "CONTRIBUTING.md"]
    named = {
        path
        for page in pages
        for path in re.findall(r"`((?:domain|adapters|entrypoints|wiring)/[\w/]+\.py)`", page.read_text("utf-8"))
    }
    assert len(named) > 10
    assert [path for path in sorted(named) if not (SOURCE / path).exists()] == []
