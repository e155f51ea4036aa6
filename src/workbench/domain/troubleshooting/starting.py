"""Beginning a session: a playbook is found for what is reported, and its first step is asked (5.1, 7.3)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.conversations.events import conversation_created
from workbench.domain.conversations.model import Conversation, ConversationDetails, NewConversation
from workbench.domain.errors import InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.participants.model import Participant
from workbench.domain.playbooks.confidence import Thresholds
from workbench.domain.playbooks.deciding import decided
from workbench.domain.playbooks.matching import Candidate, Report
from workbench.domain.playbooks.shelf import Shelf, Shelves, shelf_of
from workbench.domain.playbooks.steps import Step
from workbench.domain.texts import cleaned, cleaned_text
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.events import session_changed
from workbench.domain.troubleshooting.guiding import Following, Guidance, StartMode, opened, opened_with
from workbench.domain.troubleshooting.known import ask, follow, guide, inputs_of
from workbench.domain.troubleshooting.likening import LikeningService
from workbench.domain.troubleshooting.model import (
    Branch,
    Followed,
    Intake,
    IntakeType,
    Scalar,
    Session,
    SessionStep,
)
from workbench.domain.troubleshooting.naming import summary_of, title_of
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.troubleshooting.showing import step_view
from workbench.domain.troubleshooting.views import NearCandidate, Started
from workbench.domain.users.service import meet

MAX_TEXT = 20_000
MAX_SUBJECT = 300
MAX_TITLE = 200
MAX_FIELDS = 50
MAX_FIELD = 1000
ROOT_LABEL = "Start"

FieldName = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
FieldText = Annotated[str, msgspec.Meta(max_length=MAX_FIELD)]


class IntakeContent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is reported, in words; and in fields what a form, an alert or a ticket tells besides."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
    subject: Annotated[str, msgspec.Meta(max_length=MAX_SUBJECT)] | None = None
    fields: Annotated[dict[FieldName, FieldText | int | float | bool | None], msgspec.Meta(max_length=MAX_FIELDS)] = {}


class NewSession(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller sends to begin one. With `start_mode` manual no playbook is looked for."""

    intake_content: IntakeContent
    intake_type: IntakeType = "free_text"
    title: Annotated[str, msgspec.Meta(max_length=MAX_TITLE)] | None = None
    playbook_id: UUID | None = None
    start_mode: StartMode = "auto"

    def intake(self) -> Intake:
        """What is kept of it. Raises InvalidError where there is no word in it."""
        content = self.intake_content
        text = cleaned_text(content.text).strip()
        if not text:
            raise InvalidError("Say what the problem is", code="validation_error", field="intake_content.text")
        fields: dict[str, Scalar] = cleaned(content.fields)
        subject = cleaned_text(content.subject).strip() if content.subject else None
        return Intake(type=self.intake_type, text=text, subject=subject or None, fields=fields)


