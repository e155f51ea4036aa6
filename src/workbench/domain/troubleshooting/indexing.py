"""Walking over all sessions of a workspace: documents are made anew where they have to be, and spaces are filled (10.2)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.embeddings.model import Space
from workbench.domain.errors import StaleError
from workbench.domain.jobs.model import Job
from workbench.domain.messages.model import MAX_PAGE, Message, MessageQuery
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.documents import MAX_SAID, Walk, document_of, message_words
from workbench.domain.troubleshooting.embedding import EmbeddingService
from workbench.domain.troubleshooting.model import Session
from workbench.domain.troubleshooting.searches import SearchTx

CLEARED_AT_ONCE = 500
LATER = timedelta(minutes=1)


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How many sessions are looked after at once, and how long a job walks before another takes over."""

    page: int = 50
    spell: timedelta = timedelta(seconds=20)


class Walked(msgspec.Struct, kw_only=True):
    """What a walk has done so far."""

    sessions: int = 0
    documents: int = 0
    vectors: int = 0


class IndexingService:
    """Walks over the sessions of a workspace."""

    def __init__(
        self, transactions: Transactions[SearchTx], embedding: EmbeddingService, clock: Clock, pace: Pace
    ) -> None:
        self._transactions = transactions
        self._pace = pace
        self._embedding = embedding
        self._clock = clock

    async def rebuild(self, workspace_id: str) -> AsyncIterator[Walked]:
        """Make all documents of a workspace anew, and the vectors that are missing; tells how far that is.

        Raises UnavailableError where what makes the vectors does not answer; what was made until then stays.
        """
        async with self._transactions.write(workspace_id) as tx:
            tx.searches.outdate()
        done = Walked()
        rest = await self._step(workspace_id, Walk(), done)
        yield done
        while rest is not None:
            rest = await self._step(workspace_id, rest, done)
            yield done

    async def carry_out(self, job: Job) -> None:
        """Walk for a while, then set down the rest of the way, or at its end forget the job. Raises UnavailableError."""
        ends, done = self._clock.now() + self._pace.spell, Walked()
        rest = await self._step(job.workspace_id, msgspec.convert(job.payload, Walk), done)
        while rest is not None and self._clock.now() < ends:
            rest = await self._step(job.workspace_id, rest, done)
        async with self._transactions.write(job.workspace_id) as tx:
            tx.jobs.finish(job)
            if rest is not None:
                # Under a key of its own: one of this job's would be finished with it.
                key = f"{job.key.partition(':')[0]}:{rest.after}"
                tx.jobs.enqueue(rest.job(key, self._clock.now()))

    async def _step(self, workspace_id: str, walk: Walk, done: Walked) -> Walk | None:
        """Look after the next sessions; says how to go on. At the end that is None, and the space is whole.

        Where another space is wanted meanwhile, it begins anew: those behind it are not in that one.
        """
        space = await self._embedding.wanted_space(workspace_id)
        after = walk.after if walk.space_id in {None, space.id} else None
        async with self._transactions.read(workspace_id) as tx:
            page = await tx.searches.behind(after, self._pace.page)
            sessions = await tx.searches.sessions([document.session_id for document in page])
        for outdated in [document.session_id for document in page if not document.is_current]:
            done.documents += await self._describe_or_later(workspace_id, outdated)
        done.vectors += await self._embedding.embed(workspace_id, space, sessions)
        done.sessions += len(page)
        if len(page) == self._pace.page:
            return Walk(after=page[-1].session_id, space_id=space.id)
        await self._swap(workspace_id, space)
        return None

    async def _describe_or_later(self, workspace_id: str, session_id: UUID) -> bool:
        """Make a document anew. One of a session in which too much happens stays as it is, and another walk comes by."""
        try:
            return await retrying(lambda: self._describe(workspace_id, session_id))
        except StaleError:
            async with self._transactions.write(workspace_id) as tx:
                tx.jobs.enqueue(Walk().job("once more", self._clock.now() + LATER))
            return False

    async def _describe(self, workspace_id: str, session_id: UUID) -> bool:
        """Make a document anew of what the session is now; says whether there is one."""
        async with self._transactions.write(workspace_id) as tx:
            # Read first: whoever changes the session after that changes the document too.
            stored = await tx.searches.one(session_id)
            session = await tx.sessions.find(session_id)
            if stored is None or session is None:
                return False
            steps = await tx.session_steps.of(session_id)
            messages = await _talk(tx, session) if session.session_type == "chat" else []
            tx.searches.put(session_id, document_of(session, steps, messages), stored.version)
        return True

    async def _swap(self, workspace_id: str, space: Space) -> None:
        """Have a space asked that is whole, and take away all others; unless another is wanted by now, which has a walk."""
        async with self._transactions.write(workspace_id) as tx:
            if not self._embedding.is_wanted(workspace_id, space, await tx.choices.own()):
                return
            spaces = await tx.spaces.all()
            others = [each for each in spaces if each.id != space.id]
            if space.state != "active" or any(each.state != "retired" for each in others):
                tx.spaces.activate(space)
        for other in others:
            while await self._clear(workspace_id, other):
                pass

    async def _clear(self, workspace_id: str, space: Space) -> bool:
        """Forget some vectors of a space, or the space once it has none; says whether there was any."""
        async with self._transactions.write(workspace_id) as tx:
            some = await tx.vectors.some(space, CLEARED_AT_ONCE)
            if some:
                tx.vectors.remove(space, some)
            else:
                tx.spaces.remove(space)
        return bool(some)


async def _talk(tx: SearchTx, session: Session) -> list[Message]:
    """What people said first, as far as the document goes."""
    said: list[Message] = []
    room, after = MAX_SAID, None
    while room > 0:
        query = MessageQuery(
            participant_roles=("user",), message_types=("chat",), after=after, limit=MAX_PAGE, oldest_first=True
        )
        page = await tx.messages.page(session.conversation_id, query)
        said += page
        room -= sum(len(message_words(message)) for message in page)
        if len(page) < MAX_PAGE:
            break
        after = page[-1].id
    return said
