"""What titles need: a model that writes them."""

from typing import Protocol

from workbench.domain.budgets.ports import BudgetTx
from workbench.domain.conversations.ports import ConversationTx
from workbench.domain.titles.model import Untitled


class TitleWriter(Protocol):
    """A model that finds titles."""

    async def write(self, untitled: Untitled) -> str:
        """Find a title, or answer blank to keep the one there is. Raises UnavailableError."""
        ...


class TitleTx(ConversationTx, BudgetTx, Protocol):
    """The slice of a transaction that titles touch."""
