"""What a part must be like, by its type and by the message that it belongs to."""

import re
from typing import Annotated, Any, Literal, cast

import msgspec

from workbench.domain.errors import InvalidError, WorkbenchError
from workbench.domain.parts.images import require_image
from workbench.domain.parts.model import MAX_WARNINGS, Part, Parts, Slot, Warned
from workbench.domain.texts import cleaned

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class _Text(msgspec.Struct):
    text: str


class _Reasoning(msgspec.Struct, rename="camel"):
    text: str
    id: str | None = None
    status: Literal["running", "completed", "interrupted"] | None = None
    started_at: str | None = None
    completed_at: str | None = None


class _Image(msgspec.Struct, rename="camel"):
    image: str
    media_type: str | None = None
    size: int | None = None


class _MentionedDocuments(msgspec.Struct):
    documents: Any


class _ToolCall(msgspec.Struct, rename="camel"):
    tool_call_id: Id
    tool_name: str
    args: dict[str, Any]
    args_text: str | None = None
    error: str | None = None
    state: Literal["aborted"] | None = None
    metadata: dict[str, Any] | None = None
    langchain_tool_call_id: str | None = None


class _Status(msgspec.Struct, rename="camel"):
    text: str
    code: Literal["no_response", "cancelled", "error", "interrupted"] | None = None
    error_code: str | None = None


class _Data(msgspec.Struct):
    data: Any
    id: str | None = None


_SHAPES: dict[Slot, dict[str, type[msgspec.Struct]]] = {
    "input": {"text": _Text, "image": _Image, "mentioned-documents": _MentionedDocuments},
    "output": {
        "text": _Text,
        "reasoning": _Reasoning,
        "image": _Image,
        "tool-call": _ToolCall,
        "status": _Status,
        "data-*": _Data,
    },
}
_TAIL = re.compile(r" - at `\$(.*)`$")


def require_part(value: Any, path: str, slot: Slot) -> Part:
    """A copy of a part as it may be stored: cleaned, and all else, keys that we do not know too, as it was sent (3.1).

    Raises InvalidError, which names `path` and what is wrong there: `unknown_part` for a type that such a message has
    not, `invalid_part` for a wrong shape, `invalid_image` (or TooLargeError) for its image.
    """
    part = cleaned(value)
    if not isinstance(part, dict):
        raise InvalidError("a part is an object", code="invalid_part", field=path)
    checked = cast("Part", part)
    kind = checked.get("type")
    shape = _SHAPES[slot].get(_family(kind))
    if shape is None:
        raise InvalidError(f"the {slot} has no parts of this type", code="unknown_part", field=f"{path}.type")
    require_shape(checked, shape, path, code="invalid_part")
    if kind == "image":
        require_image(checked["image"], f"{path}.image")
    if kind == "status" and checked.get("code") == "no_response":
        del checked["code"]
    return checked


def kept_parts(values: Any) -> tuple[Parts, list[Warned]]:
    """The parts of an answer as its producer gave them at the end, without those that may not be stored.

    It never raises, for an ending must not fail over decoration (3.1): what is dropped is a warning `part_dropped`,
    what had to be cleaned `cleaned` (D8). All else stays as it was sent (S11).
    """
    if not isinstance(values, list):
        return [], [Warned(code="part_dropped", path="parts")]
    parts: Parts = []
    warnings: list[Warned] = []
    for index, value in enumerate(cast("list[Any]", values)):
        path = f"parts[{index}]"
        try:
            part = require_part(value, path, "output")
        except WorkbenchError:
            warnings.append(Warned(code="part_dropped", path=path))
            continue
        parts.append(part)
        warnings += cleaning_warnings(value, part, path)
    return parts, warnings[:MAX_WARNINGS]


def cleaning_warnings(sent: Any, stored: Part, path: str) -> list[Warned]:
    """A warning `cleaned` where a part is not stored as it was sent (D8)."""
    same = sent == stored or (sent.get("code") == "no_response" and {**sent, "code": None} == {**stored, "code": None})
    return [] if same else [Warned(code="cleaned", path=path)]


def require_shape(value: dict[str, Any], shape: type[msgspec.Struct], path: str, code: str) -> None:
    """Raise InvalidError, which names the member at fault below `path`, unless the value has the shape."""
    try:
        msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        found = _TAIL.search(str(error))
        field = f"{path}{found[1]}" if found else path
        raise InvalidError(_TAIL.sub("", str(error)), code=code, field=field) from error


def _family(kind: Any) -> str:
    if not isinstance(kind, str):
        return ""
    return "data-*" if kind.startswith("data-") and len(kind) > len("data-") else kind
