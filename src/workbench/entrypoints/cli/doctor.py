"""`workbench doctor`: what is wrong with an installation, and what to do about it."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import asyncio
import json

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from workbench.wiring.doctor import Finding, diagnose
from workbench.wiring.setting_names import SettingsError
from workbench.wiring.settings import load_settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check settings, data folder, database, storage, clock, keys, key vault and address. Changes nothing.

    Exit code 1 when something is wrong.
    """
    findings = _findings()
    is_well = all(finding.ok for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": is_well, "findings": msgspec.to_builtins(findings)}, ensure_ascii=False))
    else:
        Console().print(_table(findings))
    ctx.exit(0 if is_well else 1)


def _findings() -> list[Finding]:
    try:
        settings = load_settings()
    except SettingsError as error:
        remedy = "Correct it in the environment or in .env."
        return [Finding(check=name, ok=False, detail=detail, remedy=remedy) for name, detail in error.faults.items()]
    return [Finding(check="settings", ok=True, detail="all are known and valid"), *asyncio.run(diagnose(settings))]


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for finding in findings:
        mark = Text("ok", "green") if finding.ok else Text("wrong", "red")
        detail = finding.detail if finding.ok else f"{finding.detail}\n{finding.remedy}"
        table.add_row(mark, Text(finding.check), Text(detail))
    return table
