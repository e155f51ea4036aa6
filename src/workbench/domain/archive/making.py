"""Making an archive: the records of one moment, the bytes of their files, and what assistants keep for themselves."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import msgspec

from workbench.domain.archive.gauging import Gauge
from workbench.domain.archive.model import (
    RECORDS,
    ExportCounts,
    ExportScope,
    Seated,
    assistant_data_path,
    conversation_data_path,
    listed,
)
from workbench.domain.archive.ports import ExportTx, Package, Packer, Snapshot, Snapshots
from workbench.domain.assistant_services.model import AssistantAddress
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.contents.ports import ContentStore
from workbench.domain.errors import UpstreamError
from workbench.domain.transactions import Transactions

NOT_FOUND = 404
STEP = 500
"""Conversations or assistants asked for in one statement."""


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """An archive that is whole: its name, its size in bytes, and its bytes, to be read once.

    `without_data` are assistants whose services could not say what they keep.
    """

    name: str
    size: int
    package: Package
    counts: ExportCounts
    without_data: list[UUID]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What goes along, and how the assistants are reached; of those that are not, no data goes along."""

    scope: ExportScope
    seats: list[Seated]
    addresses: dict[UUID, AssistantAddress]
    only: UUID | None = None
    skip_offline: bool = False

    @property
    def subject(self) -> str | None:
        """The one thing that is exported, if it is one."""
        ids = self.scope.conversation_ids
        return str(self.only or ids[0]) if self.only or len(ids) == 1 else None


class ArchiveMaker:
    """Makes archives, whoever asked for them."""

    def __init__(
        self,
        transactions: Transactions[ExportTx],
        snapshots: Snapshots,
        packer: Packer,
        store: ContentStore,
        client: AssistantClient,
    ) -> None:
        self._transactions = transactions
        self._snapshots = snapshots
        self._packer = packer
        self._store = store
        self._client = client

    async def make(self, workspace_id: str, plan: Plan, name: str, by: Actor, gauge: Gauge) -> Export:
        """Make one, and write down who had it made. Raises UpstreamError, and what the gauge raises."""
        package = await self._packer.open()
        try:
            async with self._snapshots.take(workspace_id, plan.scope) as snapshot:
                gauge.records(snapshot.counts)
                await package.add(RECORDS, gauge.part(snapshot.records()))
                await self._add_files(package, snapshot, gauge)
                counted = snapshot.counts
            without = await self._add_assistants(package, plan, gauge)
            size = await package.seal()
            gauge.sealed(size)
            counts = ExportCounts(
                conversations=counted["Conversation"],
                assistants=counted["Assistant"],
                messages=counted["ConversationMessage"],
                files=counted["FileVersion"],
                bytes=size,
            )
            async with self._transactions.write(workspace_id) as tx:
                tx.audit.record(_entry(workspace_id, plan, counts, by))
        except BaseException:
            await package.discard()
            raise
        return Export(name=name, size=size, package=package, counts=counts, without_data=without)

    async def _add_files(self, package: Package, snapshot: Snapshot, gauge: Gauge) -> None:
        total, packed = snapshot.counts["FileVersion"], set[str]()
        async for file in snapshot.files():
            if file.path not in packed:
                packed.add(file.path)
                await package.add(file.path, gauge.part(await self._store.read(file.storage_key)))
            gauge.watch("files", len(packed), total)

    async def _add_assistants(self, package: Package, plan: Plan, gauge: Gauge) -> list[UUID]:
        """Add what assistants keep; answer with those of which nothing is known."""
        without = {each for each in plan.scope.assistant_ids if each not in plan.addresses}
        for done, (assistant_id, address) in enumerate(plan.addresses.items(), 1):
            try:
                data = await self._client.export_assistant(address)
            except UpstreamError:
                if not plan.skip_offline:
                    raise
                without.add(assistant_id)
            else:
                await package.add(assistant_data_path(assistant_id), gauge.part(_piece(data)))
            gauge.watch("assistants", done, len(plan.addresses))
        for done, seat in enumerate(plan.seats, 1):
            if seat.assistant_id not in without and not await self._add_seat(package, plan, seat, gauge):
                without.add(seat.assistant_id)
            gauge.watch("what assistants keep of conversations", done, len(plan.seats))
        return sorted(without)

    async def _add_seat(self, package: Package, plan: Plan, seat: Seated, gauge: Gauge) -> bool:
        """Add what an assistant keeps for a conversation; says whether its service answered."""
        try:
            data = await self._client.export_conversation(plan.addresses[seat.assistant_id], seat.conversation_id)
        except UpstreamError as error:
            # Its service never heard of this conversation: then there is nothing to take along.
            if error.status == NOT_FOUND:
                return True
            if not plan.skip_offline:
                raise
            return False
        await package.add(conversation_data_path(seat), gauge.part(_piece(data)))
        return True


async def plan_of(
    tx: ExportTx, conversation_ids: Sequence[UUID], only: UUID | None = None, *, skip_offline: bool = False
) -> Plan:
    """Plan an archive of these conversations with all assistants that are active in them, or with `only` that one.

    Raises UpstreamError for an assistant that is not reached, unless those are skipped.
    """
    seats = [
        seat
        for step in in_steps(conversation_ids)
        for seat in await tx.exports.seated(step)
        if only in (None, seat.assistant_id)
    ]
    assistant_ids = sorted({seat.assistant_id for seat in seats} | ({only} if only else set()))
    online: dict[UUID, str] = {}
    for step in in_steps(assistant_ids):
        online |= await tx.exports.online(step)
    services = {one.assistant_service_id: one for one in await tx.registrations.addresses(sorted(set(online.values())))}
    addresses = {
        assistant_id: AssistantAddress(assistant_id=assistant_id, service=services[service_id])
        for assistant_id, service_id in online.items()
        if service_id in services
    }
    for assistant_id in assistant_ids:
        if assistant_id not in addresses and not skip_offline:
            raise UpstreamError(f"Failed to connect to assistant {assistant_id}; its service is offline")
    scope = ExportScope(conversation_ids=tuple(conversation_ids), assistant_ids=tuple(assistant_ids))
    return Plan(scope=scope, seats=seats, addresses=addresses, only=only, skip_offline=skip_offline)


def in_steps(ids: Sequence[UUID]) -> list[Sequence[UUID]]:
    """Split ids so that a statement can name them."""
    return [ids[start : start + STEP] for start in range(0, len(ids), STEP)]


def _entry(workspace_id: str, plan: Plan, counts: ExportCounts, by: Actor) -> NewAuditEntry:
    detail = {**msgspec.structs.asdict(counts), **listed(plan.scope.conversation_ids)}
    return NewAuditEntry(actor=by, act="archive.exported", subject=plan.subject or workspace_id, detail=detail)


async def _piece(data: bytes) -> AsyncIterator[bytes]:
    yield data