class StartingService:
    """Begins sessions."""

    def __init__(
        self,
        transactions: Transactions[SessionTx],
        shelves: Shelves,
        thresholds: Thresholds,
        likening: LikeningService,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._likening = likening
        self._shelves = shelves
        self._thresholds = thresholds
        self._clock = clock

    async def start(self, principal: Principal, new: NewSession) -> Started:
        """Begin a session.

        Raises InvalidError, and UnavailableError `no_guidance_available` where nothing fits and there is no model; then
        nothing is stored.
        """
        intake = new.intake()
        started = await retrying(lambda: self._start(principal, new, intake))
        first = await self._likening.beside(principal, started.session_id, started.first_step)
        return msgspec.structs.replace(started, first_step=first)

    async def _start(self, principal: Principal, new: NewSession, intake: Intake) -> Started:
        now = self._clock.now()
        async with self._transactions.write(principal.workspace_id) as tx:
            shelf = await shelf_of(tx, self._shelves, principal.workspace_id)
            following = self._following(shelf, new, intake)
            step = following.step
            if step is None:
                raise AssertionError("where there is no model, something is asked")
            user = await meet(tx, principal, now)
            session = _session(principal.id, new, intake, now)
            session = _guided(session, following, step, shelf)
            owner = Participant.of_user(session.conversation_id, user.id, user.name, user.image, now)
            _found_conversation(tx, session, owner, now)
            tx.sessions.add(session)
            root = Branch(id=session.active_branch_id or new_id(), label=ROOT_LABEL, created_at=now)
            tx.session_steps.branch(session.id, root)
            tx.events.record(session_changed("session.started", session))
            if following.playbook_key is not None:
                follow(tx, session, followed_from(shelf, following), ())
            first = ask(
                tx, session, SessionStep(id=new_id(), branch_id=root.id, step_order=1, step=step, asked_at=now), now
            )
        return _started(session, following.candidates, first)

    def _following(self, shelf: Shelf, new: NewSession, intake: Intake) -> Following:
        report = report_of(intake)
        documents = {key: each.playbook for key, each in shelf.playbooks.items()}
        guidance = Guidance(playbooks=documents, thresholds=self._thresholds, inputs=inputs_of(intake))
        if new.playbook_id is not None:
            chosen = shelf.with_id(new.playbook_id)
            if chosen is None:
                raise InvalidError("There is no such playbook", code="unknown_playbook", field="playbook_id")
            return opened_with(guidance, chosen.playbook.key)
        return opened(guidance, decided(shelf.index.ranked(report), self._thresholds), new.start_mode)


def report_of(intake: Intake) -> Report:
    """What playbooks are looked for with; the subject says as much as a sentence does."""
    text = f"{intake.subject}\n{intake.text}" if intake.subject else intake.text
    return Report(text=text, fields=inputs_of(intake))


def followed_from(shelf: Shelf, following: Following) -> Followed:
    """The playbook of the shelf that is taken up."""
    shelved = shelf.playbooks[following.playbook_key or ""]
    return Followed(
        playbook_id=shelved.id, version=shelved.version, match=following.match or 0.0, document=shelved.playbook
    )


def _session(owner_id: str, new: NewSession, intake: Intake, now: datetime) -> Session:
    given = new.title.strip() if new.title else ""
    return Session(
        id=new_id(),
        conversation_id=new_id(),
        owner_id=owner_id,
        handler_id=owner_id,
        session_type="guided",
        intake=intake,
        created_at=now,
        last_activity_at=now,
        title=cleaned_text(given) or title_of(intake),
        problem_summary=summary_of(intake),
        active_branch_id=new_id(),
    )


def _guided(session: Session, following: Following, step: Step, shelf: Shelf) -> Session:
    """The session with the playbook that it follows, and how sure its first step is."""
    sure: dict[str, Any] = {"confidence_score": step.confidence_score, "confidence_tier": step.confidence_tier}
    if following.playbook_key is not None:
        shelved = shelf.playbooks[following.playbook_key]
        sure |= {"matched_flow_id": shelved.id, "playbook_version": shelved.version, "match_score": following.match}
        sure |= {"problem_domain": shelved.playbook.domain}
    return msgspec.structs.replace(session, **sure)


def _found_conversation(tx: SessionTx, session: Session, owner: Participant, now: datetime) -> None:
    """Make the conversation that the session stands on: its owner's, with the guide in it."""
    new = NewConversation(title=session.title or ROOT_LABEL, metadata={"session_id": str(session.id)})
    conversation = Conversation.created(session.conversation_id, new, owner.id, now)
    seats = [owner, guide(conversation.id, now)]
    details = ConversationDetails.of(conversation, owner.conversation_permission, seats)
    tx.conversations.add(conversation)
    for seat in seats:
        tx.participants.add(seat)
    tx.events.record(conversation_created(details))


def _started(session: Session, candidates: Sequence[Candidate], first: SessionStep) -> Started:
    shown = {name: getattr(session, name) for name in Started.__struct_fields__ if hasattr(session, name)}
    near = [NearCandidate(key=each.key, title=each.title, score=each.score) for each in candidates]
    return Started(**shown, session_id=session.id, candidates=near, first_step=step_view(first))
