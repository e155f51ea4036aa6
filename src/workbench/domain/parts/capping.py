"""Keeping an answer within what may be stored: an ending does not fail because a tool was talkative (8)."""

import bisect
from typing import Any

import msgspec

from workbench.domain.parts.flattening import spoken_text
from workbench.domain.parts.model import (
    MAX_PARTS,
    MAX_PARTS_BYTES,
    MAX_RESULT_BYTES,
    MAX_WARNINGS,
    Part,
    Parts,
    Warned,
    text_part,
)

_DROPPED_FIRST = ("data-", "reasoning", "tool-call", "image")
"""What goes where there are too many parts, the least worth first; never what was said, or how it ended."""
_FLAG_BYTES = len(',"resultTruncated":true')
_KEPT = {"text": ("type", "text"), "status": ("type", "text", "code")}
"""What is left of a part where nothing else helps."""


def capped(parts: Parts) -> tuple[Parts, list[Warned]]:
    """An answer's parts, checked and closed, within 512 parts and 4 MiB of JSON, and what was cut for it (8).

    Results of tools are cut to 256 KiB, then the longest of them further until all fits: their JSON, as a text, with
    `resultTruncated` (warning `result_truncated`). Only where that is not enough are parts dropped that are not text,
    the least worth or the largest first (`parts_dropped`), and at last the longest texts cut (`text_truncated`). Parts
    that are not cut are passed on as they are; what is within the limits already comes back the same.
    """
    few = _fewer(parts)
    short = _with_results_within(few, MAX_RESULT_BYTES)
    short = _with_results_within(short, _level([_size(part["result"]) for part in _with_result(short)], _excess(short)))
    light = _lighter(short)
    final = _with_shorter_texts(light)
    warnings = [Warned(code="parts_dropped", path="parts")] if len(light) < len(parts) else []
    warnings += [Warned(code="text_truncated", path="parts")] if final is not light else []
    given = {id(part) for part in parts}
    cut = (n for n, part in enumerate(final) if part.get("resultTruncated") is True and id(part) not in given)
    return final, [*warnings, *(Warned(code="result_truncated", path=f"parts[{n}].result") for n in cut)][:MAX_WARNINGS]


def _fewer(parts: Parts) -> Parts:
    """No more than may be: what decorates goes first, of that the oldest; if all is text, its end becomes one part."""
    droppable = [n for n, part in enumerate(parts) if part["type"] not in _KEPT]
    dropped = set(sorted(droppable, key=lambda n: _worth(parts[n]))[: max(0, len(parts) - MAX_PARTS)])
    kept = [part for n, part in enumerate(parts) if n not in dropped]
    if len(kept) <= MAX_PARTS:
        return kept
    return [*kept[: MAX_PARTS - 2], text_part(spoken_text(kept[MAX_PARTS - 2 : -1])), kept[-1]]


def _worth(part: Part) -> int:
    kind: str = part["type"]
    return next(worth for worth, known in enumerate(_DROPPED_FIRST) if kind.startswith(known))


def _with_result(parts: Parts) -> Parts:
    return [part for part in parts if part["type"] == "tool-call" and "result" in part]


def _with_results_within(parts: Parts, limit: int) -> Parts:
    long = {id(part) for part in _with_result(parts) if _size(part["result"]) > limit}
    return [_with_result_cut(part, limit) if id(part) in long else part for part in parts]


def _with_result_cut(part: Part, limit: int) -> Part:
    result = part["result"]
    text = result if isinstance(result, str) else msgspec.json.encode(result).decode()
    return {**part, "result": _cut(text, limit), "resultTruncated": True}


def _lighter(parts: Parts) -> Parts:
    """Without the largest parts that are not text, as many as must go."""
    excess = _excess(parts)
    dropped: set[int] = set()
    droppable = [n for n, part in enumerate(parts) if part["type"] not in _KEPT]
    for n in sorted(droppable, key=lambda n: _size(parts[n]), reverse=True):
        if excess <= 0:
            break
        dropped.add(n)
        excess -= _size(parts[n])
    return [part for n, part in enumerate(parts) if n not in dropped]


def _with_shorter_texts(parts: Parts) -> Parts:
    if _excess(parts) <= 0:
        return parts
    plain = [{name: part[name] for name in _KEPT[part["type"]] if name in part} for part in parts]
    limit = _level([_size(part["text"]) for part in plain], _excess(plain))
    return [{**part, "text": _cut(part["text"], limit)} for part in plain]


def _level(sizes: list[int], excess: int) -> int:
    """The greatest length to which to cut what is longer, so that the excess is saved; 0 where nothing saves it."""
    if excess <= 0:
        return max(sizes, default=0)
    wanted = excess + len(sizes) * _FLAG_BYTES
    limits = range(max(sizes, default=0) + 1)
    found = bisect.bisect_right(limits, -wanted, key=lambda limit: -sum(max(0, size - limit) for size in sizes))
    return max(0, found - 1)


def _cut(text: str, limit: int) -> str:
    """The longest beginning whose JSON has no more bytes than that; no character has less than one."""
    lengths = range(min(len(text), limit) + 1)
    found = bisect.bisect_right(lengths, limit, key=lambda length: _size(text[:length]))
    return text[: max(0, found - 1)]


def _excess(parts: Parts) -> int:
    return _size(parts) - MAX_PARTS_BYTES


def _size(value: Any) -> int:
    return len(msgspec.json.encode(value))
