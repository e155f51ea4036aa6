"""The versions of a playbook: each is kept as it was imported, and one of them is what new sessions follow (7.6)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from workbench.domain.errors import NotFoundError
from workbench.domain.playbooks.findings import Finding
from workbench.domain.playbooks.model import SCHEMA, Playbook, content_hash
from workbench.domain.playbooks.reading import Checked

PlaybookStatus = Literal["draft", "published", "archived"]


class PlaybookVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A playbook as it was imported. It never changes, but for the time when it was first published."""

    version: int
    source_text: str
    document: Playbook
    content_hash: str
    findings: list[Finding]
    imported_by: str
    created_at: datetime
    published_at: datetime | None = None
    schema: str = SCHEMA


class StoredPlaybook(msgspec.Struct, frozen=True, kw_only=True):
    """A playbook of a workspace. `current_version` is what new sessions follow; those under way stay with theirs."""

    id: UUID
    key: str
    title: str
    domain: str | None
    status: PlaybookStatus = "draft"
    current_version: int | None = None


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import comes to. `version` is the one to store, or None where the text means nothing new."""

    number: int
    status: Literal["draft", "unchanged"]
    version: PlaybookVersion | None


def imported(
    versions: Sequence[PlaybookVersion], checked: Checked, source_text: str, imported_by: str, now: datetime
) -> Imported:
    """Take a document as the next version, unless one of those that are there means the same.

    Raises UnprocessableError `invalid_playbook` with all findings.
    """
    document = checked.require()
    digest = content_hash(document)
    same = next((each for each in reversed(versions) if each.content_hash == digest), None)
    if same is not None:
        return Imported(number=same.version, status="unchanged", version=None)
    version = PlaybookVersion(
        version=max((each.version for each in versions), default=0) + 1,
        source_text=source_text,
        document=document,
        content_hash=digest,
        findings=checked.findings,
        imported_by=imported_by,
        created_at=now,
    )
    return Imported(number=version.version, status="draft", version=version)


def published(
    playbook: StoredPlaybook, versions: Sequence[PlaybookVersion], number: int, now: datetime
) -> tuple[StoredPlaybook, PlaybookVersion]:
    """Have new sessions follow a version; an older number goes back to it. Raises NotFoundError `version_not_found`."""
    version = next((each for each in versions if each.version == number), None)
    if version is None:
        raise NotFoundError("The playbook has no such version", code="version_not_found")
    current = msgspec.structs.replace(
        playbook,
        status="published",
        current_version=number,
        title=version.document.title,
        domain=version.document.domain,
    )
    return current, msgspec.structs.replace(version, published_at=version.published_at or now)


def archived(playbook: StoredPlaybook) -> StoredPlaybook:
    """Offer it to new sessions no more; those that follow it go on."""
    return msgspec.structs.replace(playbook, status="archived")
