"""Looking at sessions: lists, one with all that belongs to it, its documentation, and how far it is (5.4, 5.5, 8)."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.errors import InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.messages.model import MAX_PAGE, MessageQuery
from workbench.domain.paging import Cursor
from workbench.domain.texts import cleaned_text
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.by_hand import ByHandService
from workbench.domain.troubleshooting.cases import Case
from workbench.domain.troubleshooting.chat_turns import with_talk
from workbench.domain.troubleshooting.cursors import decode_cursor, encode_cursor
from workbench.domain.troubleshooting.documentation import Documentation, documented
from workbench.domain.troubleshooting.generations import Generation
from workbench.domain.troubleshooting.known import Known, person_of, require_whole, seen
from workbench.domain.troubleshooting.model import TERMINAL, SessionStep
from workbench.domain.troubleshooting.narrating import Narration
from workbench.domain.troubleshooting.outlining import outline_of, outlines
from workbench.domain.troubleshooting.ports import SessionFilter, SessionPage, SessionTx
from workbench.domain.troubleshooting.prose import ProseService
from workbench.domain.troubleshooting.searching import Term, Wanted, search_terms
from workbench.domain.troubleshooting.showing import detailed, listed, step_view
from workbench.domain.troubleshooting.ticket_notes import post_update, require_postable
from workbench.domain.troubleshooting.updates import StatusUpdate, UpdateRequest, status_update
from workbench.domain.troubleshooting.views import SessionDetail, SessionList
from workbench.domain.troubleshooting.wishes import documentation_prose, update_prose

LIST = "sessions"
MAX_SKIP = 10_000
SHOWN_MESSAGES = 200


class TellingPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Whose the documentation is: the owner's alone, or the handler's too."""

    documentation_for_handler: bool = False


