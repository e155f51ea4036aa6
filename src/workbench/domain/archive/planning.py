"""What an import would make, found out before anything of it is made: reads only, so that it can be rehearsed."""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from workbench.domain.archive.checking import RecordCheck, RecordLimits, checked
from workbench.domain.archive.model import (
    RECORDS,
    Seated,
    Watch,
    assistant_data_path,
    conversation_data_path,
)
from workbench.domain.archive.ports import ImportTx, OpenedArchive
from workbench.domain.archive.records import (
    ArchiveRecord,
    AssistantRecord,
    AssistantSeatRecord,
    ConversationRecord,
    UserSeatRecord,
)
from workbench.domain.archive.storing import Import, Manifest
from workbench.domain.assistant_services.model import AssistantAddress
from workbench.domain.assistants.model import Assistant, seat_of
from workbench.domain.conversations.model import Conversation
from workbench.domain.errors import InvalidError, UpstreamError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.participants.model import Participant
from workbench.domain.sizes import SizeLimits

STEP = 500
"""Records that are read between two words on how far it is."""


class Introduction(msgspec.Struct, frozen=True, kw_only=True):
    """An assistant that is to be told of itself, or of a conversation that it is in; and what it kept, if anything."""

    assistant: Assistant
    address: AssistantAddress
    conversation: Conversation | None
    data: bytes | None


async def read_manifest(archive: OpenedArchive, sizes: SizeLimits, watch: Watch) -> Manifest:
    """Go over everything once, so that nothing is begun that cannot be finished. Raises InvalidError, TooLargeError."""
    manifest, count = Manifest(), 0
    async for record in records_of(archive, sizes):
        manifest.take(record)
        count += 1
        if count % STEP == 0:
            watch("records", count, None)
    return manifest


def records_of(archive: OpenedArchive, sizes: SizeLimits) -> AsyncIterator[ArchiveRecord]:
    """Read the records, each checked against those before it."""
    return checked(archive.read(RECORDS), RecordCheck(archive.paths, sizes), RecordLimits())


async def plan_import(tx: ImportTx, principal: Principal, manifest: Manifest, now: datetime) -> Import:
    """Choose ids, titles and names, and the assistants that are used again; nothing is stored.

    Raises InvalidError for a service that is not registered.
    """
    begun = Import(id=new_id(), debugged=manifest.debugged)
    titles = _Numbering()
    for record in manifest.conversations:
        title = titles.next(record.title, await tx.imports.titles_like(principal.id, record.title))
        conversation = _conversation(record, title, principal.id, now)
        begun.conversations[record.conversation_id] = conversation.id
        begun.details[conversation.id] = conversation
    await _plan_assistants(tx, principal, manifest, begun, now)
    _plan_seats(principal, manifest, begun, now)
    return begun


async def introductions(archive: OpenedArchive, begun: Import) -> AsyncIterator[Introduction]:
    """Whom services are to be told of: first new assistants, then each in its conversations.

    Raises UpstreamError where a service is offline.
    """
    for path, assistant_id, conversation in _to_introduce(begun):
        assistant = begun.known[assistant_id]
        if not assistant.assistant_service_online:
            raise UpstreamError(f"Failed to connect to assistant {assistant.name}; its service is offline")
        data = await _whole(archive, path)
        yield Introduction(
            assistant=assistant, address=begun.addresses[assistant_id], conversation=conversation, data=data
        )


def _to_introduce(begun: Import) -> Iterator[tuple[str, UUID, Conversation | None]]:
    old_of = {new: old for old, new in begun.assistants.items()}
    old_talk = {new: old for old, new in begun.conversations.items()}
    for assistant_id in begun.new_assistants:
        yield assistant_data_path(old_of[assistant_id]), assistant_id, None
    for seat in begun.active_assistants():
        assistant_id = UUID(seat.id)
        old = Seated(assistant_id=old_of[assistant_id], conversation_id=old_talk[seat.conversation_id])
        yield conversation_data_path(old), assistant_id, begun.details[seat.conversation_id]


