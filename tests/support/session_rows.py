"""The part of the wall between workspaces that troubleshooting adds: a session with all of it, playbooks, every method."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from tests.support.playbooks import playbook

from workbench.adapters.sql.transactions import SqlTransaction
from workbench.domain.embeddings.model import Descriptor, Embedded, Space, packed
from workbench.domain.messages.model import StoredMessage
from workbench.domain.playbooks.model import content_hash
from workbench.domain.playbooks.steps import manual_step
from workbench.domain.playbooks.versions import PlaybookVersion, StoredPlaybook
from workbench.domain.troubleshooting.documents import Document
from workbench.domain.troubleshooting.lanes import Lane
from workbench.domain.troubleshooting.model import Branch, Escalation, Followed, Intake, Session, SessionStep
from workbench.domain.troubleshooting.ports import SessionFilter, SessionPage, StoredLane
from workbench.domain.troubleshooting.searches import Beholder
from workbench.domain.troubleshooting.searching import Term, Wanted

SESSION, BRANCH, STEP, ESCALATION, PLAYBOOK, SPACE = (UUID(int=number) for number in range(101, 107))
CAYS = SessionFilter(person_id="cay")
CAY = Beholder(person_id="cay", with_resolved=True)
PRINT = Wanted(terms=(Term(("print",)),))
A_SPACE = Space(id=SPACE, descriptor=Descriptor(provider="test", model="two", dims=2), state="building")
VECTOR = packed([0.6, 0.8])
A_DOCUMENT = Document(head="a", middle="b", report="c", said="d", problem_hash="e")


def an_embedded(vector: bytes = VECTOR) -> Embedded:
    """The session in the space."""
    return Embedded(session_id=SESSION, text_hash="f", vector=vector)


def stored_message(world: Any) -> StoredMessage:
    """What was said in the conversation that the session is of."""
    return StoredMessage(conversation_id=world.conversation.id, message=world.message, debug_data={})


def some_session(session_id: UUID, conversation_id: UUID, now: datetime) -> Session:
    """Cay's, in one workspace; in the other she has none."""
    return Session(
        id=session_id,
        conversation_id=conversation_id,
        owner_id="cay",
        handler_id="cay",
        session_type="chat",
        intake=Intake(text="It does not print"),
        created_at=now,
        last_activity_at=now,
    )


def a_step(now: datetime, **members: Any) -> SessionStep:
    """A step that waits for an answer."""
    usual: dict[str, Any] = {"id": STEP, "branch_id": BRANCH, "step_order": 1, "step": manual_step(), "asked_at": now}
    return SessionStep(**{**usual, **members})


def an_escalation(now: datetime, **members: Any) -> Escalation:
    """Somebody is asked for."""
    usual: dict[str, Any] = {"id": ESCALATION, "requested_by": "cay", "reason": "No idea", "requested_at": now}
    return Escalation(**{**usual, **members})


def a_playbook(key: str) -> StoredPlaybook:
    """One that is published."""
    return StoredPlaybook(id=PLAYBOOK, key=key, title=key, domain=None, status="published", current_version=1)


def a_version(now: datetime, number: int = 1) -> PlaybookVersion:
    """Its text, and what that means."""
    document = playbook()
    return PlaybookVersion(
        version=number,
        source_text="",
        document=document,
        content_hash=content_hash(document),
        findings=[],
        imported_by="ann",
        created_at=now,
    )


def add_session(tx: SqlTransaction, workspace: str, conversation_id: UUID, now: datetime) -> None:
    """Put one of each into a workspace; but for the neighbour, whose ids are its own."""
    if workspace == "elsewhere":
        return
    tx.playbooks.add(a_playbook("first"))
    tx.playbooks.add_version(PLAYBOOK, a_version(now))
    tx.sessions.add(some_session(SESSION, conversation_id, now))
    tx.session_steps.branch(SESSION, Branch(id=BRANCH, label="Start", created_at=now))
    tx.session_steps.add(SESSION, a_step(now))
    followed = Followed(playbook_id=PLAYBOOK, version=1, match=0.5, document=playbook())
    tx.session_steps.follow(SESSION, followed)
    tx.escalations.add(SESSION, an_escalation(now))
    tx.lanes.put(SESSION, StoredLane(rev=1, lane=Lane()), 0)
    tx.spaces.begin(A_SPACE)
    tx.vectors.put(A_SPACE, an_embedded())


