"""`workbench psa`: what operators do about ticket systems."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import msgspec
import rich_click as click

from workbench.domain.tickets.rotating import RotationService
from workbench.domain.troubleshooting.pushing import Pushed, PushingService
from workbench.entrypoints.cli.running import run


@click.group()
def psa() -> None:
    """Look after ticket systems: what waits to be sent there, and the key of their secrets."""


@psa.command("push-now")
@click.option("--workspace", required=True, help="The workspace.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def push_now(workspace: str, as_json: bool) -> None:
    """Send the notes of a workspace that wait for their tickets, whenever they are due. Each counts as a try.

    Those of connections that are off, or whose keys were refused, go on waiting. Exit code 1 where one did not arrive.
    """

    async def act(pushing: PushingService) -> Pushed:
        return await pushing.push_now(workspace)

    done = run(PushingService, act)
    if as_json:
        click.echo(msgspec.json.encode(done).decode())
    else:
        click.echo(f"{done.sent} sent, {done.waiting} still waiting, {done.failed} failed.")
    if done.waiting or done.failed:
        raise SystemExit(1)


@psa.command("rotate-key")
def rotate_key() -> None:
    """Make a new key for the secrets of ticket systems, and seal all of them under it. The service may run on.

    The key before it is kept until the next time. Exit code 1 where a secret could not be opened.
    """

    async def act(rotation: RotationService) -> tuple[int, int]:
        return await rotation.rotate()

    sealed, unopened = run(RotationService, act)
    click.echo(f"{sealed} secrets sealed anew." + (f" {unopened} could not be opened." if unopened else ""))
    if unopened:
        raise SystemExit(1)
