"""Files that are named with what is said: each must have been uploaded to the session's conversation by who takes part (7.8)."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from workbench.domain.errors import InvalidError
from workbench.domain.files.model import MAX_NAME_LENGTH, Download, FileAtVersion
from workbench.domain.messages.model import MessageQuery
from workbench.domain.texts import cleaned_text
from workbench.domain.troubleshooting.known import Known
from workbench.domain.troubleshooting.model import Session, SessionStep
from workbench.domain.troubleshooting.ports import ChatTx

MAX_UPLOADS = 10
LOOKED_THROUGH = 100
"""So many of the newest messages of people are looked through for files."""

UploadId = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
UploadIds = Annotated[
    tuple[UploadId, ...],
    msgspec.Meta(max_length=MAX_UPLOADS, description="Names of files that were uploaded to the conversation."),
]


class Attached(msgspec.Struct, frozen=True, kw_only=True):
    """The files that came with the answers of a way, the newest first, and the names of those that came with the last one."""

    downloads: Sequence[Download] = ()
    with_last: Sequence[str] = ()


async def uploaded(tx: ChatTx, found: Known, upload_ids: Sequence[str]) -> list[FileAtVersion]:
    """The files, each once. Raises InvalidError `unknown_upload` where one is not there, or from somebody else."""
    wanted = list(dict.fromkeys(cleaned_text(each) for each in upload_ids))
    if not wanted:
        return []
    everyone = {(each.role, each.id) for each in found.everyone}
    files = await tx.files.named(found.session.conversation_id, wanted)
    theirs = [each for each in files if (each.version.participant_role, each.version.participant_id) in everyone]
    if len(theirs) != len(wanted):
        raise InvalidError("There is no such upload", code="unknown_upload", field="upload_ids")
    return theirs


async def attached(tx: ChatTx, session: Session, path: Sequence[SessionStep]) -> Attached:
    """The files that came with the newest answers, as far as they are still there."""
    answers = {step.answer_message_id for step in path}
    people = MessageQuery(participant_roles=("user",), limit=LOOKED_THROUGH)
    newest_first = reversed(await tx.messages.page(session.conversation_id, people))
    said = [each for each in newest_first if each.id in answers and each.filenames]
    names = list(dict.fromkeys(name for each in said for name in each.filenames))[:MAX_UPLOADS]
    found = [await tx.files.download(session.conversation_id, name, None) for name in names]
    last = [each.filenames for each in said if path and each.id == path[-1].answer_message_id]
    return Attached(
        downloads=[each for each in found if each is not None], with_last=[name for names in last for name in names]
    )
