"""Reserving for whoever has no block of their own, seeing what is left, and saying how much there is."""

from collections.abc import Sequence
from typing import Annotated, Any, cast
from uuid import UUID

import msgspec

from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.budgets.book import LimitBook
from workbench.domain.budgets.model import (
    EVERY,
    MAX_LIMITS,
    MAX_SUBJECT_LENGTH,
    Limit,
    Scope,
    Spend,
    Standing,
    Subjects,
    Terms,
)
from workbench.domain.budgets.ports import LimitPlace, LimitTx
from workbench.domain.budgets.reserving import reserve, standings_of
from workbench.domain.errors import ForbiddenError, InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.paging import MAX_PAGE
from workbench.domain.transactions import Transactions, retrying


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever looks after a workspace on the machine that has the settings."""

    workspace_id: str
    actor: Actor


class NewLimits(msgspec.Struct, frozen=True, kw_only=True):
    """All limits of one subject, in the place of those that it had."""

    limits: Annotated[list[Terms], msgspec.Meta(max_length=MAX_LIMITS)]


class LimitList(msgspec.Struct, frozen=True, kw_only=True):
    """Limits that are stored, and those of the settings, which hold where none is stored."""

    limits: Sequence[Limit]
    defaults: Sequence[Limit]
    next_cursor: str | None


class StandingList(msgspec.Struct, frozen=True, kw_only=True):
    """How limits stand that hold."""

    standings: Sequence[Standing]


class SubjectBudget(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored for one subject, and how the limits stand that hold for it, wherever they come from."""

    scope: Scope
    subject: str
    limits: Sequence[Limit]
    standings: Sequence[Standing]


class BudgetService:
    """Acts about budgets. Limits are set by admins, in their own workspace, and by operators."""

    def __init__(self, transactions: Transactions[LimitTx], book: LimitBook) -> None:
        self._transactions = transactions
        self._book = book

    async def reserve(self, workspace_id: str, spend: Spend) -> Sequence[Standing]:
        """Reserve in a commit of its own, or prolong a reservation; answer with how the limits stand that hold.

        Raises BudgetExceededError.
        """

        async def act() -> Sequence[Standing]:
            async with self._transactions.write(workspace_id) as tx:
                return await reserve(tx, self._book, spend)

        return await retrying(act)

    async def release(self, workspace_id: str, key: str) -> None:
        """Forget a reservation, if it is there."""
        async with self._transactions.write(workspace_id) as tx:
            tx.budgets.release(key, self._book.clock.now())

    async def mine(self, principal: Principal) -> StandingList:
        """What is left for the caller, of their own limits and of those of all."""
        subjects = Subjects(workspace=principal.workspace_id, user=principal.id)
        async with self._transactions.read(principal.workspace_id) as tx:
            return StandingList(standings=await standings_of(tx, self._book, subjects))

    async def page(self, by: Principal | Operator, *, limit: int, cursor: str | None) -> LimitList:
        """What is stored, by scope and subject. Raises ForbiddenError, InvalidError."""
        workspace_id, limit = _workspace(by), min(limit, MAX_PAGE)
        after = None if cursor is None else _place(cursor)
        async with self._transactions.read(workspace_id) as tx:
            found = await tx.budgets.limits(after, limit + 1)
        last = found[limit - 1] if found[limit:] else None
        return LimitList(
            limits=found[:limit],
            defaults=self._book.policy.defaults_of(workspace_id),
            next_cursor=None if last is None else _cursor(last),
        )

    async def of_subject(self, by: Principal | Operator, scope: Scope, subject: str) -> SubjectBudget:
        """One subject's limits; as `*`, those of each one of the scope. Raises ForbiddenError, InvalidError."""
        workspace_id = _workspace(by)
        subject = _checked(workspace_id, scope, subject)
        async with self._transactions.read(workspace_id) as tx:
            own = await tx.budgets.own_limits(scope, subject)
            standings = await _of_scope(tx, self._book, scope, subject)
        return SubjectBudget(scope=scope, subject=subject, limits=own, standings=standings)

    async def set_limits(
        self, by: Principal | Operator, scope: Scope, subject: str, limits: Sequence[Terms]
    ) -> SubjectBudget:
        """Replace the limits of one subject. Raises ForbiddenError, InvalidError."""
        workspace_id = _workspace(by)
        subject = _checked(workspace_id, scope, subject)
        names = [(terms.measure, terms.period) for terms in limits]
        if len(set(names)) < len(names):
            raise InvalidError("there can be one limit for each measure and period", field="limits")
        await self._replace(by, scope, subject, limits)
        return await self.of_subject(by, scope, subject)

    async def remove_limits(self, by: Principal | Operator, scope: Scope, subject: str) -> None:
        """Forget the limits of one subject, so that those of all hold for it. Raises ForbiddenError, InvalidError."""
        await self._replace(by, scope, _checked(_workspace(by), scope, subject), ())

    async def _replace(self, by: Principal | Operator, scope: Scope, subject: str, limits: Sequence[Terms]) -> None:
        detail = {"scope": scope, **{f"{terms.measure}/{terms.period}": terms.amount for terms in limits}}
        actor = by.actor if isinstance(by, Operator) else Actor.of(by)
        async with self._transactions.write(by.workspace_id) as tx:
            tx.budgets.replace_limits(scope, subject, limits)
            tx.audit.record(NewAuditEntry(actor=actor, act="budget.set", subject=subject, detail=detail))
        self._book.forget(by.workspace_id)


async def _of_scope(tx: LimitTx, book: LimitBook, scope: Scope, subject: str) -> Sequence[Standing]:
    """How the limits stand of the subject's own scope; all subjects together have none."""
    if subject == EVERY:
        return ()
    found = await standings_of(tx, book, Subjects(**{"workspace": tx.budgets.workspace_id, scope: subject}))
    return [standing for standing in found if standing.scope == scope]


def _workspace(by: Principal | Operator) -> str:
    """Whose limits they may see and set. Raises ForbiddenError."""
    if isinstance(by, Principal) and not by.is_admin:
        raise ForbiddenError("only admins look after budgets")
    return by.workspace_id


def _checked(workspace_id: str, scope: Scope, subject: str) -> str:
    """Write a subject as limits name it. Raises ForbiddenError, InvalidError."""
    if scope == "workspace":
        if subject not in (EVERY, workspace_id):
            raise ForbiddenError("this is another workspace", field="subject")
        return workspace_id
    if not 0 < len(subject) <= MAX_SUBJECT_LENGTH:
        raise InvalidError(f"a subject has 1 to {MAX_SUBJECT_LENGTH} characters", field="subject")
    if scope == "assistant" and subject != EVERY:
        try:
            return str(UUID(subject))
        except ValueError:
            raise InvalidError("this is no assistant's id", field="subject") from None
    return subject


def _cursor(limit: Limit) -> str:
    place = (limit.scope, limit.subject, limit.measure, limit.period)
    return msgspec.json.encode(place).hex()


def _place(cursor: str) -> LimitPlace:
    try:
        return msgspec.json.decode(bytes.fromhex(cursor), type=cast("Any", LimitPlace))
    except (ValueError, msgspec.DecodeError):
        raise InvalidError("this cursor is not one of ours", field="cursor") from None
