"""What is done with the playbooks that were found: one is run, some are offered, or there is nothing to go by (7.3)."""

from typing import Literal

import msgspec

from workbench.domain.playbooks.confidence import Thresholds
from workbench.domain.playbooks.matching import Candidate

OFFERED = 3
_DIGITS = 6


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """`run`: the first of the candidates fits. `offer`: some may fit. `nothing`: the nearest do not."""

    kind: Literal["run", "offer", "nothing"]
    candidates: list[Candidate]


def decided(ranked: list[Candidate], thresholds: Thresholds) -> Decision:
    """Decide upon candidates, the best first; at most three are kept."""
    nearest = ranked[:OFFERED]
    scores = [candidate.score for candidate in ranked[:2]] + [0.0, 0.0]
    if ranked and scores[0] >= thresholds.guided and round(scores[0] - scores[1], _DIGITS) >= thresholds.lead:
        return Decision(kind="run", candidates=nearest)
    if ranked and scores[0] >= thresholds.exploring:
        return Decision(kind="offer", candidates=nearest)
    return Decision(kind="nothing", candidates=nearest)
