"""What came of a session, as callers see it: what was made of it, and the notes to its ticket."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from workbench.domain.tickets.model import FailureCode, PushKind, PushStatus, Visibility
from workbench.domain.troubleshooting.outputs import OutputKind, OutputState

NotPushed = Literal["not_linked", "not_requested"]
"""There is no ticket, or nothing was to be told there."""


class OutputInProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is made of a resolved session, and how far that is."""

    kind: OutputKind
    state: OutputState


class OutputView(OutputInProgress, frozen=True, kw_only=True):
    """What was made of a resolved session. `session_version` tells what is of one resolution from what is of another."""

    session_version: int
    content: Mapping[str, Any] | None
    generated_by: Literal["template", "model"]
    error_code: str | None
    created_at: datetime


class OutputList(msgspec.Struct, frozen=True, kw_only=True):
    """What was made of a session, of its newest resolution first."""

    items: list[OutputView]


class PushView(msgspec.Struct, frozen=True, kw_only=True):
    """A note to the ticket, and how far that is. The body is gone where somebody was erased who may have said part of it."""

    id: UUID
    kind: PushKind
    visibility: Visibility
    connection_id: UUID
    psa_ticket_id: str
    status: PushStatus
    attempt_count: int
    manual_attempts: int
    next_attempt_at: datetime | None
    external_note_id: str | None
    http_status: int | None
    error_code: FailureCode | None
    error_summary: str | None
    body: str | None
    created_at: datetime
    posted_at: datetime | None


class PushList(msgspec.Struct, frozen=True, kw_only=True):
    """The notes to the ticket of a session, the newest first."""

    items: list[PushView]


class PushRetried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one more try."""

    push_id: UUID
    psa_push_status: PushStatus
    psa_push_error: str | None
    next_attempt_at: datetime | None
