"""The documents that an input mentions."""

from typing import Any, cast

from workbench.domain.parts.model import MAX_MENTIONS, Part, Warned
from workbench.domain.texts import cleaned

_KINDS = ("folder", "connector", "thread")
_NEEDED = {"doc": "document_type", "connector": "connector_type"}


def read_mentions(entries: Any, path: str) -> tuple[list[dict[str, Any]], list[Warned]]:
    """The mentions that can be understood, and a warning at `path` for each that cannot (S8, S9).

    Never raises: an input must not fail over decoration. An entry without `id` and `title`, or without what its kind
    needs, is `mention_dropped`, as is anything that is no list; behind the fiftieth there is one `mention_limit`.
    """
    if entries is None:
        return [], []
    if not isinstance(entries, list):
        return [], [Warned(code="mention_dropped", path=path)]
    mentions: list[dict[str, Any]] = []
    warnings: list[Warned] = []
    listed = cast("list[Any]", entries)
    for index, entry in enumerate(listed[:MAX_MENTIONS]):
        mention = _mention(cleaned(entry))
        if mention is None:
            warnings.append(Warned(code="mention_dropped", path=f"{path}[{index}]"))
        else:
            mentions.append(mention)
    if len(listed) > MAX_MENTIONS:
        warnings.append(Warned(code="mention_limit", path=f"{path}[{MAX_MENTIONS}]"))
    return mentions, warnings


def kind_of(mention: dict[str, Any]) -> str:
    """What is mentioned; a document where nothing, or nothing known, is said (X11)."""
    kind = mention.get("kind")
    return kind if kind in _KINDS else "doc"


def mentions_part(mentions: list[dict[str, Any]]) -> Part:
    """The part that holds them."""
    return {"type": "mentioned-documents", "documents": mentions}


def _mention(entry: Any) -> dict[str, Any] | None:
    if not isinstance(entry, dict):
        return None
    sent = cast("dict[str, Any]", entry)
    identity, title, kind = sent.get("id"), _text(sent.get("title")), kind_of(sent)
    if isinstance(identity, bool) or not isinstance(identity, int | str) or title is None:
        return None
    found: dict[str, Any] = {"id": identity, "title": title}
    if kind != "doc":
        found["kind"] = kind
    for name in ("document_type", *(("connector_type", "account_name") if kind == "connector" else ())):
        value = _text(sent.get(name))
        if value is not None:
            found[name] = value
        elif name == _NEEDED.get(kind):
            return None
        elif name == "account_name":
            found[name] = title
    return found


def _text(value: Any) -> str | None:
    """A text, or what can be written as one; None for what is missing or has parts of its own."""
    return str(value) if isinstance(value, str | int | float) else None
