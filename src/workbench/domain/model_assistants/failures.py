"""What can go wrong with a model, each with words that are safe to show."""

from typing import Literal

from workbench.domain.residents.failures import SERVER_ERROR, SpeakingFailedError
from workbench.domain.turns.model import TurnError

FailureCode = Literal[
    "rate_limited",
    "model_auth_failed",
    "model_not_found",
    "model_context_limit",
    "model_out_of_memory",
    "model_unavailable",
    "quota_exhausted",
    "budget_exceeded",
    "image_input_unsupported",
    "content_filtered",
    "tool_failed",
    "no_model",
    "server_error",
]

SAID: dict[FailureCode, str] = {
    "rate_limited": "The model is too busy at the moment. Try again later.",
    "model_auth_failed": "The model's provider refused the service's credentials.",
    "model_not_found": "The model's provider does not know the model.",
    "model_context_limit": "The conversation is too long for the model.",
    "model_out_of_memory": "The model ran out of memory.",
    "model_unavailable": "The model cannot be reached at the moment. Try again later.",
    "quota_exhausted": "The account with the model's provider is used up.",
    "budget_exceeded": "The budget for models is used up.",
    "image_input_unsupported": "The model takes no images.",
    "content_filtered": "The model's provider refused to answer this.",
    "tool_failed": "A tool that the model needed failed.",
    "no_model": "The model that the assistant uses is not configured any more.",
    "server_error": SERVER_ERROR.message,
}
PASSING: frozenset[FailureCode] = frozenset({"rate_limited", "model_unavailable", "model_out_of_memory"})
"""Where the same may work later."""


class ModelFailedError(SpeakingFailedError):
    """A model gave no answer, or not a whole one; `code` says why. The provider's own words are in the cause, if any."""

    def __init__(self, code: FailureCode) -> None:
        super().__init__(told(code))
        self.code: FailureCode = code


def told(code: FailureCode) -> TurnError:
    """The failure as participants may know of it."""
    return TurnError(code=code, message=SAID[code], retryable=code in PASSING)
