"""What copies need to have stored."""

from typing import Protocol
from uuid import UUID

from workbench.domain.assistants.ports import AssistantTx
from workbench.domain.files.ports import Files


class Copies(Protocol):
    """Copies what hangs on a conversation to another of the same workspace, however much it is."""

    def copy(self, source_id: UUID, target_id: UUID) -> None:
        """Copy messages with their debug data, files with their versions, and the active participants.

        All of them get ids of their own; order, times and senders stay. The bytes of files are shared. Stale where the
        source is gone.
        """
        ...


class CopyTx(AssistantTx, Protocol):
    """The slice of a transaction that copies may touch."""

    @property
    def files(self) -> Files: ...
    @property
    def copies(self) -> Copies: ...
