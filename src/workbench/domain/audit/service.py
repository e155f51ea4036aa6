"""Reading the record, which operators may: no caller over HTTP has a role that would allow it."""

from collections.abc import Sequence

from workbench.domain.audit.model import AuditEntry
from workbench.domain.audit.ports import AuditFilter, AuditTx
from workbench.domain.transactions import Transactions


class AuditService:
    """Acts about the record."""

    def __init__(self, transactions: Transactions[AuditTx]) -> None:
        self._transactions = transactions

    async def entries(self, workspace_id: str, wanted: AuditFilter) -> Sequence[AuditEntry]:
        """The newest entries of the workspace that the filter wants, newest first."""
        async with self._transactions.read(workspace_id) as tx:
            return await tx.audit.entries(wanted)
