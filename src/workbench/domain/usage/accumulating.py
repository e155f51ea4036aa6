"""Gathering the calls of one piece of work: what is nested in it has a gathering of its own, and is not billed twice."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from workbench.domain.usage.model import ReportedCall


class Accumulator:
    """The calls of one piece of work, in the order in which they ended."""

    def __init__(self) -> None:
        self.calls: list[ReportedCall] = []


_current: ContextVar[Accumulator | None] = ContextVar("usage_accumulator", default=None)


@contextmanager
def accumulating() -> Generator[Accumulator]:
    """Gather the calls that this task makes in the block; afterwards they go where they went before."""
    accumulator = Accumulator()
    token = _current.set(accumulator)
    try:
        yield accumulator
    finally:
        _current.reset(token)


def note_call(call: ReportedCall) -> bool:
    """Add a call to the innermost gathering; says whether there is one."""
    accumulator = _current.get()
    if accumulator is None:
        return False
    accumulator.calls.append(call)
    return True
