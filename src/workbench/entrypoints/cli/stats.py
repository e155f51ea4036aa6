"""`workbench stats`: how much there is of everything."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import msgspec
import rich_click as click
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from workbench.domain.lifecycle.stats import Stats, StatsService
from workbench.entrypoints.cli.running import run


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(as_json: bool) -> None:
    """Count what is in each workspace. Changes nothing."""
    found = run(StatsService, lambda service: service.look())
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        Console(soft_wrap=True, markup=False).print(_table(found))


def _table(found: Stats) -> Table:
    table = Table("", *(each.workspace_id for each in found.workspaces))
    rows = [msgspec.to_builtins(each) for each in found.workspaces]
    for name in rows[0] if rows else ():
        if name != "workspace_id":
            shown = [decimal(row[name]) if name.endswith("_bytes") else str(row[name]) for row in rows]
            table.add_row(name.replace("_", " "), *shown)
    table.caption = f"database: {decimal(found.database_bytes)}"
    return table
