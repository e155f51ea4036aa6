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
from workbench.domain.troubleshooting.documentation import Documentation, documented
from workbench.domain.troubleshooting.known import Known, require_whole, seen
from workbench.domain.troubleshooting.ports import SessionFilter, SessionPage, SessionTx
from workbench.domain.troubleshooting.searching import Term, Wanted, search_terms
from workbench.domain.troubleshooting.showing import listed, listed_fields, step_view
from workbench.domain.troubleshooting.transitions import allowed_actions
from workbench.domain.troubleshooting.updates import StatusUpdate, UpdateRequest, status_update
from workbench.domain.troubleshooting.views import Colleague, SessionDetail, SessionList

MAX_SKIP = 10_000
SHOWN_MESSAGES = 200


class TellingPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Whose the documentation is: the owner's alone, or the handler's too."""

    documentation_for_handler: bool = False


class TellingService:
    """Looks at sessions."""

    def __init__(self, transactions: Transactions[SessionTx], clock: Clock, policy: TellingPolicy) -> None:
        self._transactions = transactions
        self._clock = clock
        self._policy = policy

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
        terms = tuple(search_terms(cleaned_text(wanted.text or "")))
        if wanted.text is not None and not terms:
            return SessionList(items=[], total=0 if with_total else msgspec.UNSET)
        if cursor is not None and skip:
            raise InvalidError("Give a cursor or skip, not both", code="validation_error", field="skip")
        behind = Cursor.decode(cursor) if cursor else None
        async with self._transactions.read(principal.workspace_id) as tx:
            wanted = await _with_words(tx, wanted, terms)
            found = await tx.sessions.page(wanted, SessionPage(limit=limit + 1, skip=skip, behind=behind))
            total = await tx.sessions.count(wanted) if with_total else msgspec.UNSET
        shown = found[:limit]
        more = len(found) > limit
        last = Cursor(created_datetime=shown[-1].created_at, id=shown[-1].id).encode() if more else None
        return SessionList(items=[listed(each, principal.id) for each in shown], next_cursor=last, total=total)

    async def detail(self, principal: Principal, session_id: UUID) -> SessionDetail:
        """One session with all that belongs to it. Raises NotFoundError."""
        return await retrying(lambda: self._detail(principal, session_id))

    async def _detail(self, principal: Principal, session_id: UUID) -> SessionDetail:
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            newest = MessageQuery(limit=min(SHOWN_MESSAGES, MAX_PAGE))
            messages = await tx.messages.page(found.session.conversation_id, newest)
            lane = await tx.lanes.find(session_id)
            await require_whole(tx, found)
        case, session, standing = found.case, found.session, found.standing
        may_see_lane = standing.is_owner or standing.is_handler
        return SessionDetail(
            **listed_fields(session, principal.id),
            intake_content=session.intake,
            owner=_colleague(found, session.owner_id),
            handler=_colleague(found, session.handler_id),
            access="act" if standing.level == "act" else "read",
            allowed_actions=allowed_actions(session, standing, found.person, self._clock.now()),
            escalation_reason=case.escalations[-1].reason if case.escalations else None,
            abandon_reason=session.abandon_reason,
            session_feedback=session.feedback if standing.is_owner else None,
            root_cause=session.resolution.root_cause if session.resolution else None,
            active_branch_id=session.active_branch_id,
            branches=case.branches,
            steps=[step_view(step) for step in case.steps],
            escalations=case.escalations,
            conversation_messages=messages,
            pending_task_lane=lane.lane if lane and may_see_lane else None,
            task_lane_rev=lane.rev if lane and may_see_lane else 0,
        )

    async def documentation(self, principal: Principal, session_id: UUID) -> Documentation:
        """What happened in a session, told; its owner's. To all others there is nothing: NotFoundError."""
        found = await retrying(lambda: self._seen(principal, session_id))
        found.standing.require_documentation(for_handler=self._policy.documentation_for_handler)
        return documented(found.case)

    async def status_update(self, principal: Principal, session_id: UUID, wanted: UpdateRequest) -> StatusUpdate:
        """How far a session is, told to colleagues or clients. Raises NotFoundError, ForbiddenError."""
        found = await retrying(lambda: self._seen(principal, session_id))
        found.standing.require_reporting(found.session)
        return status_update(found.case, wanted)

    async def _seen(self, principal: Principal, session_id: UUID) -> Known:
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
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


def _colleague(found: Known, user_id: str) -> Colleague:
    return Colleague(id=user_id, name=found.case.name(user_id))


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
