"""How much work a schema can make of a value: each reference is a copy of what it refers to, and copies multiply.

Eighteen definitions, each of which names the next one twice, are 262,144 branches. To say whether a value fits takes
the library nanoseconds a branch, to say where it does not fit a thousand times as long.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import unquote

MAX_WEIGHT = 10_000
"""Branches that a schema may have with every reference followed once."""

DEFINITIONS = frozenset({"$defs", "definitions"})
"""Counted where they are referred to."""
DATA = frozenset({"const", "enum", "default", "examples"})
"""No schemas, whatever they look like."""
BY_NAME = frozenset({"$dynamicRef", "$recursiveRef"})

Node = Mapping[str, Any]


class Branching:
    """What a schema comes to."""

    def __init__(self, schema: Node) -> None:
        """Count. Raises ValueError for one that branches too much, or refers otherwise than by a path in itself."""
        self._schema = schema
        self._known: dict[str, tuple[int, int]] = {}
        self._open: set[str] = {"#"}
        self._loops = 0
        self._weight = self._weigh(schema, is_root=True)
        if self._weight > MAX_WEIGHT:
            raise ValueError(f"$: with its references followed it has more than {MAX_WEIGHT} branches")

    def most_branches(self, value: Any) -> int:
        """How many branches there may be for a value: where definitions contain themselves, more with each level."""
        return self._weight * max(self._loops, 1) ** _depth_of(value)

    def _weigh(self, node: Any, *, is_root: bool = False) -> int:
        if isinstance(node, list):
            return sum(map(self._weigh, cast("list[Any]", node)))
        if not isinstance(node, dict):
            return 0
        fields = cast("dict[str, Any]", node)
        _require_plain(fields, is_root=is_root)
        inner = sum(map(self._weigh, _schemas_in(fields)))
        reference = fields.get("$ref")
        return 1 + inner + (self._follow(reference) if isinstance(reference, str) else 0)

    def _follow(self, reference: str) -> int:
        if reference in self._open:
            self._loops += 1
            return 1
        if reference in self._known:
            weight, loops = self._known[reference]
            self._loops += loops
            return weight
        before = self._loops
        self._open.add(reference)
        weight = self._weigh(self._found(reference))
        self._open.discard(reference)
        self._known[reference] = (weight, self._loops - before)
        return weight

    def _found(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            raise ValueError(f"$: {reference[:100]!r} is not a path in the schema itself, such as #/$defs/name")
        at: Any = self._schema
        for step in unquote(reference.removeprefix("#/")).split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            at = cast("list[Any]", at)[int(name)] if isinstance(at, list) else at[name]
        return at


def _schemas_in(fields: Node) -> Iterator[Any]:
    return (value for name, value in fields.items() if name not in DEFINITIONS and name not in DATA)


def _require_plain(fields: Node, *, is_root: bool) -> None:
    """Let no schema rename places, or refer to them by names: it could not be told what they come to."""
    if "draft-04" in str(fields.get("$schema", "")):
        raise ValueError("$: is of draft 4; allowed is draft 6 or later")
    if not is_root and isinstance(fields.get("$id"), str):
        raise ValueError("$: only the whole schema may have an $id")
    if BY_NAME.intersection(fields):
        raise ValueError(f"$: {' and '.join(sorted(BY_NAME))} are not followed; use $ref")


def _depth_of(value: Any) -> int:
    depth, level = 0, [value]
    while level := [inner for each in level for inner in _within(each)]:
        depth += 1
    return depth


def _within(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).values())
    return cast("list[Any]", value) if isinstance(value, list) else []
