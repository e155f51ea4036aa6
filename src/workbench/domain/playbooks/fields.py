"""Takes typed values out of a document whose scalars are all texts, and tells of every one that is wrong (7.6).

A YAML loader that guesses types makes `no` false and `010` eight; so the document comes as texts, and what a text means
is decided here, where it is known what belongs there.
"""

import math
import re
from collections.abc import Sequence
from typing import TypeAlias, TypeVar, cast

from workbench.domain.playbooks.findings import Findings
from workbench.domain.texts import cleaned_text

Tree: TypeAlias = "str | list[Tree] | dict[str, Tree]"
"""A document: texts, lists and mappings."""
Word = TypeVar("Word", bound=str)

TRUTHS = {"true": True, "yes": True, "false": False, "no": False}


class Fields:
    """The members of one mapping, each asked for by its name. What nobody asked for is unknown."""

    def __init__(self, tree: "Tree | None", path: str, findings: Findings) -> None:
        self.path = path
        self._findings = findings
        self._asked: set[str] = set()
        self._members: dict[str, Tree] = tree if isinstance(tree, dict) else {}
        self._is_broken = False
        """Whether what is wrong with the whole is told of; what follows from it is not."""
        if tree is not None and not isinstance(tree, dict):
            self.wrong_whole("not_a_mapping", "A mapping is expected here")

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def place(self, name: str) -> str:
        """Where a member stands in the document."""
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, code: str, message: str) -> None:
        """Tell that a member is wrong."""
        if not self._is_broken:
            self._findings.error(self.place(name), code, message)

    def wrong_whole(self, code: str, message: str) -> None:
        """Tell that the mapping itself is wrong; nothing is told of its members hereafter."""
        self._findings.error(self.path, code, message)
        self._is_broken = True

    def names(self) -> list[str]:
        """The names of all members, in the order of the document; none of them is unknown hereafter."""
        self._asked.update(self._members)
        return list(self._members)

    def optional_text(self, name: str, limit: int) -> str | None:
        """A text, if there is one."""
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.wrong(name, "not_a_text", "A text is expected here")
            return None
        return self._sound(name, value, limit)

    def text(self, name: str, limit: int) -> str:
        """A text that must be there."""
        if name not in self._members:
            self._asked.add(name)
            self.wrong(name, "missing", f"{name} is missing")
        return self.optional_text(name, limit) or ""

    def named(self, name: str, pattern: re.Pattern[str], limit: int) -> str:
        """A text of a form that must be there."""
        value = self.text(name, limit)
        if value and not pattern.fullmatch(value):
            self.wrong(name, "wrong_form", f"{name} must be of the form {pattern.pattern}")
        return value

    def one_of(self, name: str, allowed: Sequence[Word], *, required: bool = True) -> Word | None:
        """One of some words."""
        if required and name not in self._members:
            self.text(name, 1)
            return None
        value = self.optional_text(name, max(map(len, allowed)) + 200)
        found = next((word for word in allowed if word == value), None)
        if value is not None and found is None:
            self.wrong(name, "unknown_word", f"{name} must be one of {', '.join(allowed)}")
        return found

    def flag(self, name: str) -> bool:
        """Whether it is said to be so; no, if nothing is said."""
        value = self.optional_text(name, 10)
        if value is None:
            return False
        if value.lower() not in TRUTHS:
            self.wrong(name, "not_a_flag", f"{name} must be true or false")
        return TRUTHS.get(value.lower(), False)

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number within bounds, if there is one."""
        value = self.optional_text(name, 40)
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if low <= number <= high:
            return number
        self.wrong(name, "out_of_bounds", f"{name} must be a number from {low:g} to {high:g}")
        return None

    def whole(self, name: str, low: int, high: int) -> int | None:
        """A whole number within bounds, if there is one."""
        value = self.optional_text(name, 40)
        if value is None:
            return None
        if re.fullmatch(r"[0-9]+", value) and low <= int(value) <= high:
            return int(value)
        self.wrong(name, "out_of_bounds", f"{name} must be a whole number from {low} to {high}")
        return None

    def mapping(self, name: str, *, required: bool = False) -> "Fields":
        """The members of a mapping; it has none if it is absent."""
        members = Fields(self._take(name), self.place(name), self._findings)
        if required and name not in self._members and not self._is_broken:
            members.wrong_whole("missing", f"{name} is missing")
        return members

    def rows(self, name: str, limit: int) -> list["Fields"]:
        """The mappings of a list."""
        values = self._list(name, limit)
        return [Fields(value, f"{self.place(name)}[{index}]", self._findings) for index, value in enumerate(values)]

    def texts(self, name: str, count: int, limit: int) -> tuple[str, ...]:
        """The texts of a list."""
        found: list[str] = []
        for index, value in enumerate(self._list(name, count)):
            place = f"{name}[{index}]"
            if isinstance(value, str):
                found.append(self._sound(place, value, limit) or "")
            else:
                self.wrong(place, "not_a_text", "A text is expected here")
        return tuple(text for text in found if text)

    def finish(self) -> None:
        """Tell of the members that nobody asked for."""
        for name in self._members.keys() - self._asked:
            self.wrong(name, "unknown_field", f"There is no field {name} here")

    def _take(self, name: str) -> "Tree | None":
        self._asked.add(name)
        return self._members.get(name)

    def _list(self, name: str, limit: int) -> list[Tree]:
        value = self._take(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(name, "not_a_list", "A list is expected here")
            return []
        if len(value) > limit:
            self.wrong(name, "too_many", f"{name} may have {limit} entries, not {len(value)}")
        return cast("list[Tree]", value[:limit])

    def _sound(self, name: str, value: str, limit: int) -> str | None:
        text = value.strip()
        if not text:
            self.wrong(name, "empty", "There is no text here")
        elif len(text) > limit:
            self.wrong(name, "too_long", f"{limit} characters are allowed here, not {len(text)}")
        elif text != cleaned_text(text):
            self.wrong(name, "not_text", "The text has characters that are none")
        else:
            return text
        return None
