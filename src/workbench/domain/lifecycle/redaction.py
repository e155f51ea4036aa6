"""Taking a person out of JSON: copies of them and of what they said, as events, envelopes and metadata hold them."""

from typing import Any, cast

from workbench.domain.lifecycle.person import ERASED_NAME, NOTICE, Erased

_SEAT: dict[str, Any] = {"image": None, "status": None, "metadata": {}, "active_participant": False}
_MESSAGE: dict[str, Any] = {
    "content": NOTICE,
    "content_type": "text/plain",
    "filenames": [],
    "metadata": {},
    "has_debug_data": False,
}
_WORDS = frozenset({"role", "participant_role", "message_type", "conversation_permission", "content_type"})
"""Members whose values are words of the contract, whatever a person may be called."""
_FILE: dict[str, Any] = {"filename": "erased", "metadata": {}, "content_type": "", "file_size": 0}


def redacted(value: Any, person: Erased) -> Any:
    """The same without the person.

    Wherever their id is a value of its own, it gives way to the tombstone's; as a key it goes with what it leads to.
    What is theirs by its form (a participant or user, a message, a file) also loses name, image and metadata, and,
    unless content is kept, what they said. Text in which others mention them stays as others wrote it.
    """
    if isinstance(value, dict):
        return _redacted_object(cast("dict[str, Any]", value), person)
    if isinstance(value, list):
        return [redacted(each, person) for each in cast("list[Any]", value)]
    return person.tombstone_id if value == person.user_id else value


def _redacted_object(value: dict[str, Any], person: Erased) -> dict[str, Any]:
    laid_over: dict[str, Any] = {}
    if _is_the_person(value, person):
        laid_over = {"name": ERASED_NAME, **_SEAT}
    elif person.policy != "keep" and _is_said_by(value, person):
        laid_over = _MESSAGE
    elif person.policy != "keep" and _is_uploaded_by(value, person):
        laid_over = _FILE if person.policy == "remove" else {"metadata": {}}
    kept = {
        key: each if key in _WORDS else redacted(each, person) for key, each in value.items() if key != person.user_id
    }
    return {**kept, **{key: each for key, each in laid_over.items() if key in kept}}


def _is_the_person(value: dict[str, Any], person: Erased) -> bool:
    return value.get("id") == person.user_id and "name" in value and value.get("role", "user") == "user"


def _is_said_by(value: dict[str, Any], person: Erased) -> bool:
    return value.get("sender") == {"participant_role": "user", "participant_id": person.user_id}


def _is_uploaded_by(value: dict[str, Any], person: Erased) -> bool:
    return "filename" in value and value.get("participant_id") == person.user_id
