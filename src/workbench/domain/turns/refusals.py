"""What is said when something about a turn cannot be, each in one place."""

from workbench.domain.errors import ConflictError, GoneError, TooLargeError, UnavailableError, UnprocessableError
from workbench.domain.turns.model import MAX_TOLD_BYTES, Turn

TURN_ACTIVE = "turn_active"


def turn_active(turn: Turn) -> ConflictError:
    """Its assistant has another one under way."""
    extra = {
        "active_turn_id": turn.turn_id,
        "active_status": turn.status,
        "cancel_requested": turn.cancel_requested_at is not None,
        "retry_after_ms": turn.retry_after_ms,
    }
    return ConflictError("The assistant has another turn under way", code=TURN_ACTIVE, extra=extra)


def turn_id_reused(turn: Turn) -> ConflictError:
    """The id is that of another turn."""
    extra = {"turn": {"turn_id": turn.turn_id, "status": turn.status}}
    return ConflictError("This id is that of a turn with another input", code="turn_id_reused", extra=extra)


def turn_id_taken() -> ConflictError:
    """The id is that of somebody else's message."""
    return ConflictError("This id belongs to somebody else's message", code="turn_id_reused", field="turn_id")


def turn_over(turn: Turn) -> ConflictError:
    """The turn has ended."""
    return ConflictError(f"The turn is {turn.status}", code="turn_terminal", extra={"status": turn.status})


def turn_gone() -> GoneError:
    """Nobody is left to be answered."""
    return GoneError("The conversation of the turn, or its answer, was deleted", code="turn_gone")


def stale_epoch(turn: Turn) -> ConflictError:
    """Somebody else makes the turn meanwhile."""
    return ConflictError("The turn has another producer by now", code="stale_epoch", extra={"epoch": turn.epoch})


def lease_held(turn: Turn) -> ConflictError:
    """Somebody else makes the turn, and is heard of."""
    until = turn.lease_expires_at.isoformat() if turn.lease_expires_at else None
    return ConflictError("The turn has a producer", code="lease_held", extra={"lease_expires_at": until})


def batch_gap(turn: Turn) -> ConflictError:
    """A batch is missing before this one."""
    return ConflictError("A batch is missing", code="batch_gap", extra={"expected_batch": turn.last_batch + 1})


def log_full() -> UnavailableError:
    """More came than could be put away meanwhile."""
    return UnavailableError("The log of the turn is being shortened; try again", code="log_full")


def too_much() -> TooLargeError:
    """No answer is as long as that."""
    return TooLargeError(
        f"A turn has no more than {MAX_TOLD_BYTES} bytes of events",
        code="payload_too_large",
        extra={"limit_bytes": MAX_TOLD_BYTES},
    )


def unprocessable(code: str, detail: str, field: str | None = None) -> UnprocessableError:
    """What was sent makes no sense."""
    return UnprocessableError(detail, code=code, field=field)


def turn_settled(turn: Turn) -> ConflictError:
    """The turn ended in a way that is not run again; a new one may follow on it."""
    return ConflictError(
        "This turn is not run again; open another with parent_turn_id",
        code="turn_settled",
        extra={"status": turn.status},
    )
