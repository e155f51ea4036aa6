"""How a move between databases is told, and its exit code."""

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Table

from workbench.domain.moving.model import Report

SHOWN_FLAWS = 100


def tell(report: Report, *, as_json: bool) -> None:
    """Print what was moved; exit code 1 where something is missing or differs."""
    if as_json:
        same = {comparison.name: comparison.is_same for comparison in report.comparisons}
        click.echo(msgspec.json.encode({"whole": report.is_whole, "same": same, **_fields(report)}).decode())
    else:
        _print(report)
    if not report.is_whole:
        raise SystemExit(1)


def _fields(report: Report) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(report)
    return fields


def _print(report: Report) -> None:
    console = Console(soft_wrap=True, markup=False)
    if report.comparisons:
        table = Table("table", "at the source", "at the target", "")
        for each in report.comparisons:
            words = "the same" if each.is_same else "NOT THE SAME"
            table.add_row(each.name, str(each.source_rows), str(each.target_rows), words)
    else:
        table = Table("table", "at the source")
        for name, count in report.counts.items():
            table.add_row(name, str(count))
    console.print(table)
    for flaw in report.flaws[:SHOWN_FLAWS]:
        console.print(f"{flaw.subject}: {flaw.fault}")
    if len(report.flaws) > SHOWN_FLAWS:
        console.print(f"... and {len(report.flaws) - SHOWN_FLAWS} more (--json lists all)")
    if report.comparisons:
        console.print("Everything arrived." if report.is_whole else "Not everything arrived.")
