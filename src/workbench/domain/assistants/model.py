"""An assistant, and what a caller sends to make one."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

MAX_IMAGE_LENGTH = 256 * 1024


class NewAssistant(msgspec.Struct, frozen=True, kw_only=True):
    """What a user sends to create an assistant."""

    assistant_service_id: str
    name: Annotated[str, msgspec.Meta(max_length=1024)]
    template_id: Annotated[str, msgspec.Meta(max_length=255)] = "default"
    image: Annotated[str, msgspec.Meta(max_length=MAX_IMAGE_LENGTH)] | None = None
    metadata: dict[str, Any] = {}


class Assistant(msgspec.Struct, frozen=True, kw_only=True):
    """An assistant: a template of a service, under a name, belonging to a user."""

    id: UUID
    name: str
    image: str | None
    assistant_service_id: str
    assistant_service_online: bool
    template_id: str
    metadata: dict[str, Any]
    created_datetime: datetime


class StoredAssistant(msgspec.Struct, frozen=True, kw_only=True):
    """An assistant with its owner, whom the wire does not show."""

    assistant: Assistant
    owner_id: str
