"""What errors look like on the wire, by where they happen; the sentence and the code are the same everywhere."""

from http import HTTPStatus
from typing import Any, Literal

import msgspec

from workbench.domain.errors import InvalidError, StaleError, WorkbenchError
from workbench.entrypoints.http.strict import CODE, STRICT, FieldFault, first_word

ENVELOPED = STRICT | {"flows", "flow-blueprints", "flow-parameter-types", "flow-hosts"}
"""How the paths begin whose errors have the product's own form; the others keep that of the contract they came with."""

BAD_FORM = "bad_form"
OWN_CODES = {InvalidError.code: CODE, BAD_FORM: CODE, StaleError.code: "version_conflict"}
"""What is called otherwise elsewhere."""


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong: a sentence for people, a stable code for programs, and the input at fault. Limits come beside."""

    detail: str
    code: str | msgspec.UnsetType = msgspec.UNSET
    field: str | msgspec.UnsetType = msgspec.UNSET


class ErrorEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, in the product's own form: a stable code for programs, a sentence for people, and in `extra` all else."""

    status_code: int
    code: str
    detail: str
    extra: dict[str, Any]


class InputFaults(msgspec.Struct, frozen=True, kw_only=True):
    """What is amiss in a request, field by field."""

    errors: list[FieldFault]


class InvalidInput(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, in the product's own form, where it is the request itself that means nothing."""

    status_code: Literal[400, 422]
    code: str
    detail: str
    extra: InputFaults


class AssistantFailure(msgspec.Struct, frozen=True, kw_only=True):
    """What an assistant service answered instead of doing as asked, in its own words."""

    detail: str
    code: Literal["assistant_failed"]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a request that does not fit its route: `loc` is body, query or path, then the field."""

    type: str
    loc: list[str]
    msg: str


class FaultList(msgspec.Struct, frozen=True, kw_only=True):
    """All that does not fit in a request."""

    detail: list[Fault]


def is_enveloped(path: str) -> bool:
    """Whether errors at a path have the product's own form."""
    return first_word(path) in ENVELOPED


def body_of(path: str, status: int, error: WorkbenchError) -> dict[str, Any]:
    """Say what the caller at a path is told of a domain error: a sentence, a stable code, the field at fault, and limits."""
    if not is_enveloped(path):
        named = {} if error.field is None else {"field": error.field}
        return {"detail": error.detail, "code": error.error_code, **named, **error.extra}
    code, extra = OWN_CODES.get(error.error_code, error.error_code), error.extra
    if status == HTTPStatus.BAD_REQUEST:
        extra = {"errors": [{"field": error.field or "body", "message": error.detail}], **extra}
    elif error.field is not None:
        extra = {"field": error.field, **extra}
    return envelope(status, code, error.detail, extra)


def plain_body(path: str, status: int, detail: str, code: str | None = None) -> dict[str, Any]:
    """Say the same of what the framework refuses or what is broken; what has no code of its own is called by its status."""
    code = code or HTTPStatus(status).name.lower()
    return envelope(status, code, detail, {}) if is_enveloped(path) else {"detail": detail, "code": code}


def envelope(status: int, code: str, detail: str, extra: dict[str, Any]) -> dict[str, Any]:
    """The product's own form."""
    return {"status_code": int(status), "code": code, "detail": detail, "extra": extra}
