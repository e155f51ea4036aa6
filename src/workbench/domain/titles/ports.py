"""What titles need: a model that writes them, conversations, and somewhere to say what that took."""

from typing import Protocol

from workbench.domain.budgets.ports import BudgetTx
from workbench.domain.conversations.ports import ConversationTx
from workbench.domain.titles.model import Untitled
from workbench.domain.usage.ports import UsageTx


class TitleTx(ConversationTx, BudgetTx, UsageTx, Protocol):
    """The slice of a transaction that titles may touch."""


class TitleWriter(Protocol):
    """A model that finds titles."""

    async def write(self, untitled: Untitled) -> str:
        """Find a title, or answer blank to keep the one there is; calls of models are noted. Raises UnavailableError."""
        ...
