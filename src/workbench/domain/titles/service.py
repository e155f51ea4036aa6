"""Giving a conversation the title that a model chose."""

from uuid import UUID

import msgspec

from workbench.domain.budgets.book import LimitBook
from workbench.domain.budgets.model import BudgetExceededError, Spend
from workbench.domain.budgets.reserving import check
from workbench.domain.conversations.events import conversation_updated
from workbench.domain.conversations.model import Conversation, ConversationDetails
from workbench.domain.conversations.ports import ConversationTx
from workbench.domain.errors import NotFoundError
from workbench.domain.jobs.model import Job
from workbench.domain.messages.model import MessageQuery, TitleRequest
from workbench.domain.titles.model import SHOWN_MESSAGES, Line, Untitled, clean_title
from workbench.domain.titles.ports import TitleTx, TitleWriter
from workbench.domain.transactions import Transactions, retrying


class TitleService:
    """Reads what was said, asks the model with nothing open, and looks again before it stores the answer."""

    def __init__(self, transactions: Transactions[TitleTx], writer: TitleWriter, book: LimitBook) -> None:
        self._transactions = transactions
        self._writer = writer
        self._book = book

    async def carry_out(self, job: Job) -> None:
        """Have a title chosen, unless that is no longer wanted.

        Raises UnavailableError where the model fails, StaleError where another worker has the job meanwhile.
        """
        request = msgspec.convert(job.payload, TitleRequest)
        untitled = await self._untitled(job, request)
        title = None if untitled is None else clean_title(await self._writer.write(untitled))
        await retrying(lambda: self._store(job, request.conversation_id, title))

    async def _untitled(self, job: Job, request: TitleRequest) -> Untitled | None:
        """What the model is to be shown; None where there is nothing to be titled, or no budget for it."""
        async with self._transactions.read(job.workspace_id) as tx:
            conversation = await _eligible(tx, request.conversation_id)
            cause = await tx.messages.find(request.message_id)
            if conversation is None or cause is None or not await _is_affordable(tx, self._book, job):
                return None
            before = MessageQuery(message_types=("chat",), before=request.message_id, limit=SHOWN_MESSAGES - 1)
            messages = [*await tx.messages.page(request.conversation_id, before), cause.message]
        return Untitled(current_title=conversation.title, lines=tuple(map(Line.of, messages)))

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
