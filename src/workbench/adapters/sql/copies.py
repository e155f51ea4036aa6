"""Copying what hangs on a conversation: a statement for each table, so that nothing passes through this process."""

from typing import Any
from uuid import UUID

from sqlalchemy import FunctionElement, Table, and_, bindparam, insert, literal, select, update
from sqlalchemy.ext.compiler import compiles

from workbench.adapters.sql.repository import Repository, here
from workbench.adapters.sql.schema import Id, Json
from workbench.adapters.sql.tables import conversations, file_versions, files, message_debug, messages, participants
from workbench.domain.archive.ports import Copies


class RandomId(FunctionElement[UUID]):
    """A random UUID (RFC 9562, version 4), made by the database for each row."""

    type = Id()
    inherit_cache = True


@compiles(RandomId, "postgresql")
def _on_postgresql(*_: Any, **__: Any) -> str:
    return "gen_random_uuid()"


@compiles(RandomId, "sqlite")
def _on_sqlite(*_: Any, **__: Any) -> str:
    return (
        "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || "
        "substr('89AB', 1 + (abs(random()) % 4), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))"
    )


_SOURCE = bindparam("source", type_=Id)
_TARGET = bindparam("target", type_=Id)


def _copying(table: Table, changed: dict[str, Any], *conditions: Any, source: Any = None) -> Any:
    """Insert the rows that meet the conditions once more, with some columns changed."""
    names = [column.name for column in table.columns]
    rows = select(*(changed.get(name, table.c[name]) for name in names)).where(here(table), *conditions)
    if source is not None:
        rows = rows.select_from(source)
    return insert(table).from_select(names, rows)


# Taken first, as by all who append: until the commit nobody adds to what is being copied.
_HOLD = (
    update(conversations)
    .where(here(conversations), conversations.c.id == _SOURCE)
    .values(version=conversations.c.version)
)
_original = conversations.alias("original")
_HEAD = (
    update(conversations)
    .where(here(conversations), conversations.c.id == _TARGET)
    .values(message_head=select(_original.c.message_head).where(_original.c.id == _SOURCE).scalar_subquery())
)
_PARTICIPANTS = _copying(
    participants,
    {"conversation_id": _TARGET, "metadata": literal({}, Json), "version": literal(0)},
    participants.c.conversation_id == _SOURCE,
    participants.c.active_participant.is_(True),
)
_MESSAGES = _copying(messages, {"conversation_id": _TARGET, "id": RandomId()}, messages.c.conversation_id == _SOURCE)
_old_message, _new_message = messages.alias("old_message"), messages.alias("new_message")
_DEBUG = _copying(
    message_debug,
    {"message_id": _new_message.c.id},
    _new_message.c.conversation_id == _TARGET,
    source=message_debug.join(
        _old_message, and_(_old_message.c.id == message_debug.c.message_id, _old_message.c.conversation_id == _SOURCE)
    ).join(_new_message, _new_message.c.sequence == _old_message.c.sequence),
)
_FILES = _copying(
    files, {"conversation_id": _TARGET, "id": RandomId(), "revision": literal(0)}, files.c.conversation_id == _SOURCE
)
_old_file, _new_file = files.alias("old_file"), files.alias("new_file")
_VERSIONS = _copying(
    file_versions,
    {"file_id": _new_file.c.id},
    _new_file.c.conversation_id == _TARGET,
    source=file_versions.join(
        _old_file, and_(_old_file.c.id == file_versions.c.file_id, _old_file.c.conversation_id == _SOURCE)
    ).join(_new_file, _new_file.c.filename == _old_file.c.filename),
)


class SqlCopies(Repository, Copies):
    """Copies within one workspace."""

    def copy(self, source_id: UUID, target_id: UUID) -> None:
        """Hold the source, then copy table by table, each by an index."""
        place = {"source": source_id, "target": target_id}
        self._writes.change(_HOLD, place, must_hit=True)
        for statement in (_HEAD, _PARTICIPANTS, _MESSAGES, _DEBUG, _FILES, _VERSIONS):
            self._writes.change(statement, place)
