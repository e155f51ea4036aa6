"""What each workspace decides for itself about its sessions, and where settings decide that have not been overruled."""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

Choice = Literal["share_resolutions", "embed_by_model"]
"""Whether everybody is told how others solved like problems; whether texts are sent to a model that makes vectors of them."""


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace decided; None where it leaves it to the settings."""

    share_resolutions: bool | None = None
    embed_by_model: bool | None = None

    def changed(self, change: Mapping[Choice, bool | None]) -> "Choices":
        """The same with what is named there."""
        return msgspec.structs.replace(self, **change)


class WorkspaceChoices(Protocol):
    """What one workspace decided."""

    async def own(self) -> Choices:
        """As it is stored now. Whoever is about to send texts away asks right before."""
        ...

    def choose(self, choice: Choice, *, wanted: bool | None) -> None:
        """Store a decision, or with None forget it."""
        ...
