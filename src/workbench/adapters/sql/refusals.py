"""What a database means when it says no, whichever library passes that on; and that it is away."""

import sqlite3

from workbench.domain.errors import UnavailableError

INTEGRITY_CLASS = "23"
LOCK_CONFLICTS = frozenset({"40001", "40P01"})
CONNECTION_CLASS = "08"
ENDINGS = frozenset({"57P01", "57P02", "57P03"})
"""What PostgreSQL says to a connection when it is stopped, has crashed, or is not up yet."""


class DatabaseAwayError(UnavailableError):
    """The database cannot be reached"""


class ConnectionLostError(UnavailableError):
    """The database went away in the middle"""


def violates_integrity(error: BaseException) -> bool:
    """Whether a unique or foreign key was violated, whichever library says so."""
    cause = getattr(error, "orig", None) or error
    return isinstance(cause, sqlite3.IntegrityError) or _state(cause).startswith(INTEGRITY_CLASS)


def lost_to_another(error: BaseException) -> bool:
    """Whether the database gave way to another writer (deadlock, serialization), so that a repeat may pass."""
    return _state(getattr(error, "orig", None) or error) in LOCK_CONFLICTS


def was_refused(error: BaseException) -> bool:
    """Whether the database itself said no, so that nothing was stored; of one that went away nobody can say so."""
    cause = getattr(error, "orig", None) or error
    return isinstance(cause, sqlite3.Error) or bool(_state(cause))


def says_goodbye(error: BaseException) -> bool:
    """Whether the database ends the connection with this, instead of refusing a statement."""
    state = _state(getattr(error, "orig", None) or error)
    return state in ENDINGS or state.startswith(CONNECTION_CLASS)


def _state(cause: BaseException) -> str:
    return getattr(cause, "sqlstate", None) or ""
