"""Archives of operators, who have no seat anywhere: they export whatever a workspace has, and import for others."""

from collections.abc import AsyncIterable, Sequence
from uuid import UUID

import msgspec

from workbench.domain.archive.checking import RecordLimits
from workbench.domain.archive.gauging import Gauge
from workbench.domain.archive.importing import ImportService
from workbench.domain.archive.making import STEP, ArchiveMaker, Export, in_steps, plan_of
from workbench.domain.archive.model import ArchiveLimits, ImportReport, Watch, archive_name, unwatched
from workbench.domain.archive.ports import ExportTx, ImportTx
from workbench.domain.archive.rehearsing import RehearsalService
from workbench.domain.audit.model import Actor
from workbench.domain.clock import Clock
from workbench.domain.errors import InvalidError, NotFoundError, TooLargeError
from workbench.domain.identity.model import Principal
from workbench.domain.transactions import Transactions
from workbench.domain.users.model import SERVICE_USER_ID


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator wants: the conversations named, else those of the assistant named, else all in order of id.

    `after` and `limit` choose a part of all. With `skip_offline` the archive is made without what assistants keep
    whose services cannot be reached.
    """

    conversation_ids: tuple[UUID, ...] = ()
    assistant_id: UUID | None = None
    after: UUID | None = None
    limit: int | None = None
    skip_offline: bool = False


class OperatorExport(msgspec.Struct, frozen=True, kw_only=True):
    """An archive, and behind which conversation the rest begins, where there is one."""

    export: Export
    next_after: UUID | None


class OperatorExportService:
    """Makes archives for operators, each of which an import takes."""

    def __init__(
        self, transactions: Transactions[ExportTx], maker: ArchiveMaker, clock: Clock, limits: ArchiveLimits
    ) -> None:
        self._transactions = transactions
        self._maker = maker
        self._clock = clock
        self._limits = limits

    async def export(self, workspace_id: str, wanted: Wanted, by: Actor, watch: Watch = unwatched) -> OperatorExport:
        """Make an archive.

        Raises NotFoundError for what is not in the workspace and where there is nothing, TooLargeError where no import
        would take it, UpstreamError where an assistant's service cannot say what it keeps.
        """
        next_after: UUID | None = None
        name: str | None = None
        async with self._transactions.read(workspace_id) as tx:
            if wanted.conversation_ids:
                ids = await _existing(tx, sorted(set(wanted.conversation_ids)))
            elif wanted.assistant_id:
                stored = await tx.assistants.find(wanted.assistant_id)
                if stored is None:
                    raise NotFoundError(f"there is no assistant {wanted.assistant_id} in this workspace")
                name, ids = stored.assistant.name, await tx.exports.with_assistant(wanted.assistant_id)
            else:
                ids, next_after = await _part(tx, wanted)
            plan = await plan_of(tx, ids, wanted.assistant_id, skip_offline=wanted.skip_offline)
        gauge = Gauge(watch, self._limits)
        made = await self._maker.make(workspace_id, plan, archive_name(self._clock.now(), name), by, gauge)
        return OperatorExport(export=made, next_after=next_after)


class OperatorImportService:
    """Takes archives in for users."""

    def __init__(
        self, transactions: Transactions[ImportTx], imports: ImportService, rehearsals: RehearsalService
    ) -> None:
        self._transactions = transactions
        self._imports = imports
        self._rehearsals = rehearsals

    async def owner(self, workspace_id: str, user_id: str, name: str | None = None) -> Principal:
        """Find who is to own what comes in; somebody who never signed in is made known with it, by the name given.

        Raises NotFoundError for somebody unknown without a name, InvalidError for the service itself.
        """
        if user_id == SERVICE_USER_ID:
            raise InvalidError("the service's own user cannot own conversations", field="owner")
        async with self._transactions.read(workspace_id) as tx:
            known = await tx.users.find(user_id)
        if known is None and name is None:
            raise NotFoundError(f"there is no user {user_id} in this workspace; with a name they are made known")
        # Whoever is known keeps the name that they have.
        return Principal(workspace_id=workspace_id, role="user", id=user_id, name="" if known else name or "")

    async def run(
        self, owner: Principal, chunks: AsyncIterable[bytes], by: Actor, watch: Watch = unwatched
    ) -> ImportReport:
        """Import, all of it or nothing. Raises what an import raises."""
        return await self._imports.run(owner, chunks, by, watch)

    async def rehearse(self, owner: Principal, chunks: AsyncIterable[bytes], watch: Watch = unwatched) -> ImportReport:
        """Check everything, and change nothing. Raises what an import raises before it calls a service."""
        return await self._rehearsals.rehearse(owner, chunks, watch)


async def _existing(tx: ExportTx, wanted: Sequence[UUID]) -> list[UUID]:
    found = [each for step in in_steps(wanted) for each in await tx.exports.existing(step)]
    absent = sorted(set(wanted) - set(found))
    if absent:
        raise NotFoundError(f"there is no conversation {absent[0]} in this workspace")
    return found


async def _part(tx: ExportTx, wanted: Wanted) -> tuple[list[UUID], UUID | None]:
    """The ids of the part of all that is wanted, and the last of them if there are more."""
    most = RecordLimits().records
    limit = most if wanted.limit is None else min(wanted.limit, most)
    found: list[UUID] = []
    after = wanted.after
    while len(found) <= limit:
        page = await tx.exports.page(after, STEP)
        found += page
        if len(page) < STEP:
            break
        after = page[-1]
    if not found:
        raise NotFoundError("there are no conversations in this workspace, or none behind that one")
    if len(found) <= limit:
        return found, None
    if wanted.limit is None:
        raise TooLargeError(f"there are more than {most} conversations, the most records that an import takes")
    return found[:limit], found[limit - 1]
