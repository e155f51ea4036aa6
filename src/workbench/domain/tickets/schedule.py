"""What becomes of a push after a try: it is there, it is tried again later, or it is given up."""

from datetime import datetime, timedelta

import msgspec

from workbench.domain.tickets.model import WORTH_REPEATING, ClaimedPush, Push, TicketSystemError

SPREAD = 0.2


class PushPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait after each failed try, in seconds. There is one try more than there are waits."""

    retry_seconds: tuple[float, ...] = (60, 300, 900, 3600, 14400, 43200)

    @property
    def attempts(self) -> int:
        """How often it is tried in all."""
        return len(self.retry_seconds) + 1

    def pause(self, attempt: int, luck: float) -> float:
        """How long to wait after that try; `luck` in [0, 1) spreads it by a fifth to either side."""
        return self.retry_seconds[attempt - 1] * (1 - SPREAD + 2 * SPREAD * luck)

    def is_worn_out(self, claimed: ClaimedPush) -> bool:
        """Whether its last try ended without a word, so that it may only be looked for."""
        return not claimed.is_manual and claimed.push.attempt_count > self.attempts


def arrived(claimed: ClaimedPush, note_id: str | None, now: datetime) -> Push:
    """The note is there."""
    return msgspec.structs.replace(
        claimed.push,
        status="sent",
        may_be_there=False,
        external_note_id=note_id,
        http_status=None,
        error_code=None,
        posted_at=now,
        next_attempt_at=None,
    )


def cancelled(claimed: ClaimedPush) -> Push:
    """There is nothing to be brought any more."""
    return msgspec.structs.replace(claimed.push, status="cancelled", next_attempt_at=None)


def failed(claimed: ClaimedPush, error: TicketSystemError, policy: PushPolicy, now: datetime, luck: float) -> Push:
    """The try failed. One that a person asked for changes nothing of when the next one is due; one held back was none."""
    if error.was_held_back and not claimed.is_manual:
        later = now + timedelta(seconds=error.retry_after_seconds or 0.0)
        tries = claimed.push.attempt_count - 1
        return msgspec.structs.replace(claimed.push, status="pending_retry", attempt_count=tries, next_attempt_at=later)
    push = msgspec.structs.replace(
        claimed.push, may_be_there=error.is_ambiguous, http_status=error.http_status, error_code=error.failure
    )
    if error.failure not in WORTH_REPEATING:
        return msgspec.structs.replace(push, status="failed", next_attempt_at=None)
    if claimed.is_manual:
        return msgspec.structs.replace(push, status=claimed.before)
    if push.attempt_count >= policy.attempts:
        return msgspec.structs.replace(push, status="failed", next_attempt_at=None)
    seconds = max(policy.pause(push.attempt_count, luck), error.retry_after_seconds or 0.0)
    return msgspec.structs.replace(push, status="pending_retry", next_attempt_at=now + timedelta(seconds=seconds))
