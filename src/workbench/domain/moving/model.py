"""What was moved from one place to another, and the proof that it arrived."""

from collections.abc import Callable

import msgspec

Show = Callable[[str], object]
"""Is told, in words, how far a move is."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of rows at both ends: how many, and a sum over the hashes of all of them, in any order."""

    name: str
    source_rows: int
    target_rows: int
    source_sum: str
    target_sum: str

    @property
    def is_same(self) -> bool:
        """Whether nothing is missing, added or altered."""
        return (self.source_rows, self.source_sum) == (self.target_rows, self.target_sum)


class Flaw(msgspec.Struct, frozen=True, kw_only=True):
    """Something at the source that could not be moved as it is said to be."""

    subject: str
    fault: str


class Report(msgspec.Struct, kw_only=True):
    """What a move came to; a rehearsal has no comparisons."""

    comparisons: list[Comparison] = []
    flaws: list[Flaw] = []
    counts: dict[str, int] = {}
    """How many there are at the source, by kind."""

    @property
    def is_whole(self) -> bool:
        """Whether everything arrived."""
        return not self.flaws and all(comparison.is_same for comparison in self.comparisons)
