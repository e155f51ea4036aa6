"""`workbench backup` and `workbench restore`: everything that SQLite and local files hold, in a folder."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

from pathlib import Path

import msgspec
import rich_click as click
from rich.filesize import decimal

from workbench.entrypoints.cli.running import progress
from workbench.wiring.backups import Outcome, make_backup, use_backup
from workbench.wiring.settings import load_settings

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def backup(folder: Path, as_json: bool) -> None:
    """Back up the database, the files and the keys into FOLDER, which must not be there. The service may run.

    For SQLite and local files. The backup holds secrets: keep it as safe as the data. Exit code 1 where the bytes of
    a file are missing or altered; the rest is backed up.
    """
    with progress("backing up", silent=as_json) as show:
        outcome = make_backup(load_settings(), folder, show)
    _tell(outcome, f"Backed up to {folder}", as_json=as_json)


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--dry-run", is_flag=True, help="Only check the backup.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def restore(folder: Path, dry_run: bool, as_json: bool) -> None:
    """Put back what `workbench backup` wrote to FOLDER, where there is no database yet. The service must not run.

    Everything is hashed before and on the way. Exit code 1 where the bytes of a file are missing or altered.
    """
    with progress("checking" if dry_run else "restoring", silent=as_json) as show:
        outcome = use_backup(load_settings(), folder, show, dry_run=dry_run)
    _tell(outcome, "Checked" if dry_run else "Restored", as_json=as_json)


def _tell(outcome: Outcome, done: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(outcome).decode())
    else:
        for flaw in outcome.flaws:
            click.echo(f"{flaw.subject}: {flaw.fault}")
        manifest = outcome.manifest
        shown = f"{manifest.contents} contents of {decimal(manifest.contents_bytes)}, schema {manifest.revision}"
        click.echo(f"{done}: {shown}, {len(outcome.flaws)} flaws.")
    if outcome.flaws:
        raise SystemExit(1)