class TellingService:
    """Looks at sessions."""

    def __init__(
        self,
        transactions: Transactions[SessionTx],
        clock: Clock,
        policy: TellingPolicy,
        prose: ProseService,
        by_hand: ByHandService,
    ) -> None:
        self._transactions = transactions
        self._clock = clock
        self._policy = policy
        self._prose = prose
        self._by_hand = by_hand

    async def page(
        self,
        principal: Principal,
        wanted: SessionFilter,
        *,
        limit: int,
        skip: int = 0,
        cursor: str | None = None,
        with_total: bool = False,
    ) -> SessionList:
        """A page of the caller's sessions, the newest first. Raises InvalidError."""
        wanted = _in_order(wanted)
        if cursor is not None and skip:
            raise InvalidError("Give a cursor or skip, not both", code="validation_error", field="skip")
        behind = decode_cursor(cursor, Cursor, LIST, principal) if cursor else None
        terms = tuple(search_terms(cleaned_text(wanted.text or "")))
        if wanted.text is not None and not terms:
            return SessionList(items=[], total=0 if with_total else msgspec.UNSET)
        stretch = SessionPage(limit=limit + 1, skip=skip, behind=behind)
        return await retrying(lambda: self._page(principal, wanted, terms, stretch, with_total=with_total))

    async def _page(
        self,
        principal: Principal,
        wanted: SessionFilter,
        terms: tuple[Term, ...],
        stretch: SessionPage,
        *,
        with_total: bool,
    ) -> SessionList:
        async with self._transactions.read(principal.workspace_id) as tx:
            wanted = await _with_words(tx, wanted, terms)
            found = await tx.sessions.page(wanted, stretch)
            total = await tx.sessions.count(wanted) if with_total else msgspec.UNSET
            shown = await outlines(tx, found[: stretch.limit - 1])
        more = len(found) == stretch.limit
        last = Cursor(created_datetime=found[-2].created_at, id=found[-2].id) if more else None
        person, now = person_of(principal), self._clock.now()
        return SessionList(
            items=[listed(each, person, now) for each in shown],
            next_cursor=encode_cursor(last, LIST, principal) if last else None,
            total=total,
        )

    async def detail(self, principal: Principal, session_id: UUID) -> SessionDetail:
        """One session with all that belongs to it. Raises NotFoundError."""
        told, waiting = await retrying(lambda: self._detail(principal, session_id))
        if waiting is None or told.status in TERMINAL:
            return told
        shown = await self._by_hand.shown(principal, waiting)
        steps = [shown if step.step_id == shown.step_id else step for step in told.steps]
        return msgspec.structs.replace(told, steps=steps)

    async def _detail(self, principal: Principal, session_id: UUID) -> tuple[SessionDetail, SessionStep | None]:
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            newest = MessageQuery(limit=min(SHOWN_MESSAGES, MAX_PAGE))
            messages = await tx.messages.page(found.session.conversation_id, newest)
            lane = await tx.lanes.find(session_id)
            pushed = await tx.pushes.newest_of_each([session_id])
            await require_whole(tx, found)
        told = detailed(
            outline_of(found, lane.rev if lane else 0, pushed),
            found.person,
            self._clock.now(),
            steps=[step_view(step) for step in found.case.steps],
            messages=messages,
            lane=lane.lane if lane else None,
        )
        return told, found.case.open_step

    async def documentation(self, principal: Principal, session_id: UUID) -> Documentation:
        """What happened in a session, told; its owner's. To all others there is nothing: NotFoundError.

        A model rephrases it, where there is one; of the same version it does so once.
        """
        case = await self._documented(principal, session_id)
        document = documented(case)
        if not self._prose.rephrases(principal.workspace_id, document.markdown):
            return document
        kept = await self._prose.kept(principal.workspace_id, case.session)
        if kept is not None:
            return msgspec.structs.replace(document, markdown=kept, generated_by="model")
        prose = documentation_prose(document.markdown)
        told = await self._prose.told(Generation.wished(principal, "flowpilot_documentation", case.session), prose)
        if told.generated_by == "model":
            await self._prose.keep(principal.workspace_id, case, told.text)
        return msgspec.structs.replace(
            document, markdown=told.text, generated_by=told.generated_by, fallback_reason=told.fallback_reason
        )

    async def narration(self, principal: Principal, session_id: UUID) -> Narration:
        """The same, to be told piece by piece while it is written. Raises NotFoundError before it begins."""
        case = await self._documented(principal, session_id)

        async def is_there() -> bool:
            async with self._transactions.read(principal.workspace_id) as tx:
                return await tx.sessions.find(session_id) is not None

        return Narration(self._prose, principal, case, documented(case), is_there)

    async def status_update(self, principal: Principal, session_id: UUID, wanted: UpdateRequest) -> StatusUpdate:
        """How far a session is, told to colleagues or clients, and to its ticket if that is wanted.

        A model rephrases it as is wished, where there is one. Raises NotFoundError, ForbiddenError, ConflictError
        `no_ticket`, InvalidError for a mail to a ticket.
        """
        found = await retrying(lambda: self._seen(principal, session_id))
        found.standing.require_reporting(found.session)
        if wanted.post_to_ticket:
            require_postable(found.session, wanted.audience)
        update = status_update(found.case, wanted)
        prose = update_prose(update.content, wanted)
        told = await self._prose.told(Generation.wished(principal, "flowpilot_status_update", found.session), prose)
        update = msgspec.structs.replace(
            update,
            content=told.text,
            generated_by=told.generated_by,
            fallback_reason=told.fallback_reason,
            ignored=update.ignored if told.generated_by == "template" else [],
        )
        return await retrying(lambda: self._posted(principal, session_id, update)) if wanted.post_to_ticket else update

    async def _documented(self, principal: Principal, session_id: UUID) -> Case:
        found = await retrying(lambda: self._seen(principal, session_id))
        found.standing.require_documentation(for_handler=self._policy.documentation_for_handler)
        return found.case

    async def _posted(self, principal: Principal, session_id: UUID, update: StatusUpdate) -> StatusUpdate:
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.standing.require_reporting(found.session)
            case = await with_talk(tx, found.case)
            push_id = await post_update(tx, case, update, principal.id, self._clock.now())
            await require_whole(tx, found)
        return msgspec.structs.replace(update, push_id=push_id)

    async def _seen(self, principal: Principal, session_id: UUID) -> Known:
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found = msgspec.structs.replace(found, case=await with_talk(tx, found.case))
            await require_whole(tx, found)
            return found


async def _with_words(tx: SessionTx, wanted: SessionFilter, terms: tuple[Term, ...]) -> SessionFilter:
    """Those that have all of the words, or where there is none, on this page or any other, those that have one of them."""
    if not terms:
        return wanted
    with_all = msgspec.structs.replace(wanted, words=Wanted(terms=terms))
    if len(terms) == 1 or await tx.sessions.count(with_all):
        return with_all
    return msgspec.structs.replace(wanted, words=Wanted(terms=terms, any_of=True))


def _in_order(wanted: SessionFilter) -> SessionFilter:
    """Times without a zone are in UTC. Raises InvalidError where the first is after the last."""
    begins, ends = _in_utc(wanted.created_from, "date_from"), _in_utc(wanted.created_to, "date_to")
    if begins is not None and ends is not None and begins > ends:
        raise InvalidError("date_from is after date_to", code="validation_error", field="date_from")
    return msgspec.structs.replace(wanted, created_from=begins, created_to=ends)


def _in_utc(moment: datetime | None, field: str) -> datetime | None:
    try:
        if moment is None or moment.tzinfo is not None:
            return None if moment is None else moment.astimezone(UTC)
        return moment.replace(tzinfo=UTC)
    except OverflowError:
        raise InvalidError(f"{field} is out of range", code="validation_error", field=field) from None
