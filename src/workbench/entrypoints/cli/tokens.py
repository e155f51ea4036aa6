"""`workbench token`: a user token signed on this machine."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import json
import re

import rich_click as click

from workbench.domain.identity.model import DEFAULT_WORKSPACE
from workbench.wiring.local_tokens import sign_local_token
from workbench.wiring.settings import load_settings

UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = re.compile(r"(\d+)([smhd]?)")


class Duration(click.ParamType[int, str]):
    """A length of time such as `30m` or `8h`; a bare number is seconds. Converts to seconds."""

    name = "duration"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Give the seconds, or fail as a usage error."""
        match = DURATION.fullmatch(str(value))
        seconds = int(match[1]) * UNIT_SECONDS[match[2] or "s"] if match else 0
        if seconds == 0:
            self.fail(f"{value!r} is not a duration, such as 45s, 30m, 8h or 7d", param, ctx)
        return seconds


@click.command()
@click.option("--user", "user_id", required=True, help="The user's id.")
@click.option("--name", required=True, help="The user's name, as others see it.")
@click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True, help="The user's workspace.")
@click.option("--ttl", type=Duration(), default="8h", show_default=True, help="For how long the token is valid.")
@click.option("--admin", is_flag=True, help="Let the user see what everybody in the workspace used, and set budgets.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead of the bare token.")
def token(user_id: str, name: str, workspace: str, ttl: int, admin: bool, as_json: bool) -> None:
    """Print a token for a user, signed with the key in the data folder.

    Send it as `Authorization: Bearer TOKEN`.
    """
    signed = sign_local_token(
        load_settings(), user_id=user_id, name=name, workspace=workspace, ttl_seconds=ttl, admin=admin
    )
    about = {"token": signed, "user_id": user_id, "name": name, "workspace": workspace, "expires_in_seconds": ttl}
    click.echo(json.dumps(about, ensure_ascii=False) if as_json else signed)
