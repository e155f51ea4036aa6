"""What went wrong with a model, in the service's own words: the provider's may repeat keys or messages."""

from pydantic_ai.exceptions import (
    ContentFilterError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestTimeout,
    ModelServerError,
    ModelUnavailableError,
    UnexpectedModelBehavior,
)

from workbench.domain.model_assistants.failures import FailureCode

_BY_KIND: tuple[tuple[type[Exception], FailureCode], ...] = (
    (ModelQuotaExceededError, "quota_exhausted"),
    (ModelRateLimitError, "rate_limited"),
    (ModelAuthenticationError, "model_auth_failed"),
    (ModelContextWindowExceededError, "model_context_limit"),
    (ModelNotFoundError, "model_not_found"),
    (ContentFilterError, "content_filtered"),
    (ModelUnavailableError, "model_unavailable"),
    (ModelServerError, "model_unavailable"),
    (ModelConnectionError, "model_unavailable"),
    (ModelRequestTimeout, "model_unavailable"),
    (UnexpectedModelBehavior, "model_unavailable"),
    (TimeoutError, "model_unavailable"),
)
_TOO_MUCH_TO_READ = 413
_FILTERED = frozenset({"content_filter", "content_policy_violation", "responsible_ai_policy_violation"})
_OUT_OF_MEMORY = ("out of memory", "requires more system memory", "cuda error: out")
_OF_PICTURES = ("image", "vision", "multimodal")


def failure_of(error: Exception, *, with_pictures: bool) -> FailureCode:
    """The code for what a library raised; `with_pictures` says that the model was shown some."""
    if isinstance(error, ModelAPIError):
        told = _told_by_provider(error, with_pictures=with_pictures)
        if told is not None:
            return told
    for kind, code in _BY_KIND:
        if isinstance(error, kind):
            return code
    return "server_error"


def _told_by_provider(error: ModelAPIError, *, with_pictures: bool) -> FailureCode | None:
    """What only the provider's text tells: there are no codes for it that all providers share."""
    text = str(error.body or error.message).lower()
    if any(words in text for words in _OUT_OF_MEMORY):
        return "model_out_of_memory"
    if error.provider_error_code in _FILTERED or "content_filter" in text:
        return "content_filtered"
    if not isinstance(error, ModelHTTPError) or not 400 <= error.status_code < 500:  # noqa: PLR2004 - HTTP's classes
        return None
    is_kind_known = any(isinstance(error, kind) for kind, _ in _BY_KIND if kind is not ModelNotFoundError)
    if with_pictures and not is_kind_known and any(word in text for word in _OF_PICTURES):
        return "image_input_unsupported"
    return "model_context_limit" if error.status_code == _TOO_MUCH_TO_READ else None
