"""`workbench migrate-from`: the data of a Semantic Workbench service is moved in."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import asyncio
from pathlib import Path

import rich_click as click

from workbench.domain.identity.model import DEFAULT_WORKSPACE
from workbench.entrypoints.cli.moved import tell
from workbench.entrypoints.cli.running import operator, progress
from workbench.wiring import migrations
from workbench.wiring.moving import move_in, rehearse_move
from workbench.wiring.settings import load_settings


@click.command()
@click.argument("url")
@click.option(
    "--files",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="The folder that service keeps the bytes of files in (its STORAGE__ROOT).",
)
@click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True, help="The workspace to move into.")
@click.option("--dry-run", is_flag=True, help="Read and check everything, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def migrate_from(url: str, files: Path, workspace: str, dry_run: bool, as_json: bool) -> None:
    """Move in the data of a Semantic Workbench service from its database at URL, SQLite or PostgreSQL.

    Ids stay as they are, so that assistant services and links go on working. The database and the files there are
    only read, from one moment. A move that was ended in the middle goes on when the same command is given again. At
    the end all rows and bytes are compared. Exit code 1 where something could not be moved.
    """
    settings = load_settings()
    with progress("reading" if dry_run else "moving", silent=as_json) as show:
        if dry_run:
            report = asyncio.run(rehearse_move(settings, url, files, workspace, show))
        else:
            migrations.upgrade(settings)
            report = asyncio.run(move_in(settings, url, files, workspace, operator(), show))
    tell(report, as_json=as_json)
