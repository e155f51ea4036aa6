"""The vectors of a space as one matrix, in numpy: loaded when it is first needed, for that takes a tenth of a second."""

import threading
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.adapters.sql.vector_memory import GROWTH, Row, best
from workbench.domain.embeddings.model import Vector

SMALLEST = 64
ARRAY_HEAD_BYTES = 20

Floats = npt.NDArray[np.float32]


class NumpyMatrix:
    """The vectors of a space, a line each. Its methods run in threads: they take turns."""

    def __init__(self, dims: int) -> None:
        self._dims = dims
        self._floats: Floats = np.zeros((SMALLEST, dims), dtype=np.float32)
        self._ids: list[str] = []
        self._line_of: dict[str, int] = {}
        self._turn = threading.Lock()
        self.seen = 0
        """The number of the newest vector in it."""

    @property
    def size_bytes(self) -> int:
        """What it takes."""
        return int(self._floats.nbytes)

    def take(self, rows: Sequence[Row]) -> None:
        """Put vectors in, each in the place of the one that its session had."""
        if not rows:
            return
        given = np.frombuffer(b"".join(row[2] for row in rows), dtype="<f4").reshape(len(rows), self._dims)
        with self._turn:
            new = len({row[0] for row in rows} - self._line_of.keys())
            self._make_room(len(self._ids) + new)
            for (session_id, _, _), floats in zip(rows, given, strict=True):
                line = self._line_of.setdefault(session_id, len(self._ids))
                if line == len(self._ids):
                    self._ids.append(session_id)
                self._floats[line] = floats
            self.seen = max(self.seen, rows[-1][1])

    def drop(self, session_ids: Collection[str]) -> None:
        """Take vectors out; the last ones move into their lines."""
        with self._turn:
            for session_id in session_ids:
                line = self._line_of.pop(session_id, None)
                last = self._ids.pop() if line is not None else None
                if line is not None and last is not None and last != session_id:
                    self._floats[line] = self._floats[len(self._ids)]
                    self._ids[line] = last
                    self._line_of[last] = line

    def nearest(self, vector: Vector, limit: int) -> list[tuple[str, float]]:
        """Compare every one, and give the nearest with their cosines; of those as near as each other the older first."""
        with self._turn:
            count = len(self._ids)
            if not count:
                return []
            cosines = self._floats[:count] @ np.frombuffer(vector, dtype="<f4")
            if count > limit:
                # All that are as near as the last one that counts, so that which of them it is depends on nothing else.
                least = np.partition(cosines, count - limit)[count - limit]
                lines: Iterable[int] = np.flatnonzero(cosines >= least).tolist()
            else:
                lines = range(count)
            found = [(self._ids[line], float(cosines[line])) for line in lines]
        return best(found, limit)

    def _make_room(self, count: int) -> None:
        if count > len(self._floats):
            grown: Floats = np.zeros((int(count * GROWTH), self._dims), dtype=np.float32)
            grown[: len(self._ids)] = self._floats[: len(self._ids)]
            self._floats = grown


def received(rows: Sequence[Any], dims: int) -> list[Row]:
    """Vectors out of the form in which PostgreSQL sends an array: a head, then each number with its length before."""
    kind = np.dtype([("length", ">i4"), ("value", ">f4")])
    return [
        (str(session_id), number, _values(sent, kind, dims).astype("<f4").tobytes())
        for session_id, number, sent in rows
    ]


def _values(sent: bytes, kind: "np.dtype[Any]", dims: int) -> npt.NDArray[Any]:
    return np.frombuffer(sent, dtype=kind, count=dims, offset=ARRAY_HEAD_BYTES)["value"]
