"""A content, and the jobs that remove what nothing refers to any more."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from workbench.domain.jobs.model import NewJob

SWEEP_JOB = "contents.sweep"
REMOVE_JOB = "contents.remove"
SWEEP_ROUND = timedelta(hours=1)
"""Sweeps of a workspace are at least so far apart."""
REST = timedelta(hours=1)
"""How long a content stays after it was last stored, so that no sweep meets an upload that is about to commit."""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that never change: the SHA-256 of them in lower-case hex, how many they are, and where they lie.

    The place has a random name. A content that was removed and is stored again lies elsewhere, so that whoever is
    still removing the old bytes cannot hit the new ones.
    """

    hash: str
    storage_key: str
    size: int


class StoredContent(Content, frozen=True, kw_only=True):
    """A content as it is listed: whose it is, when it was last stored, and whether a file refers to it."""

    workspace_id: str
    touched_datetime: datetime
    in_use: bool


class StoredObject(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes as the store lists them."""

    storage_key: str
    size: int
    modified_datetime: datetime


class ByteRange(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes from `start` up to, but without, `end`."""

    start: int
    end: int


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """A walk over a workspace's contents, from behind a hash on."""

    after_hash: str = ""

    def job(self, key: str, run_at: datetime) -> NewJob:
        """Describe the job that goes on from here."""
        return NewJob(kind=SWEEP_JOB, key=key, payload=_payload(self), run_at=run_at)


def sweep(now: datetime) -> NewJob:
    """Ask, after a deletion, that what nobody refers to any more be removed; asked often, it is done once a round."""
    this_round = now.timestamp() // SWEEP_ROUND.total_seconds()
    ended = datetime.fromtimestamp((this_round + 1) * SWEEP_ROUND.total_seconds(), now.tzinfo)
    return Sweep().job(f"{this_round:.0f}", ended + REST)


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes whose content is forgotten already."""

    storage_key: str

    def job(self, now: datetime) -> NewJob:
        """Describe the job that removes them."""
        return NewJob(kind=REMOVE_JOB, key=self.storage_key, payload=_payload(self), run_at=now)


def _payload(values: msgspec.Struct) -> dict[str, Any]:
    return msgspec.structs.asdict(values)
