"""How sure a step is of leading to the solution, as a number and as a word for people (7.2)."""

from typing import Literal

import msgspec

Tier = Literal["guided", "exploring", "discovery"]

CHOSEN = 0.80
"""How well a playbook fits that a person has chosen."""
HIGHEST = 0.99
MAPPED_GAIN = 0.04
DETOUR_LOSS = 0.10
SELF_SHARE, SUPPORT_SHARE, EXPERIENCE_SHARE = 0.4, 0.4, 0.2
HALF_EXPERIENCED = 3
"""After so many answers half of what experience can add is added."""
_DIGITS = 6


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """From which score on a step is guided, or explores; and how far ahead a playbook must be to be run unasked.

    Raises ValueError, which names the threshold, where they contradict each other.
    """

    guided: float = 0.60
    exploring: float = 0.35
    lead: float = 0.10

    def __post_init__(self) -> None:
        """Refuse thresholds that no score could be held against."""
        if not 0 < self.guided <= 1:
            raise ValueError("guided must be above 0 and at most 1")
        if not 0 < self.exploring <= self.guided:
            raise ValueError("exploring must be above 0 and at most guided")
        if not 0 <= self.lead <= 1:
            raise ValueError("lead must be from 0 to 1")

    def tier(self, score: float | None) -> Tier | None:
        """The word for a score; none without a score."""
        if score is None:
            return None
        if score >= self.guided:
            return "guided"
        return "exploring" if score >= self.exploring else "discovery"


def playbook_confidence(match: float, *, mapped: int, detours: int) -> float:
    """How sure a playbook's step is: answers that it foresaw speak for it; skips and other texts, `detours`, against."""
    score = match + MAPPED_GAIN * mapped - DETOUR_LOSS * detours
    return round(min(HIGHEST, max(0.0, score)), _DIGITS)


def model_confidence(claimed: float, *, support: float, answered: int) -> float:
    """How sure a model's step is. What it claims without support from a playbook or a like case is never guided."""
    experience = answered / (answered + HALF_EXPERIENCED)
    score = SELF_SHARE * _share(claimed) + SUPPORT_SHARE * _share(support) + EXPERIENCE_SHARE * experience
    return round(score, _DIGITS)


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
