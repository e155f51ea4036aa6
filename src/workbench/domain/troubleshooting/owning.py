"""What is the owner's alone: to say how good a session was, and to take it away (4)."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.clock import Clock
from workbench.domain.conversations.events import conversation_deleted
from workbench.domain.conversations.model import ConversationDetails
from workbench.domain.errors import ConflictError
from workbench.domain.identity.model import Principal
from workbench.domain.texts import cleaned_text
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.events import session_changed
from workbench.domain.troubleshooting.known import Known, seen, store
from workbench.domain.troubleshooting.model import Session
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.troubleshooting.transitions import RATINGS, Action, deleted, is_legal, rated, require_allowed

MAX_FEEDBACK = 2000


class Rating(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How good a session was, from 1 to 5, and why."""

    rating: Annotated[int, msgspec.Meta(ge=RATINGS[0], le=RATINGS[-1])]
    feedback: Annotated[str, msgspec.Meta(max_length=MAX_FEEDBACK)] | None = None


class OwningService:
    """Acts of who opened a session. Each raises NotFoundError, ForbiddenError `not_owner`, or ConflictError."""

    def __init__(self, transactions: Transactions[SessionTx], clock: Clock) -> None:
        self._transactions = transactions
        self._clock = clock

    async def rate(self, principal: Principal, session_id: UUID, new: Rating) -> None:
        """Say how good it was, once it is over; said once more, the new word counts."""
        await retrying(lambda: self._rate(principal, session_id, new))

    async def _rate(self, principal: Principal, session_id: UUID, new: Rating) -> None:
        feedback = cleaned_text(new.feedback).strip() if new.feedback else ""
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            self._require(found, "rate")
            store(tx, rated(found.session, new.rating, feedback or None), "session.rated")

    async def delete(self, principal: Principal, session_id: UUID) -> None:
        """Take it away with its conversation from everybody's sight; a duty removes both later.

        Raises ConflictError `escalation_open`.
        """
        await retrying(lambda: self._delete(principal, session_id))

    async def _delete(self, principal: Principal, session_id: UUID) -> None:
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            self._require(found, "delete")
            conversation = await tx.conversations.require(found.session.conversation_id)
            details = ConversationDetails.of(conversation, "read_write", found.everyone)
            hidden = deleted(found.session, self._clock.now())
            tx.sessions.change(hidden)
            tx.pushes.cancel_of(session_id)
            tx.deliveries.end_all(conversation.id)
            tx.events.record(session_changed("session.deleted", hidden))
            tx.events.record(conversation_deleted(details))
            tx.conversations.hide(conversation.id)
            entry = NewAuditEntry(actor=Actor.of(principal), act="session.deleted", subject=str(session_id))
            tx.audit.record(entry)

    def _require(self, found: Known, action: Action) -> None:
        found.standing.require_owner()
        require_allowed(found.session, action, found.standing, found.person, self._clock.now())


def made_way(session: Session, now: datetime) -> Session:
    """The session as it is once its conversation is deleted by whoever owns that.

    Raises ConflictError `escalation_open` where a colleague works on it or is to: it is no more to be deleted this way than
    by itself.
    """
    if not is_legal(session, "delete", now):
        raise ConflictError(
            "A colleague works on the session of this conversation or is to",
            code="escalation_open",
            extra={"session_id": str(session.id), "status": session.status},
        )
    return deleted(session, now)
