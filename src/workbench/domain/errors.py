"""What can go wrong, in domain words. HTTP statuses live in entrypoints/http/errors.py.

WorkbenchError
├── UnauthenticatedError   no credentials, wrong ones, or of the wrong kind for this act
├── ForbiddenError         you can see it, but this act is not yours
├── NotFoundError          it is not there, or not yours to know
│   └── GoneError          it was yours, and somebody deleted it
├── ConflictError          the state does not allow it now
│   ├── StaleError         what was read changed before the commit; read again and repeat
│   └── PreconditionError  it is not as the caller said that it must be
├── InvalidError           the request cannot mean anything
│   ├── UnprocessableError  it can be read, but not carried out
│   ├── UnsupportedError    it comes in a form that is not read here
│   └── NotAcceptableError  the answer is not to be had in the form that is asked for
├── TooLargeError          over a limit, which the detail names
├── ExhaustedError         a rate, quota or budget is used up
├── UpstreamError          an assistant service failed us
│   └── BadAnswerError     it answered what cannot be understood, or too much
└── UnavailableError       not now: draining, or a part that is needed is away
"""

from typing import Any, ClassVar


class WorkbenchError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"

    def __init__(
        self,
        detail: str | None = None,
        *,
        code: str | None = None,
        field: str | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        """Keep what the caller may be told.

        `detail` is a sentence for a person, by default the first line of the class's docstring; `code`
        is stable and part of the API; `field` names the input at fault.
        """
        self.detail = detail if detail is not None else (type(self).__doc__ or "").partition("\n")[0]
        self.error_code = code or type(self).code
        self.field = field
        self.extra = extra or {}
        super().__init__(self.detail)


class UnauthenticatedError(WorkbenchError):
    """Not authenticated"""

    code = "unauthenticated"


class ForbiddenError(WorkbenchError):
    """Forbidden"""

    code = "forbidden"


class NotFoundError(WorkbenchError):
    """Not Found"""

    code = "not_found"


class GoneError(NotFoundError):
    """It was deleted"""

    code = "gone"


class ConflictError(WorkbenchError):
    """The state does not allow this now"""

    code = "conflict"


class StaleError(ConflictError):
    """Somebody else changed this at the same time; try again"""

    code = "stale"


class PreconditionError(ConflictError):
    """It is not, or no longer, as the request says that it must be"""

    code = "precondition_failed"


class InvalidError(WorkbenchError):
    """The request is not valid"""

    code = "invalid"


class UnprocessableError(InvalidError):
    """The request cannot be carried out as it stands"""

    code = "unprocessable"


class UnsupportedError(InvalidError):
    """The request comes in a form that is not read here"""

    code = "unsupported_media_type"


class NotAcceptableError(InvalidError):
    """The answer is not to be had in this form"""

    code = "not_acceptable"


class TooLargeError(WorkbenchError):
    """The request is larger than a limit"""

    code = "too_large"


class ExhaustedError(WorkbenchError):
    """A limit is used up

    `retry_after_seconds` says when it is worth trying again.
    """

    code = "exhausted"

    def __init__(
        self, detail: str, *, retry_after_seconds: float, code: str | None = None, extra: dict[str, Any] | None = None
    ) -> None:
        """Keep how long to wait."""
        super().__init__(detail, code=code, extra=extra)
        self.retry_after_seconds = retry_after_seconds


class UpstreamError(WorkbenchError):
    """An assistant service failed

    `status` is the status that the assistant answered with, or None when it could not be reached.
    `retry_after_seconds` is given where it was not even called, because it failed too often before.
    """

    code = "assistant_failed"

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        retry_after_seconds: float | None = None,
        code: str | None = None,
    ) -> None:
        """Keep the assistant's own status, which decides ours."""
        super().__init__(detail, code=code)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class BadAnswerError(UpstreamError):
    """An assistant service answered what cannot be understood"""

    code = "bad_answer"


class UnavailableError(WorkbenchError):
    """Not available at the moment"""

    code = "unavailable"
