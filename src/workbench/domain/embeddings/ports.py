"""What makes vectors of texts, and where they are kept and compared."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from workbench.domain.embeddings.model import Descriptor, Embedded, Space, Vector


class Embedder(Protocol):
    """Makes vectors of texts in one way."""

    @property
    def descriptor(self) -> Descriptor:
        """Which way."""
        ...

    @property
    def min_cosine(self) -> float:
        """Under this, that two vectors are near says nothing."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether it takes milliseconds and nothing leaves the machine, so that a vector is made when it is needed."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[Vector | None]:
        """A vector of each text; None where it says nothing. Raises UnavailableError."""
        ...


class Embedders(Protocol):
    """Who makes the vectors of which workspace.

    `opted_in` is what the workspace itself decided about having its texts sent to a model; where it is None the settings
    say so.
    """

    def of(self, workspace_id: str, *, opted_in: bool | None) -> Embedder:
        """By what the workspace's vectors are to be made."""
        ...

    def by(self, workspace_id: str, descriptor: Descriptor, *, opted_in: bool | None) -> Embedder | None:
        """What the vectors of an older space can still be made by; None where nothing here can."""
        ...


class Spaces(Protocol):
    """The spaces of one workspace."""

    async def all(self) -> Sequence[Space]:
        """Every one, the oldest first."""
        ...

    def begin(self, space: Space) -> None:
        """Store a new one."""
        ...

    def activate(self, space: Space) -> None:
        """Have it asked from now on, and retire all others; stale where it is gone."""
        ...

    def remove(self, space: Space) -> None:
        """Forget one that is empty."""
        ...


class VectorIndex(Protocol):
    """The vectors of one workspace's sessions, in its spaces."""

    async def of(self, space: Space, session_ids: Collection[UUID]) -> Mapping[UUID, Embedded]:
        """What those sessions have in the space."""
        ...

    async def nearest(self, space: Space, vector: Vector, limit: int) -> Sequence[tuple[UUID, float]]:
        """The sessions nearest to a vector with their cosines, the nearest first; as many as there are, up to the limit.

        Raises InvalidError `dims_mismatch`.
        """
        ...

    async def some(self, space: Space, limit: int) -> Sequence[UUID]:
        """Sessions that have a vector in the space, any of them."""
        ...

    def put(self, space: Space, embedded: Embedded) -> None:
        """Store a vector, or another in its place. Raises InvalidError `dims_mismatch`."""
        ...

    def remove(self, space: Space, session_ids: Collection[UUID]) -> None:
        """Forget vectors."""
        ...
