"""A reader of server-sent events that forgives nothing (WHATWG HTML, 9.2), for streams that must be right to the byte."""

import json
import re
from dataclasses import dataclass
from typing import Any

_FIELDS = frozenset({"event", "data", "id", "retry"})


@dataclass(frozen=True)
class Heard:
    """An event: its name and its data, which are one JSON object."""

    name: str
    data: dict[str, Any]


def read_events(body: bytes) -> list[Heard]:
    """All events of a whole stream. Raises AssertionError for whatever a lenient reader would pass over."""
    text = body.decode("utf-8", "strict")
    assert not text.startswith("\ufeff"), "a byte order mark"
    blocks = re.split(r"\r\n\r\n|\n\n|\r\r", text)
    assert blocks.pop() == "", "the last event is not closed by a blank line"
    return [heard for block in blocks if (heard := _event(block)) is not None]


def _event(block: str) -> Heard | None:
    """An event, or nothing where there are only comments or a pause is set."""
    fields: dict[str, str] = {}
    for line in re.split(r"\r\n|\n|\r", block):
        name, colon, value = line.partition(":")
        if not name and colon:
            continue
        assert colon, f"a line without a field: {line!r}"
        assert name in _FIELDS, f"an unknown field: {line!r}"
        assert name not in fields, f"a second {name} in one event"
        fields[name] = value.removeprefix(" ")
    if "data" not in fields:
        return None
    data = json.loads(fields["data"])
    assert isinstance(data, dict), "the data are no object"
    return Heard(fields["event"], data)


def told_text(events: list[Heard]) -> str:
    """The text that a client of a documentation's stream ends up with, which must be told in the right order."""
    names = [event.name for event in events]
    assert names[0] == "meta", names
    assert names.count("meta") == 1, names
    assert names[-1] in {"done", "error"}, names
    assert names.count("done") + names.count("error") == 1, names
    assert names.count("reset") <= 1, names
    deltas = [event.data["seq"] for event in events if event.name == "delta"]
    assert deltas == list(range(1, len(deltas) + 1))
    text = ""
    for event in events:
        text = "" if event.name == "reset" else text + event.data.get("text", "")
    if names[-1] == "done":
        assert events[-1].data["chars"] == len(text)
    return text
