"""Erasing a person: stages that each go on until nothing is left to do, so that whoever comes back can begin anew.

First the person leaves, as anybody does, and what is theirs alone goes or is handed over. Then what they said, and their
seats. Last, every table is walked for what still names them, the event log too. Each step is one commit together with
the count of what it did.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID

from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.clock import Clock
from workbench.domain.errors import ConflictError, InvalidError, NotFoundError, StaleError
from workbench.domain.ids import new_id
from workbench.domain.lifecycle.content import ContentErasure
from workbench.domain.lifecycle.leaving import Leaving, heir_among
from workbench.domain.lifecycle.person import ContentPolicy, Erased, Erasure, Receipt, Survey
from workbench.domain.lifecycle.ports import ErasureTx, Pseudonyms, UnfinishedErasure, UnfinishedErasures
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.users.model import SERVICE_USER_ID

ABANDONED = timedelta(minutes=1)
"""An erasure that nobody touched for so long has nobody who goes on with it."""
PAGE = 200

Step = Callable[[str, Erasure, Erased], Awaitable[Erasure]]


class ErasureService:
    """Acts that forget people; operators have them done."""

    def __init__(
        self,
        transactions: Transactions[ErasureTx],
        leaving: Leaving,
        content: ContentErasure,
        unfinished: UnfinishedErasures,
        pseudonyms: Pseudonyms,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._unfinished = unfinished
        self._pseudonyms = pseudonyms
        self._clock = clock
        self._steps: dict[str, Step] = {
            "leave": leaving.leave,
            "assistants": leaving.remove_assistants,
            "services": leaving.settle_services,
            "messages": content.messages,
            "files": content.files,
            "seats": leaving.vacate_seats,
            "traces": content.traces,
        }

    async def begin(self, workspace_id: str, user_id: str, policy: ContentPolicy, actor: Actor) -> Erasure:
        """Set an erasure down, which from then on is carried out whatever happens; answers with one that is under way.

        A person who is erased already, and did not come back, is answered with the erasure that has ended. Raises
        NotFoundError for nobody, ConflictError where one under way has another policy, InvalidError for the service
        itself.
        """
        if user_id == SERVICE_USER_ID:
            raise InvalidError("the service's own user cannot be erased", field="user")
        return await retrying(lambda: self._begin(workspace_id, user_id, policy, actor))

    async def _begin(self, workspace_id: str, user_id: str, policy: ContentPolicy, actor: Actor) -> Erasure:
        now, subject = self._clock.now(), self._pseudonyms.of(workspace_id, user_id)
        async with self._transactions.write(workspace_id) as tx:
            under_way = await tx.erasures.under_way(user_id)
            if under_way is not None:
                if under_way.policy != policy:
                    raise ConflictError(f"this person is being erased already, with the policy {under_way.policy}")
                return under_way
            name = await tx.estate.knows(user_id)
            if name is None:
                ended = await tx.erasures.latest(subject)
                if ended is None:
                    raise NotFoundError("there is no such person in this workspace")
                return ended
            erasure = Erasure(
                id=new_id(),
                user_id=user_id,
                user_name=name,
                subject=subject,
                policy=policy,
                begun_datetime=now,
                touched_datetime=now,
            )
            tx.erasures.add(erasure)
            detail = {"erasure_id": str(erasure.id), "policy": policy}
            tx.audit.record(NewAuditEntry(actor=actor, act="user.erased", subject=subject, detail=detail))
        return erasure

    async def proceed(self, workspace_id: str, erasure_id: UUID) -> AsyncIterator[Erasure]:
        """Carry it out to its end; a step for each commit. Raises NotFoundError.

        Who keeps losing to another that carries it out as well goes on behind that one.
        """
        lost_at: int | None = None
        while True:
            try:
                erasure = await retrying(lambda: self._step(workspace_id, erasure_id))
            except StaleError:
                erasure = await self._find(workspace_id, erasure_id)
                if erasure.version == lost_at:
                    raise
                lost_at = erasure.version
            yield erasure
            if erasure.has_ended:
                return

    async def _find(self, workspace_id: str, erasure_id: UUID) -> Erasure:
        async with self._transactions.read(workspace_id) as tx:
            erasure = await tx.erasures.find(erasure_id)
        if erasure is None:
            raise NotFoundError("there is no such erasure")
        return erasure

    async def _step(self, workspace_id: str, erasure_id: UUID) -> Erasure:
        erasure = await self._find(workspace_id, erasure_id)
        if erasure.has_ended:
            return erasure
        try:
            return await self._steps[erasure.stage](workspace_id, erasure, erasure.person)
        except NotFoundError as error:
            # What the step was about went meanwhile; the next look does not find it.
            raise StaleError from error

    async def receipt(self, workspace_id: str, erasure_id: UUID) -> Receipt:
        """What the erasure did so far. Raises NotFoundError."""
        return Receipt.of(workspace_id, await self._find(workspace_id, erasure_id))

    async def abandoned(self) -> Sequence[UnfinishedErasure]:
        """Those, in all workspaces, that were begun and that nobody goes on with."""
        return await self._unfinished.left(self._clock.now() - ABANDONED)

    async def survey(self, workspace_id: str, user_id: str, policy: ContentPolicy) -> Survey:
        """Count what an erasure would touch. Raises NotFoundError for nobody."""
        async with self._transactions.read(workspace_id) as tx:
            name = await tx.estate.knows(user_id)
            if name is None:
                raise NotFoundError("there is no such person in this workspace")
            person = Erased(user_id=user_id, name=name, tombstone_id="", subject="", policy=policy)
            rows = {table: await tx.traces.count(table, person) for table in tx.traces.tables()}
            deleted, handed_over = await _owned(tx, user_id)
        return Survey(
            rows={table: count for table, count in rows.items() if count},
            conversations_deleted=deleted,
            conversations_handed_over=handed_over,
        )


async def _owned(tx: ErasureTx, user_id: str) -> tuple[int, int]:
    """How many conversations of theirs would be deleted, and handed over."""
    deleted = handed_over = 0
    after: UUID | None = None
    while page := await tx.estate.owned(user_id, after, PAGE):
        everyone = await tx.participants.all_of_each(page)
        with_heir = sum(heir_among(everyone.get(each, []), user_id) is not None for each in page)
        deleted, handed_over, after = deleted + len(page) - with_heir, handed_over + with_heir, page[-1]
    return deleted, handed_over
