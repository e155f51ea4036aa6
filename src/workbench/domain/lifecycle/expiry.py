"""Removing what is too old, in small steps: events, messages with what repeats them, files, the audit record.

Nobody is told of it. An event for each message would flood every stream and every assistant with news of what
nobody has looked at for days; who opens a conversation reads what is there.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from itertools import groupby
from uuid import UUID

import msgspec

from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.clock import Clock
from workbench.domain.contents.model import sweep
from workbench.domain.events.ports import EventKeeping
from workbench.domain.lifecycle.model import (
    Cutoffs,
    Expired,
    ExpiryStep,
    OwnTerms,
    RetentionPolicy,
    RetentionReport,
    Terms,
)
from workbench.domain.lifecycle.ports import AgedMessages, ExpiryTx
from workbench.domain.transactions import Transactions, retrying

EVENT_STEP = 1000
MESSAGE_STEP = 500
FILE_STEP = 100
PAGE = 500


class ExpiryService:
    """Goes over all workspaces. Any number of processes may do so at once; a duty keeps it to one."""

    def __init__(
        self,
        transactions: Transactions[ExpiryTx],
        aged: AgedMessages,
        events: EventKeeping,
        clock: Clock,
        policy: RetentionPolicy,
    ) -> None:
        self._transactions = transactions
        self._aged = aged
        self._events = events
        self._clock = clock
        self._policy = policy

    async def run(self, only: str | None = None) -> AsyncIterator[ExpiryStep]:
        """Remove everything that is too old now, in all workspaces or in one; a step for each commit."""
        now = self._clock.now()
        for workspace_id in await self._workspaces(only):
            terms = await self._terms(workspace_id)
            async for expired in self._of_workspace(workspace_id, terms, now):
                yield ExpiryStep(workspace_id=workspace_id, expired=expired)
        if only is None and self._policy.audit_days is not None:
            before = Terms(messages_days=self._policy.audit_days).cutoffs(now).messages or now
            async for number in _repeated(lambda: self._aged.remove_audit_entries(before, EVENT_STEP)):
                yield ExpiryStep(audit_entries=number)

    async def forecast(self, only: str | None = None) -> RetentionReport:
        """Count what a run would remove."""
        now = self._clock.now()
        report = RetentionReport(dry_run=True)
        for workspace_id in await self._workspaces(only):
            terms = await self._terms(workspace_id)
            base = terms.cutoffs(now)
            found = await self._aged.count(workspace_id, None, base, Cutoffs())
            async for own in self._own_terms(workspace_id):
                cutoffs = own.terms.within(terms).cutoffs(now)
                found = found.plus(await self._aged.count(workspace_id, own.conversation_id, cutoffs, base))
            report.take(ExpiryStep(workspace_id=workspace_id, expired=found))
        if only is None and self._policy.audit_days is not None:
            before = Terms(messages_days=self._policy.audit_days).cutoffs(now).messages or now
            report.audit_entries = await self._aged.count_audit_entries(before)
        return report

    async def note(self, report: RetentionReport, actor: Actor) -> None:
        """Write down that somebody had a run made, with what it removed, in each workspace."""
        for workspace_id, expired in report.workspaces.items():
            detail = msgspec.structs.asdict(expired)
            entry = NewAuditEntry(actor=actor, act="retention.run", subject=workspace_id, detail=detail)
            async with self._transactions.write(workspace_id) as tx:
                tx.audit.record(entry)

    async def _workspaces(self, only: str | None) -> Sequence[str]:
        return await self._aged.workspaces() if only is None else [only]

    async def _terms(self, workspace_id: str) -> Terms:
        async with self._transactions.read(workspace_id) as tx:
            return (await tx.retention.of_workspace()).over(self._policy.defaults)

    async def _own_terms(self, workspace_id: str) -> AsyncIterator[OwnTerms]:
        after: UUID | None = None
        while True:
            async with self._transactions.read(workspace_id) as tx:
                page = await tx.retention.own_terms(after, PAGE)
            for own in page:
                yield own
            if len(page) < PAGE:
                return
            after = page[-1].conversation_id

    async def _of_workspace(self, workspace_id: str, terms: Terms, now: datetime) -> AsyncIterator[Expired]:
        """What all conversations have in common first, then those that keep things for a shorter time."""
        async for expired in self._removed(workspace_id, None, terms.cutoffs(now)):
            yield expired
        async for own in self._own_terms(workspace_id):
            stricter = own.terms.within(terms).cutoffs(now)
            async for expired in self._removed(workspace_id, own.conversation_id, stricter):
                yield expired

    async def _removed(
        self, workspace_id: str, conversation_id: UUID | None, cutoffs: Cutoffs
    ) -> AsyncIterator[Expired]:
        """Remove what is older in a conversation, or in all."""
        of_each_kind = (
            (self._events_removed, cutoffs.events),
            (self._messages_removed, cutoffs.messages),
            (self._letters_removed, cutoffs.messages),
            (self._files_removed, cutoffs.files),
        )
        for removed, before in of_each_kind:
            if before is not None:
                async for expired in removed(workspace_id, conversation_id, before):
                    yield expired

    async def _events_removed(
        self, workspace_id: str, conversation_id: UUID | None, before: datetime
    ) -> AsyncIterator[Expired]:
        def step() -> Awaitable[int]:
            if conversation_id is None:
                return self._events.prune(workspace_id, before, EVENT_STEP)
            return self._events.prune_conversation(workspace_id, conversation_id, before, EVENT_STEP)

        async for number in _repeated(step):
            yield Expired(events=number)

    async def _messages_removed(
        self, workspace_id: str, conversation_id: UUID | None, before: datetime
    ) -> AsyncIterator[Expired]:
        if conversation_id is None:
            async for each in self._aged_conversations(workspace_id, before):
                async for expired in self._messages_removed(workspace_id, each, before):
                    yield expired
            return
        async for number in _repeated(lambda: self._aged.remove(workspace_id, conversation_id, before, MESSAGE_STEP)):
            yield Expired(messages=number)

    async def _aged_conversations(self, workspace_id: str, before: datetime) -> AsyncIterator[UUID]:
        after: UUID | None = None
        while page := await self._aged.conversations(workspace_id, before, after, PAGE):
            for conversation_id in page:
                yield conversation_id
            after = page[-1]

    async def _letters_removed(
        self, workspace_id: str, conversation_id: UUID | None, before: datetime
    ) -> AsyncIterator[Expired]:
        async for number in _repeated(
            lambda: self._aged.remove_letters(workspace_id, conversation_id, before, MESSAGE_STEP)
        ):
            yield Expired(dead_letters=number)

    async def _files_removed(
        self, workspace_id: str, conversation_id: UUID | None, before: datetime
    ) -> AsyncIterator[Expired]:
        async for number in _repeated(
            lambda: retrying(lambda: self._remove_files(workspace_id, conversation_id, before))
        ):
            yield Expired(files=number)

    async def _remove_files(self, workspace_id: str, conversation_id: UUID | None, before: datetime) -> int:
        """Remove old versions, and whole files whose newest version is old; their bytes go with the next sweep."""
        async with self._transactions.write(workspace_id) as tx:
            found = await tx.file_versions.older(conversation_id, before, FILE_STEP)
            for _, versions in groupby(found, key=lambda one: one.file.id):
                aged = list(versions)
                file = aged[0].file
                if any(one.version.version == file.current_version for one in aged):
                    tx.files.remove(file)
                else:
                    tx.file_versions.drop(file, [one.version for one in aged], file.current_version)
            if found:
                tx.jobs.enqueue(sweep(self._clock.now()))
        return len(found)


async def _repeated(step: Callable[[], Awaitable[int]]) -> AsyncIterator[int]:
    """Do a step until it finds nothing more."""
    while number := await step():
        yield number
