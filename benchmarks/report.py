"""What was measured, as a file, as a table in Markdown and as charts, written into the pages that show them."""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.chart import draw
from benchmarks.scenarios import Figure
from benchmarks.targets import TARGETS, YARDSTICKS, Target

Columns = dict[str, dict[str, Figure]]
"""Figures by name, by what was measured."""

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "benchmarks" / "results"
FLOOR = " floor"
"""What the column of a floor is called, behind the name of what it is the floor of."""
LOOK_SECONDS = 3.0
BUSY_SHARE = 0.25
"""Of the processors: with more at work before the beginning, times are not what the machine can do."""


@dataclass
class Machine:
    """Where and when it was measured."""

    name: str
    cores: int
    memory_gib: int
    python: str
    commit: str
    date: str
    busy: float
    """Processors that others had at work in the seconds before."""

    def __str__(self) -> str:
        """Read as the sentences above a table."""
        where = (
            f"{self.name}, {self.cores} cores, {self.memory_gib} GiB, Python {self.python}, the load client on it too"
        )
        told = f"Measured on {self.date} at commit `{self.commit}`: {where}."
        if self.busy > self.cores * BUSY_SHARE:
            told += f" **Not final**: others had {self.busy:.1f} of the processors at work."
        return told


@dataclass
class Results:
    """Everything of one run."""

    machine: Machine
    columns: Columns


def state_of_machine() -> Machine:
    """Look at the machine before the load is put on."""
    return Machine(
        name=f"{platform.machine()} {platform.system()}",
        cores=psutil.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / (1 << 30)),
        python=_python(),
        commit=_git("describe", "--always") + (" with changes" if _git("status", "--porcelain", "src") else ""),
        date=datetime.now(UTC).date().isoformat(),
        busy=psutil.cpu_percent(LOOK_SECONDS) / 100 * (psutil.cpu_count() or 1),
    )


def _python() -> str:
    """Name the interpreter: a system's own is built with optimisations that one from source has only where asked for."""
    version = platform.python_version()
    if sys.base_prefix != "/usr":
        return version
    return f"{version} of {platform.freedesktop_os_release()['PRETTY_NAME']}"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let the caller say where to write."""
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write table and chart into this page")


def tell(name: str, results: Results, options: argparse.Namespace) -> None:
    """Print the table; where a page is named, keep the results and write them there."""
    print(f"{results.machine}\n\n{table(results.columns)}")
    if options.write is not None:
        KEPT.mkdir(exist_ok=True)
        (KEPT / f"{name}.json").write_text(json.dumps(asdict(results), indent=1) + "\n", encoding="utf-8")
        write(name, results, options.write)


def read_kept(name: str) -> Results:
    """Read what an earlier run kept."""
    kept = json.loads((KEPT / f"{name}.json").read_text(encoding="utf-8"))
    columns = {
        column: {key: Figure(**figure) for key, figure in figures.items()}
        for column, figures in kept["columns"].items()
    }
    return Results(Machine(**kept["machine"]), columns)


def write(name: str, results: Results, page: Path) -> None:
    """Put the table between the page's two comments of that name, and the chart beside its pictures.

    Raises ValueError where the page has no such comments.
    """
    text = page.read_text(encoding="utf-8")
    begin, end = f"<!-- measured: {name} -->", f"<!-- end of {name} -->"
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page} has no place for {name}")
    picture = page.parent / "images" / f"{name}.svg"
    picture.parent.mkdir(exist_ok=True)
    picture.write_text(draw(results.columns, TARGETS), encoding="utf-8")
    shown = f"![{name}, drawn](images/{name}.svg)"
    block = f"{begin}\n{results.machine}\n\n{shown}\n\n{table(results.columns)}\n{end}"
    page.write_text(head + block + tail, encoding="utf-8")


def by_name(figures: Iterable[Figure]) -> dict[str, Figure]:
    """Make a column of figures."""
    return {figure.name: figure for figure in figures}


def table(columns: Columns) -> str:
    """Write the figures as a table, each beside its target, if it has one, and whether that is reached."""
    names = list(dict.fromkeys(name for figures in columns.values() for name in figures))
    wanted = [" wanted"] if any(name in TARGETS for name in names) else []
    heads = [f" {column}" for column in columns] + wanted
    lines = ["| |" + "".join(f"{head} |" for head in heads), "|---|" + "---|" * len(heads)]
    for name in names:
        cells = "".join(f" {_cell(name, column, columns)} |" for column in columns)
        lines.append(f"| {name} |{cells}" + (f" {TARGETS.get(name, '')} |" if wanted else ""))
    return "\n".join(lines)


def _cell(name: str, column: str, columns: Columns) -> str:
    figure = columns[column].get(name)
    if figure is None:
        return ""
    shown = f"{figure.value:,.1f} {figure.unit}".rstrip() if figure.unit else f"{figure.value:,.1f}".removesuffix(".0")
    target = TARGETS.get(name)
    if target is None or column.endswith(FLOOR):
        return shown
    if target.is_reached_by(figure.value):
        return f"{shown}, reached"
    reached_here = target.at(_pace(target, columns.get(column + FLOOR, {}))).is_reached_by(figure.value)
    return f"{shown}, **not reached**" + (" (for the pace it is)" if reached_here else "")


def _pace(target: Target, floor: dict[str, Figure]) -> float:
    """How fast the machine was while the floor was measured, beside the one that the target was set for; 1 at most."""
    if target.yardstick is None or target.yardstick not in floor:
        return 1.0
    return min(1.0, floor[target.yardstick].value / YARDSTICKS[target.yardstick])
