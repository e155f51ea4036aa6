"""Which row of ours each of the other service's rows becomes, in the order in which they can be inserted."""

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Select, Table, exists, select

from workbench.adapters.semantic_workbench import tables as legacy
from workbench.adapters.semantic_workbench.records import (
    MessageRow,
    RedemptionRecord,
    RegistrationRecord,
    ShareRecord,
    UserRecord,
    read,
)
from workbench.adapters.semantic_workbench.source import Row, Source
from workbench.adapters.sql import tables as ours
from workbench.domain.archive.records import (
    AssistantRecord,
    AssistantSeatRecord,
    ConversationRecord,
    DebugRecord,
    UserSeatRecord,
)

Selection = Callable[[Source], Select[Any]]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one kind: what is read, and what each becomes.

    `stays` says that somebody may have made such a row here before, which then stays as it is.
    """

    source: Table
    target: Table
    shape: Callable[[Row], Row]
    select: Selection
    stays: bool = False

    @property
    def name(self) -> str:
        """The name of the table that is read."""
        return f"{self.source.name}"


def _plain(table: Table) -> Selection:
    return lambda source: select(*source.columns(table))


def _user(found: Row) -> Row:
    record = read(legacy.user, UserRecord, found)
    return {
        "id": record.user_id,
        "name": record.name,
        "image": record.image,
        "service_user": record.service_user,
        "name_is_chosen": False,
        "created_datetime": record.created_datetime,
    }


def _registrations(source: Source) -> Select[Any]:
    by = legacy.registration.c.created_by_user_id == legacy.user.c.user_id
    columns = (*source.columns(legacy.registration), legacy.user.c.name.label("created_by_user_name"))
    return select(*columns).join(legacy.user, by)


def _registration(found: Row) -> Row:
    """It is offline until its service announces itself here."""
    record = read(legacy.registration, RegistrationRecord, found)
    values = msgspec.structs.asdict(record)
    return {"url": values.pop("assistant_service_url"), "told_online": False, **values}


def _assistant(found: Row) -> Row:
    record = read(legacy.assistant, AssistantRecord, found)
    return {
        "id": record.assistant_id,
        "owner_id": record.owner_id,
        "assistant_service_id": record.assistant_service_id,
        # The older service's own migration wrote a blank before the name, which no service knows.
        "template_id": record.template_id.strip(),
        "name": record.name,
        "image": record.image,
        "metadata": record.meta_data,
        "created_datetime": record.created_datetime,
    }


def _conversation(found: Row) -> Row:
    record = read(legacy.conversation, ConversationRecord, found)
    return {
        "id": record.conversation_id,
        "title": record.title,
        "owner_id": record.owner_id,
        "imported_from_conversation_id": record.imported_from_conversation_id,
        "metadata": record.meta_data,
        "created_datetime": record.created_datetime,
    }


def _user_seat(found: Row) -> Row:
    record = read(legacy.user_participant, UserSeatRecord, found)
    return {
        **_seat(record),
        "role": "user",
        "id": record.user_id,
        "assistant_id": None,
        "conversation_permission": record.conversation_permission,
    }


def _assistant_seat(found: Row) -> Row:
    record = read(legacy.assistant_participant, AssistantSeatRecord, found)
    return {
        **_seat(record),
        "role": "assistant",
        "id": str(record.assistant_id),
        "assistant_id": record.assistant_id,
        "conversation_permission": "read_write",
    }


def _seat(record: UserSeatRecord | AssistantSeatRecord) -> Row:
    return {
        "conversation_id": record.conversation_id,
        "name": record.name,
        "image": record.image,
        "status": record.status,
        "status_updated_timestamp": record.status_updated_datetime,
        "active_participant": record.active_participant,
        "metadata": record.meta_data,
        "joined_datetime": record.joined_datetime,
    }


def _messages(source: Source) -> Select[Any]:
    """In the order of their places, so that a conversation's head only grows."""
    debug = exists().where(legacy.message_debug.c.message_id == legacy.message.c.message_id)
    columns = (*source.columns(legacy.message), debug.label("has_debug_data"))
    return select(*columns).order_by(legacy.message.c.sequence)


def _message(found: Row) -> Row:
    """Its place counts over all conversations there, and still grows in each."""
    record = read(legacy.message, MessageRow, found)
    return {
        "conversation_id": record.conversation_id,
        "sequence": record.sequence,
        "id": record.message_id,
        "sender_role": record.sender_participant_role,
        "sender_id": record.sender_participant_id,
        "message_type": record.message_type,
        "timestamp": record.created_datetime,
        "content_type": record.content_type,
        "content": record.content,
        "filenames": record.filenames,
        "metadata": record.meta_data,
        "has_debug_data": record.has_debug_data,
    }


def _debug(found: Row) -> Row:
    record = read(legacy.message_debug, DebugRecord, found)
    return {"message_id": record.message_id, "debug_data": record.data}


def _share(found: Row) -> Row:
    record = read(legacy.share, ShareRecord, found)
    return {
        "id": record.conversation_share_id,
        "conversation_id": record.conversation_id,
        "owner_id": record.owner_id,
        "label": record.label,
        "conversation_permission": record.conversation_permission,
        "is_redeemable": record.is_redeemable,
        "created_datetime": record.created_datetime,
        "metadata": record.meta_data,
    }


def _redemption(found: Row) -> Row:
    record = read(legacy.redemption, RedemptionRecord, found)
    return {
        "id": record.conversation_share_redemption_id,
        "share_id": record.conversation_share_id,
        "redeemed_by_user_id": record.redeemed_by_user_id,
        "conversation_permission": record.conversation_permission,
        "new_participant": record.new_participant,
        "created_datetime": record.created_datetime,
    }


def _step(
    source: Table, target: Table, shape: Callable[[Row], Row], select: Selection | None = None, *, stays: bool = False
) -> Step:
    return Step(source=source, target=target, shape=shape, select=select or _plain(source), stays=stays)


MESSAGES = _step(legacy.message, ours.messages, _message, _messages)
STEPS = (
    _step(legacy.user, ours.users, _user, stays=True),
    _step(legacy.registration, ours.assistant_services, _registration, _registrations, stays=True),
    _step(legacy.assistant, ours.assistants, _assistant),
    _step(legacy.conversation, ours.conversations, _conversation),
    _step(legacy.user_participant, ours.participants, _user_seat),
    _step(legacy.assistant_participant, ours.participants, _assistant_seat),
    MESSAGES,
    _step(legacy.message_debug, ours.message_debug, _debug),
    _step(legacy.share, ours.shares, _share),
    _step(legacy.redemption, ours.redemptions, _redemption),
)
