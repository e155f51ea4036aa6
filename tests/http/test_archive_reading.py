"""What we export is what we take: every record and every byte of an exported archive passes the checks of an import."""

import io
from collections import Counter

from tests.http.test_duplicates import robot_of
from tests.http.test_exports import eventful, opened, recorder
from tests.support.assistants import RecordingAssistantService
from tests.support.service import Service

from workbench.adapters.archives.unpacking import open_zip
from workbench.domain.archive.checking import RecordCheck, RecordLimits, checked
from workbench.domain.archive.model import ArchiveLimits
from workbench.domain.sizes import SizeLimits

__all__ = ("recorder",)


async def test_an_exported_archive_passes_the_checks(service: Service, recorder: RecordingAssistantService) -> None:
    ann = service.user("ann")
    conversation = await eventful(service, await robot_of(ann, recorder))
    answer = await ann.get("/conversations/export", params={"id": conversation})
    theirs = opened(answer)

    archive = await open_zip(io.BytesIO(answer.content), ArchiveLimits())
    check = RecordCheck(archive.paths, SizeLimits())
    found = [record async for record in checked(archive.read("workbench.jsonl"), check, RecordLimits())]

    assert Counter(type(record).__name__ for record in found) == {
        "AssistantRecord": 1,
        "ConversationRecord": 1,
        "MessageRecord": 2,
        "DebugRecord": 1,
        "UserSeatRecord": 2,
        "AssistantSeatRecord": 1,
        "FileRecord": 1,
        "VersionRecord": 2,
    }
    for path in archive.paths:
        assert b"".join([piece async for piece in archive.read(path)]) == theirs.read(path)
