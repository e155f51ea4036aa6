"""What troubleshooting sessions need to have stored."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Protocol
from uuid import UUID

import msgspec

from workbench.domain.budgets.ports import BudgetTx
from workbench.domain.conversations.ports import ConversationTx
from workbench.domain.files.ports import Files
from workbench.domain.paging import Cursor
from workbench.domain.playbooks.confidence import Tier
from workbench.domain.playbooks.ports import Playbooks
from workbench.domain.tickets.ports import TicketSystemTx
from workbench.domain.troubleshooting.access import Person
from workbench.domain.troubleshooting.lanes import Lane
from workbench.domain.troubleshooting.model import (
    Branch,
    Escalation,
    Followed,
    Session,
    SessionStatus,
    SessionStep,
    SessionType,
    Ticket,
)
from workbench.domain.troubleshooting.outputs import OutputKind, Rephrased, StoredOutput
from workbench.domain.troubleshooting.searching import Wanted
from workbench.domain.turns.ports import TurnTx
from workbench.domain.usage.ports import UsageTx

SessionRole = Literal["owner", "handler", "any"]


class SessionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which of a person's sessions: those they own, handle, or `any` of both, handled formerly among them."""

    person_id: str
    role: SessionRole = "any"
    statuses: tuple[SessionStatus, ...] = ()
    problem_domain: str | None = None
    matched_flow_id: UUID | None = None
    confidence_tier: Tier | None = None
    session_type: SessionType | None = None
    ticket_id: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    text: str | None = None
    """What somebody looks for, as they wrote it."""
    words: Wanted | None = None
    """The words that are made of it."""


class SessionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Which stretch of a list, the newest first: behind a place, or after so many."""

    limit: int
    skip: int = 0
    behind: Cursor | None = None


class QueuePlace(msgspec.Struct, frozen=True, array_like=True):
    """A place in the queue of escalations: the next page starts behind it."""

    rank: Annotated[int, msgspec.Meta(ge=0, le=9)]
    requested_at: Annotated[datetime, msgspec.Meta(tz=True)]
    id: UUID


class Queued(msgspec.Struct, frozen=True, kw_only=True):
    """A session that waits for somebody to take it over, and why."""

    session: Session
    escalation: Escalation


class StoredLane(msgspec.Struct, frozen=True, kw_only=True):
    """A task lane and how often it was stored."""

    rev: int
    lane: Lane


class Sessions(Protocol):
    """The sessions of one workspace."""

    async def find(self, session_id: UUID) -> Session | None:
        """The session."""
        ...

    async def find_deleted(self, session_id: UUID) -> Session | None:
        """The session, if it is deleted and not removed yet."""
        ...

    async def page(self, wanted: SessionFilter, stretch: SessionPage) -> Sequence[Session]:
        """Those of the sessions, the newest first."""
        ...

    async def count(self, wanted: SessionFilter) -> int:
        """How many there are."""
        ...

    async def versions(self, session_ids: Sequence[UUID]) -> dict[UUID, int]:
        """Which versions of the sessions are stored now; those that are gone or deleted are left out."""
        ...

    def add(self, session: Session) -> None:
        """Store a new session."""
        ...

    def change(self, session: Session) -> None:
        """Store it as changed; stale where another did so since this block read it."""
        ...


class SessionSteps(Protocol):
    """The steps of sessions, on their branches, and the playbooks that they are of."""

    async def branches(self, session_id: UUID) -> Sequence[Branch]:
        """A session's branches, in the order of making."""
        ...

    async def branches_of_each(self, session_ids: Sequence[UUID]) -> dict[UUID, list[Branch]]:
        """The same of many."""
        ...

    async def waiting_of_each(self, session_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
        """The branches of many sessions that have an open step."""
        ...

    async def of(self, session_id: UUID) -> Sequence[SessionStep]:
        """A session's steps, those of a branch together, in their order."""
        ...

    async def followed(self, session_id: UUID) -> Sequence[Followed]:
        """The playbooks that the session took up."""
        ...

    def branch(self, session_id: UUID, branch: Branch) -> None:
        """Store a branch, new or changed."""
        ...

    def add(self, session_id: UUID, step: SessionStep) -> None:
        """Store a new step; in conflict where the branch has one open."""
        ...

    def change(self, session_id: UUID, step: SessionStep) -> None:
        """Store the answer to a step, or what took its place; stale where it was not open any more."""
        ...

    def follow(self, session_id: UUID, followed: Followed) -> None:
        """Keep the playbook that the session takes up."""
        ...


class Escalations(Protocol):
    """Who was asked to take sessions over."""

    async def of(self, session_id: UUID) -> Sequence[Escalation]:
        """A session's escalations, the oldest first."""
        ...

    async def of_each(self, session_ids: Sequence[UUID]) -> dict[UUID, list[Escalation]]:
        """The same of many, without their packets, of which one holds what was said in many steps."""
        ...

    async def queue(self, person: Person, behind: QueuePlace | None, limit: int) -> Sequence[Queued]:
        """The open ones that the person may pick up: the most urgent first, of the same urgency the oldest."""
        ...

    def add(self, session_id: UUID, escalation: Escalation) -> None:
        """Store a new one; in conflict where one is open."""
        ...

    def close(self, session_id: UUID, escalation: Escalation) -> None:
        """Store how it ended; stale where it was not open any more."""
        ...

    def alarm(self, session_id: UUID, escalation: Escalation) -> None:
        """Store when it was told that nobody takes it; stale where it was told before, or is not open any more."""
        ...


class Lanes(Protocol):
    """The task lanes beside sessions."""

    async def find(self, session_id: UUID) -> StoredLane | None:
        """The lane, once somebody has stored one."""
        ...

    async def revs_of_each(self, session_ids: Sequence[UUID]) -> dict[UUID, int]:
        """How often the lanes of many sessions were stored; those without one are left out."""
        ...

    def put(self, session_id: UUID, lane: StoredLane, read_rev: int) -> None:
        """Store it; stale where another revision than `read_rev` is stored by now, or any where that is 0."""
        ...


class GenerationTx(BudgetTx, UsageTx, Protocol):
    """The slice of a transaction that using a model for a session touches."""


class SessionTickets(Protocol):
    """Which tickets sessions belong to; who reads a session reads its ticket with it."""

    def put(self, session_id: UUID, ticket: Ticket) -> None:
        """Store it, in the place of the one before if there was one."""
        ...


class Outputs(Protocol):
    """What resolved sessions leave."""

    async def of_session(self, session_id: UUID, limit: int) -> Sequence[StoredOutput]:
        """Those of a session, of its newest version first."""
        ...

    async def of_version(self, session_id: UUID, session_version: int) -> Sequence[StoredOutput]:
        """Those of one version of a session."""
        ...

    def add(self, session_id: UUID, output: StoredOutput, people: Sequence[str]) -> None:
        """Store a new one. `people` are those whose words it may hold."""
        ...

    def change(self, session_id: UUID, output: StoredOutput) -> None:
        """Store what it came to."""
        ...

    async def rephrased(self, session_id: UUID) -> Rephrased | None:
        """The documentation of a session in a model's words, of the newest version that there is one of."""
        ...

    def keep_rephrased(self, session_id: UUID, text: Rephrased, people: Sequence[str], at: datetime) -> None:
        """Store it, in the place of those of older versions. `people` are those whose words it may hold."""
        ...

    def tell(self, session_id: UUID, session_version: int, kind: OutputKind, at: datetime) -> None:
        """Keep, at one of them, that all of the version were told of; stale where somebody did so meanwhile."""
        ...


class SessionTx(ConversationTx, GenerationTx, TicketSystemTx, Protocol):
    """The slice of a transaction that sessions may touch."""

    @property
    def tickets(self) -> SessionTickets: ...
    @property
    def outputs(self) -> Outputs: ...

    @property
    def playbooks(self) -> Playbooks: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def session_steps(self) -> SessionSteps: ...
    @property
    def escalations(self) -> Escalations: ...
    @property
    def lanes(self) -> Lanes: ...


class ChatTx(TurnTx, SessionTx, Protocol):
    """The slice of a transaction that chats of sessions may touch: what is said in them are turns."""

    @property
    def files(self) -> Files: ...
