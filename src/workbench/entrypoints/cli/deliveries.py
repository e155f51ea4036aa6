"""`workbench deliveries`: what waits for assistants, and what could not be brought to them."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Table

from workbench.domain.assistants.oversight import ConversationDelivery, OversightService
from workbench.domain.delivery.model import DeadLetter
from workbench.domain.identity.model import DEFAULT_WORKSPACE
from workbench.entrypoints.cli.running import operator
from workbench.entrypoints.cli.transcript import printable
from workbench.wiring.container import make_container
from workbench.wiring.settings import load_settings

T = TypeVar("T")

in_workspace = click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True, help="The workspace.")
of_assistant = click.option("--assistant", type=click.UUID, help="Only this assistant's.")
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
NOTHING_NAMED = "Name the dead letters, or say --all."


@click.group()
def deliveries() -> None:
    """See what waits for assistants, and bring or drop what could not be brought."""


@deliveries.command("list")
@in_workspace
@of_assistant
@as_json_option
def list_(workspace: str, assistant: UUID | None, as_json: bool) -> None:
    """List deliveries, those furthest behind first, and dead letters, newest first; at most 500 of each."""

    async def look(oversight: OversightService) -> tuple[list[ConversationDelivery], list[DeadLetter]]:
        waiting = await oversight.statuses(workspace, assistant)
        return waiting, list(await oversight.dead_letters(workspace, assistant))

    waiting, letters = _run(look)
    if as_json:
        click.echo(msgspec.json.encode({"deliveries": waiting, "dead_letters": letters}).decode())
        return
    console = Console(soft_wrap=True, markup=False)
    console.print(_deliveries_table(waiting))
    console.print(_letters_table(letters))


@deliveries.command()
@click.argument("letters", nargs=-1, type=click.UUID)
@click.option("--all", "everything", is_flag=True, help="All of them, oldest first, up to the first that fails.")
@in_workspace
@of_assistant
@as_json_option
def replay(letters: tuple[UUID, ...], everything: bool, workspace: str, assistant: UUID | None, as_json: bool) -> None:
    """Bring dead LETTERS now. Exit code 1 where one still cannot be brought."""
    _require_some(letters, everything)

    async def act(oversight: OversightService) -> tuple[int, str | None]:
        if everything:
            outcome = await oversight.replay_all(workspace, assistant, operator())
            return outcome.replayed, outcome.error
        for letter in letters:
            await oversight.replay(workspace, letter, operator())
        return len(letters), None

    replayed, error = _run(act)
    if as_json:
        click.echo(msgspec.json.encode({"replayed": replayed, "error": error}).decode())
    else:
        click.echo(f"{replayed} replayed.")
    if error is not None:
        raise click.ClickException(error)


@deliveries.command()
@click.argument("letters", nargs=-1, type=click.UUID)
@click.option("--all", "everything", is_flag=True, help="All of them, at most 500 at once.")
@click.option("--dry-run", is_flag=True, help="Only say how many.")
@in_workspace
@of_assistant
@as_json_option
def drop(
    letters: tuple[UUID, ...], everything: bool, dry_run: bool, workspace: str, assistant: UUID | None, as_json: bool
) -> None:
    """Forget dead LETTERS."""
    _require_some(letters, everything)

    async def act(oversight: OversightService) -> int:
        found = [letter.id for letter in await oversight.dead_letters(workspace, assistant)] if everything else letters
        for letter in () if dry_run else found:
            await oversight.drop(workspace, letter, operator())
        return len(found)

    count = _run(act)
    if as_json:
        click.echo(msgspec.json.encode({"dropped": 0 if dry_run else count, "found": count}).decode())
    else:
        click.echo(f"{count} would be dropped." if dry_run else f"{count} dropped.")


def _require_some(letters: tuple[UUID, ...], everything: bool) -> None:
    if bool(letters) == everything:
        raise click.UsageError(NOTHING_NAMED)


def _run(act: Callable[[OversightService], Awaitable[T]]) -> T:
    async def whole() -> T:
        container = make_container(load_settings())
        try:
            return await act(await container.get(OversightService))
        finally:
            await container.close()

    return asyncio.run(whole())


def _deliveries_table(waiting: list[ConversationDelivery]) -> Table:
    columns = ("assistant", "conversation", "state", "behind", "for", "attempts", "last error")
    table = Table(*columns, title="Deliveries", title_justify="left")
    for one in waiting:
        lag = f"{one.lag_seconds:.0f} s"
        row = (
            one.assistant_id,
            one.conversation_id,
            one.state,
            one.lag_events,
            lag,
            one.attempts,
            one.last_error or "",
        )
        table.add_row(*(printable(str(cell)) for cell in row))
    return table


def _letters_table(letters: list[DeadLetter]) -> Table:
    table = Table("id", "assistant", "event", "set aside", "reason", title="Dead letters", title_justify="left")
    for letter in letters:
        when = letter.failed_datetime.isoformat(" ", "seconds")
        table.add_row(str(letter.id), str(letter.assistant_id), letter.event_type, when, printable(letter.reason))
    return table
