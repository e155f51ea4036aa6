"""A person who is to be forgotten, how far that has come, and what is left to show of it: the receipt."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

ERASED_NAME = "Erased user"
NOTICE = "This message was erased."
FILE_NOTICE = b"This file was erased.\n"
FILE_NOTICE_TYPE = "text/plain"

ContentPolicy = Literal["keep", "remove", "replace"]
"""What becomes of what the person said and uploaded: it stays without its author, goes, or gives way to a notice."""

Counts = dict[str, dict[str, int]]
"""By table, then by what was done to its rows."""

FIRST_STAGE = "leave"
LAST_STAGE = "ended"


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """Who is to be erased, and what is put in their place."""

    user_id: str
    name: str
    tombstone_id: str
    subject: str
    policy: ContentPolicy


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure: the stage it is at, how far in that, and what it did so far.

    `subject` is a keyed hash of the person's id, and all that stays of them in the end. `version` counts what was
    stored, so that two who go on with it at once do not count twice.
    """

    id: UUID
    user_id: str | None
    user_name: str | None
    subject: str
    policy: ContentPolicy
    begun_datetime: datetime
    touched_datetime: datetime
    stage: str = FIRST_STAGE
    place: Any = None
    counts: Counts = {}
    ended_datetime: datetime | None = None
    version: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether nothing is left to be done."""
        return self.stage == LAST_STAGE

    @property
    def tombstone_id(self) -> str:
        """The id that stands where the person's stood; it says nothing of them."""
        return f"erased-{self.id.hex}"

    def counted(self, table: str, done: str, number: int = 1) -> "Erasure":
        """Count what was done to rows of a table."""
        if not number:
            return self
        of_table = self.counts.get(table, {})
        counts = {**self.counts, table: {**of_table, done: of_table.get(done, 0) + number}}
        return msgspec.structs.replace(self, counts=counts)

    def at(self, stage: str, place: Any = None) -> "Erasure":
        """Go on there."""
        return msgspec.structs.replace(self, stage=stage, place=place)

    def ended(self, now: datetime) -> "Erasure":
        """Forget who it was."""
        return msgspec.structs.replace(self.at(LAST_STAGE), user_id=None, user_name=None, ended_datetime=now)

    @property
    def person(self) -> Erased:
        """Who is to be erased; there is nobody any more when it has ended."""
        return Erased(
            user_id=self.user_id or self.tombstone_id,
            name=self.user_name or "",
            tombstone_id=self.tombstone_id,
            subject=self.subject,
            policy=self.policy,
        )


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure did. `subject` is a keyed hash of the person's id: whoever knows the id can find the receipt."""

    erasure_id: UUID
    workspace_id: str
    subject: str
    policy: ContentPolicy
    begun_datetime: datetime
    ended_datetime: datetime | None
    counts: Counts

    @classmethod
    def of(cls, workspace_id: str, erasure: Erasure) -> "Receipt":
        """The receipt of an erasure."""
        return cls(
            erasure_id=erasure.id,
            workspace_id=workspace_id,
            subject=erasure.subject,
            policy=erasure.policy,
            begun_datetime=erasure.begun_datetime,
            ended_datetime=erasure.ended_datetime,
            counts=erasure.counts,
        )


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure would touch: rows that name the person, by table, and what becomes of conversations of theirs."""

    rows: dict[str, int]
    conversations_deleted: int
    conversations_handed_over: int
