"""An assistant, and what callers send to make, change and configure one."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from workbench.domain.participants.model import Participant

MAX_IMAGE_LENGTH = 256 * 1024

Name = Annotated[str, msgspec.Meta(max_length=1024)]
Image = Annotated[str, msgspec.Meta(max_length=MAX_IMAGE_LENGTH)]


class NewAssistant(msgspec.Struct, frozen=True, kw_only=True):
    """What a user sends to create an assistant."""

    assistant_service_id: str
    name: Name
    template_id: Annotated[str, msgspec.Meta(max_length=255)] = "default"
    image: Image | None = None
    metadata: dict[str, Any] = {}


class AssistantChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change. Absent, or a null name: unchanged; a null image: removed; metadata is replaced whole."""

    name: Name | msgspec.UnsetType | None = msgspec.UNSET
    image: Image | msgspec.UnsetType | None = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


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

    def changed(self, change: AssistantChange) -> "Assistant":
        """Apply a change."""
        return msgspec.structs.replace(
            self,
            name=change.name if isinstance(change.name, str) else self.name,
            image=self.image if change.image is msgspec.UNSET else change.image,
            metadata=self.metadata if change.metadata is msgspec.UNSET else change.metadata,
        )


class AssistantList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list."""

    assistants: list[Assistant]


class StoredAssistant(msgspec.Struct, frozen=True, kw_only=True):
    """An assistant with its owner, whom the wire does not show, and the default that it was made for, if any."""

    assistant: Assistant
    owner_id: str
    default_key: str | None = None


class DefaultAssistant(msgspec.Struct, frozen=True, kw_only=True):
    """An assistant that every user is to have, as far as its service is there."""

    assistant_service_id: str
    name: str
    template_id: str = "default"

    def key_for(self, workspace_id: str, user_id: str) -> str:
        """What tells this default of this user from all others."""
        return msgspec.json.encode([workspace_id, user_id, self.assistant_service_id, self.template_id]).decode()


class NewConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a user sends to configure an assistant; schemas that a front end sends along are not looked at."""

    config: dict[str, Any]


class NewState(msgspec.Struct, frozen=True, kw_only=True):
    """What a user sends to set a state; what else a front end sends along is not looked at."""

    data: dict[str, Any]


class StateEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What an assistant says of one of its states. `state` must be there, but is not passed on."""

    state_id: Annotated[str, msgspec.Meta(max_length=1024)]
    event: Literal["created", "updated", "deleted", "focus"]
    state: Any


def seat_of(assistant: Assistant, conversation_id: UUID, now: datetime) -> Participant:
    """A seat for an assistant that is new to the conversation."""
    return Participant(
        role="assistant",
        id=str(assistant.id),
        conversation_id=conversation_id,
        name=assistant.name,
        image=assistant.image,
        status=None,
        status_updated_timestamp=now,
        active_participant=True,
        online=assistant.assistant_service_online,
        conversation_permission="read_write",
        metadata={},
    )
