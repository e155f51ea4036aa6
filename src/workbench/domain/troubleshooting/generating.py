"""Using a model for a session: admitted and reserved in a short block, asked outside any, booked in a block of its own (6).

Every use goes this way, whatever it is for. What it took is written down whether it went well or not, and when that fails
the work is not lost.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar
from uuid import UUID

from workbench.domain.budgets.book import LimitBook
from workbench.domain.budgets.model import BudgetExceededError, Subjects
from workbench.domain.budgets.reserving import reserve, standings_of
from workbench.domain.identity.model import Principal
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.failures import ProviderError
from workbench.domain.troubleshooting.generations import (
    Generation,
    GenerationMeter,
    GenerationPolicy,
    OnUnavailable,
    Outcome,
)
from workbench.domain.troubleshooting.ports import GenerationTx
from workbench.domain.troubleshooting.quotas import (
    Plan,
    Quota,
    QuotaExceededError,
    quota_exceeded,
    quota_of,
)
from workbench.domain.usage.accumulating import Accumulator
from workbench.domain.usage.bookkeeping import Bookkeeping, settle
from workbench.domain.usage.model import Bill, ReportedCall

T = TypeVar("T")
Asked = Callable[[str, Accumulator], Awaitable[T]]

TOTAL_SECONDS = 110
"""All models together have so long, which is less than a lease lasts."""

logger = logging.getLogger(__name__)


class Spent(Accumulator):
    """What one use of models spends. `usage_id` is of its row in the books, once it stands there."""

    def __init__(self) -> None:
        super().__init__()
        self.usage_id: UUID | None = None


class GeneratingService:
    """Admits uses of models, asks the models, and books what that took."""

    def __init__(
        self,
        transactions: Transactions[GenerationTx],
        policy: GenerationPolicy,
        book: LimitBook,
        books: Bookkeeping,
        meter: GenerationMeter,
    ) -> None:
        self._transactions = transactions
        self._policy = policy
        self._book = book
        self._books = books
        self._meter = meter
        self._settling: set[asyncio.Task[None]] = set()

    def models(self, workspace_id: str) -> Sequence[str]:
        """The models that serve a workspace's sessions, in their order; none where they do without."""
        return self._policy.serving(workspace_id).models

    def serves(self, workspace_id: str) -> bool:
        """Whether there is any."""
        return bool(self.models(workspace_id))

    async def quota(self, principal: Principal) -> Quota:
        """What is left for the caller."""
        subjects = Subjects(workspace=principal.workspace_id, user=principal.id)
        async with self._transactions.read(principal.workspace_id) as tx:
            standings = await standings_of(tx, self._book, subjects)
        return quota_of(self._plan(principal.workspace_id), standings)

    async def reserve(self, tx: GenerationTx, generation: Generation) -> None:
        """Reserve in this block. Raises QuotaExceededError, before anything is set down."""
        try:
            await reserve(tx, self._book, generation.spend)
        except BudgetExceededError as refused:
            denied = quota_exceeded(self._plan(generation.workspace_id), generation.spend, refused)
            self._meter.denied(denied.reason)
            raise denied from refused

    async def admit(self, generation: Generation) -> None:
        """Reserve in a block of its own. Raises QuotaExceededError."""

        async def act() -> None:
            async with self._transactions.write(generation.workspace_id) as tx:
                await reserve_generation(tx, self, generation)

        await retrying(act)

    async def ask(self, generation: Generation, asked: Asked[T]) -> T:
        """Ask one model after the other, until one does what it is asked; outside any block, once it is reserved.

        A model whose answer is of no use is not followed by another one. Raises ProviderError.
        """
        async with self.spending(generation) as spent:
            try:
                async with asyncio.timeout(TOTAL_SECONDS):
                    return await self._first_answer(generation, asked, spent)
            except TimeoutError:
                raise ProviderError("timeout") from None

    async def _first_answer(self, generation: Generation, asked: Asked[T], spent: Accumulator) -> T:
        *firsts, last = self.models(generation.workspace_id)
        for model in firsts:
            try:
                with self.counting(generation, spent):
                    return await asked(model, spent)
            except ProviderError as error:
                if error.kind == "bad_output":
                    raise
                logger.warning("the model %s failed (%s); the next one is asked", model, error.kind)
        with self.counting(generation, spent):
            return await asked(last, spent)

    @contextmanager
    def counting(self, generation: Generation, spent: Accumulator) -> Generator[None]:
        """Count the one model that is asked in the block."""
        before = len(spent.calls)
        outcome: Outcome = "cancelled"
        try:
            yield
            outcome = "done"
        except ProviderError as error:
            outcome = error.kind
            raise
        except Exception:
            outcome = "internal"
            raise
        finally:
            provider = spent.calls[-1].provider if len(spent.calls) > before else None
            self._meter.asked(generation.type, provider, outcome)

    @asynccontextmanager
    async def spending(self, generation: Generation) -> AsyncGenerator[Spent]:
        """Gather what the block spends, and book it at the block's end, however it ends; also where it is cancelled."""
        spent, begun = Spent(), time.monotonic()
        outcome: Outcome = "cancelled"
        try:
            yield spent
            outcome = "done"
        except ProviderError as error:
            outcome = error.kind
            raise
        except Exception:
            outcome = "internal"
            raise
        finally:
            self._meter.generated(generation.type, time.monotonic() - begun, spent.calls)
            failure = "" if outcome == "done" else outcome
            # Whoever is cancelled waits no longer, but the books are kept all the same.
            task = asyncio.create_task(self._settle(generation, spent, failure))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)
            await asyncio.shield(task)

    async def _settle(self, generation: Generation, spent: Spent, failure: str) -> None:
        try:
            spent.usage_id = await retrying(lambda: self._write_down(generation, spent.calls, failure))
        except Exception:
            # What was written is worth more than its place in the books; a reservation runs out by itself.
            logger.exception("the usage of a %s could not be written down", generation.type)

    async def _write_down(self, generation: Generation, calls: Sequence[ReportedCall], failure: str) -> UUID | None:
        now = self._book.clock.now()
        entered = self._books.entered(calls, generation.turn_pk)
        async with self._transactions.write(generation.workspace_id) as tx:
            tx.budgets.release(generation.key, now)
            if generation.turn_pk is not None:
                tx.usage.record_calls(entered)
            settled = await settle(tx, self._bill(generation, calls, failure), now, entered)
        return settled.row.id if settled.row else None

    def _bill(self, generation: Generation, calls: Sequence[ReportedCall], failure: str) -> Bill:
        was_billed = any(call.prompt or call.completion for call in calls)
        counts = {"billed": was_billed, "all": True, "none": False}[self._policy.count_failed]
        is_there = not failure or generation.type != "flowpilot_start"
        metadata = {
            "session_id": str(generation.session_id) if generation.session_id and is_there else None,
            "owner_id": generation.owner_id,
            "tier": self._plan(generation.workspace_id),
            "succeeded": not failure,
            "error_code": failure or None,
        }
        return Bill(
            source="server",
            provisional=False,
            conversation_id=generation.conversation_id if is_there else None,
            turn_pk=generation.turn_pk,
            message_id=None if failure else generation.message_id,
            user_id=generation.user_id,
            usage_type=generation.type,
            generations=int(not failure or counts),
            metadata=metadata,
        )

    def _plan(self, workspace_id: str) -> Plan:
        return self._policy.serving(workspace_id).plan


async def reserve_generation(tx: GenerationTx, generating: GeneratingService, generation: Generation) -> None:
    """Reserve in this block, the transaction first. Raises QuotaExceededError, before anything is set down."""
    await generating.reserve(tx, generation)


async def is_admitted(
    tx: GenerationTx, generating: GeneratingService, generation: Generation, on_unavailable: OnUnavailable
) -> bool:
    """Reserve in this block. False where the allowance is used up and one goes on by hand. Raises QuotaExceededError."""
    try:
        await generating.reserve(tx, generation)
    except QuotaExceededError:
        if on_unavailable == "error":
            raise
        return False
    return True
