"""Images inside of parts: read from base64, checked, and set apart as files where they are large."""

import base64
import binascii
import hashlib
from typing import Any

import msgspec

from workbench.domain.errors import TooLargeError, UnprocessableError
from workbench.domain.parts.model import FILE_PREFIX, MAX_IMAGE_BYTES, MAX_INLINE_IMAGE_BYTES, Part, Parts

_ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
_LONGEST_BASE64 = (MAX_IMAGE_BYTES + 2) // 3 * 4


class ImageFile(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is to be stored as a file of the conversation, under a name that says what is in it.

    The same image always has the same name, so storing it again is safe.
    """

    filename: str
    content_type: str
    content: bytes


def image_part(media_type: Any, data: Any, path: str) -> Part:
    """The part for an image that was sent as base64.

    Raises UnprocessableError `invalid_image` where it is no PNG, JPEG or WebP, or not what it says, and TooLargeError
    `payload_too_large` above 8 MiB; `path` is the place of the image in the request.
    """
    content = _read(media_type, data, path)
    return {
        "type": "image",
        "image": f"data:{media_type};base64,{data}",
        "mediaType": media_type,
        "size": len(content),
    }


def require_image(image: str, path: str) -> None:
    """Raise as `image_part` does unless it is a `data:` URL of an image or `workbench-file:` with a name."""
    if image.startswith(FILE_PREFIX):
        if len(image) == len(FILE_PREFIX):
            raise _invalid("the file's name is missing", path)
    else:
        _read(*_split(image, path), path)


def set_apart(parts: Parts) -> tuple[Parts, list[ImageFile]]:
    """The parts with references in place of images above 64 KiB, and those images, which the caller stores.

    The parts must have been checked. No part is changed: one with a reference is new.
    """
    files: dict[str, ImageFile] = {}
    kept: Parts = []
    for part in parts:
        file = _large(part)
        if file is None:
            kept.append(part)
        else:
            files[file.filename] = file
            reference = {"image": f"{FILE_PREFIX}{file.filename}", "mediaType": file.content_type}
            kept.append({**part, **reference, "size": len(file.content)})
    return kept, list(files.values())


def bytes_of(image: str) -> tuple[str, bytes]:
    """The type and the bytes of an image that stands in a part as a `data:` URL and was checked when it came."""
    media_type, data = _split(image, "image")
    return media_type, base64.b64decode(data)


def _large(part: Part) -> ImageFile | None:
    image: str = part["image"] if part["type"] == "image" else ""
    if not image.startswith("data:"):
        return None
    media_type, data = _split(image, "image")
    content = _read(media_type, data, "image")
    if len(content) <= MAX_INLINE_IMAGE_BYTES:
        return None
    name = f"image-{hashlib.sha256(content).hexdigest()[:32]}.{_ENDINGS[media_type]}"
    return ImageFile(filename=name, content_type=media_type, content=content)


def _split(url: str, path: str) -> tuple[str, str]:
    head, comma, data = url.partition(";base64,")
    if not comma or not head.startswith("data:"):
        raise _invalid("an image is a data: URL in base64, or a file of the conversation", path)
    return head.removeprefix("data:"), data


def _read(media_type: Any, data: Any, path: str) -> bytes:
    if not isinstance(media_type, str) or media_type not in _ENDINGS:
        raise _invalid("an image is image/png, image/jpeg or image/webp", path)
    if not isinstance(data, str):
        raise _invalid("the image's data is not base64", path)
    if len(data) > _LONGEST_BASE64:
        raise _too_large(path)
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid("the image's data is not base64", path) from error
    if len(content) > MAX_IMAGE_BYTES:
        raise _too_large(path)
    if _type_of(content) != media_type:
        raise _invalid(f"the image is not what it is said to be, {media_type}", path)
    return content


def _type_of(content: bytes) -> str | None:
    """What it is by its first bytes: what is stored under an image's type must not be something a browser runs."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def _invalid(detail: str, path: str) -> UnprocessableError:
    return UnprocessableError(detail, code="invalid_image", field=path)


def _too_large(path: str) -> TooLargeError:
    detail = f"an image is limited to {MAX_IMAGE_BYTES} bytes"
    return TooLargeError(detail, code="payload_too_large", field=path, extra={"limit_bytes": MAX_IMAGE_BYTES})
