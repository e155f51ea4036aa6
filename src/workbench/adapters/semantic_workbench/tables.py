"""The tables of the service whose data is moved in, as its newest schema has them, and what an older one lacks."""

from typing import Any

from sqlalchemy import JSON, Boolean, Column, DateTime, Integer, MetaData, String, Table, Uuid, literal
from sqlalchemy.types import TypeEngine

legacy = MetaData()

ADDED_LATER = {
    ("assistant", "template_id"): literal("default"),
    ("userparticipant", "metadata"): literal("{}"),
    ("assistantparticipant", "metadata"): literal("{}"),
}
"""Columns that came with a later version, and what the rows of an earlier one would have in them."""


def _table(name: str, /, **kinds: TypeEngine[Any]) -> Table:
    return Table(name, legacy, *(Column(column, kind) for column, kind in kinds.items()))


TEXT, ID, FLAG, NUMBER, JSON_TEXT, MOMENT = (
    *(String(), Uuid(), Boolean(), Integer()),
    *(JSON(), DateTime(timezone=True)),
)

user = _table("user", user_id=TEXT, created_datetime=MOMENT, name=TEXT, image=TEXT, service_user=FLAG)
registration = _table(
    "assistantserviceregistration",
    assistant_service_id=TEXT,
    created_by_user_id=TEXT,
    created_datetime=MOMENT,
    name=TEXT,
    description=TEXT,
    include_in_listing=FLAG,
    api_key_name=TEXT,
    assistant_service_url=TEXT,
)
assistant = _table(
    "assistant",
    assistant_id=ID,
    owner_id=TEXT,
    assistant_service_id=TEXT,
    template_id=TEXT,
    created_datetime=MOMENT,
    name=TEXT,
    image=TEXT,
    metadata=JSON_TEXT,
)
conversation = _table(
    "conversation",
    conversation_id=ID,
    created_datetime=MOMENT,
    owner_id=TEXT,
    title=TEXT,
    metadata=JSON_TEXT,
    imported_from_conversation_id=ID,
)
user_participant = _table(
    "userparticipant",
    conversation_id=ID,
    user_id=TEXT,
    name=TEXT,
    image=TEXT,
    service_user=FLAG,
    joined_datetime=MOMENT,
    status=TEXT,
    status_updated_datetime=MOMENT,
    active_participant=FLAG,
    conversation_permission=TEXT,
    metadata=JSON_TEXT,
)
assistant_participant = _table(
    "assistantparticipant",
    conversation_id=ID,
    assistant_id=ID,
    name=TEXT,
    image=TEXT,
    joined_datetime=MOMENT,
    status=TEXT,
    status_updated_datetime=MOMENT,
    active_participant=FLAG,
    metadata=JSON_TEXT,
)
message = _table(
    "conversationmessage",
    sequence=NUMBER,
    message_id=ID,
    conversation_id=ID,
    created_datetime=MOMENT,
    sender_participant_id=TEXT,
    sender_participant_role=TEXT,
    message_type=TEXT,
    content=TEXT,
    content_type=TEXT,
    metadata=JSON_TEXT,
    filenames=JSON_TEXT,
)
message_debug = _table("conversationmessagedebug", message_id=ID, data=JSON_TEXT)
file = _table("file", file_id=ID, conversation_id=ID, filename=TEXT, current_version=NUMBER, created_datetime=MOMENT)
file_version = _table(
    "fileversion",
    file_id=ID,
    version=NUMBER,
    participant_id=TEXT,
    participant_role=TEXT,
    created_datetime=MOMENT,
    metadata=JSON_TEXT,
    content_type=TEXT,
    file_size=NUMBER,
    storage_filename=TEXT,
)
share = _table(
    "conversationshare",
    conversation_share_id=ID,
    conversation_id=ID,
    created_datetime=MOMENT,
    owner_id=TEXT,
    label=TEXT,
    conversation_permission=TEXT,
    is_redeemable=FLAG,
    metadata=JSON_TEXT,
)
redemption = _table(
    "conversationshareredemption",
    conversation_share_redemption_id=ID,
    conversation_share_id=ID,
    conversation_id=ID,
    conversation_permission=TEXT,
    new_participant=FLAG,
    redeemed_by_user_id=TEXT,
    created_datetime=MOMENT,
)
