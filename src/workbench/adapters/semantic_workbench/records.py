"""The other service's rows as they are read: those of its archives, and those that archives do not hold."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import Table

from workbench.domain.archive.records import MessageRecord
from workbench.domain.errors import InvalidError
from workbench.domain.participants.model import Permission
from workbench.domain.texts import without_nul

R = TypeVar("R", bound=msgspec.Struct)

JSON_COLUMNS: dict[str, Any] = {"meta_data": {}, "filenames": [], "data": {}}
"""The columns that hold JSON, with what null in them stands for."""

_Key = Annotated[str, msgspec.Meta(max_length=255)]


class MessageRow(MessageRecord, frozen=True, kw_only=True):
    """A message with its place, and whether there is debug data."""

    sequence: int
    has_debug_data: bool


class UserRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A person, or a program that signs in as one."""

    user_id: _Key
    created_datetime: datetime
    name: str
    service_user: bool
    image: str | None = None


class RegistrationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A registered assistant service. Its key is not in the database."""

    assistant_service_id: _Key
    created_by_user_id: _Key
    created_by_user_name: str
    created_datetime: datetime
    name: str
    description: str
    include_in_listing: bool
    api_key_name: _Key
    assistant_service_url: str


class ShareRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A share of a conversation."""

    conversation_share_id: UUID
    conversation_id: UUID
    created_datetime: datetime
    owner_id: _Key
    label: str
    conversation_permission: Permission
    is_redeemable: bool
    meta_data: dict[str, Any]


class RedemptionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The redemption of a share."""

    conversation_share_redemption_id: UUID
    conversation_share_id: UUID
    conversation_permission: Permission
    new_participant: bool
    redeemed_by_user_id: _Key
    created_datetime: datetime


def read(table: Table, record: type[R], found: Mapping[str, Any]) -> R:
    """Read a row of a table. Raises InvalidError, which names the row and the field at fault."""
    try:
        values = {name: _decoded(name, value) for name, value in found.items()}
        return msgspec.convert(values, record)
    except (msgspec.DecodeError, RecursionError) as error:
        key = ", ".join(f"{column.name} {found[column.name]}" for column in list(table.columns)[:2])
        raise InvalidError(
            f"A row of {table.name} cannot be taken: {error} ({key}). Correct it there, and start again.",
            code="bad_row",
        ) from None


def _decoded(name: str, value: Any) -> Any:
    if name not in JSON_COLUMNS:
        return value
    return JSON_COLUMNS[name] if value is None else msgspec.json.decode(without_nul(value.encode()))
