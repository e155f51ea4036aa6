"""What can go wrong between a caller and a service behind the bus.

BusError                    the bus did not take a message; nothing was begun unless `outcome` is unknown
├── NoRouteError            nobody is bound to the topic
├── TopicMissingError       there is no such topic (any more)
├── BusFullError            the queue of a reader is full
├── BusBlockedError         the broker takes no messages, for want of memory or disk
├── BusUnavailableError     there is no connection
└── PublishUnknownError     the connection was lost before the bus confirmed
CallError                   a request ended otherwise than with its final reply
"""

from typing import Any, Literal

Outcome = Literal["not_sent", "unknown", "answered"]
Phase = Literal["slot", "connect", "publish", "first_reply", "idle", "overall"]


class BusError(Exception):
    """The bus did not take the message."""

    code = "bus_unavailable"
    outcome: Outcome = "not_sent"


class NoRouteError(BusError):
    """Nobody is bound to the topic."""

    code = "no_service"


class TopicMissingError(BusError):
    """There is no such topic."""

    code = "topic_missing"


class BusFullError(BusError):
    """A reader's queue is full."""

    code = "bus_full"


class BusBlockedError(BusError):
    """The broker takes no messages at the moment."""

    code = "bus_blocked"


class BusUnavailableError(BusError):
    """There is no connection to the broker."""


class PublishUnknownError(BusError):
    """The connection was lost before the broker said whether it has the message."""

    code = "bus_interrupted"
    outcome: Outcome = "unknown"


class CallError(Exception):
    """A request ended otherwise than with its final reply. `code` is stable and part of the API."""

    def __init__(  # noqa: PLR0913 - all of it is told
        self,
        code: str,
        detail: str,
        *,
        outcome: Outcome = "unknown",
        phase: Phase | None = None,
        retryable: bool = False,
        category: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        """Keep what the caller may be told. `category` is what a service says of its own error."""
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.outcome: Outcome = outcome
        self.phase: Phase | None = phase
        self.retryable = retryable
        self.category = category
        self.retry_after_seconds = retry_after_seconds
        self.request_id: str | None = None
        self.service_code: str | None = None

    @property
    def extra(self) -> dict[str, Any]:
        """What programs are told beside the code."""
        told: dict[str, Any] = {"outcome": self.outcome, "retryable": self.retryable}
        if self.request_id is not None:
            told["id"] = self.request_id
        if self.service_code is not None:
            told["service_code"] = self.service_code
        if self.phase is not None:
            told["phase"] = self.phase
        return told


class ServiceFailure(Exception):  # noqa: N818 - what a service says on purpose is an answer as well
    """What a service answers instead of a result, on purpose: passed on to the caller as it is."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        category: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        """`category` is invalid_request, unavailable or None; `retry_after_seconds` only says when to come back."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.category = category
        self.retry_after_seconds = retry_after_seconds


class BusyError(Exception):
    """What a service raises when whatever it stands on says "not so fast": the host tries again by itself."""

    def __init__(self, message: str = "The service is busy.", *, retry_after_seconds: float | None = None) -> None:
        """`retry_after_seconds` is when it is worth trying again, where that is known."""
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
