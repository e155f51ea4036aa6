"""What titles need: a model that writes them."""

from typing import Protocol

from workbench.domain.titles.model import Untitled


class TitleWriter(Protocol):
    """A model that finds titles."""

    async def write(self, untitled: Untitled) -> str:
        """Find a title, or answer blank to keep the one there is. Raises UnavailableError."""
        ...
