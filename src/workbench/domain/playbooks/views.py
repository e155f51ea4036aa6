"""Playbooks as callers see them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from workbench.domain.playbooks.findings import Finding
from workbench.domain.playbooks.matching import Candidate
from workbench.domain.playbooks.model import Playbook
from workbench.domain.playbooks.versions import PlaybookStatus

MAX_REPORT = 20_000


class ListedPlaybook(msgspec.Struct, frozen=True, kw_only=True):
    """A playbook in a list. `current_version` is what new sessions follow; 0 is the one that comes with the package."""

    id: UUID
    key: str
    title: str
    domain: str | None
    status: PlaybookStatus
    current_version: int | None


class PlaybookList(msgspec.Struct, frozen=True, kw_only=True):
    """The playbooks of a workspace, by their keys."""

    playbooks: list[ListedPlaybook]


class ListedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a playbook. `imported_by` is null for the one that comes with the package."""

    version: int
    imported_by: str | None = None
    created_at: datetime | None = None
    published_at: datetime | None = None
    warning_count: int = 0


class PlaybookView(ListedPlaybook, frozen=True, kw_only=True):
    """A playbook with its versions, the oldest first."""

    versions: list[ListedVersion]


class VersionView(ListedVersion, frozen=True, kw_only=True):
    """One version of a playbook: what it means, and the text that it was imported as."""

    key: str
    document: Playbook
    source_text: str
    findings: list[Finding]


class ImportedPlaybook(msgspec.Struct, frozen=True, kw_only=True):
    """What an import came to. `unchanged`: a version that is there means the same."""

    key: str
    version: int
    status: Literal["draft", "published", "unchanged"]
    findings: list[Finding]


class Validation(msgspec.Struct, frozen=True, kw_only=True):
    """What is amiss in a playbook; without errors it can be imported."""

    key: str | None
    is_valid: bool
    findings: list[Finding]


class Publication(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version new sessions are to follow: by default the newest; 0 is the one that comes with the package."""

    version: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A report, to see which playbooks it would find."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_REPORT)]
    fields: Annotated[dict[str, Annotated[str, msgspec.Meta(max_length=1000)]], msgspec.Meta(max_length=50)] = {}


class TrialResult(msgspec.Struct, frozen=True, kw_only=True):
    """What would be done, and the playbooks that were found, the best first, with what their scores are made of."""

    decision: Literal["run", "offer", "nothing"]
    candidates: list[Candidate]
