"""What retention, erasure and stats need to have stored."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from workbench.domain.assistants.ports import AssistantTx
from workbench.domain.audit.ports import AuditLog
from workbench.domain.contents.model import Content
from workbench.domain.contents.ports import Contents
from workbench.domain.files.model import FileAtVersion, StoredFile, StoredVersion
from workbench.domain.files.ports import Files
from workbench.domain.jobs.ports import Jobs
from workbench.domain.lifecycle.model import Cutoffs, Expired, OwnTerms, Terms, WorkspaceRules
from workbench.domain.lifecycle.person import Erased, Erasure
from workbench.domain.messages.model import Message
from workbench.domain.messages.ports import Messages
from workbench.domain.participants.ports import Participants


class RetentionRules(Protocol):
    """The rules of one workspace and of its conversations."""

    async def of_workspace(self) -> WorkspaceRules:
        """The workspace's own."""
        ...

    async def of_conversation(self, conversation_id: UUID) -> Terms:
        """The conversation's own; null is as the workspace has it."""
        ...

    async def own_terms(self, after: UUID | None, limit: int) -> Sequence[OwnTerms]:
        """The next conversations with terms of their own, by id."""
        ...

    def set_workspace(self, rules: WorkspaceRules) -> None:
        """Put these in the place of the workspace's rules."""
        ...

    def set_conversation(self, conversation_id: UUID, terms: Terms) -> None:
        """Put these in the place of the conversation's rules."""
        ...


class RetentionTx(Protocol):
    """The slice of a transaction that rules of retention touch."""

    @property
    def participants(self) -> Participants: ...
    @property
    def retention(self) -> RetentionRules: ...
    @property
    def audit(self) -> AuditLog: ...


class AgedMessages(Protocol):
    """Messages and what repeats them, by age, across workspaces. Each removal is one bounded step."""

    async def workspaces(self) -> Sequence[str]:
        """Every workspace in which anything was ever said."""
        ...

    async def conversations(
        self, workspace_id: str, before: datetime, after: UUID | None, limit: int
    ) -> Sequence[UUID]:
        """The next conversations, by id, whose first message is older."""
        ...

    async def remove(self, workspace_id: str, conversation_id: UUID, before: datetime, limit: int) -> int:
        """Forget what is older of the conversation's first `limit` messages; says how many."""
        ...

    async def remove_letters(
        self, workspace_id: str, conversation_id: UUID | None, before: datetime, limit: int
    ) -> int:
        """Forget dead letters that were set aside before that time, in a conversation or in all; says how many."""
        ...

    async def remove_audit_entries(self, before: datetime, limit: int) -> int:
        """Forget the oldest entries of the audit record; says how many."""
        ...

    async def count(self, workspace_id: str, conversation_id: UUID | None, before: Cutoffs, since: Cutoffs) -> Expired:
        """How much there is between the two times, by kind, in a conversation or in all."""
        ...

    async def count_audit_entries(self, before: datetime) -> int:
        """How many entries of the audit record are older."""
        ...


class FileVersions(Protocol):
    """Single versions of the files of one workspace."""

    async def older(self, conversation_id: UUID | None, before: datetime, limit: int) -> Sequence[FileAtVersion]:
        """Versions stored before that time, in a conversation or in all; those of one file are neighbours."""
        ...

    async def of_user(self, user_id: str, limit: int) -> Sequence[FileAtVersion]:
        """Versions that the user stored; those of one file are neighbours."""
        ...

    async def newest_but(self, file_id: UUID, versions: Sequence[int]) -> StoredVersion | None:
        """The newest version of a file but for those."""
        ...

    def drop(self, file: StoredFile, versions: Sequence[StoredVersion], current_version: int) -> None:
        """Forget versions, but not all, and give their room back; stale where the file changed since it was read."""
        ...

    def replace(self, file: StoredFile, versions: Sequence[StoredVersion], content: Content, author_id: str) -> None:
        """Let versions have another content and another author; stale where the file changed since it was read."""
        ...


class ExpiryTx(Protocol):
    """The slice of a transaction that removing by age touches."""

    @property
    def retention(self) -> RetentionRules: ...
    @property
    def audit(self) -> AuditLog: ...
    @property
    def files(self) -> Files: ...
    @property
    def file_versions(self) -> FileVersions: ...
    @property
    def jobs(self) -> Jobs: ...


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A message in a conversation of a person's, with its place there, and whether it is their own."""

    conversation_id: UUID
    sequence: int
    message: Message
    is_own: bool


