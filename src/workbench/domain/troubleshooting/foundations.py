"""What every session stands on: a conversation of its owner with the guide in it, and the branch that all others come from."""

from datetime import datetime

from workbench.domain.conversations.events import conversation_created
from workbench.domain.conversations.model import Conversation, ConversationDetails, NewConversation
from workbench.domain.ids import new_id
from workbench.domain.participants.model import Participant
from workbench.domain.texts import cleaned_text
from workbench.domain.troubleshooting.events import session_changed
from workbench.domain.troubleshooting.known import guide
from workbench.domain.troubleshooting.model import Branch, Intake, Session, SessionType
from workbench.domain.troubleshooting.naming import summary_of, title_of
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.users.model import User

ROOT_LABEL = "Start"


def new_session(owner_id: str, kind: SessionType, title: str | None, intake: Intake, now: datetime) -> Session:
    """A session as it begins; without a title it is called by what is reported."""
    given = title.strip() if title else ""
    return Session(
        id=new_id(),
        conversation_id=new_id(),
        owner_id=owner_id,
        handler_id=owner_id,
        session_type=kind,
        intake=intake,
        created_at=now,
        last_activity_at=now,
        title=cleaned_text(given) or title_of(intake),
        problem_summary=summary_of(intake),
        active_branch_id=new_id(),
    )


def found_session(tx: SessionTx, session: Session, user: User, now: datetime) -> Branch:
    """Store a session with its conversation, and tell of both. Answers with the branch that its steps are on."""
    owner = Participant.of_user(session.conversation_id, user.id, user.name, user.image, now)
    _found_conversation(tx, session, owner, now)
    tx.sessions.add(session)
    root = Branch(id=session.active_branch_id or new_id(), label=ROOT_LABEL, created_at=now)
    tx.session_steps.branch(session.id, root)
    tx.events.record(session_changed("session.started", session))
    if session.ticket is not None:
        tx.tickets.put(session.id, session.ticket)
        tx.events.record(session_changed("session.ticket.linked", session))
    return root


def _found_conversation(tx: SessionTx, session: Session, owner: Participant, now: datetime) -> None:
    new = NewConversation(title=session.title or ROOT_LABEL, metadata={"session_id": str(session.id)})
    conversation = Conversation.created(session.conversation_id, new, owner.id, now)
    seats = [owner, guide(conversation.id, now)]
    details = ConversationDetails.of(conversation, owner.conversation_permission, seats)
    tx.conversations.add(conversation)
    for seat in seats:
        tx.participants.add(seat)
    tx.events.record(conversation_created(details))
