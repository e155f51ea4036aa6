"""Vectors in memory, one matrix for a space, in which every one of them is compared.

A matrix takes `dims` times four bytes for each vector, and a quarter more while it grows: 50,000 vectors of 1,024
dimensions are 200 MB. What does not fit is read anew for each question, page by page: slower, with the same answers.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal, Protocol
from uuid import UUID

from workbench.domain.embeddings.model import FLOAT_BYTES, Vector

DEFAULT_LIMIT_BYTES = 512 << 20
GROWTH = 1.25
DIGITS = 5
"""In so many digits two ways of adding up floats of 32 bits agree."""

Row = tuple[str, int, bytes]
"""A session, the number of its vector, and the vector."""
Key = tuple[str, UUID]
"""A workspace and a space in it."""
IndexKind = Literal["scan", "pgvector"]


class Matrix(Protocol):
    """The vectors of a space, a line each. Its methods take milliseconds, and are called in threads."""

    seen: int
    """The number of the newest vector in it."""

    @property
    def size_bytes(self) -> int:
        """What it takes."""
        ...

    def take(self, rows: Sequence[Row]) -> None:
        """Put vectors in, in the order of their numbers, each in the place of the one that its session had."""
        ...

    def drop(self, session_ids: Collection[str]) -> None:
        """Take vectors out."""
        ...

    def nearest(self, vector: Vector, limit: int) -> list[tuple[str, float]]:
        """Compare every one, and give the nearest with their cosines."""
        ...


class VectorMemory:
    """The matrices of the spaces that were asked last, as many as fit."""

    def __init__(self, limit_bytes: int = DEFAULT_LIMIT_BYTES, wanted: Literal["auto", "scan"] = "auto") -> None:
        """`wanted` scan: where the database could compare vectors, it is not asked to."""
        self.limit_bytes = limit_bytes
        self.wanted = wanted
        self.serves: IndexKind | None = "scan" if wanted == "scan" else None
        """What compares vectors, once that is known."""
        self._matrices: OrderedDict[Key, Matrix] = OrderedDict()
        self._turns: dict[Key, asyncio.Lock] = {}

    def fits(self, vectors: int, dims: int) -> bool:
        """Whether so many can be kept."""
        return int(vectors * GROWTH) * dims * FLOAT_BYTES <= self.limit_bytes

    def turn(self, key: Key) -> asyncio.Lock:
        """Held by who brings a matrix up to date, so that two do not read the same."""
        return self._turns.setdefault(key, asyncio.Lock())

    def find(self, key: Key) -> Matrix | None:
        """The matrix of a space, if it was asked lately."""
        if key in self._matrices:
            self._matrices.move_to_end(key)
        return self._matrices.get(key)

    def keep(self, key: Key, matrix: Matrix) -> None:
        """Keep a matrix, if it fits, and let go of those that were not asked for longest, until the rest fits too."""
        self._matrices[key] = matrix
        self._matrices.move_to_end(key)
        while sum(each.size_bytes for each in self._matrices.values()) > self.limit_bytes:
            self.forget(next(iter(self._matrices)))

    def forget(self, key: Key) -> None:
        """Let go of a matrix."""
        self._matrices.pop(key, None)
        self._turns.pop(key, None)


def best(found: Iterable[tuple[Any, float]], limit: int) -> list[tuple[Any, float]]:
    """The nearest; of those as near as each other the older session first, whoever did the sum and in what order."""
    return sorted(found, key=lambda each: (-round(each[1], DIGITS), str(each[0])))[:limit]
