"""Records of archives: what is read, what is passed over, and how a fault is named."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from workbench.domain.archive.checking import RecordCheck, RecordLimits, checked
from workbench.domain.archive.records import ArchiveRecord, ConversationRecord, DebugRecord, MessageRecord
from workbench.domain.errors import InvalidError, TooLargeError
from workbench.domain.sizes import SizeLimits

HERE = "0b2f6b1e-8a53-4a5c-9a39-0d6f0c3a3a01"
SAID = "0b2f6b1e-8a53-4a5c-9a39-0d6f0c3a3a02"
FILE = "0b2f6b1e-8a53-4a5c-9a39-0d6f0c3a3a03"
BYTES = f"files/{HERE}/{hashlib.sha256(b'stored').hexdigest()}"
NAIVE = "2024-05-01T10:11:12.123456"


def line(kind: str, **data: Any) -> bytes:
    """A line, with the data first, as nothing forbids."""
    return msgspec.json.encode({"data": data, "type": kind}) + b"\n"


def conversation(**changed: Any) -> bytes:
    return line(
        "Conversation",
        **{
            "meta_data": {},
            "title": "Talk",
            "owner_id": "ann",
            "created_datetime": NAIVE,
            "conversation_id": HERE,
            **changed,
        },
    )


def message(**changed: Any) -> bytes:
    given: dict[str, Any] = {
        "sequence": 7,
        "message_id": SAID,
        "conversation_id": HERE,
        "created_datetime": NAIVE,
        "sender_participant_id": "ann",
        "sender_participant_role": "user",
        "message_type": "chat",
        "content": "hello",
        "content_type": "text/plain",
        "meta_data": {},
        "filenames": [],
    }
    return line("ConversationMessage", **{**given, **changed})


def file(**changed: Any) -> bytes:
    given: dict[str, Any] = {
        "file_id": FILE,
        "conversation_id": HERE,
        "filename": "a/b.txt",
        "current_version": 1,
        "created_datetime": NAIVE,
    }
    return line("File", **{**given, **changed})


def version(**changed: Any) -> bytes:
    given: dict[str, Any] = {
        "file_id": FILE,
        "version": 1,
        "participant_id": "ann",
        "participant_role": "user",
        "created_datetime": NAIVE,
        "meta_data": {},
        "content_type": "text/plain",
        "file_size": 3,
        "storage_filename": "stored",
    }
    return line("FileVersion", **{**given, **changed})


def user(**changed: Any) -> bytes:
    given: dict[str, Any] = {
        "conversation_id": HERE,
        "user_id": "ann",
        "name": "Ann",
        "service_user": False,
        "joined_datetime": NAIVE,
        "status_updated_datetime": NAIVE,
        "active_participant": True,
        "meta_data": {},
        "conversation_permission": "read_write",
    }
    return line("UserParticipant", **{**given, **changed})


async def read(
    *lines: bytes, limits: RecordLimits | None = None, sizes: SizeLimits | None = None, piece: int = 11
) -> list[ArchiveRecord]:
    """Read lines that arrive in small pieces."""
    text = b"".join(lines)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(text), piece):
            yield text[start : start + piece]

    check = RecordCheck({BYTES}, sizes or SizeLimits())
    return [record async for record in checked(pieces(), check, limits or RecordLimits())]


async def test_fields_come_in_any_order_and_times_without_a_zone_are_utc() -> None:
    found = await read(conversation(), message(created_datetime="2024-05-01T12:11:12.5+02:00"))

    assert isinstance(found[0], ConversationRecord)
    assert isinstance(found[1], MessageRecord)
    assert found[0].created_datetime == datetime(2024, 5, 1, 10, 11, 12, 123456, tzinfo=UTC)
    assert found[1].created_datetime == datetime(2024, 5, 1, 10, 11, 12, 500000, tzinfo=UTC)


async def test_only_lf_ends_a_line() -> None:
    text = "one\u2028two\u2029three\x85four\x0bfive"

    found = await read(conversation(title=text), message(content=text))

    assert isinstance(found[1], MessageRecord)
    assert found[1].content == text


async def test_unknown_types_and_empty_lines_are_passed_over_but_count_as_lines() -> None:
    found = await read(line("Recipe", salt=1), b"\n", conversation(), message()[:-1])

    assert [type(one) for one in found] == [ConversationRecord, MessageRecord]
    with pytest.raises(InvalidError, match=r"^line 3, data\.title: "):
        await read(line("Recipe", salt=1), b"\n", conversation(title=1))


async def test_nul_is_dropped_and_an_escaped_backslash_is_kept() -> None:
    lines = conversation(), message(content="a\x00b\\u0000c")

    found = await read(*lines)

    assert isinstance(found[1], MessageRecord)
    assert found[1].content == "ab\\u0000c"


async def test_an_empty_archive_has_no_records() -> None:
    assert await read() == []


async def test_a_whole_conversation_is_read() -> None:
    debug = line("ConversationMessageDebug", message_id=SAID, data={"a": 1})

    found = await read(conversation(), message(), debug, user(), file(), version())

    assert len(found) == 6
    assert isinstance(found[2], DebugRecord)


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ([b"nonsense\n"], "line 1: "),
        ([b"[1]\n"], "line 1: "),
        ([b'{"data":{}}\n'], "line 1: "),
        ([b'{"type":"Conversation","data":[]}\n'], "line 1, data: "),
        ([conversation(conversation_id="here")], "line 1, data.conversation_id: "),
        ([conversation(created_datetime="soon")], "line 1, data.created_datetime: "),
        ([conversation(created_datetime="0001-01-01T00:00:00+14:00")], "line 1, data: "),
        ([conversation(title="x" * 5000)], "line 1, data.title: "),
        ([conversation(title="?").replace(b'"?"', b'"\xff"')], "line 1: |line 1, data: "),
        ([conversation(title="?").replace(b'"?"', b'"\\ud800"')], "line 1: |line 1, data: "),
        ([conversation(meta_data={"a": "?"}).replace(b'"?"', b"[" * 100_000)], "line 1: |line 1, data: "),
        ([conversation(), conversation()], "line 2, data.conversation_id: "),
        ([message()], "line 1, data.conversation_id: "),
        ([conversation(), message(), message()], "line 3, data.message_id: "),
        ([conversation(), message(message_type="shout")], "line 2, data.message_type: "),
        ([conversation(), message(sender_participant_role="king")], "line 2, data.sender_participant_role: "),
        ([conversation(), line("ConversationMessageDebug", message_id=SAID, data={})], "line 2, data.message_id: "),
        ([user()], "line 1, data.conversation_id: "),
        ([conversation(), user(), user()], "line 3, data.user_id: "),
        ([conversation(), user(conversation_permission="own")], "line 2, data.conversation_permission: "),
        ([conversation(), version()], "line 2, data.file_id: "),
        ([conversation(), file(filename="../b.txt"), version()], "line 2, files: "),
        ([conversation(), file(), file()], "line 3, data.file_id: "),
        ([conversation(), file(), version(), version()], "line 4, data.version: "),
        ([conversation(), file(), version(version=2)], "line 3, data.version: "),
        ([conversation(), file(), version(version=2**31)], "line 3, data.version: "),
        ([conversation(), file(), version(file_size=-1)], "line 3, data.file_size: "),
        ([conversation(), file(), version(storage_filename="lost")], "line 3, data.storage_filename: "),
    ],
)
async def test_a_fault_is_named_by_line_and_field(lines: list[bytes], field: str) -> None:
    with pytest.raises(InvalidError) as raised:
        await read(*lines)

    assert any(raised.value.detail.startswith(one) for one in field.split("|"))
    assert raised.value.extra["line"] == len(lines) - (field.startswith("line 2, files") and 1)


async def test_a_file_without_its_current_version_is_refused() -> None:
    with pytest.raises(InvalidError, match="has no version 2"):
        await read(conversation(), file(current_version=2), version())


async def test_records_are_limited_in_number_length_and_parts() -> None:
    with pytest.raises(TooLargeError, match="line 2: an archive is limited to 1 records"):
        await read(conversation(), message(), limits=RecordLimits(records=1))
    with pytest.raises(TooLargeError, match="line 2: a record is limited to 1000 bytes"):
        await read(conversation(), message(content="x" * 1000), limits=RecordLimits(line_bytes=1000))
    with pytest.raises(TooLargeError, match="line 2, content: "):
        await read(conversation(), message(content="x" * 1000), sizes=SizeLimits(message_bytes=100))
    with pytest.raises(TooLargeError, match="line 1, meta_data: "):
        await read(conversation(meta_data={"a": "x" * 1000}), sizes=SizeLimits(metadata_bytes=100))


async def test_a_line_without_end_is_refused_before_it_is_held() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1000
            yield b"x" * 1000

    with pytest.raises(TooLargeError, match="line 1: a record is limited to 10000 bytes"):
        async for _ in checked(endless(), RecordCheck((), SizeLimits()), RecordLimits(line_bytes=10_000)):
            pass
    assert taken == 11_000
