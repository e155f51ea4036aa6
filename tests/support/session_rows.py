"""The part of the wall between workspaces that troubleshooting adds: a session with all of it, playbooks, every method."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from tests.support.playbooks import playbook

from workbench.adapters.sql.transactions import SqlTransaction
from workbench.domain.idempotency.model import Answer, Attempt, Entry
from workbench.domain.identity.model import Principal
from workbench.domain.playbooks.model import content_hash
from workbench.domain.playbooks.steps import manual_step
from workbench.domain.playbooks.versions import PlaybookVersion, StoredPlaybook
from workbench.domain.troubleshooting.access import Person
from workbench.domain.troubleshooting.lanes import Lane
from workbench.domain.troubleshooting.model import Branch, Escalation, Followed, Intake, Session, SessionStep
from workbench.domain.troubleshooting.ports import SessionFilter, SessionPage, StoredLane
from workbench.domain.users.model import StoredUser

SESSION, BRANCH, STEP, ESCALATION, PLAYBOOK = (UUID(int=number) for number in range(101, 106))
CAY = Principal(workspace_id="default", role="user", id="cay")
ATTEMPT = Attempt(method="POST", route="/ai-sessions", key="key", request_hash="hash")
CAYS = SessionFilter(person_id="cay")


def some_session(session_id: UUID, conversation_id: UUID, now: datetime) -> Session:
    """Cay's, in one workspace; in the other she has none."""
    return Session(
        id=session_id,
        conversation_id=conversation_id,
        owner_id="cay",
        handler_id="cay",
        session_type="guided",
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


def an_entry(now: datetime) -> Entry:
    """A request that is under way."""
    return Entry(request_hash="hash", claim="claim", claimed_until=now, expires_at=now)


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
    tx.idempotency_keys.take(CAY, ATTEMPT, an_entry(now), None)
    tx.users.put(
        StoredUser(
            id="cay", name="Cay", image=None, service_user=False, created_datetime=now, team_ids=("night-shift",)
        )
    )


READS: dict[str, tuple[Any, object]] = {
    "playbooks.all": (lambda tx, w: tx.playbooks.all(), []),
    "playbooks.find": (lambda tx, w: tx.playbooks.find("first"), None),
    "playbooks.versions": (lambda tx, w: tx.playbooks.versions(PLAYBOOK), []),
    "playbooks.followed": (lambda tx, w: tx.playbooks.followed(), []),
    "sessions.find": (lambda tx, w: tx.sessions.find(SESSION), None),
    "sessions.find_deleted": (lambda tx, w: tx.sessions.find_deleted(SESSION), None),
    "idempotency_keys.find": (lambda tx, w: tx.idempotency_keys.find(CAY, ATTEMPT), None),
    "users.has_team": (lambda tx, w: tx.users.has_team("night-shift"), False),
    "sessions.page": (lambda tx, w: tx.sessions.page(CAYS, SessionPage(limit=10)), []),
    "sessions.count": (lambda tx, w: tx.sessions.count(CAYS), 0),
    "session_steps.branches": (lambda tx, w: tx.session_steps.branches(SESSION), []),
    "session_steps.of": (lambda tx, w: tx.session_steps.of(SESSION), []),
    "session_steps.followed": (lambda tx, w: tx.session_steps.followed(SESSION), []),
    "escalations.of": (lambda tx, w: tx.escalations.of(SESSION), []),
    "escalations.queue": (lambda tx, w: tx.escalations.queue(Person(id="ann", works=True), None, 10), []),
    "lanes.find": (lambda tx, w: tx.lanes.find(SESSION), None),
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
    "escalations.alarm": lambda tx, w: tx.escalations.alarm(
        SESSION, an_escalation(w.job.run_at, alarmed_at=w.job.run_at)
    ),
    "conversations.hide": lambda tx, w: tx.conversations.hide(w.conversation.id),
    "idempotency_keys.take": lambda tx, w: tx.idempotency_keys.take(
        CAY, ATTEMPT, msgspec.structs.replace(an_entry(w.job.run_at), claim="other"), an_entry(w.job.run_at)
    ),
    "idempotency_keys.keep": lambda tx, w: tx.idempotency_keys.keep(
        CAY, ATTEMPT, "claim", Answer(status=200, body="{}")
    ),
    "idempotency_keys.free": lambda tx, w: tx.idempotency_keys.free(CAY, ATTEMPT, "claim"),
    "lanes.put": lambda tx, w: tx.lanes.put(SESSION, StoredLane(rev=2, lane=Lane()), 1),
}
WITHOUT_AN_ID = {"playbooks.add", "sessions.add"}
