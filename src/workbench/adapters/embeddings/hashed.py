"""Vectors without a model: features of words, hashed. Nothing is downloaded, and nothing leaves the machine."""

import asyncio
from collections.abc import Sequence

from workbench.domain.embeddings.model import Descriptor, Vector, packed
from workbench.domain.playbooks.hashing import DIMENSIONS, hashed_vector
from workbench.domain.troubleshooting.similarity import MIN_COSINE_HASHED

HASHED = Descriptor(provider="hashed", model="words", dims=DIMENSIONS)


class HashedEmbedder:
    """Takes about a millisecond for some hundred words, on a thread."""

    descriptor = HASHED
    min_cosine = MIN_COSINE_HASHED
    is_local = True

    async def embed(self, texts: Sequence[str]) -> list[Vector | None]:
        """One after the other."""
        return await asyncio.to_thread(lambda: [_vector(text) for text in texts])


def _vector(text: str) -> Vector | None:
    floats = hashed_vector(text)
    return None if floats is None else packed(floats)
