"""Reading what was used: everybody their own, admins everybody's in their workspace."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from workbench.domain.clock import Clock
from workbench.domain.errors import ForbiddenError, InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.paging import MAX_PAGE, Cursor
from workbench.domain.transactions import Transactions
from workbench.domain.usage.model import UsageRow
from workbench.domain.usage.ports import UsageReadTx
from workbench.domain.usage.totals import (
    MAX_GROUPS,
    ConversationUsage,
    GroupKey,
    GroupTotals,
    TotalsReport,
    UsageFilter,
    UsagePage,
)


class UsageService:
    """Acts of reading."""

    def __init__(self, transactions: Transactions[UsageReadTx], clock: Clock) -> None:
        self._transactions = transactions
        self._clock = clock

    async def of_conversation(self, principal: Principal, conversation_id: UUID) -> ConversationUsage:
        """All that a conversation took. Raises ForbiddenError for who is neither its owner nor an admin, NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            if principal.is_admin:
                await tx.conversations.require(conversation_id)
            elif not await tx.sight.is_owner(conversation_id, principal):
                raise ForbiddenError("only the conversation's owner and admins see what it took")
            total = await tx.usage.total(UsageFilter(conversation_id=conversation_id))
            models = await tx.usage.models_of(conversation_id)
        return ConversationUsage(conversation_id=conversation_id, total=total, models=models)

    async def page(self, principal: Principal, wanted: UsageFilter, *, limit: int, cursor: str | None) -> UsagePage:
        """Rows that the caller may see, newest first. Raises InvalidError, ForbiddenError, NotFoundError."""
        limit, after = min(limit, MAX_PAGE), Cursor.decode(cursor) if cursor else None
        scoped = _scoped(principal, wanted.checked())
        async with self._transactions.read(principal.workspace_id) as tx:
            await _check_conversation(tx, principal, scoped)
            rows = await tx.usage.rows(scoped, after, limit + 1)
        return UsagePage(rows=rows[:limit], next_cursor=_behind(rows[limit - 1]).encode() if rows[limit:] else None)

    async def pages(self, principal: Principal, wanted: UsageFilter) -> AsyncGenerator[Sequence[UsageRow]]:
        """The same rows, all of them, a page after the other; raises before it gives the first."""
        scoped = _scoped(principal, wanted.checked())
        async with self._transactions.read(principal.workspace_id) as tx:
            await _check_conversation(tx, principal, scoped)
        return self._pages(principal.workspace_id, scoped)

    async def _pages(self, workspace_id: str, wanted: UsageFilter) -> AsyncGenerator[Sequence[UsageRow]]:
        after: Cursor | None = None
        while True:
            async with self._transactions.read(workspace_id) as tx:
                rows = await tx.usage.rows(wanted, after, MAX_PAGE)
            yield rows
            if len(rows) < MAX_PAGE:
                return
            after = _behind(rows[-1])

    async def totals(self, principal: Principal, wanted: UsageFilter, keys: Sequence[GroupKey]) -> TotalsReport:
        """Sums by group and over all. Raises InvalidError, also for more groups than an answer holds."""
        scoped = _scoped(principal, wanted.bounded(self._clock.now()))
        async with self._transactions.read(principal.workspace_id) as tx:
            await _check_conversation(tx, principal, scoped)
            rows = await tx.usage.groups(scoped, keys, None, MAX_GROUPS + 1)
            total = await tx.usage.total(scoped)
        if len(rows) > MAX_GROUPS:
            raise InvalidError(
                f"these are more than {MAX_GROUPS} groups: ask for fewer days or keys, or for CSV",
                code="too_many_groups",
                field="group_by",
            )
        first, last = scoped.first_day, scoped.last_day
        return msgspec.convert({"from": first, "to": last, "rows": rows, "total": total}, TotalsReport)

    async def group_pages(
        self, principal: Principal, wanted: UsageFilter, keys: Sequence[GroupKey]
    ) -> AsyncGenerator[Sequence[GroupTotals]]:
        """The same groups, however many, a page after the other; raises before it gives the first."""
        scoped = _scoped(principal, wanted.bounded(self._clock.now()))
        async with self._transactions.read(principal.workspace_id) as tx:
            await _check_conversation(tx, principal, scoped)
        return self._group_pages(principal.workspace_id, scoped, keys)

    async def _group_pages(
        self, workspace_id: str, wanted: UsageFilter, keys: Sequence[GroupKey]
    ) -> AsyncGenerator[Sequence[GroupTotals]]:
        after: list[str] | None = None
        while True:
            async with self._transactions.read(workspace_id) as tx:
                groups = await tx.usage.groups(wanted, keys, after, MAX_GROUPS)
            yield groups
            if len(groups) < MAX_GROUPS:
                return
            after = [_as_text(getattr(groups[-1], key)) for key in keys]


def _scoped(principal: Principal, wanted: UsageFilter) -> UsageFilter:
    """Narrow to what the caller may see: their own rows, and an admin's that says whose it is about, all.

    Raises ForbiddenError where it names another user or workspace.
    """
    if wanted.workspace_id not in (None, principal.workspace_id):
        raise ForbiddenError("this is another workspace", field="workspace_id")
    if principal.is_admin and wanted.says_whose:
        return wanted
    if wanted.user_id not in (None, principal.id):
        raise ForbiddenError("only admins see what others used", field="user_id")
    return msgspec.structs.replace(wanted, user_id=principal.id)


async def _check_conversation(tx: UsageReadTx, principal: Principal, wanted: UsageFilter) -> None:
    """Raise NotFoundError for a conversation that the caller does not see; an admin's may be gone already."""
    if wanted.conversation_id is not None and not principal.is_admin:
        await tx.sight.is_owner(wanted.conversation_id, principal)


def _behind(row: UsageRow) -> Cursor:
    return Cursor(created_datetime=row.created_datetime, id=row.id)


def _as_text(key: Any) -> str:
    return "" if key is None or key is UNSET else str(key)
