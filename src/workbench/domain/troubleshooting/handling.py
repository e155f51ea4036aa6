"""What becomes of a session in the hands of who handles it: put aside, resolved, given up, opened again (4)."""

from typing import Annotated
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.identity.model import Principal
from workbench.domain.playbooks.model import ResolutionAction
from workbench.domain.texts import cleaned_text
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.branching import marked
from workbench.domain.troubleshooting.chat_turns import with_talk
from workbench.domain.troubleshooting.duties import UpkeepPolicy
from workbench.domain.troubleshooting.events import tell_of_escalation
from workbench.domain.troubleshooting.known import Known, seen, store
from workbench.domain.troubleshooting.lanes import Lane, checked_lane
from workbench.domain.troubleshooting.model import MAX_CAUSE, MAX_MINUTES, MAX_SUMMARY, Resolution
from workbench.domain.troubleshooting.output_jobs import order_outputs
from workbench.domain.troubleshooting.ports import SessionTx, StoredLane
from workbench.domain.troubleshooting.ticket_notes import resolution_note, tell_ticket
from workbench.domain.troubleshooting.transitions import abandoned, paused, reopened, resolved, resumed, touched
from workbench.domain.troubleshooting.updates import UpdateRequest, status_update
from workbench.domain.troubleshooting.views import Resolved

MAX_REASON = 1000


class NewResolution(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the problem was solved."""

    resolution_summary: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_SUMMARY, pattern=r"\S")]
    resolution_action: ResolutionAction
    root_cause: Annotated[str, msgspec.Meta(max_length=MAX_CAUSE)] | None = None
    time_spent_minutes: Annotated[int, msgspec.Meta(ge=0, le=MAX_MINUTES)] | None = None
    """What it took of somebody's time, which is not how long the session was open."""
    push_to_psa: bool = True
    """Whether its ticket is told, if it has one."""

    def resolution(self) -> Resolution:
        """What is kept of it."""
        cause = cleaned_text(self.root_cause).strip() if self.root_cause else ""
        summary = cleaned_text(self.resolution_summary).strip()
        return Resolution(
            summary=summary,
            action=self.resolution_action,
            root_cause=cause or None,
            time_spent_minutes=self.time_spent_minutes,
        )


class Abandonment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a session is given up."""

    reason: Annotated[str, msgspec.Meta(max_length=MAX_REASON)] | None = None


class NewLane(Lane, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A task lane as it is sent. `rev` is the revision that it is based on; without one the last writer wins."""

    rev: Annotated[int, msgspec.Meta(ge=0)] | None = None

    def lane(self) -> Lane:
        """The lane without the revision."""
        return Lane(questions=self.questions, actions=self.actions, responses=self.responses)


class HandlingService:
    """Acts of who handles a session. Each raises NotFoundError, ForbiddenError, or ConflictError `illegal_transition`."""

    def __init__(self, transactions: Transactions[SessionTx], clock: Clock, policy: UpkeepPolicy) -> None:
        self._transactions = transactions
        self._clock = clock
        self._policy = policy

    async def pause(self, principal: Principal, session_id: UUID) -> None:
        """Put it aside; the step that is open stays open."""
        await retrying(lambda: self._pause(principal, session_id))

    async def _pause(self, principal: Principal, session_id: UUID) -> None:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.require_act("pause", now)
            store(tx, paused(found.session, now), "session.paused")

    async def resume(self, principal: Principal, session_id: UUID) -> None:
        """Go on with it."""
        await retrying(lambda: self._resume(principal, session_id))

    async def _resume(self, principal: Principal, session_id: UUID) -> None:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.require_act("resume", now)
            store(tx, resumed(found.session, now), "session.resumed")

    async def resolve(self, principal: Principal, session_id: UUID, new: NewResolution) -> Resolved:
        """Say that the problem is solved, and how; answers with notes for its ticket."""
        return await retrying(lambda: self._resolve(principal, session_id, new))

    async def _resolve(self, principal: Principal, session_id: UUID, new: NewResolution) -> Resolved:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.require_act("resolve", now)
            done = resolved(found.session, new.resolution(), now, self._policy.reopen)
            session = store(tx, done, "session.resolved")
            for branch in marked(found.case, "chosen"):
                tx.session_steps.branch(session_id, branch)
            case = await with_talk(tx, msgspec.structs.replace(found.case, session=session))
            outputs = order_outputs(tx, case, now)
            pushed = await tell_ticket(tx, case, resolution_note(case), principal.id, now, wanted=new.push_to_psa)
        return Resolved(
            session_id=session.id,
            status=session.status,
            resolved_at=session.resolved_at,
            step_count=session.step_count,
            duration_seconds=session.duration_seconds,
            ticket_notes=status_update(case, UpdateRequest(audience="ticket_notes")).content,
            version=session.version,
            psa_push_status=pushed,
            outputs=outputs,
        )

    async def abandon(self, principal: Principal, session_id: UUID, new: Abandonment) -> None:
        """Give it up; an escalation that is open is cancelled."""
        await retrying(lambda: self._abandon(principal, session_id, new))

    async def _abandon(self, principal: Principal, session_id: UUID, new: Abandonment) -> None:
        now = self._clock.now()
        reason = cleaned_text(new.reason).strip() if new.reason else ""
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.require_act("abandon", now)
            ended, cancelled = abandoned(found.session, found.latest, reason or None, now)
            session = store(tx, ended, "session.abandoned")
            if cancelled is not None and cancelled != found.latest:
                tx.escalations.close(session.id, cancelled)
                tell_of_escalation(tx.events, "cancelled", session, cancelled)

    async def reopen(self, principal: Principal, session_id: UUID) -> None:
        """Go on with one that was resolved not long ago."""
        await retrying(lambda: self._reopen(principal, session_id))

    async def _reopen(self, principal: Principal, session_id: UUID) -> None:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.require_act("reopen", now)
            store(tx, reopened(found.session, now), "session.reopened")
            for branch in marked(found.case, "open"):
                tx.session_steps.branch(session_id, branch)

    async def keep_lane(self, principal: Principal, session_id: UUID, new: NewLane) -> None:
        """Store the task lane. Raises TooLargeError, ConflictError `task_lane_conflict` with the stored revision."""
        await retrying(lambda: self._keep_lane(principal, session_id, new))

    async def _keep_lane(self, principal: Principal, session_id: UUID, new: NewLane) -> None:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            found: Known = await seen(tx, principal, session_id)
            # Beside the steps, so that nobody who writes one minds.
            found.require_allowed("task-lane", now)
            kept = await tx.lanes.find(session_id)
            rev = kept.rev if kept else 0
            checked_lane(new.lane(), stored_rev=rev, based_on=new.rev)
            tx.lanes.put(session_id, StoredLane(rev=rev + 1, lane=new.lane()), rev)
            tx.sessions.change(touched(found.session, now))
