"""Images of an answer for clients that know no files of conversations."""

import mimetypes
from urllib.parse import quote
from uuid import UUID

from workbench.domain.parts.model import FILE_PREFIX, Part

UNKNOWN = "image/*"


def image_url(conversation_id: UUID, part: Part) -> str:
    """Where the image is: in the address itself, or in a file of the conversation, below the root of this service."""
    image: str = part["image"]
    if not image.startswith(FILE_PREFIX):
        return image
    return f"/conversations/{conversation_id}/files/{quote(image.removeprefix(FILE_PREFIX), safe='')}"


def media_type(part: Part) -> str:
    """What kind of image it is, as far as that is known."""
    image: str = part["image"]
    if part.get("mediaType"):
        return part["mediaType"]
    if image.startswith("data:"):
        return image.removeprefix("data:").partition(",")[0].partition(";")[0] or UNKNOWN
    return mimetypes.guess_type(image.removeprefix(FILE_PREFIX))[0] or UNKNOWN
