"""The part of the wall between workspaces that troubleshooting adds: a session with all of it, playbooks, every method."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from tests.support.playbooks import playbook

from workbench.adapters.sql.transactions import SqlTransaction
from workbench.domain.embeddings.model import Descriptor, Embedded, Space, packed
from workbench.domain.idempotency.model import Answer, Attempt, Entry
from workbench.domain.identity.model import Principal
from workbench.domain.messages.model import StoredMessage
from workbench.domain.playbooks.model import content_hash
from workbench.domain.playbooks.steps import manual_step
from workbench.domain.playbooks.versions import PlaybookVersion, StoredPlaybook
from workbench.domain.tickets.model import Connection, Push
from workbench.domain.troubleshooting.access import Person
from workbench.domain.troubleshooting.choices import Choices
from workbench.domain.troubleshooting.documents import Document
from workbench.domain.troubleshooting.lanes import Lane
from workbench.domain.troubleshooting.model import Branch, Escalation, Followed, Intake, Session, SessionStep, Ticket
from workbench.domain.troubleshooting.outputs import Rephrased, RephrasedText, StoredOutput
from workbench.domain.troubleshooting.ports import SessionFilter, SessionPage, StoredLane
from workbench.domain.troubleshooting.searches import Beholder
from workbench.domain.troubleshooting.searching import Term, Wanted
from workbench.domain.users.model import StoredUser

CAY = Principal(workspace_id="default", role="user", id="cay")
ATTEMPT = Attempt(method="POST", route="/ai-sessions", key="key", request_hash="hash")
SESSION, BRANCH, STEP, ESCALATION, PLAYBOOK, CONNECTION, PUSH, SPACE = (UUID(int=number) for number in range(101, 109))
CAYS = SessionFilter(person_id="cay")
CAYS_EYES = Beholder(person_id="cay", with_resolved=True)
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


def an_entry(now: datetime) -> Entry:
    """A request that is under way."""
    return Entry(request_hash="hash", claim="claim", claimed_until=now, expires_at=now)


def a_connection(now: datetime, **members: Any) -> Connection:
    """Where tickets are."""
    usual: dict[str, Any] = {
        "id": CONNECTION,
        "kind": "webhook",
        "name": "Desk",
        "config": {"url": "https://a.example"},
    }
    return Connection(**{**usual, "created_at": now, "updated_at": now, **members})


def a_push(now: datetime, **members: Any) -> Push:
    """A note that waits."""
    usual: dict[str, Any] = {
        "id": PUSH,
        "session_id": SESSION,
        "connection_id": CONNECTION,
        "psa_ticket_id": "4711",
        "kind": "resolution",
        "visibility": "internal",
        "author_id": "cay",
        "marker": "m",
        "dedupe_key": "k",
        "created_at": now,
        "next_attempt_at": now,
        "body": "It prints",
    }
    return Push(**{**usual, **members})


def an_output(now: datetime, **members: Any) -> StoredOutput:
    """What is to be made of a resolved session."""
    usual: dict[str, Any] = {"kind": "ticket_notes", "session_version": 1, "created_at": now}
    return StoredOutput(**{**usual, **members})


def a_text(session_version: int) -> Rephrased:
    """A documentation in a model's words."""
    text = RephrasedText(template_version=1, model="fast", markdown="# It prints")
    return Rephrased(session_version=session_version, content=text)


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
    tx.ticket_systems.add(a_connection(now), "1:sealed")
    tx.tickets.put(SESSION, Ticket(id="4711", connection_id=CONNECTION))
    tx.pushes.add(a_push(now), ["cay"])
    tx.outputs.add(SESSION, an_output(now), ["cay"])
    tx.outputs.keep_rephrased(SESSION, a_text(1), ["cay"], now)
    tx.choices.choose("share_resolutions", wanted=True)
    tx.spaces.begin(A_SPACE)
    tx.vectors.put(A_SPACE, an_embedded())


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
    "sessions.versions": (lambda tx, w: tx.sessions.versions([SESSION]), {}),
    "sessions.count": (lambda tx, w: tx.sessions.count(CAYS), 0),
    "session_steps.branches": (lambda tx, w: tx.session_steps.branches(SESSION), []),
    "session_steps.branches_of_each": (lambda tx, w: tx.session_steps.branches_of_each([SESSION]), {}),
    "session_steps.waiting_of_each": (lambda tx, w: tx.session_steps.waiting_of_each([SESSION]), {}),
    "session_steps.of": (lambda tx, w: tx.session_steps.of(SESSION), []),
    "session_steps.followed": (lambda tx, w: tx.session_steps.followed(SESSION), []),
    "escalations.of": (lambda tx, w: tx.escalations.of(SESSION), []),
    "escalations.of_each": (lambda tx, w: tx.escalations.of_each([SESSION]), {}),
    "escalations.queue": (lambda tx, w: tx.escalations.queue(Person(id="ann", works=True), None, 10), []),
    "lanes.revs_of_each": (lambda tx, w: tx.lanes.revs_of_each([SESSION]), {}),
    "lanes.find": (lambda tx, w: tx.lanes.find(SESSION), None),
    "ticket_systems.all": (lambda tx, w: tx.ticket_systems.all(), []),
    "ticket_systems.find": (lambda tx, w: tx.ticket_systems.find(CONNECTION), None),
    "ticket_systems.sealed": (lambda tx, w: tx.ticket_systems.sealed(CONNECTION), None),
    "pushes.of_session": (lambda tx, w: tx.pushes.of_session(SESSION, 10), []),
    "pushes.newest_of_each": (lambda tx, w: tx.pushes.newest_of_each([SESSION]), {}),
    "pushes.with_key": (lambda tx, w: tx.pushes.with_key("k"), None),
    "outputs.of_session": (lambda tx, w: tx.outputs.of_session(SESSION, 10), []),
    "outputs.rephrased": (lambda tx, w: tx.outputs.rephrased(SESSION), None),
    "outputs.of_version": (lambda tx, w: tx.outputs.of_version(SESSION, 1), []),
    "searches.find": (lambda tx, w: tx.searches.find(CAYS_EYES.person_id, PRINT, 10), []),
    "searches.alike": (lambda tx, w: tx.searches.alike(CAYS_EYES, ["print"], 10), []),
    "searches.sharing": (lambda tx, w: tx.searches.sharing(["print"], 10), []),
    "searches.frequencies": (lambda tx, w: tx.searches.frequencies(["print"], 10), {"print": 0}),
    "searches.count": (lambda tx, w: tx.searches.count(10), 0),
    "searches.neighbours": (lambda tx, w: tx.searches.neighbours(CAYS_EYES, [SESSION]), []),
    "searches.said_in": (
        lambda tx, w: tx.searches.said_in([some_session(SESSION, w.conversation.id, w.job.run_at)]),
        {SESSION: []},
    ),
    "searches.sessions": (lambda tx, w: tx.searches.sessions([SESSION]), []),
    "searches.hashes": (lambda tx, w: tx.searches.hashes([SESSION]), {}),
    "searches.one": (lambda tx, w: tx.searches.one(SESSION), None),
    "searches.behind": (lambda tx, w: tx.searches.behind(None, 10), []),
    "choices.own": (lambda tx, w: tx.choices.own(), Choices()),
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
    "ticket_systems.change": lambda tx, w: tx.ticket_systems.change(a_connection(w.job.run_at, name="X"), "1:other"),
    "ticket_systems.note_health": lambda tx, w: tx.ticket_systems.note_health(CONNECTION, "ok", w.job.run_at),
    "ticket_systems.switch_off": lambda tx, w: tx.ticket_systems.switch_off(CONNECTION, w.job.run_at),
    "ticket_systems.remove": lambda tx, w: tx.ticket_systems.remove(CONNECTION, w.job.run_at),
    "tickets.put": lambda tx, w: tx.tickets.put(SESSION, Ticket(id="4712", connection_id=CONNECTION)),
    "pushes.add": lambda tx, w: tx.pushes.add(a_push(w.job.run_at, id=UUID(int=9), dedupe_key="l"), ["cay"]),
    "pushes.cancel_of": lambda tx, w: tx.pushes.cancel_of(SESSION),
    "pushes.cancel_to": lambda tx, w: tx.pushes.cancel_to(CONNECTION),
    "pushes.hurry": lambda tx, w: tx.pushes.hurry(w.job.run_at + timedelta(days=1)),
    "outputs.add": lambda tx, w: tx.outputs.add(SESSION, an_output(w.job.run_at, session_version=2), ["cay"]),
    "outputs.change": lambda tx, w: tx.outputs.change(SESSION, an_output(w.job.run_at, state="failed")),
    "outputs.keep_rephrased": lambda tx, w: tx.outputs.keep_rephrased(SESSION, a_text(2), ["cay"], w.job.run_at),
    "outputs.tell": lambda tx, w: tx.outputs.tell(SESSION, 1, "ticket_notes", w.job.run_at),
    "searches.put": lambda tx, w: tx.searches.put(SESSION, A_DOCUMENT, 0),
    "occupants.make_way": lambda tx, w: tx.occupants.make_way(w.conversation.id),
    "overheard.said": lambda tx, w: tx.overheard.said(stored_message(w)),
    "overheard.taken_back": lambda tx, w: tx.overheard.taken_back(stored_message(w)),
    "choices.choose": lambda tx, w: tx.choices.choose("share_resolutions", wanted=None),
    "spaces.activate": lambda tx, w: tx.spaces.activate(A_SPACE),
    "vectors.put": lambda tx, w: tx.vectors.put(A_SPACE, an_embedded(packed([1.0, 0.0]))),
    "vectors.remove": lambda tx, w: tx.vectors.remove(A_SPACE, [SESSION]),
    "spaces.remove": lambda tx, w: tx.spaces.remove(A_SPACE),
}
WITHOUT_AN_ID = {
    "playbooks.add",
    "sessions.add",
    "ticket_systems.add",
    "pushes.settle",
    "spaces.begin",
    "searches.outdate",
}
"""Settling takes a claim, which tests/contracts/test_pushes.py has."""
