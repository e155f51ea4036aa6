"""Exporting: the records of one moment, the bytes of their files, and what assistants keep for themselves."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import msgspec

from workbench.domain.archive.model import (
    RECORDS,
    ExportScope,
    Seated,
    archive_name,
    assistant_data_path,
    conversation_data_path,
)
from workbench.domain.archive.ports import ExportTx, Package, Packer, Snapshots
from workbench.domain.assistant_services.model import AssistantAddress
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.clock import Clock
from workbench.domain.contents.ports import ContentStore
from workbench.domain.errors import NotFoundError, UpstreamError
from workbench.domain.identity.model import Principal
from workbench.domain.transactions import Transactions

NOT_FOUND = 404


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """An archive that is whole: its name, its size in bytes, and its bytes, to be read once."""

    name: str
    size: int
    package: Package


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    scope: ExportScope
    seats: list[Seated]
    addresses: dict[UUID, AssistantAddress]


class ExportService:
    """Makes archives."""

    def __init__(
        self,
        transactions: Transactions[ExportTx],
        snapshots: Snapshots,
        packer: Packer,
        store: ContentStore,
        client: AssistantClient,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._snapshots = snapshots
        self._packer = packer
        self._store = store
        self._client = client
        self._clock = clock

    async def conversations(self, principal: Principal, conversation_ids: Sequence[UUID]) -> Export:
        """Archive those of the conversations that the caller sees, with all assistants that are active in them.

        Raises UpstreamError where one of these cannot say what it keeps.
        """
        async with self._transactions.read(principal.workspace_id) as tx:
            seen = await tx.exports.visible(principal.id, conversation_ids)
            plan = await _plan(tx, seen)
        return await self._export(principal.workspace_id, plan, archive_name(self._clock.now()))

    async def assistant(self, principal: Principal, assistant_id: UUID) -> Export:
        """Archive the caller's own assistant, with the conversations that both are in.

        Raises NotFoundError, UpstreamError.
        """
        async with self._transactions.read(principal.workspace_id) as tx:
            stored = await tx.assistants.find(assistant_id)
            if stored is None or stored.owner_id != principal.id:
                raise NotFoundError
            plan = await _plan(tx, await tx.exports.administered_with(principal.id, assistant_id), assistant_id)
        return await self._export(principal.workspace_id, plan, archive_name(self._clock.now(), stored.assistant.name))

    async def _export(self, workspace_id: str, plan: _Plan, name: str) -> Export:
        package = await self._packer.open()
        try:
            async with self._snapshots.take(workspace_id, plan.scope) as snapshot:
                await package.add(RECORDS, snapshot.records())
                packed: set[str] = set()
                async for file in snapshot.files():
                    if file.path not in packed:
                        packed.add(file.path)
                        await package.add(file.path, await self._store.read(file.storage_key))
            await self._add_assistants(package, plan)
            return Export(name=name, size=await package.seal(), package=package)
        except BaseException:
            await package.discard()
            raise

    async def _add_assistants(self, package: Package, plan: _Plan) -> None:
        for assistant_id, address in plan.addresses.items():
            await package.add(assistant_data_path(assistant_id), _piece(await self._client.export_assistant(address)))
        for seat in plan.seats:
            try:
                address = plan.addresses[seat.assistant_id]
                data = await self._client.export_conversation(address, seat.conversation_id)
            except UpstreamError as error:
                # Its service never heard of this conversation: then there is nothing to take along.
                if error.status != NOT_FOUND:
                    raise
            else:
                await package.add(conversation_data_path(seat), _piece(data))


async def _plan(tx: ExportTx, conversation_ids: Sequence[UUID], only: UUID | None = None) -> _Plan:
    """What goes along, and how the assistants are reached. Raises UpstreamError for one that is not."""
    seats = [seat for seat in await tx.exports.seated(conversation_ids) if only in (None, seat.assistant_id)]
    assistant_ids = sorted({seat.assistant_id for seat in seats} | ({only} if only else set()))
    addresses: dict[UUID, AssistantAddress] = {}
    for assistant_id in assistant_ids:
        stored = await tx.assistants.find(assistant_id)
        service = stored and await tx.registrations.address(stored.assistant.assistant_service_id)
        if stored is None or service is None or not stored.assistant.assistant_service_online:
            raise UpstreamError(f"Failed to connect to assistant {assistant_id}; its service is offline")
        addresses[assistant_id] = AssistantAddress(assistant_id=assistant_id, service=service)
    scope = ExportScope(conversation_ids=tuple(conversation_ids), assistant_ids=tuple(assistant_ids))
    return _Plan(scope=scope, seats=seats, addresses=addresses)


async def _piece(data: bytes) -> AsyncIterator[bytes]:
    yield data
