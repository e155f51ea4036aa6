"""Rehearsing an import: everything that it checks is checked, and nothing is stored."""

from collections.abc import AsyncIterable

from workbench.domain.archive.model import ImportReport, Watch, unwatched
from workbench.domain.archive.planning import introductions, plan_import, read_manifest
from workbench.domain.archive.ports import ImportTx, Unpacker
from workbench.domain.archive.storing import ArchivedFiles
from workbench.domain.clock import Clock
from workbench.domain.identity.model import Principal
from workbench.domain.sizes import SizeLimits
from workbench.domain.transactions import Transactions


class RehearsalService:
    """Finds out what an import would do. Whether services then take their part is theirs to say."""

    def __init__(
        self,
        transactions: Transactions[ImportTx],
        unpacker: Unpacker,
        files: ArchivedFiles,
        clock: Clock,
        sizes: SizeLimits,
    ) -> None:
        self._transactions = transactions
        self._unpacker = unpacker
        self._files = files
        self._clock = clock
        self._sizes = sizes

    async def rehearse(
        self, principal: Principal, chunks: AsyncIterable[bytes], watch: Watch = unwatched
    ) -> ImportReport:
        """Read the whole archive as an import does. Raises what that would raise before it calls a service."""
        async with self._unpacker.open(chunks) as archive:
            manifest = await read_manifest(archive, self._sizes, watch)
            async with self._transactions.read(principal.workspace_id) as tx:
                planned = await plan_import(tx, principal, manifest, self._clock.now())
                workspace_bytes = await tx.imports.file_bytes()
            read_bytes = await self._files.rehearse(archive, manifest, workspace_bytes, watch)
            async for _ in introductions(archive, planned):
                pass  # that each is online, and its data can be read
        return ImportReport(
            dry_run=True, conversation_ids=[], assistant_ids=[], counts=planned.counts(manifest, read_bytes)
        )
