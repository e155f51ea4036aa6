"""`workbench budgets`: how much a workspace, its users and its assistants may use, and what is left of it."""

# rich-click names click's generic ParamType without its arguments.
# pyright: reportUnknownMemberType=false

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import get_args

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Table

from workbench.domain.budgets.model import EVERY, MAX_AMOUNT, Limit, Measure, Period, Scope, Terms
from workbench.domain.budgets.service import BudgetService, LimitList, Operator, SubjectBudget
from workbench.domain.identity.model import DEFAULT_WORKSPACE
from workbench.domain.paging import MAX_PAGE
from workbench.entrypoints.cli.running import operator, run

UNLIMITED = "unlimited"
_TERMS = re.compile(
    rf"(?P<measure>{'|'.join(get_args(Measure))})/(?P<period>{'|'.join(get_args(Period))})=(?P<amount>\d+|{UNLIMITED})"
)

Whose = tuple[Scope, str]


class Subject(click.ParamType[Whose, str]):
    """`workspace`, `user:ID` or `assistant:ID`, where the id may be `*`. Converts to scope and subject."""

    name = "subject"

    def convert(self, value: str | Whose, param: click.Parameter | None, ctx: click.Context | None) -> Whose:
        """Take it apart, or fail as a usage error."""
        if isinstance(value, tuple):
            return value
        scope, colon, subject = value.partition(":")
        if scope == "workspace" and not colon:
            return "workspace", EVERY
        known: Scope | None = next((each for each in get_args(Scope) if each == scope != "workspace"), None)
        if known is None or not subject:
            self.fail(f"{value!r} is neither workspace nor user:ID nor assistant:ID (or :*)", param, ctx)
        return known, subject


class LimitTerms(click.ParamType[Terms, str]):
    """`turns/day=100`, `tokens/month=unlimited`. Converts to terms."""

    name = "limit"

    def convert(self, value: str | Terms, param: click.Parameter | None, ctx: click.Context | None) -> Terms:
        """Read one limit, or fail as a usage error."""
        if isinstance(value, Terms):
            return value
        found = _TERMS.fullmatch(value)
        if found is None or (found["amount"] != UNLIMITED and int(found["amount"]) > MAX_AMOUNT):
            self.fail(f"{value!r} is no limit such as turns/day=100 or cost_micros/month=5000000", param, ctx)
        amount = None if found["amount"] == UNLIMITED else int(found["amount"])
        return msgspec.convert({**found.groupdict(), "amount": amount}, Terms)


in_workspace = click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True, help="The workspace.")
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def budgets() -> None:
    """Say how much may be spent on models, and see what is left.

    A SUBJECT is `workspace`, `user:ID` or `assistant:ID`; `user:*` is every user without limits of their own.
    """


@budgets.command("list")
@in_workspace
@as_json_option
def list_(workspace: str, as_json: bool) -> None:
    """Print the limits that are stored, and those of the settings."""
    found = run(BudgetService, lambda service: _all(service, _by(workspace)))
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    table = Table("scope", "subject", "limit", "amount", "months from")
    for limit in found.limits:
        table.add_row(limit.scope, limit.subject, *_terms(limit))
    for limit in found.defaults:
        table.add_row(limit.scope, "by the settings", *_terms(limit))
    Console(soft_wrap=True, markup=False).print(table)


@budgets.command()
@click.argument("subject", type=Subject())
@in_workspace
@as_json_option
def show(subject: Whose, workspace: str, as_json: bool) -> None:
    """Print how the limits stand that hold for SUBJECT."""
    _tell(run(BudgetService, lambda service: service.of_subject(_by(workspace), *subject)), as_json)


@budgets.command("set")
@click.argument("subject", type=Subject())
@click.argument("limits", type=LimitTerms(), nargs=-1, required=True)
@click.option(
    "--anchor", type=click.DateTime(["%Y-%m-%d"]), help="The day from which months are counted; without it the first."
)
@in_workspace
@as_json_option
def set_(subject: Whose, limits: tuple[Terms, ...], anchor: datetime | None, workspace: str, as_json: bool) -> None:
    """Replace all limits of SUBJECT by LIMITS, such as `turns/day=100` and `cost_micros/month=5000000`.

    `turns/day=unlimited` lifts a limit that holds for all others.
    """
    chosen = [_anchored(terms, None if anchor is None else anchor.date()) for terms in limits]
    _tell(run(BudgetService, lambda service: service.set_limits(_by(workspace), *subject, chosen)), as_json)


@budgets.command()
@click.argument("subject", type=Subject())
@in_workspace
def remove(subject: Whose, workspace: str) -> None:
    """Forget all limits of SUBJECT, so that those of all others hold for it."""
    run(BudgetService, lambda service: service.remove_limits(_by(workspace), *subject))
    click.echo("removed")


def _by(workspace: str) -> Operator:
    return Operator(workspace_id=workspace, actor=operator())


async def _all(service: BudgetService, by: Operator) -> LimitList:
    """Page after page."""
    limits: list[Limit] = []
    cursor: str | None = None
    while True:
        page = await service.page(by, limit=MAX_PAGE, cursor=cursor)
        limits += page.limits
        cursor = page.next_cursor
        if cursor is None:
            return msgspec.structs.replace(page, limits=limits)


def _anchored(terms: Terms, anchor: date | None) -> Terms:
    return terms if anchor is None or terms.period == "day" else msgspec.structs.replace(terms, anchor=anchor)


def _terms(limit: Limit) -> Sequence[str]:
    amount = UNLIMITED if limit.amount is None else str(limit.amount)
    return f"{limit.measure}/{limit.period}", amount, "" if limit.anchor is None else limit.anchor.isoformat()


def _tell(found: SubjectBudget, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for limit in found.limits:
        name, amount, anchor = _terms(limit)
        click.echo(f"stored: {name}={amount}{f', months from {anchor}' if anchor else ''}")
    table = Table("limit", "amount", "used", "reserved", "left", "until")
    for each in found.standings:
        figures = (each.limit, each.used, each.reserved, each.left)
        table.add_row(f"{each.measure}/{each.period}", *map(str, figures), each.resets_at.isoformat(" ", "minutes"))
    Console(soft_wrap=True, markup=False).print(table)
