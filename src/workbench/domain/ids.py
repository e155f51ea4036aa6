"""New identifiers, and what follows a request through all it causes: its correlation id and its trace."""

import os
import random
import time
from contextvars import ContextVar
from uuid import UUID

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
"""The `X-Request-ID` of the request that is being served; empty in background work without a cause."""

trace_parent: ContextVar[str | None] = ContextVar("trace_parent", default=None)
"""Where in a trace the request is served, as a `traceparent` of W3C's Trace Context; None where nothing is traced."""

RANDOM = random.Random()  # noqa: S311 - guards nothing
"""A generator of our own: who seeds the common one, as programs and tests do, would have our ids come again."""
os.register_at_fork(after_in_child=RANDOM.seed)


def continue_cause(correlation: str, parent: str | None) -> None:
    """Go on, in this task, with what a request caused earlier."""
    correlation_id.set(correlation)
    trace_parent.set(parent)


def new_id() -> UUID:
    """Make an id that sorts by its time of making, so that index pages fill in order (RFC 9562, version 7).

    Ids name things and open nothing, so that they need no secret randomness, which costs a system call each.
    """
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | RANDOM.getrandbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def new_hex_id() -> str:
    """Make an id of 32 lower-case hex digits, the form that the contract gives to events and correlation ids."""
    return f"{RANDOM.getrandbits(128):032x}"
