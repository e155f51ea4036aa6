"""A ticket system that is connected, a note that is to be pushed to one of its tickets, and what may go wrong."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from workbench.domain.errors import UpstreamError

ConnectionKind = Literal["webhook", "connectwise"]
Health = Literal["ok", "auth_failed", "unreachable", "unknown"]
"""How a connection was found last. With `auth_failed` its notes wait until a test of it passes."""
PushKind = Literal["resolution", "escalation", "status_update"]
Visibility = Literal["internal", "external"]
PushStatus = Literal["pending", "sending", "sent", "pending_retry", "failed", "cancelled"]
FailureCode = Literal[
    "unreachable",
    "timeout",
    "server_error",
    "rate_limited",
    "bad_answer",
    "auth_failed",
    "ticket_not_found",
    "refused",
    "redirected",
    "gone",
    "address_refused",
    "secret_lost",
]

WAITING: frozenset[PushStatus] = frozenset({"pending", "pending_retry"})
WORTH_REPEATING: frozenset[FailureCode] = frozenset(
    {"unreachable", "timeout", "server_error", "rate_limited", "bad_answer", "secret_lost"}
)
"""A secret that this process cannot open may be opened by another, or here when it has got the key."""

SUMMARIES: dict[FailureCode, str] = {
    "unreachable": "The ticket system could not be reached.",
    "timeout": "The ticket system did not answer in time.",
    "server_error": "The ticket system failed.",
    "rate_limited": "The ticket system takes no more requests for now.",
    "bad_answer": "The answer of the ticket system could not be understood.",
    "auth_failed": "The ticket system does not accept the keys of the connection.",
    "ticket_not_found": "The ticket system has no such ticket.",
    "refused": "The ticket system refused the request.",
    "redirected": "The ticket system answered with a redirect, which is not followed.",
    "gone": "The ticket system wants no more notes; the connection is switched off.",
    "address_refused": "The ticket system is at an address that is not called.",
    "secret_lost": "The secret of the connection cannot be opened.",
}
"""What people are told. It never repeats what the ticket system said."""

MAX_BODY = 15_000
CUT = "… (cut)"

# `$` also matches before a line's end that comes last.
TicketId = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$(?!\n)")]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[!-9;-~]+$(?!\n)")]
"""Part of a header: visible ASCII, without a colon to end a user's name."""


class TicketSystemError(UpstreamError):
    """A ticket system did not do what it was asked

    `is_ambiguous` says that it may have done it all the same, `was_held_back` that we did not ask, for we asked too often.
    `http_status` is what it answered, if it did.
    """

    code = "ticket_system_failed"

    def __init__(
        self,
        failure: FailureCode,
        *,
        http_status: int | None = None,
        is_ambiguous: bool = False,
        retry_after_seconds: float | None = None,
        was_held_back: bool = False,
    ) -> None:
        """Keep what is told to people, and never what the ticket system said."""
        super().__init__(SUMMARIES[failure], retry_after_seconds=retry_after_seconds)
        self.failure: FailureCode = failure
        self.http_status = http_status
        self.is_ambiguous = is_ambiguous
        self.was_held_back = was_held_back


class WebhookConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where notes are posted to."""

    url: Annotated[str, msgspec.Meta(min_length=8, max_length=2000, pattern=r"^https?://\S+$(?!\n)")]


class WebhookSecret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What notes are signed with: one key, or two while the receiver changes from one to the other."""

    keys: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=2)]

    def __repr__(self) -> str:
        """Say nothing of them."""
        return "WebhookSecret(...)"


class ConnectWiseConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where ConnectWise PSA is, and how notes are put down there.

    `site` is the host that people use. `resolution_as` says whether resolutions are for colleagues or for the customer,
    `notify` whether ConnectWise sends its mails for a note, `member_map` which member somebody here is there.
    """

    site: Annotated[
        str,
        msgspec.Meta(
            min_length=1, max_length=255, pattern=r"^(https?://)?[A-Za-z0-9]([A-Za-z0-9.-]*)(:[0-9]{1,5})?$(?!\n)"
        ),
    ]
    company_id: Word
    client_id: Word
    api_version: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,4}(\.[0-9]{1,3}){1,2}$(?!\n)")] = "2022.1"
    resolution_as: Literal["internal", "resolution"] = "internal"
    notify: bool = False
    member_map: Annotated[dict[str, Word], msgspec.Meta(max_length=1000)] = {}


class ConnectWiseSecret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of an API member."""

    public_key: Word
    private_key: Word

    def __repr__(self) -> str:
        """Say nothing of them."""
        return "ConnectWiseSecret(...)"


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket system that is connected. Its secret is kept apart from it, and never shown."""

    id: UUID
    kind: ConnectionKind
    name: str
    config: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    enabled: bool = True
    health: Health = "unknown"
    checked_at: datetime | None = None
    version: int = 0

    @property
    def shows_resolutions(self) -> bool:
        """Whether resolutions are for the customer to read."""
        return self.config.get("resolution_as") == "resolution"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """A note as ticket systems get it. `push_id` is the same at every try, and so is the marker in its last line."""

    push_id: UUID
    workspace_id: str
    session_id: UUID
    ticket_id: str
    kind: PushKind
    visibility: Visibility
    body: str
    marker: str
    author_id: str
    occurred_at: datetime


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """A note that is to be brought to a ticket, and how far that is.

    `may_be_there` says that it is not known what became of the last try. The body goes with its session.
    """

    id: UUID
    session_id: UUID
    connection_id: UUID
    psa_ticket_id: str
    kind: PushKind
    visibility: Visibility
    author_id: str
    marker: str
    dedupe_key: str
    created_at: datetime
    next_attempt_at: datetime | None
    status: PushStatus = "pending"
    attempt_count: int = 0
    manual_attempts: int = 0
    may_be_there: bool = False
    external_note_id: str | None = None
    http_status: int | None = None
    error_code: FailureCode | None = None
    posted_at: datetime | None = None
    body: str | None = None

    def note(self, workspace_id: str) -> Note:
        """What the ticket system gets."""
        return Note(
            push_id=self.id,
            workspace_id=workspace_id,
            session_id=self.session_id,
            ticket_id=self.psa_ticket_id,
            kind=self.kind,
            visibility=self.visibility,
            body=self.body or "",
            marker=self.marker,
            author_id=self.author_id,
            occurred_at=self.created_at,
        )


class ClaimedPush(msgspec.Struct, frozen=True, kw_only=True):
    """A push that was taken up. `claim` proves the right to say what became of it.

    A person may have asked for it (`is_manual`): then `before` is how it stood, and how it stands again where nothing came
    of it. `correlation_id` and `trace_parent` are those of the request that set it down, if one did.
    """

    workspace_id: str
    claim: str
    push: Push
    before: PushStatus
    correlation_id: str = ""
    trace_parent: str | None = None
    is_manual: bool = False


def marked(text: str, marker: str) -> str:
    """The body of a note: plain text, cut where it is too long, with a marker by which it is found again."""
    ending = f"\n[wb:{marker}]"
    if len(text) + len(ending) > MAX_BODY:
        text = text[: MAX_BODY - len(ending) - len(CUT)] + CUT
    return text + ending


def is_marked(text: str, marker: str) -> bool:
    """Whether a note is the one with the marker."""
    return f"[wb:{marker}]" in text
