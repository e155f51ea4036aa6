"""The list of questions and tasks that people keep beside a session (5.3)."""

from typing import Annotated, Literal

import msgspec

from workbench.domain.errors import ConflictError, TooLargeError

MAX_LANE_BYTES = 256 << 10
MAX_ENTRIES = 100
MAX_RESPONSE = 8000

EntryId = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
EntryText = Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]
ResponseText = Annotated[str, msgspec.Meta(max_length=MAX_RESPONSE)]


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something to be asked, and of whom."""

    id: EntryId
    text: EntryText
    audience: Literal["client", "engineer"]
    status: Literal["open", "answered", "dropped"] = "open"


class Task(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something to be done."""

    id: EntryId
    text: EntryText
    status: Literal["todo", "doing", "done", "dropped"] = "todo"


class Lane(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Questions, tasks, and what was answered, by the ids of both."""

    questions: Annotated[list[Question], msgspec.Meta(max_length=MAX_ENTRIES)] = []
    actions: Annotated[list[Task], msgspec.Meta(max_length=MAX_ENTRIES)] = []
    responses: dict[EntryId, ResponseText | bool | None] = {}


def checked_lane(lane: Lane, *, stored_rev: int, based_on: int | None) -> bytes:
    """The lane as it is stored. Its revision is the next one.

    `based_on` is the revision that the caller had read; without one the last writer wins. Raises TooLargeError
    `task_lane_too_large`, measured in bytes of UTF-8, and ConflictError `task_lane_conflict` with the stored revision.
    """
    encoded = msgspec.json.encode(lane)
    if len(encoded) > MAX_LANE_BYTES:
        raise TooLargeError(
            f"A task lane is limited to {MAX_LANE_BYTES} bytes",
            code="task_lane_too_large",
            extra={"limit_bytes": MAX_LANE_BYTES, "bytes": len(encoded)},
        )
    if based_on is not None and based_on != stored_rev:
        raise ConflictError("The task lane was changed meanwhile", code="task_lane_conflict", extra={"rev": stored_rev})
    return encoded
