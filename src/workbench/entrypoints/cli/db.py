"""`workbench db`: the database's schema, and a copy of it elsewhere."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import asyncio
import json

import rich_click as click

from workbench.entrypoints.cli.moved import tell
from workbench.entrypoints.cli.running import progress
from workbench.wiring import migrations
from workbench.wiring.moving import copy_database, prepare_copy
from workbench.wiring.settings import load_settings
from workbench.wiring.starting import when_there


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
@click.option("--revision", default="head", show_default=True, help="Where to stop.")
def upgrade(revision: str) -> None:
    """Bring the schema up to date. Safe to repeat, and from several machines at once.

    Waits for a PostgreSQL that is not up yet, for WORKBENCH__DB__WAIT_SECONDS.
    """
    settings = load_settings()
    when_there(settings, lambda: migrations.upgrade(settings, revision))
    click.echo(f"{settings.database_shown} is at revision {migrations.current(settings) or 'none'}")


@db.command()
@click.argument("revision")
def downgrade(revision: str) -> None:
    """Take the schema back to REVISION: an id, `-1` (one step), or `base` (nothing).

    What the dropped tables and columns held is lost.
    """
    settings = load_settings()
    migrations.downgrade(settings, revision)
    click.echo(f"{settings.database_shown} is at revision {migrations.current(settings) or 'none'}")


@db.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """Compare the database with what this program expects. Exit code 1 when they differ."""
    differences = migrations.check(load_settings())
    if as_json:
        click.echo(json.dumps({"ok": not differences, "differences": differences}, ensure_ascii=False))
    else:
        click.echo("\n".join(differences) or "The database is as this program expects it.")
    ctx.exit(1 if differences else 0)


@db.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def current(as_json: bool) -> None:
    """Print the schema's revision, and the newest one that this program knows."""
    at, newest = migrations.current(load_settings()), migrations.head()
    shown = json.dumps({"current": at, "head": newest}) if as_json else f"{at or 'none'} (newest: {newest or 'none'})"
    click.echo(shown)


@db.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def copy(source: str, target: str, as_json: bool) -> None:
    """Copy everything in the database at the URL FROM into an empty one at TO, SQLite or PostgreSQL, and compare.

    Stop the service first. A copy that was ended in the middle goes on where it stopped when the same command is
    given again. The bytes of files are not in the database: they stay where they are, or are copied by other means.
    Exit code 1 where something did not arrive.
    """
    # What is set beside the address is meant for the target: nothing of the source is changed.
    begin = load_settings(db={"url": source, "postgresql_owner_url": None})
    end = load_settings(db={"url": target})
    prepare_copy(begin, end)
    with progress("copying", silent=as_json) as show:
        report = asyncio.run(copy_database(begin, end, show))
    tell(report, as_json=as_json)
