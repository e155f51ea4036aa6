"""The events that files cause."""

import msgspec

from workbench.domain.events.model import NewEvent
from workbench.domain.files.model import File


def file_stored(file: File) -> NewEvent:
    """A file is there, or a further version of it."""
    return _told("file.created" if file.current_version == 1 else "file.updated", file)


def file_updated(file: File) -> NewEvent:
    """A file's metadata changed."""
    return _told("file.updated", file)


def file_deleted(file: File) -> NewEvent:
    """A file is gone with all its versions; this is how it was last."""
    return _told("file.deleted", file)


def _told(kind: str, file: File) -> NewEvent:
    return NewEvent(conversation_id=file.conversation_id, type=kind, data={"file": msgspec.to_builtins(file)})
