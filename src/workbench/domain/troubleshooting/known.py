"""A session as one person finds it, with what they are to it; and how it is changed, told of and talked in."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.errors import ConflictError, StaleError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.messages.events import message_created
from workbench.domain.messages.model import Message, Sender, StoredMessage
from workbench.domain.participants.model import Participant
from workbench.domain.playbooks.matching import Report
from workbench.domain.playbooks.steps import Step
from workbench.domain.playbooks.walking import Walk
from workbench.domain.troubleshooting.access import Person, Standing, session_not_found, standing
from workbench.domain.troubleshooting.cases import Case
from workbench.domain.troubleshooting.events import session_changed, step_presented
from workbench.domain.troubleshooting.guiding import Guidance
from workbench.domain.troubleshooting.model import Escalation, Followed, Intake, Session, SessionStep
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.troubleshooting.transitions import Action, require_allowed

GUIDE_ID = UUID("5e551041-0000-7000-8000-67756964650a")
"""The participant who asks the steps: the same in every session, and nobody's assistant."""
GUIDE_NAME = "Guide"


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A session with all that belongs to it, and what the person who asks is to it."""

    case: Case
    person: Person
    standing: Standing
    everyone: list[Participant]

    @property
    def session(self) -> Session:
        """The session itself."""
        return self.case.session

    @property
    def latest(self) -> Escalation | None:
        """The newest escalation."""
        return self.case.escalations[-1] if self.case.escalations else None

    def require_act(self, action: Action, now: datetime) -> None:
        """Let the handler pass where the state allows it, and no model is at work.

        Raises NotFoundError, ForbiddenError, ConflictError.
        """
        self.require_allowed(action, now)
        if self.session.is_leased(now):
            raise generation_in_progress()

    def require_allowed(self, action: Action, now: datetime) -> None:
        """The same for who has the lease of the session. Raises NotFoundError, ForbiddenError, ConflictError."""
        self.standing.require_act()
        require_allowed(self.session, action, self.standing, self.person, now)


def open_escalation(found: Known) -> Escalation:
    """The open escalation, which a session that waits for a colleague has.

    Raises StaleError where somebody has ended it between the reading of the two.
    """
    opened = next((each for each in reversed(found.case.escalations) if each.state == "open"), None)
    if opened is None:
        raise StaleError
    return opened


def generation_in_progress() -> ConflictError:
    """A model is at work on the next step, and what it writes must fit the session as it is."""
    return ConflictError("A model is writing the next step; wait for it", code="generation_in_progress")


def person_of(principal: Principal) -> Person:
    """Who asks."""
    return Person(id=principal.id, works=principal.works_on_sessions, team_ids=principal.team_ids)


async def known(tx: SessionTx, principal: Principal, session_id: UUID) -> Known:
    """Read a session, which the person may not be allowed to see: that is still to be asked. Raises NotFoundError."""
    session = await tx.sessions.find(session_id)
    if session is None:
        raise session_not_found()
    # Before who takes part, so that whoever picked it up is among those.
    escalations = tuple(await tx.escalations.of(session_id))
    person = person_of(principal)
    everyone = await tx.participants.all_of(session.conversation_id)
    case = await case_of(tx, session, escalations, everyone)
    latest = escalations[-1] if escalations else None
    stands = standing(session, person, latest, former_handlers(escalations))
    return Known(case=case, person=person, standing=stands, everyone=everyone)


async def case_of(
    tx: SessionTx, session: Session, escalations: tuple[Escalation, ...], everyone: Sequence[Participant] = ()
) -> Case:
    """Read what else belongs to a session. Without `everyone` in its conversation nobody in it has a name."""
    return Case(
        session=session,
        branches=tuple(await tx.session_steps.branches(session.id)),
        steps=tuple(await tx.session_steps.of(session.id)),
        escalations=escalations,
        names=names_of(everyone),
    )


async def seen(tx: SessionTx, principal: Principal, session_id: UUID) -> Known:
    """Read a session that the person may see. Raises NotFoundError."""
    found = await known(tx, principal, session_id)
    found.standing.require_seen()
    return found


async def require_whole(tx: SessionTx, found: Known) -> None:
    """Make sure that what was read is of one version. Raises StaleError where a change came between the reads.

    Whoever stores a change over it need not ask: then the version is a condition of the change.
    """
    now = await tx.sessions.find(found.session.id)
    if now is None or now.version != found.session.version:
        raise StaleError


def store(tx: SessionTx, session: Session, kind: str) -> Session:
    """Store a session as changed, and tell what became of it. Answers with it as it is stored then."""
    tx.sessions.change(session)
    tx.events.record(session_changed(kind, session))
    return stored(session)


def stored(session: Session) -> Session:
    """The session as it is once the change is stored."""
    return msgspec.structs.replace(session, version=session.version + 1)


def ask(
    tx: SessionTx, session: Session, step: SessionStep, now: datetime, message_id: UUID | None = None
) -> SessionStep:
    """Put a step to the person: it is stored, said in the conversation, and told of.

    The message gets the id that it is known by already, where something was written down for it.
    """
    said = _message(session, guide_sender(), prompt_text(step.step), step, now, message_id)
    asked = msgspec.structs.replace(step, prompt_message_id=said.message.id)
    tx.messages.add(said)
    tx.events.record(message_created(session.conversation_id, said.message))
    tx.session_steps.add(session.id, asked)
    tx.events.record(step_presented(session, asked))
    return asked


def say(tx: SessionTx, session: Session, step: SessionStep, filenames: Sequence[str], now: datetime) -> UUID:
    """Say the answer to a step in the conversation, in the name of who gave it, with the files that go with it."""
    text = step.answer_text if step.note is None else f"{step.answer_text}\n\n{step.note}"
    sender = Sender(participant_role="user", participant_id=step.answered_by or "")
    said = _message(session, sender, text, step, now)
    said = msgspec.structs.replace(said, message=msgspec.structs.replace(said.message, filenames=list(filenames)))
    tx.messages.add(said)
    tx.events.record(message_created(session.conversation_id, said.message))
    return said.message.id


def guide_sender() -> Sender:
    """Whom the prompts are from."""
    return Sender(participant_role="assistant", participant_id=str(GUIDE_ID))


def guide(conversation_id: UUID, now: datetime) -> Participant:
    """The seat of who asks the steps, who is there whenever the service is. It takes no part otherwise: it is told nothing."""
    seat = Participant.of_user(conversation_id, str(GUIDE_ID), GUIDE_NAME, None, now)
    return msgspec.structs.replace(seat, role="assistant", online=True, conversation_permission="read")


def prompt_text(step: Step) -> str:
    """A step as somebody reads it who has only the conversation before them."""
    lines = [step.context_message, step.prompt, step.help, *(f"- {option.label}" for option in step.options)]
    return "\n".join(line for line in lines if line)


def follow(tx: SessionTx, session: Session, followed: Followed, before: Sequence[Followed]) -> None:
    """Keep a playbook with the session; one that it followed before stays as it was then."""
    if followed.key not in {each.key for each in before}:
        tx.session_steps.follow(session.id, followed)


def walk_of(guidance: Guidance, path: Sequence[SessionStep], followed: Sequence[Followed]) -> Walk | None:
    """The playbook that is followed at the end of a way: the one chosen last on it, or else what the session began with."""
    chosen = next((step for step in reversed(path) if step.step.step_type == "choose_playbook"), None)
    if chosen is not None:
        values = chosen.reading.values if chosen.reading else ()
        found = next((each for each in followed if each.key in values), None)
    else:
        found = followed[0] if followed else None
    return guidance.walk(found.key, found.match) if found else None


def inputs_of(intake: Intake) -> dict[str, str]:
    """What the intake told, for the placeholders of prompts and the conditions of playbooks."""
    return {name: str(value) for name, value in intake.fields.items() if value is not None}


def report_of(intake: Intake) -> Report:
    """What playbooks are looked for with; the subject says as much as a sentence does."""
    text = f"{intake.subject}\n{intake.text}" if intake.subject else intake.text
    return Report(text=text, fields=inputs_of(intake))


def _message(
    session: Session, sender: Sender, text: str, step: SessionStep, now: datetime, message_id: UUID | None = None
) -> StoredMessage:
    metadata: dict[str, Any] = {"session_id": str(session.id), "step_id": str(step.id)}
    message = Message(
        id=message_id or new_id(),
        sender=sender,
        message_type="chat",
        timestamp=now,
        content_type="text/plain",
        content=text,
        filenames=[],
        metadata=metadata,
        has_debug_data=False,
    )
    return StoredMessage(conversation_id=session.conversation_id, message=message, debug_data={})


def names_of(everyone: Sequence[Participant]) -> Mapping[str, str]:
    """The display names of those who take part, by their ids."""
    return {each.id: each.name for each in everyone}


def former_handlers(escalations: Sequence[Escalation]) -> frozenset[str]:
    """Who handles it or did so: whoever asked for a colleague, and whoever came."""
    people = {each.requested_by for each in escalations} | {each.picked_up_by or "" for each in escalations}
    return frozenset(people - {""})
