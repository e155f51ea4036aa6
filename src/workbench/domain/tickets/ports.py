"""What ticket systems need: the systems themselves, a box for their secrets, and what is stored."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from workbench.domain.audit.ports import AuditLog
from workbench.domain.tickets.model import ClaimedPush, Connection, Health, Note, Push, PushKind, PushStatus


class TicketSystem(Protocol):
    """A ticket system, by one connection. Each method raises TicketSystemError."""

    async def verify(self) -> None:
        """Make sure that it can be reached, and takes the keys."""
        ...

    async def get_ticket(self, ticket_id: str) -> dict[str, Any] | None:
        """Look a ticket up; None where the system cannot be asked for tickets."""
        ...

    async def post_note(self, note: Note) -> str | None:
        """Put a note down at its ticket. Answers with the note's id there, if it gets one."""
        ...

    async def find_note(self, ticket_id: str, marker: str) -> str | None:
        """Look for the note with the marker; its id, or None where it is not there or nobody can say."""
        ...


class TicketSystems(Protocol):
    """The kinds of ticket systems that are known."""

    def require_callable(self, connection: Connection) -> None:
        """Make sure that it may be called where it is said to be. Raises InvalidError naming `config`."""
        ...

    def require_secret(self, connection: Connection, secret: dict[str, Any]) -> None:
        """Make sure that the secret can be used. Raises InvalidError naming `secret`."""
        ...

    def open(self, workspace_id: str, connection: Connection, sealed: str) -> TicketSystem:
        """Reach a ticket system by a connection. Raises TicketSystemError `secret_lost`."""
        ...


class SecretBox(Protocol):
    """Keeps secrets so that only this service can read them. `owner` says whose: no other can be given them."""

    def seal(self, owner: str, secret: dict[str, Any]) -> str:
        """Encrypt under the newest key."""
        ...

    def open(self, owner: str, sealed: str) -> dict[str, Any]:
        """Decrypt, under whichever key it was sealed. Raises TicketSystemError `secret_lost`."""
        ...


class SecretKeys(Protocol):
    """The keys of a SecretBox."""

    def renew(self) -> int:
        """Make a new key, under which everything is sealed from now on; its number."""
        ...

    def forget_older(self) -> int:
        """Remove all keys but the newest and the one before it, by which a secret may be sealed this moment; how many."""
        ...


class SealedSecrets(Protocol):
    """The sealed secrets of all workspaces, to be sealed anew."""

    async def all(self) -> Sequence[tuple[str, UUID, str]]:
        """Workspace, connection and sealed secret of each."""
        ...

    async def replace(self, workspace_id: str, connection_id: UUID, old: str, new: str) -> bool:
        """Store it anew, unless somebody changed it meanwhile."""
        ...


class Connections(Protocol):
    """The ticket systems that one workspace has connected."""

    async def all(self) -> Sequence[Connection]:
        """All of them, the oldest first."""
        ...

    async def find(self, connection_id: UUID) -> Connection | None:
        """One of them."""
        ...

    async def sealed(self, connection_id: UUID) -> str | None:
        """Its secret as it is kept."""
        ...

    def add(self, connection: Connection, sealed: str) -> None:
        """Store a new one."""
        ...

    def change(self, connection: Connection, sealed: str | None = None) -> None:
        """Store it as changed, with another secret if there is one; stale where another did so meanwhile."""
        ...

    def note_health(self, connection_id: UUID, health: Health, at: datetime) -> None:
        """Keep how it was found."""
        ...

    def switch_off(self, connection_id: UUID, at: datetime) -> None:
        """Let nothing be sent there any more."""
        ...

    def remove(self, connection_id: UUID, at: datetime) -> None:
        """Forget what it is and its secret. Its id stays, for what was sent there refers to it."""
        ...


class Pushes(Protocol):
    """What is to be brought to the tickets of one workspace, and was."""

    async def of_session(self, session_id: UUID, limit: int) -> Sequence[Push]:
        """Those of a session, the newest first."""
        ...

    async def newest_of_each(self, session_ids: Sequence[UUID]) -> dict[UUID, PushStatus]:
        """How far the newest one of each session is; those without any are left out."""
        ...

    async def with_key(self, dedupe_key: str) -> Push | None:
        """The one that says the same."""
        ...

    def add(self, push: Push, people: Sequence[str]) -> None:
        """Store a new one. `people` are those whose words its body may hold."""
        ...

    def settle(self, claimed: ClaimedPush, after: Push) -> None:
        """Store what became of it; stale where the claim was lost."""
        ...

    def cancel_of(self, session_id: UUID) -> None:
        """Bring nothing more of a session."""
        ...

    def cancel_to(self, connection_id: UUID) -> None:
        """Bring nothing more by a connection."""
        ...

    def hurry(self, at: datetime) -> None:
        """Let everything that waits be due."""
        ...


class TicketSystemTx(Protocol):
    """The slice of a transaction that connections may touch."""

    @property
    def ticket_systems(self) -> Connections: ...
    @property
    def pushes(self) -> Pushes: ...
    @property
    def audit(self) -> AuditLog: ...


class PushQueue(Protocol):
    """The pushes of all workspaces, as workers take them up."""

    async def claim(self, now: datetime, limit: int, workspace_id: str | None = None) -> Sequence[ClaimedPush]:
        """Take up what is due and can be sent, of all workspaces or of one, the one due longest first.

        What another worker has is left to it until its time is up. Each counts as a try.
        """
        ...

    async def take(self, workspace_id: str, push_id: UUID) -> ClaimedPush | None:
        """Take up one that failed, or waits to be tried again, for a person; None where somebody else has it."""
        ...

    async def oldest(self) -> datetime | None:
        """Since when the oldest one waits."""
        ...


PushResult = Literal["sent", "found", "retry", "failed", "cancelled"]


class PushMeter(Protocol):
    """Where tries are counted."""

    def pushed(self, kind: PushKind, result: PushResult) -> None:
        """Count a try."""
        ...

    def oldest_push(self, seconds: float) -> None:
        """Note how long the oldest one waits."""
        ...
