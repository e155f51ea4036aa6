"""A space: what vectors must have in common to be compared. And vectors as they are kept."""

import struct
from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec

from workbench.domain.errors import InvalidError

FLOAT_BYTES = 4
SpaceState = Literal["building", "active", "retired"]

Vector = bytes
"""Floats of 32 bits, the low byte first, of the length one as a whole: the same on every platform and database."""


class Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    """How vectors are made. If anything of it changes they cannot be compared with those that there are."""

    provider: str
    model: str
    dims: int
    algo_version: int = 1


class Space(msgspec.Struct, frozen=True, kw_only=True):
    """Vectors that were made the same way. One that is `building` is not asked before all sessions are in it."""

    id: UUID
    descriptor: Descriptor
    state: SpaceState

    def require_fit(self, vector: Vector) -> None:
        """Raise InvalidError `dims_mismatch` for a vector that was made for another space."""
        dims = len(vector) // FLOAT_BYTES
        if dims != self.descriptor.dims:
            raise InvalidError(
                f"A vector has {dims} dimensions, and its space {self.descriptor.dims}", code="dims_mismatch"
            )


class Embedded(msgspec.Struct, frozen=True, kw_only=True):
    """What a session has in a space, and of which text."""

    session_id: UUID
    text_hash: str
    vector: Vector


def packed(values: Sequence[float]) -> Vector:
    """A vector as it is kept."""
    return struct.pack(f"<{len(values)}f", *values)


def unpacked(vector: Vector) -> list[float]:
    """Its numbers."""
    return list(struct.unpack(f"<{len(vector) // FLOAT_BYTES}f", vector))


def active_of(spaces: Sequence[Space]) -> Space | None:
    """The space that is asked, once there is one."""
    return next((space for space in spaces if space.state == "active"), None)
