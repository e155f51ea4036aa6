"""Files that are named with what is said: each must have been uploaded to the session's conversation by who takes part (7.8)."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from workbench.domain.errors import InvalidError
from workbench.domain.files.model import MAX_NAME_LENGTH, FileAtVersion
from workbench.domain.texts import cleaned_text
from workbench.domain.troubleshooting.known import Known
from workbench.domain.troubleshooting.ports import ChatTx

MAX_UPLOADS = 10

UploadId = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
UploadIds = Annotated[
    tuple[UploadId, ...],
    msgspec.Meta(max_length=MAX_UPLOADS, description="Names of files that were uploaded to the conversation."),
]


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
