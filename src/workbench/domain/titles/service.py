"""Giving a conversation the title that a model chose."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from workbench.domain.budgets.book import LimitBook
from workbench.domain.budgets.model import BudgetExceededError, Spend
from workbench.domain.budgets.reserving import check
from workbench.domain.clock import Clock
from workbench.domain.conversations.events import conversation_updated
from workbench.domain.conversations.model import Conversation, ConversationDetails
from workbench.domain.conversations.ports import ConversationTx
from workbench.domain.errors import NotFoundError
from workbench.domain.jobs.model import Job
from workbench.domain.messages.model import MessageQuery, TitleRequest
from workbench.domain.titles.model import SHOWN_MESSAGES, USAGE_TYPE, Line, Untitled, clean_title
from workbench.domain.titles.ports import TitleTx, TitleWriter
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.usage.accumulating import accumulating
from workbench.domain.usage.bookkeeping import Bookkeeping, settle
from workbench.domain.usage.model import Bill, ReportedCall


class TitleService:
    """Reads what was said, asks the model with nothing open, and looks again before it stores the answer."""

    def __init__(
        self,
        transactions: Transactions[TitleTx],
        writer: TitleWriter,
        limits: LimitBook,
        books: Bookkeeping,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._writer = writer
        self._limits = limits
        self._books = books
        self._clock = clock

    async def carry_out(self, job: Job) -> None:
        """Have a title chosen, unless that is no longer wanted.

        Raises UnavailableError where the model fails, StaleError where another worker has the job meanwhile.
        """
        request = msgspec.convert(job.payload, TitleRequest)
        wanted = await self._wanted(job, request)
        title = None if wanted is None else await self._ask(job, request.conversation_id, *wanted)
        await retrying(lambda: self._store(job, request.conversation_id, title))

    async def _ask(self, job: Job, conversation_id: UUID, untitled: Untitled, owner_id: str) -> str:
        """Ask the model, and book what that took, whatever becomes of its answer."""
        with accumulating() as spent:
            try:
                return clean_title(await self._writer.write(untitled))
            finally:
                if spent.calls:
                    await self._book(job, conversation_id, owner_id, spent.calls)

    async def _book(self, job: Job, conversation_id: UUID, owner_id: str, reported: Sequence[ReportedCall]) -> None:
        bill = Bill(
            source="server",
            provisional=False,
            conversation_id=conversation_id,
            user_id=None,  # it is nobody's wish, and so no user's expense
            usage_type=USAGE_TYPE,
            metadata={"owner_id": owner_id},
        )
        async with self._transactions.write(job.workspace_id) as tx:
            await settle(tx, bill, self._clock.now(), self._books.entered(reported))

    async def _wanted(self, job: Job, request: TitleRequest) -> tuple[Untitled, str] | None:
        """What the model is to be shown, and whose it is; None where there is nothing to be titled, or no budget for it."""
        async with self._transactions.read(job.workspace_id) as tx:
            conversation = await _eligible(tx, request.conversation_id)
            cause = await tx.messages.find(request.message_id)
            if conversation is None or cause is None or not await _is_affordable(tx, self._limits, job):
                return None
            before = MessageQuery(message_types=("chat",), before=request.message_id, limit=SHOWN_MESSAGES - 1)
            messages = [*await tx.messages.page(request.conversation_id, before), cause.message]
        untitled = Untitled(current_title=conversation.title, lines=tuple(map(Line.of, messages)))
        return untitled, conversation.owner_id

    async def _store(self, job: Job, conversation_id: UUID, title: str | None) -> None:
        """Store the answer, if it is still wanted, and forget the job in the same commit."""
        async with self._transactions.write(job.workspace_id) as tx:
            tx.jobs.finish(job)
            conversation = None if title is None else await _eligible(tx, conversation_id)
            if title is None or conversation is None:
                return
            titled = conversation.titled(title)
            everyone = await tx.participants.all_of(conversation_id)
            tx.conversations.change(titled)
            tx.events.record(conversation_updated(ConversationDetails.of(titled, "read_write", everyone)))


async def _eligible(tx: ConversationTx, conversation_id: UUID) -> Conversation | None:
    """The conversation, if it is there and a model may choose its title."""
    try:
        conversation = await tx.conversations.require(conversation_id)
    except NotFoundError:
        return None
    return conversation if conversation.may_be_titled else None


async def _is_affordable(tx: TitleTx, book: LimitBook, job: Job) -> bool:
    """Whether the workspace has room for it: a title is nobody's wish, and so no user's expense."""
    try:
        await check(tx, book, Spend(key=f"{job.kind} {job.id}"))
    except BudgetExceededError:
        return False
    return True
