"""`workbench users`: a person is erased."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

from typing import get_args

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Table

from workbench.domain.identity.model import DEFAULT_WORKSPACE
from workbench.domain.lifecycle.erasure import ErasureService
from workbench.domain.lifecycle.person import ContentPolicy, Receipt, Survey
from workbench.entrypoints.cli.running import operator, progress, run

POLICIES: tuple[ContentPolicy, ...] = get_args(ContentPolicy)


@click.group()
def users() -> None:
    """Look after people."""


@users.command()
@click.argument("user")
@click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True, help="The workspace.")
@click.option(
    "--policy",
    type=click.Choice(POLICIES),
    default="keep",
    show_default=True,
    help="What they said and uploaded: keep it without its author, remove it, or replace it by a notice.",
)
@click.option("--dry-run", is_flag=True, help="Only count what names the person.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def erase(user: str, workspace: str, policy: ContentPolicy, dry_run: bool, as_json: bool) -> None:
    """Erase a person, USER by id, from a workspace, and print the receipt.

    What was begun is carried out: where this command is ended in the middle, the running service goes on with it, and
    so does the same command once more. There is no way back.
    """
    if dry_run:
        survey = run(ErasureService, lambda service: service.survey(workspace, user, policy))
        _tell_survey(survey, as_json)
        return
    receipt = run(ErasureService, lambda service: _erase(service, workspace, user, policy, as_json))
    if as_json:
        click.echo(msgspec.json.encode(receipt).decode())
    else:
        Console(soft_wrap=True, markup=False).print(_table(receipt))


async def _erase(service: ErasureService, workspace: str, user: str, policy: ContentPolicy, as_json: bool) -> Receipt:
    begun = await service.begin(workspace, user, policy, operator())
    with progress("erasing", silent=as_json) as show:
        async for erasure in service.proceed(workspace, begun.id):
            show(
                f"{erasure.stage} {erasure.place[0]}" if erasure.stage == "traces" and erasure.place else erasure.stage
            )
    return await service.receipt(workspace, begun.id)


def _tell_survey(survey: Survey, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(survey).decode())
        return
    table = Table("table", "rows that name the person")
    for name, count in survey.rows.items():
        table.add_row(name, str(count))
    Console(soft_wrap=True).print(table)
    click.echo(
        f"{survey.conversations_deleted} conversations would be deleted, "
        f"{survey.conversations_handed_over} handed over."
    )


def _table(receipt: Receipt) -> Table:
    ended = receipt.ended_datetime.isoformat(" ", "seconds") if receipt.ended_datetime else "not yet"
    title = f"Erasure {receipt.erasure_id}\nsubject {receipt.subject}\npolicy {receipt.policy}, ended {ended}"
    table = Table("table", "done", "rows", title=title, title_justify="left")
    for name, done in receipt.counts.items():
        for what, count in done.items():
            table.add_row(name, what.replace("_", " "), str(count))
    return table
