"""A key that a caller gave to a request, what became of that request, and how long this is remembered."""

import re
from datetime import datetime, timedelta
from typing import Any

import msgspec

from workbench.domain.errors import ConflictError, InvalidError

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)
"""How long an answer is given again."""
RUN = timedelta(seconds=150)
"""How long a request may be under way; after that it is taken for one whose process has died, and its key is free."""
RETRY_SECONDS = 2.0
MAX_ANSWER_BYTES = 1 << 20
"""A larger answer is given once. The key stays taken, so that nothing is done twice."""

_VISIBLE = re.compile(r"[\x21-\x7e]{1,128}")


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A request under a key. `route` is the path's template, `request_hash` stands for all that may differ in it."""

    method: str
    route: str
    key: str
    request_hash: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a request was answered with: the status, the headers of its own, and the body as text."""

    status: int
    headers: dict[str, str] = {}
    body: str = ""

    @property
    def is_success(self) -> bool:
        """Whether what was asked for is done. Only that is remembered: a refusal may be none the next time."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the statuses of HTTP

    @property
    def kept_body(self) -> str | None:
        """The body where it is small enough to be given again."""
        return self.body if len(self.body.encode()) <= MAX_ANSWER_BYTES else None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a key. `claim` is proof of the right to answer; until there is a status, nobody has.

    `body` is null where the answer was too large to be kept, or told of somebody who has been erased since.
    """

    request_hash: str
    claim: str
    claimed_until: datetime
    expires_at: datetime
    status: int | None = None
    headers: dict[str, Any] = {}
    body: str | None = None

    def is_free(self, now: datetime) -> bool:
        """Whether another request may have the key: it is forgotten, or whoever had it died over it."""
        return self.expires_at <= now or (self.status is None and self.claimed_until <= now)

    def answer(self, attempt: Attempt) -> Answer:
        """The answer to be given again. Raises ConflictError where the request is another, InProgressError."""
        if self.request_hash != attempt.request_hash:
            raise ConflictError(
                "This Idempotency-Key was used for a different request", code="idempotency_mismatch", field=HEADER
            )
        if self.status is None:
            raise InProgressError
        if self.body is None:
            raise ConflictError(
                "This was done, but its answer is not kept any more", code="idempotency_answer_not_kept"
            )
        return Answer(status=self.status, headers=self.headers, body=self.body)


class InProgressError(ConflictError):
    """The same request is still under way; ask again for its answer"""

    code = "in_progress"
    retry_after_seconds = RETRY_SECONDS


def require_key(text: str) -> str:
    """Let keys pass. Raises InvalidError for what is none."""
    if not _VISIBLE.fullmatch(text):
        raise InvalidError(
            f"{HEADER} has 1 to 128 visible ASCII characters, and no blanks",
            code="invalid_idempotency_key",
            field=HEADER,
        )
    return text
