"""The port through which every capability reads and writes: one block, one commit."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from workbench.domain.errors import StaleError

Tx_co = TypeVar("Tx_co", covariant=True)
T = TypeVar("T")

ATTEMPTS = 8


class Transactions(Protocol[Tx_co]):
    """Opens blocks bound to one workspace; the repositories on a block see no other.

    Inside a block reads happen at once, writes are set down; leaving the block stores them all in one
    commit, together with the events recorded, and an exception forgets them. Only repositories are
    awaited inside: a call to the outside world would keep the block open for as long as it takes.
    """

    def write(self, workspace_id: str) -> AbstractAsyncContextManager[Tx_co]:
        """Open a block that commits when it is left.

        Raises StaleError where a condition of a write no longer held, ConflictError where a unique key was taken.
        """
        ...

    def read(self, workspace_id: str) -> AbstractAsyncContextManager[Tx_co]:
        """Open a block that only reads."""
        ...


async def retrying(act: Callable[[], Awaitable[T]]) -> T:
    """Repeat an act whose reads went stale before its commit; give up with StaleError after ATTEMPTS."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await act()
        except StaleError:
            continue
    return await act()
