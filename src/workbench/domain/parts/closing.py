"""The end of an answer: what is left open is closed, and nobody is left with an empty bubble."""

import copy

import msgspec

from workbench.domain.parts.model import NO_RESPONSE, ClosingCode, Part, Parts, is_blank, is_data

_SAID: dict[ClosingCode, str] = {"cancelled": "(cancelled)", "error": "(failed)", "interrupted": "(interrupted)"}


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """Why an answer ended before its time; `text` must be safe to show, and has a default."""

    code: ClosingCode
    text: str | None = None
    error_code: str | None = None

    def part(self) -> Part:
        """The state that stands at the end of the answer."""
        text = _SAID[self.code] if is_blank(self.text) else self.text
        errors = {"errorCode": self.error_code} if self.error_code else {}
        return {"type": "status", "text": text, "code": self.code, **errors}


def is_meaningful(parts: Parts) -> bool:
    """Whether there is anything to see: text or reasoning that is not blank, a call of a tool, an image (F5)."""
    return any(
        part["type"] in {"tool-call", "image"} or (part["type"] in {"text", "reasoning"} and not is_blank(part["text"]))
        for part in parts
    )


def closed(parts: Parts, marker: Marker | None = None) -> Parts:
    """A copy of an answer's parts as they are stored when it is over (F4, F5, T8).

    Without a marker it ended as it should: reasoning that still runs is completed, and if there is nothing meaningful
    the outcome is exactly the state `(no text response)`, behind data if there are any. With one, reasoning that still
    runs is interrupted, calls of tools without result or error are aborted, and the marker stands at the end in place
    of all other states, alone but for data if there is nothing meaningful. To close once more changes nothing.
    """
    ended = [_ended(part, marker) for part in copy.deepcopy(parts)]
    kept = ended if is_meaningful(ended) else [part for part in ended if is_data(part)]
    if marker is not None:
        return [*(part for part in kept if part["type"] != "status"), marker.part()]
    return kept if is_meaningful(kept) else [*kept, {"type": "status", "text": NO_RESPONSE}]


def _ended(part: Part, marker: Marker | None) -> Part:
    if part["type"] == "reasoning" and part.get("status") == "running":
        return {**part, "status": "interrupted" if marker else "completed"}
    if part["type"] == "tool-call" and marker and "result" not in part and part.get("error") is None:
        return {**part, "state": "aborted"}
    return part
