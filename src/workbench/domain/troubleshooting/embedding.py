"""The vectors of sessions: made when one is new or changed, in all spaces that they belong to (10.2)."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.embeddings.model import Descriptor, Embedded, Space, Vector
from workbench.domain.embeddings.ports import Embedder, Embedders
from workbench.domain.ids import new_id
from workbench.domain.jobs.model import Job
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.choices import Choices
from workbench.domain.troubleshooting.documents import EmbedRequest, Walk, problem_hash, problem_text
from workbench.domain.troubleshooting.model import Session
from workbench.domain.troubleshooting.searches import SearchTx
from workbench.domain.usage.accumulating import accumulating
from workbench.domain.usage.bookkeeping import Bookkeeping, settle
from workbench.domain.usage.model import Bill, ReportedCall

EMBEDDING_USAGE = "session_embedding"


async def fill_space(tx: SearchTx, descriptor: Descriptor, now: datetime) -> None:
    """Have a walk fill the space that vectors are to be in from now on, which need not be there yet."""
    found = await _space(tx, descriptor)
    if found is None:
        _begin(tx, descriptor, now)
    else:
        # While another space was wanted, sessions may have come that are not in this one.
        tx.jobs.enqueue(Walk().job(f"filling {new_id()}", now))


async def _space(tx: SearchTx, descriptor: Descriptor) -> Space | None:
    spaces = await tx.spaces.all()
    return next((each for each in spaces if each.descriptor == descriptor and each.state != "retired"), None)


def _begin(tx: SearchTx, descriptor: Descriptor, now: datetime) -> Space:
    space = Space(id=new_id(), descriptor=descriptor, state="building")
    tx.spaces.begin(space)
    tx.jobs.enqueue(Walk().job(f"space {space.id}", now))
    return space


class EmbeddingService:
    """Makes vectors of what sessions are about. Nothing is open while they are made."""

    def __init__(
        self, transactions: Transactions[SearchTx], embedders: Embedders, books: Bookkeeping, clock: Clock
    ) -> None:
        self._transactions = transactions
        self._embedders = embedders
        self._books = books
        self._clock = clock

    async def carry_out(self, job: Job) -> None:
        """Have one session in all spaces that it can be in, and forget the job. Raises UnavailableError."""
        request = msgspec.convert(job.payload, EmbedRequest)
        await self.wanted_space(job.workspace_id)
        async with self._transactions.read(job.workspace_id) as tx:
            session = await tx.sessions.find(request.session_id)
            spaces = await tx.spaces.all()
        for space in spaces if session is not None else ():
            if session is not None:
                await self.embed(job.workspace_id, space, [session])
        async with self._transactions.write(job.workspace_id) as tx:
            tx.jobs.finish(job)

    async def wanted_space(self, workspace_id: str) -> Space:
        """The space that the workspace's vectors belong to now; where there is none it is begun, and a walk fills it."""
        return await retrying(lambda: self._find_or_begin(workspace_id))

    async def _find_or_begin(self, workspace_id: str) -> Space:
        async with self._transactions.write(workspace_id) as tx:
            own = await tx.choices.own()
            descriptor = self._embedders.of(workspace_id, opted_in=own.embed_by_model).descriptor
            found = await _space(tx, descriptor)
            return found or _begin(tx, descriptor, self._clock.now())

    def is_wanted(self, workspace_id: str, space: Space, own: Choices) -> bool:
        """Whether a workspace that decided so has its vectors in that space."""
        return self._embedders.of(workspace_id, opted_in=own.embed_by_model).descriptor == space.descriptor

    async def embed(self, workspace_id: str, space: Space, sessions: Sequence[Session]) -> int:
        """Make the vectors that are missing in a space, or of other texts; says how many.

        None are made where nothing makes such vectors here, or the workspace does not want its texts sent there any more.
        """
        hashes = {session.id: problem_hash(session) for session in sessions}
        async with self._transactions.read(workspace_id) as tx:
            there = await tx.vectors.of(space, list(hashes))
            # The last look before texts leave the machine.
            opted_in = (await tx.choices.own()).embed_by_model
        embedder = self._embedders.by(workspace_id, space.descriptor, opted_in=opted_in)
        missing = [each for each in sessions if each.id not in there or there[each.id].text_hash != hashes[each.id]]
        if embedder is None or not missing:
            return 0
        vectors = await self._made(workspace_id, embedder, [problem_text(session) for session in missing])
        made = [
            Embedded(session_id=session.id, text_hash=hashes[session.id], vector=vector)
            for session, vector in zip(missing, vectors, strict=True)
            if vector is not None
        ]
        return await retrying(lambda: self._store(workspace_id, space, made))

    async def _made(self, workspace_id: str, embedder: Embedder, texts: Sequence[str]) -> list[Vector | None]:
        """Make vectors, and book what a model took for them, whatever came of it."""
        with accumulating() as spent:
            try:
                return await embedder.embed(texts)
            finally:
                if spent.calls:
                    await self._book(workspace_id, spent.calls)

    async def _book(self, workspace_id: str, reported: Sequence[ReportedCall]) -> None:
        # It is nobody's wish, and so no user's expense.
        bill = Bill(source="server", provisional=False, conversation_id=None, user_id=None, usage_type=EMBEDDING_USAGE)
        async with self._transactions.write(workspace_id) as tx:
            await settle(tx, bill, self._clock.now(), self._books.entered(reported))

    async def _store(self, workspace_id: str, space: Space, made: Sequence[Embedded]) -> int:
        """Store vectors; not of sessions that are gone, or were changed meanwhile: for these a job of their own follows."""
        async with self._transactions.write(workspace_id) as tx:
            now = await tx.searches.hashes([embedded.session_id for embedded in made])
            fresh = [embedded for embedded in made if now.get(embedded.session_id) == embedded.text_hash]
            for embedded in fresh:
                tx.vectors.put(space, embedded)
        return len(fresh)
