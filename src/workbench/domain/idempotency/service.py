"""Doing what is asked for once, however often it is asked."""

import contextlib
from collections.abc import Awaitable, Callable

from workbench.domain.clock import Clock
from workbench.domain.errors import StaleError, WorkbenchError
from workbench.domain.idempotency.model import KEPT, RUN, Answer, Attempt, Entry, InProgressError
from workbench.domain.idempotency.ports import ExpiredKeys, IdempotencyTx
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_hex_id
from workbench.domain.transactions import ATTEMPTS, Transactions

STEP = 500


class IdempotencyService:
    """Answers requests under keys."""

    def __init__(self, transactions: Transactions[IdempotencyTx], clock: Clock) -> None:
        self._transactions = transactions
        self._clock = clock

    async def once(self, principal: Principal, attempt: Attempt, act: Callable[[], Awaitable[Answer]]) -> Answer:
        """Act, or answer as the act was answered that came before under the same key.

        Raises ConflictError `idempotency_mismatch` where the key was given to another request, InProgressError, and
        whatever the act raises; then the key is free again.
        """
        claim = new_hex_id()
        before = await self._take(principal, attempt, claim)
        if before is not None:
            return before.answer(attempt)
        # Whoever is cancelled may have acted all the same, so that the key stays taken until the run is over.
        try:
            answer = await act()
        except Exception:
            await self._free(principal, attempt, claim)
            raise
        if answer.is_success:
            await self._keep(principal, attempt, claim, answer)
        else:
            await self._free(principal, attempt, claim)
        return answer

    async def _take(self, principal: Principal, attempt: Attempt, claim: str) -> Entry | None:
        """Take the key; answers with the entry of whoever has it."""
        for _ in range(ATTEMPTS):
            now = self._clock.now()
            entry = Entry(
                request_hash=attempt.request_hash, claim=claim, claimed_until=now + RUN, expires_at=now + KEPT
            )
            with contextlib.suppress(StaleError):
                async with self._transactions.write(principal.workspace_id) as tx:
                    before = await tx.idempotency_keys.find(principal, attempt)
                    if before is not None and not before.is_free(now):
                        return before
                    tx.idempotency_keys.take(principal, attempt, entry, before)
                return None
        raise InProgressError

    async def _keep(self, principal: Principal, attempt: Attempt, claim: str, answer: Answer) -> None:
        # What is done is done: its caller is told so even where this cannot be remembered.
        with contextlib.suppress(WorkbenchError):
            async with self._transactions.write(principal.workspace_id) as tx:
                tx.idempotency_keys.keep(principal, attempt, claim, answer)

    async def _free(self, principal: Principal, attempt: Attempt, claim: str) -> None:
        # A key that is not freed here frees itself; its caller is to hear what went wrong, and not this.
        with contextlib.suppress(WorkbenchError):
            async with self._transactions.write(principal.workspace_id) as tx:
                tx.idempotency_keys.free(principal, attempt, claim)


class KeyExpiry:
    """Forgets keys."""

    def __init__(self, keys: ExpiredKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    async def step(self) -> int:
        """Forget some of those whose time is over, in all workspaces; says how many."""
        return await self._keys.remove(self._clock.now(), STEP)
