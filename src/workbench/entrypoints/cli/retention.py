"""`workbench retention`: how long a workspace keeps things, and a run that removes what is older."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import msgspec
import rich_click as click
from msgspec import UNSET, UnsetType
from rich.console import Console
from rich.table import Table

from workbench.domain.identity.model import DEFAULT_WORKSPACE
from workbench.domain.lifecycle.expiry import ExpiryService
from workbench.domain.lifecycle.model import (
    MAX_DAYS,
    Expired,
    RetentionReport,
    WorkspaceRetention,
    WorkspaceRules,
)
from workbench.domain.lifecycle.retention import RetentionService
from workbench.entrypoints.cli.running import operator, progress, run

KINDS = ("messages_days", "files_days", "events_days")
FOREVER = "forever"
DEFAULT = "default"


class Term(click.ParamType[float, str]):
    """Days, `forever`, or `default` for what the settings say. Converts to days, infinity or minus one."""

    name = "days"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Give the number, or fail as a usage error."""
        if value == FOREVER:
            return float("inf")
        if value == DEFAULT:
            return -1.0
        try:
            days = float(value)
        except ValueError:
            days = 0.0
        if not 0 < days <= MAX_DAYS:
            self.fail(
                f"{value!r} is neither a number of days up to {MAX_DAYS:g} nor {FOREVER} nor {DEFAULT}", param, ctx
            )
        return days


in_workspace = click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True, help="The workspace.")
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def retention() -> None:
    """Say how long things are kept, and remove what is older."""


@retention.command()
@in_workspace
@as_json_option
def show(workspace: str, as_json: bool) -> None:
    """Print how long a workspace keeps things."""
    _tell_rules(run(RetentionService, lambda service: service.of_workspace(workspace)), as_json)


@retention.command("set")
@in_workspace
@click.option("--messages", type=Term(), help="Days, `forever`, or `default` for what the settings say.")
@click.option("--files", type=Term(), help="The same for versions of files.")
@click.option("--events", type=Term(), help="The same for the event log.")
@as_json_option
def set_(workspace: str, messages: float | None, files: float | None, events: float | None, as_json: bool) -> None:
    """Set how long a workspace keeps things; what is not named stays as it is."""
    given = dict(zip(KINDS, (messages, files, events), strict=True))
    if not any(given.values()):
        raise click.UsageError("Say --messages, --files or --events.")
    change = WorkspaceRules(**{name: _rule(days) for name, days in given.items()})
    to_default = frozenset(name for name, days in given.items() if days == -1.0)
    _tell_rules(
        run(RetentionService, lambda service: service.set_workspace(workspace, change, to_default, operator())), as_json
    )


@retention.command("run")
@click.option("--workspace", help="Only this workspace. Without it all, and the audit record.")
@click.option("--dry-run", is_flag=True, help="Only say how much would be removed.")
@as_json_option
def run_(workspace: str | None, dry_run: bool, as_json: bool) -> None:
    """Remove what is too old now. The service does so by itself every few minutes, and may run meanwhile."""
    report = run(ExpiryService, lambda expiry: _run(expiry, workspace, dry_run, as_json))
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    else:
        Console(soft_wrap=True, markup=False).print(_table(report))


async def _run(expiry: ExpiryService, workspace: str | None, dry_run: bool, as_json: bool) -> RetentionReport:
    if dry_run:
        return await expiry.forecast(workspace)
    report = RetentionReport(dry_run=False)
    removed = 0
    with progress("removing", silent=as_json) as show:
        async for step in expiry.run(workspace):
            report.take(step)
            removed += step.audit_entries + sum(step.expired.counts().values())
            show(f"{removed} removed")
    await expiry.note(report, operator())
    return report


def _rule(days: float | None) -> float | UnsetType | None:
    if days is None or days < 0:
        return UNSET
    return None if days > MAX_DAYS else days


def _tell_rules(found: WorkspaceRetention, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for name in KINDS:
        days, own = getattr(found.effective, name), getattr(found.own, name)
        whose = "by the settings" if own is UNSET else "by the workspace's own rule"
        click.echo(f"{name.removesuffix('_days')}: {FOREVER if days is None else f'{days:g} days'}, {whose}")


def _table(report: RetentionReport) -> Table:
    kinds = list(Expired().counts())
    title = "Would be removed" if report.dry_run else "Removed"
    table = Table("workspace", *(kind.replace("_", " ") for kind in kinds), title=title, title_justify="left")
    for workspace_id, expired in report.workspaces.items():
        table.add_row(workspace_id, *map(str, expired.counts().values()))
    table.caption = f"audit entries: {report.audit_entries}"
    return table
