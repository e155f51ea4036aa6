"""Making the parts of an input from what the client sent."""

from typing import Any, cast

import msgspec

from workbench.domain.errors import InvalidError, TooLargeError
from workbench.domain.parts.checking import cleaning_warnings, require_part
from workbench.domain.parts.flattening import flattened
from workbench.domain.parts.images import ImageFile, image_part, set_apart
from workbench.domain.parts.mentions import mentions_part, read_mentions
from workbench.domain.parts.model import (
    MAX_IMAGES,
    MAX_PARTS,
    MAX_TEXT_BYTES,
    MAX_WARNINGS,
    Part,
    Parts,
    Warned,
    is_blank,
    text_part,
)
from workbench.domain.texts import cleaned_text


class BuiltInput(msgspec.Struct, frozen=True, kw_only=True):
    """An input that can be stored: its parts and their flat text, with the images to be stored beside it as files."""

    parts: Parts
    content: str
    files: list[ImageFile]
    warnings: list[Warned]


def build_input(
    content: str | None, parts: Any = None, *, images: Any = None, mentioned_documents: Any = None, path: str = "input"
) -> BuiltInput:
    """The parts of an input, from its text or from parts, with images and mentions beside (3.1, S6 to S9, X11).

    Text comes first, empty if there are only images; then the images as given; then all mentions in one part, if any
    is left. Images above 64 KiB become files. Raises InvalidError: `invalid_input` where not exactly one of `content`
    and `parts` is given, `empty_input` where there is neither text nor image, `unknown_part`, `invalid_part` and
    `invalid_image`; and TooLargeError `payload_too_large`. Each names its field below `path`. Mentions never fail.
    """
    if (content is None) == (parts is None):
        raise InvalidError("give either content or parts", code="invalid_input", field=path)
    drafted = _from_text(content, path) if content is not None else _from_parts(parts, f"{path}.parts")
    drafted.require_text_within(f"{path}.content" if content is not None else f"{path}.parts")
    drafted.add_images(images, f"{path}.images")
    drafted.mention(mentioned_documents, f"{path}.mentioned_documents")
    if not drafted.images and all(is_blank(part["text"]) for part in drafted.texts):
        empty = f"{path}.content" if content is not None else f"{path}.parts"
        raise InvalidError("there is neither a text nor an image", code="empty_input", field=empty)
    built, files = set_apart(drafted.in_order())
    return BuiltInput(parts=built, content=flattened(built), files=files, warnings=drafted.warnings[:MAX_WARNINGS])


class _Draft:
    """An input that is being put together."""

    def __init__(self) -> None:
        self.texts: Parts = []
        self.images: Parts = []
        self.mentions: Part | None = None
        self.warnings: list[Warned] = []

    def require_text_within(self, path: str) -> None:
        if sum(len(part["text"].encode()) for part in self.texts) > MAX_TEXT_BYTES:
            raise _too_large(f"the text is limited to {MAX_TEXT_BYTES} bytes", path, limit_bytes=MAX_TEXT_BYTES)

    def add_images(self, images: Any, path: str) -> None:
        if images is not None and not isinstance(images, list):
            raise InvalidError("images is a list", code="invalid_image", field=path)
        listed = cast("list[Any]", images or [])
        if len(self.images) + len(listed) > MAX_IMAGES:
            raise _too_large(f"an input is limited to {MAX_IMAGES} images", path, limit=MAX_IMAGES)
        for index, image in enumerate(listed):
            if not isinstance(image, dict):
                raise InvalidError("an image is an object", code="invalid_image", field=f"{path}[{index}]")
            sent = cast("dict[str, Any]", image)
            self.images.append(image_part(sent.get("media_type"), sent.get("data"), f"{path}[{index}]"))

    def mention(self, entries: Any, path: str, extra: Part | None = None) -> None:
        mentions, warnings = read_mentions(entries, path)
        self.warnings += warnings
        if mentions:
            first = self.mentions or {**(extra or {}), **mentions_part([])}
            self.mentions = {**first, "documents": [*first["documents"], *mentions]}

    def in_order(self) -> Parts:
        return [*(self.texts or [text_part("")]), *self.images, *([self.mentions] if self.mentions else [])]


def _from_text(content: str, path: str) -> _Draft:
    draft = _Draft()
    text = cleaned_text(content)
    draft.texts.append(text_part(text))
    if text != content:
        draft.warnings.append(Warned(code="cleaned", path=f"{path}.content"))
    return draft


def _from_parts(parts: Any, path: str) -> _Draft:
    if not isinstance(parts, list):
        raise InvalidError("parts is a list", code="invalid_part", field=path)
    sent = cast("list[Any]", parts)
    if len(sent) > MAX_PARTS:
        raise _too_large(f"a message is limited to {MAX_PARTS} parts", path, limit=MAX_PARTS)
    draft = _Draft()
    for index, value in enumerate(sent):
        place = f"{path}[{index}]"
        part = require_part(value, place, "input")
        draft.warnings += cleaning_warnings(value, part, place)
        if part["type"] == "text":
            draft.texts.append(part)
        elif part["type"] == "image":
            draft.images.append(part)
        else:
            draft.mention(part["documents"], f"{place}.documents", part)
    return draft


def _too_large(detail: str, path: str, **extra: int) -> TooLargeError:
    return TooLargeError(detail, code="payload_too_large", field=path, extra=dict(extra))