READS: dict[str, tuple[Any, object]] = {
    "playbooks.all": (lambda tx, w: tx.playbooks.all(), []),
    "playbooks.find": (lambda tx, w: tx.playbooks.find("first"), None),
    "playbooks.versions": (lambda tx, w: tx.playbooks.versions(PLAYBOOK), []),
    "playbooks.followed": (lambda tx, w: tx.playbooks.followed(), []),
    "sessions.find": (lambda tx, w: tx.sessions.find(SESSION), None),
    "sessions.page": (lambda tx, w: tx.sessions.page(CAYS, SessionPage(limit=10)), []),
    "sessions.count": (lambda tx, w: tx.sessions.count(CAYS), 0),
    "session_steps.branches": (lambda tx, w: tx.session_steps.branches(SESSION), []),
    "session_steps.of": (lambda tx, w: tx.session_steps.of(SESSION), []),
    "session_steps.followed": (lambda tx, w: tx.session_steps.followed(SESSION), []),
    "escalations.of": (lambda tx, w: tx.escalations.of(SESSION), []),
    "escalations.queue": (lambda tx, w: tx.escalations.queue("ann", None, 10), []),
    "lanes.find": (lambda tx, w: tx.lanes.find(SESSION), None),
    "searches.find": (lambda tx, w: tx.searches.find(CAY, PRINT, 10), []),
    "searches.having": (lambda tx, w: tx.searches.having(["print"], 10), []),
    "searches.frequencies": (lambda tx, w: tx.searches.frequencies(["print"], 10), {"print": 0}),
    "searches.count": (lambda tx, w: tx.searches.count(10), 0),
    "searches.neighbours": (lambda tx, w: tx.searches.neighbours(CAY, [SESSION]), []),
    "searches.said_in": (
        lambda tx, w: tx.searches.said_in([some_session(SESSION, w.conversation.id, w.job.run_at)]),
        {SESSION: []},
    ),
    "searches.sessions": (lambda tx, w: tx.searches.sessions([SESSION]), []),
    "searches.hashes": (lambda tx, w: tx.searches.hashes([SESSION]), {}),
    "searches.one": (lambda tx, w: tx.searches.one(SESSION), None),
    "searches.behind": (lambda tx, w: tx.searches.behind(None, 10), []),
    "spaces.all": (lambda tx, w: tx.spaces.all(), []),
    "vectors.of": (lambda tx, w: tx.vectors.of(A_SPACE, [SESSION]), {}),
    "vectors.nearest": (lambda tx, w: tx.vectors.nearest(A_SPACE, VECTOR, 10), []),
    "vectors.some": (lambda tx, w: tx.vectors.some(A_SPACE, 10), []),
}
WRITES: dict[str, Any] = {
    "playbooks.change": lambda tx, w: tx.playbooks.change(msgspec.structs.replace(a_playbook("first"), title="X")),
    "playbooks.add_version": lambda tx, w: tx.playbooks.add_version(PLAYBOOK, a_version(w.job.run_at, 2)),
    "playbooks.mark_published": lambda tx, w: tx.playbooks.mark_published(
        PLAYBOOK, msgspec.structs.replace(a_version(w.job.run_at), published_at=w.job.run_at)
    ),
    "sessions.change": lambda tx, w: tx.sessions.change(
        msgspec.structs.replace(some_session(SESSION, w.conversation.id, w.job.run_at), title="X")
    ),
    "session_steps.branch": lambda tx, w: tx.session_steps.branch(
        SESSION, Branch(id=BRANCH, label="X", created_at=w.job.run_at)
    ),
    "session_steps.add": lambda tx, w: tx.session_steps.add(
        SESSION, a_step(w.job.run_at, id=UUID(int=8), step_order=2, answered_at=w.job.run_at)
    ),
    "session_steps.change": lambda tx, w: tx.session_steps.change(
        SESSION, a_step(w.job.run_at, answered_at=w.job.run_at)
    ),
    "session_steps.follow": lambda tx, w: tx.session_steps.follow(
        SESSION,
        Followed(playbook_id=PLAYBOOK, version=1, match=0.5, document=msgspec.structs.replace(playbook(), key="x")),
    ),
    "escalations.add": lambda tx, w: tx.escalations.add(
        SESSION, an_escalation(w.job.run_at, id=UUID(int=8), state="withdrawn")
    ),
    "escalations.close": lambda tx, w: tx.escalations.close(SESSION, an_escalation(w.job.run_at, state="withdrawn")),
    "lanes.put": lambda tx, w: tx.lanes.put(SESSION, StoredLane(rev=2, lane=Lane()), 1),
    "searches.put": lambda tx, w: tx.searches.put(SESSION, A_DOCUMENT, 0),
    "overheard.said": lambda tx, w: tx.overheard.said(stored_message(w)),
    "overheard.taken_back": lambda tx, w: tx.overheard.taken_back(stored_message(w)),
    "spaces.activate": lambda tx, w: tx.spaces.activate(A_SPACE),
    "vectors.put": lambda tx, w: tx.vectors.put(A_SPACE, an_embedded(packed([1.0, 0.0]))),
    "vectors.remove": lambda tx, w: tx.vectors.remove(A_SPACE, [SESSION]),
    "spaces.remove": lambda tx, w: tx.spaces.remove(A_SPACE),
}
WITHOUT_AN_ID = {"playbooks.add", "sessions.add", "spaces.begin", "searches.outdate"}
