"""`workbench workspaces`: what a workspace decides for itself, where settings decide for all others."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

from typing import Literal, get_args

import msgspec
import rich_click as click

from workbench.domain.identity.model import DEFAULT_WORKSPACE
from workbench.domain.troubleshooting.choices import Choice
from workbench.domain.troubleshooting.choosing import ChoosingService, ChosenHere
from workbench.entrypoints.cli.running import operator, run

Decision = Literal["on", "off", "default"]
WANTED: dict[Decision, bool | None] = {"on": True, "off": False, "default": None}

in_workspace = click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True, help="The workspace.")
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def workspaces() -> None:
    """Say what holds in one workspace, whatever the settings say for all."""


@workspaces.command()
@in_workspace
@as_json_option
def show(workspace: str, as_json: bool) -> None:
    """Print what is decided in a workspace, and by whom."""
    _tell(run(ChoosingService, lambda choosing: choosing.of_workspace(workspace)), as_json)


@workspaces.command("set")
@in_workspace
@click.option(
    "--share-resolutions",
    type=click.Choice(get_args(Decision)),
    help="Whether everybody who looks for similar sessions is told how others solved theirs; `default` for what the "
    "settings say.",
)
@click.option(
    "--embed-by-model",
    type=click.Choice(get_args(Decision)),
    help="Whether texts of sessions are sent to the model that makes vectors; `default` for what the settings say.",
)
@as_json_option
def set_(workspace: str, share_resolutions: Decision | None, embed_by_model: Decision | None, as_json: bool) -> None:
    """Decide something for a workspace; what is not named stays as it is. It holds at once, without a restart.

    Where vectors are to be made by something else from now on, the service makes them; the old ones serve until then.
    After `--embed-by-model off` no text is sent any more.
    """
    given: dict[Choice, Decision | None] = {"share_resolutions": share_resolutions, "embed_by_model": embed_by_model}
    change: dict[Choice, bool | None] = {
        choice: WANTED[decision] for choice, decision in given.items() if decision is not None
    }
    if not change:
        raise click.UsageError("Say --share-resolutions or --embed-by-model.")
    _tell(run(ChoosingService, lambda choosing: choosing.choose(workspace, change, operator())), as_json)


def _tell(found: ChosenHere, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for choice in get_args(Choice):
        holds = "on" if getattr(found.effective, choice) else "off"
        whose = "by the settings" if getattr(found.own, choice) is None else "by the workspace's own choice"
        click.echo(f"{choice}: {holds}, {whose}")
    click.echo(f"vectors are made by: {found.embeds.provider}, {found.embeds.model}")