class Estate(Protocol):
    """What a person has in one workspace."""

    async def knows(self, user_id: str) -> str | None:
        """The person's name, if there is anything of theirs; empty where they have none."""
        ...

    async def active_in(self, user_id: str, limit: int) -> Sequence[UUID]:
        """Conversations in which they are active."""
        ...

    async def owned(self, user_id: str, after: UUID | None, limit: int) -> Sequence[UUID]:
        """The next conversations that they own, by id."""
        ...

    async def seated_in(self, user_id: str, limit: int) -> Sequence[UUID]:
        """Conversations in which they have a seat, active or not."""
        ...

    async def said(self, user_id: str, after: tuple[UUID, int] | None, limit: int) -> Sequence[Said]:
        """The next messages, in their conversations, that are theirs or have debug data."""
        ...

    async def heir_of_service(self, assistant_service_id: str, user_id: str) -> str | None:
        """The owner of the oldest assistant that somebody else has at the service."""
        ...

    def hand_over(self, conversation_id: UUID, user_id: str, heir_id: str) -> None:
        """Let another own the conversation; stale where it is not theirs any more."""
        ...

    def forget_debug_data(self, message_id: UUID) -> None:
        """Forget the debug data of a message."""
        ...


class Mended(msgspec.Struct, frozen=True, kw_only=True):
    """What a step over a table did; `place` is where to go on, null at its end."""

    place: Any
    changed: int
    removed: int


class Traces(Protocol):
    """Every table of one workspace, as far as it may name a person."""

    def tables(self) -> Sequence[str]:
        """The tables to walk, in order."""
        ...

    async def mend(self, table: str, person: Erased, place: Any) -> Mended:
        """Take the person out of the next rows of a table; stale where one of them changes meanwhile."""
        ...

    async def count(self, table: str, person: Erased) -> int:
        """How many rows of a table name the person."""
        ...


class Erasures(Protocol):
    """The erasures of one workspace."""

    async def find(self, erasure_id: UUID) -> Erasure | None:
        """One of them."""
        ...

    async def under_way(self, user_id: str) -> Erasure | None:
        """That of a person, if it has begun and not ended."""
        ...

    async def latest(self, subject: str) -> Erasure | None:
        """The last one of a subject."""
        ...

    def add(self, erasure: Erasure) -> None:
        """Begin one; stale where one of the same person is under way."""
        ...

    def save(self, erasure: Erasure) -> None:
        """Store how far it is; stale where somebody else went on with it."""
        ...


class ErasureTx(AssistantTx, Protocol):
    """The slice of a transaction that erasure touches."""

    @property
    def messages(self) -> Messages: ...
    @property
    def files(self) -> Files: ...
    @property
    def file_versions(self) -> FileVersions: ...
    @property
    def contents(self) -> Contents: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def estate(self) -> Estate: ...
    @property
    def traces(self) -> Traces: ...
    @property
    def erasures(self) -> Erasures: ...
    @property
    def audit(self) -> AuditLog: ...


class UnfinishedErasure(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure that nobody goes on with."""

    workspace_id: str
    id: UUID


class UnfinishedErasures(Protocol):
    """Erasures across workspaces."""

    async def left(self, before: datetime) -> Sequence[UnfinishedErasure]:
        """Those that have not ended, and that nobody touched since that time."""
        ...


class Pseudonyms(Protocol):
    """Names that tell nothing of a person but to whoever knows their id and asks here."""

    def of(self, workspace_id: str, user_id: str) -> str:
        """The same for the same person, always; nobody without the key can compute it."""
        ...


class WorkspaceStats(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is in a workspace: rows by what they are, and bytes of files."""

    workspace_id: str
    users: int
    assistant_services: int
    assistants: int
    conversations: int
    messages: int
    files: int
    file_versions: int
    file_bytes: int
    events: int
    deliveries: int
    dead_letters: int
    jobs: int
    audit_entries: int


class Figures(Protocol):
    """How much there is of everything, across workspaces."""

    async def by_workspace(self) -> Sequence[WorkspaceStats]:
        """Each workspace, by id."""
        ...

    async def database_bytes(self) -> int:
        """How large the database is."""
        ...
