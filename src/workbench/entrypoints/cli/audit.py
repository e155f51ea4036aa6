"""`workbench audit`: who did what to registrations, keys, conversations, archives, dead letters, people and rules."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast, get_args

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Table

from workbench.domain.audit.model import Act, AuditEntry
from workbench.domain.audit.ports import AuditFilter
from workbench.domain.audit.service import AuditService
from workbench.domain.identity.model import DEFAULT_WORKSPACE
from workbench.domain.paging import MAX_PAGE
from workbench.entrypoints.cli.running import run
from workbench.entrypoints.cli.transcript import printable

SHOWN_IDS = 3


@click.group()
def audit() -> None:
    """Read the record of administrative acts."""


@audit.command("list")
@click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True, help="The workspace.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]),
    help="Only from this time on, in UTC.",
)
@click.option("--act", type=click.Choice(get_args(Act)), help="Only acts of this kind.")
@click.option("--actor", help="Only acts of this user, assistant, service or operator, by id.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(workspace: str, since: datetime | None, act: str | None, actor: str | None, as_json: bool) -> None:
    """List the newest 500 acts, newest first."""
    wanted = AuditFilter(since=since and since.replace(tzinfo=UTC), act=act, actor_id=actor, limit=MAX_PAGE)
    entries = run(AuditService, lambda service: service.entries(workspace, wanted))
    if as_json:
        click.echo(msgspec.json.encode({"entries": entries}).decode())
    else:
        Console(soft_wrap=True, markup=False).print(_table(entries))


def _table(entries: Sequence[AuditEntry]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("when", "who", "act", "on what", "detail"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        detail = ", ".join(f"{name} {_short(value)}" for name, value in entry.detail.items())
        when = entry.at.isoformat(" ", "seconds")
        row = (when, f"{entry.actor_kind} {entry.actor_id}", entry.act, entry.subject, detail)
        table.add_row(*map(printable, row))
    return table


def _short(value: object) -> object:
    """A value as a table bears it; JSON has all of it."""
    if not isinstance(value, list):
        return value
    items = cast("list[object]", value)
    shown = " ".join(map(str, items[:SHOWN_IDS]))
    return f"{shown} and {len(items) - SHOWN_IDS} more" if len(items) > SHOWN_IDS else shown
