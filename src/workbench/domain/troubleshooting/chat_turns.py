"""What is said in a session's chat, as turns of its conversation: a person's message asks, and the guide's answers (7.8)."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from workbench.domain.ids import new_id
from workbench.domain.messages.events import message_created
from workbench.domain.messages.model import Message, MessageQuery, Sender, StoredMessage
from workbench.domain.parts.closing import Marker, closed
from workbench.domain.parts.model import text_part
from workbench.domain.troubleshooting.cases import Case, Said
from workbench.domain.troubleshooting.foundations import found_session
from workbench.domain.troubleshooting.known import GUIDE_ID, GUIDE_NAME
from workbench.domain.troubleshooting.model import Session
from workbench.domain.troubleshooting.ports import ChatTx, SessionTx
from workbench.domain.troubleshooting.views import ChatReply
from workbench.domain.turns.events import turn_opened, turn_status
from workbench.domain.turns.model import DEADLINE, Turn, TurnError, logged
from workbench.domain.turns.settling import Close, ending_event, opened_event, put_content
from workbench.domain.users.model import User

MAX_SAID = 200
"""So many messages of a chat are told of, the newest."""
LEASE = timedelta(seconds=120)
"""A reply is given up after so long: then whoever looks after turns ends its turn."""
CHAT = "chat"
"""Under this key the metadata of a reply have what it says besides its text."""
BRANCH = "branch_id"
"""And under this one those of all that is said, once a way was picked."""


def begin_chat(tx: SessionTx, session: Session, user: User, now: datetime) -> None:
    """Store a session that is a chat; what is reported is the first that is said in it."""
    found_session(tx, session, user, now)
    intake = session.intake
    text = f"{intake.subject}\n\n{intake.text}" if intake.subject else intake.text
    said = _message(session, user.id, text, now)
    tx.messages.add(StoredMessage(conversation_id=session.conversation_id, message=said, debug_data={}))
    tx.events.record(message_created(session.conversation_id, said))


def question(
    session: Session, person_id: str, text: str, uploads: Sequence[str], turn_id: str, now: datetime
) -> Message:
    """What somebody says, to be answered by the turn of that id."""
    turn = {"turn_id": turn_id, "slot": "input", "status": "opened", "finish_reason": None}
    return _message(session, person_id, text, now, uploads=uploads, turn=turn)


def asked_turn(session: Session, person_id: str, asked: Message | None, turn_id: str, shared: datetime) -> Turn:
    """The turn that answers it, in the guide's hands; without a message it is one that the guide begins.

    It counts as made elsewhere, so that none of those who speak for assistants takes it up. `shared` is the time by the
    clock that all processes share.
    """
    turn = Turn(
        pk=new_id(),
        conversation_id=session.conversation_id,
        turn_id=turn_id,
        assistant_id=GUIDE_ID,
        initiator_role="user",
        initiator_id=person_id,
        user_id=person_id,
        assistant_service_id=None,
        parent_turn_id=None,
        producer_kind="external",
        input_message_id=asked.id if asked else None,
        output_message_id=new_id(),
        input_hash=hashlib.sha256((asked.content if asked else "").encode()).hexdigest(),
        options={},
        deadline_at=shared + DEADLINE,
        created_at=shared,
        read_at=shared,
    )
    return turn.claimed(GUIDE_NAME, LEASE, shared)


async def ask(tx: ChatTx, session: Session, asked: Message, turn: Turn, now: datetime, *, is_new: bool) -> None:
    """Store the turn that is to answer what was said, and that itself, unless it is there already."""
    if is_new:
        await _say(tx, session, asked, turn)
    tx.turns.reserve(turn.conversation_id, turn.turn_id, "output", turn.output_message_id)
    opened, events = logged(turn, _begun(turn), now)
    tx.turns.add(opened)
    tx.turns.log(opened, events)
    tx.events.record(turn_opened(opened))


async def ask_and_answer(
    tx: ChatTx, session: Session, asked: Message | None, turn: Turn, reply: ChatReply, now: datetime
) -> None:
    """Store what was said and what is replied, as a turn that is over."""
    if asked is not None:
        await _say(tx, session, asked, turn)
    tx.turns.reserve(turn.conversation_id, turn.turn_id, "output", turn.output_message_id)
    tx.events.record(turn_opened(turn))
    close, ended = closed_with(session, reply), turn.ended("completed", None, turn.read_at)
    await put_content(tx, ended, close, now)
    happened = [*_begun(turn), ending_event(ended, close, None)]
    ended, events = logged(msgspec.structs.replace(ended, is_published=True), happened, now)
    tx.turns.add(ended)
    tx.turns.log(ended, events)
    tx.events.record(turn_status(ended))


def branch_of(said: Message) -> UUID | None:
    """The way that something was said on, where a chat has several."""
    told = said.metadata.get(BRANCH)
    return UUID(told) if isinstance(told, str) else None


async def with_talk(tx: SessionTx, case: Case) -> Case:
    """The same with what people wrote last, where it is a chat."""
    if case.session.session_type != "chat":
        return case
    people = MessageQuery(participant_roles=("user",), message_types=("chat",), limit=MAX_SAID)
    messages = await tx.messages.page(case.session.conversation_id, people)
    return msgspec.structs.replace(case, said=said_in(case.session, messages))


def said_in(session: Session, messages: Sequence[Message]) -> tuple[Said, ...]:
    """What was written in a session's chat; each changed its version. What was only said in its conversation is left out."""
    return tuple(
        Said(at=each.timestamp, by=each.sender.participant_id, text=each.content, branch_id=branch_of(each))
        for each in messages
        if each.metadata.get("session_id") == str(session.id) and "turn" in each.metadata
    )


def closed_with(session: Session, reply: ChatReply) -> Close:
    """The end of a turn that is a reply."""
    told: dict[str, Any] = msgspec.to_builtins(reply)
    besides = {name: value for name, value in told.items() if name != "content" and value}
    return Close(
        outcome="completed",
        parts=[text_part(reply.content)],
        metadata={**_place(session), CHAT: besides},
        source="server",
    )


def failed_with(session: Session, error: TurnError) -> Close:
    """The end of a turn to which there is no reply."""
    return Close(
        outcome="failed",
        error=error,
        parts=closed([], Marker(code="error", error_code=error.code)),
        metadata=_place(session),
        source="server",
    )


def _begun(turn: Turn) -> list[tuple[str, dict[str, Any]]]:
    return [opened_event(turn, []), ("turn.started", {"producer_kind": turn.producer_kind})]


def _place(session: Session) -> dict[str, Any]:
    place: dict[str, Any] = {"session_id": str(session.id)}
    return {**place, BRANCH: str(session.active_branch_id)} if session.is_branching else place


async def _say(tx: ChatTx, session: Session, said: Message, turn: Turn) -> None:
    stored = StoredMessage(conversation_id=session.conversation_id, message=said, debug_data={})
    tx.turns.reserve(session.conversation_id, turn.turn_id, "input", said.id)
    tx.messages.add(stored)
    await tx.overheard.said(stored)
    tx.events.record(message_created(session.conversation_id, said))


def _message(
    session: Session,
    person_id: str,
    text: str,
    now: datetime,
    *,
    uploads: Sequence[str] = (),
    turn: dict[str, Any] | None = None,
) -> Message:
    metadata = _place(session)
    return Message(
        id=new_id(),
        sender=Sender(participant_role="user", participant_id=person_id),
        message_type="chat",
        timestamp=now,
        content_type="text/plain",
        content=text,
        filenames=list(uploads),
        metadata={**metadata, "turn": turn} if turn else metadata,
        has_debug_data=False,
    )
