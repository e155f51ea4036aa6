"""`workbench storage`: whether the bytes of all files are there and unaltered."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import asyncio
from collections.abc import Callable

import msgspec
import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from workbench.domain.contents.verification import Flaw, Verification, VerificationService
from workbench.wiring.container import make_container
from workbench.wiring.settings import load_settings

SHOWN_FLAWS = 1000
"""More flaws than that are counted, but not listed."""
EXPLAINED = {
    "missing": "the bytes are gone",
    "altered": "the bytes are not those that were stored",
    "unused": "no file refers to it",
    "orphaned": "nothing names these bytes",
}


class Report(msgspec.Struct):
    """What a check found."""

    contents: int = 0
    bytes_read: int = 0
    found: int = 0
    repaired: int = 0
    flaws: list[Flaw] = []

    def take(self, step: Verification) -> None:
        """Count one more step."""
        self.contents, self.bytes_read = step.contents, step.bytes_read
        if step.flaw is not None:
            self.found += 1
            self.repaired += step.flaw.repaired
            if len(self.flaws) < SHOWN_FLAWS:
                self.flaws.append(step.flaw)


@click.group()
def storage() -> None:
    """Look after the bytes of files."""


@storage.command()
@click.option("--repair", is_flag=True, help="Remove bytes that nothing refers to, a day after they were stored.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(repair: bool, as_json: bool) -> None:
    """Read and hash every content, and find bytes that nothing refers to. The service may run meanwhile.

    Exit code 1 where a flaw is left. Bytes that are missing or altered come back only from a backup.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, transient=True, disable=as_json or not console.is_terminal) as progress:
        task = progress.add_task("reading", total=None)
        report = asyncio.run(
            _verify(repair, lambda step: progress.update(task, completed=step.bytes_read)),
        )
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    else:
        _tell(report)
    if report.found > report.repaired:
        raise SystemExit(1)


async def _verify(repair: bool, show: Callable[[Verification], object]) -> Report:
    container = make_container(load_settings())
    report = Report()
    try:
        verification = await container.get(VerificationService)
        async for step in verification.run(repair=repair):
            report.take(step)
            show(step)
    finally:
        await container.close()
    return report


def _tell(report: Report) -> None:
    for flaw in report.flaws:
        done = ", removed" if flaw.repaired else ""
        click.echo(f"{flaw.fault}: {flaw.storage_key} ({flaw.size} bytes): {EXPLAINED[flaw.fault]}{done}")
    if report.found > len(report.flaws):
        click.echo(f"... and {report.found - len(report.flaws)} more")
    click.echo(
        f"{report.contents} contents, {report.bytes_read} bytes read, {report.found} flaws, {report.repaired} removed."
    )