async def _plan_assistants(
    tx: ImportTx, principal: Principal, manifest: Manifest, begun: Import, now: datetime
) -> None:
    if not manifest.assistants:
        return
    mine = await tx.assistants.owned_by(principal.id)
    names = _Numbering()
    for record in manifest.assistants:
        registration = await tx.registrations.find(record.assistant_service_id)
        service = await tx.registrations.address(record.assistant_service_id)
        if registration is None or service is None:
            raise InvalidError(
                f"assistant service id {record.assistant_service_id} is not valid", field="assistant_service_id"
            )
        same = next((one for one in mine if _is_same(one, record)), None)
        assistant = same or _assistant(record, names.next(record.name, [one.name for one in mine]), now)
        if same is None:
            begun.new_assistants.append(assistant.id)
        begun.assistants[record.assistant_id] = assistant.id
        online = registration.assistant_service_online
        begun.known[assistant.id] = msgspec.structs.replace(assistant, assistant_service_online=online)
        begun.addresses[assistant.id] = AssistantAddress(assistant_id=assistant.id, service=service)


def _plan_seats(principal: Principal, manifest: Manifest, begun: Import, now: datetime) -> None:
    """Give everybody but the importer a seat, and nobody two."""
    begun.seats = {conversation_id: [] for conversation_id in begun.details}
    seats = [_users_seat(seat, begun, now) for seat in manifest.user_seats if seat.user_id != principal.id]
    seats += [_assistants_seat(seat, begun, now) for seat in manifest.assistant_seats]
    taken = set[tuple[UUID, str, str]]()
    for seat in seats:
        key = (seat.conversation_id, seat.role, seat.id)
        if key not in taken:
            taken.add(key)
            begun.seats[seat.conversation_id].append(seat)


class _Numbering:
    """Names that are there already get a number (contract, 6.4)."""

    def __init__(self) -> None:
        self._given: list[str] = []

    def next(self, name: str, taken: Sequence[str]) -> str:
        numbered = re.compile(rf"{re.escape(name.lower())}(?: \(\d+\))?")
        count = sum(bool(numbered.fullmatch(each.lower())) for each in [*taken, *self._given])
        self._given.append(f"{name} ({count})" if count else name)
        return self._given[-1]


def _conversation(record: ConversationRecord, title: str, owner_id: str, now: datetime) -> Conversation:
    return Conversation(
        id=new_id(),
        title=title,
        owner_id=owner_id,
        imported_from_conversation_id=record.conversation_id,
        metadata=record.meta_data,
        created_datetime=now,
    )


def _is_same(mine: Assistant, record: AssistantRecord) -> bool:
    wanted = (record.assistant_service_id, record.template_id, record.name)
    return (mine.assistant_service_id, mine.template_id, mine.name) == wanted


def _assistant(record: AssistantRecord, name: str, now: datetime) -> Assistant:
    return Assistant(
        id=new_id(),
        name=name,
        image=record.image,
        assistant_service_id=record.assistant_service_id,
        assistant_service_online=False,
        template_id=record.template_id,
        metadata=record.meta_data,
        created_datetime=now,
    )


def _users_seat(record: UserSeatRecord, begun: Import, now: datetime) -> Participant:
    """People do not follow by themselves: their seats are there for what they said."""
    conversation_id = begun.conversations[record.conversation_id]
    return msgspec.structs.replace(
        Participant.of_user(conversation_id, record.user_id, record.name, record.image, now),
        active_participant=False,
        conversation_permission=record.conversation_permission,
        metadata=record.meta_data,
    )


def _assistants_seat(record: AssistantSeatRecord, begun: Import, now: datetime) -> Participant:
    """An assistant that did not come along keeps its name and image, but is not there."""
    conversation_id = begun.conversations[record.conversation_id]
    assistant_id = begun.assistants.get(record.assistant_id)
    if assistant_id is not None:
        seat = seat_of(begun.known[assistant_id], conversation_id, now)
        active = record.active_participant
        return msgspec.structs.replace(seat, active_participant=active, metadata=record.meta_data)
    return Participant(
        role="assistant",
        id=str(record.assistant_id),
        conversation_id=conversation_id,
        name=record.name,
        image=record.image,
        status=None,
        status_updated_timestamp=now,
        active_participant=False,
        online=False,
        conversation_permission="read_write",
        metadata=record.meta_data,
    )


async def _whole(archive: OpenedArchive, path: str) -> bytes | None:
    if path not in archive.paths:
        return None
    return b"".join([chunk async for chunk in archive.read(path)])
