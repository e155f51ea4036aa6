"""What can go wrong with a model that works for a session, in the service's own words.

The provider's may repeat keys or what people wrote: they stay in the cause, which nobody is shown.
"""

from typing import Literal

from workbench.domain.errors import UpstreamError

FailureKind = Literal["rate_limited", "timeout", "auth", "overloaded", "bad_output", "other"]

SAID: dict[FailureKind, str] = {
    "rate_limited": "The model is too busy at the moment",
    "timeout": "The model did not answer in time",
    "auth": "The model's provider refused the service's credentials",
    "overloaded": "The model cannot be reached at the moment",
    "bad_output": "The model answered what cannot be used",
    "other": "The model failed",
}
RETRYABLE: frozenset[FailureKind] = frozenset({"rate_limited", "timeout", "overloaded", "bad_output"})
"""Where the same may work later."""


class ProviderError(UpstreamError):
    """A model failed

    `kind` says how; `is_retryable`, whether the same may work later.
    """

    code = "provider_error"

    def __init__(self, kind: FailureKind) -> None:
        """Say it in words of the house."""
        super().__init__(SAID[kind])
        self.kind: FailureKind = kind
        self.is_retryable = kind in RETRYABLE
        self.extra = {"kind": kind, "retryable": self.is_retryable}
