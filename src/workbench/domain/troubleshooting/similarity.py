"""Which earlier sessions are like one, by two rankings that see different things, and why (10.3)."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

FUSING = 60
"""The larger, the less the very first places count for."""
MIN_COSINE_HASHED = 0.20
"""Under this, hashed vectors say nothing; other ways of making vectors have bounds of their own."""
PLAYBOOK_BOOST, DOMAIN_BOOST, RESOLVED_BOOST = 0.004, 0.002, 0.002
_DIGITS = 6


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What a session has in common with the one that is asked about, besides what the rankings see."""

    has_rare_word: bool = False
    """Whether they share a word that few sessions have."""
    has_playbook: bool = False
    has_domain: bool = False
    is_resolved: bool = False


class Similar(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is like another one. The score orders those of one answer, and means nothing beyond."""

    session_id: UUID
    score: float
    why: list[str]


def fused(
    cosines: Sequence[tuple[UUID, float]],
    texts: Sequence[UUID],
    traits: Mapping[UUID, Traits],
    *,
    min_cosine: float,
    limit: int,
) -> list[Similar]:
    """Join the sessions nearest by vector, the best first with their cosines, with those found by words, the best first.

    `traits` are of all who may be seen: who has none is left out. So is who is too far away and shares no rare word.
    """
    near = {session_id: cosine for session_id, cosine in cosines if cosine >= min_cosine}
    ranks = [
        {session_id: rank for rank, (session_id, _) in enumerate(cosines, 1)},
        dict(zip(texts, range(1, len(texts) + 1), strict=True)),
    ]
    found: list[Similar] = []
    for session_id in {**ranks[0], **ranks[1]}:
        known = traits.get(session_id)
        if known is None or not (session_id in near or known.has_rare_word):
            continue
        score = sum(1 / (FUSING + rank[session_id]) for rank in ranks if session_id in rank) + _boost(known)
        why = _why(known, is_near=session_id in near, is_found=session_id in ranks[1])
        found.append(Similar(session_id=session_id, score=round(score, _DIGITS), why=why))
    return sorted(found, key=lambda similar: (-similar.score, similar.session_id))[:limit]


def _boost(traits: Traits) -> float:
    return PLAYBOOK_BOOST * traits.has_playbook + DOMAIN_BOOST * traits.has_domain + RESOLVED_BOOST * traits.is_resolved


def _why(traits: Traits, *, is_near: bool, is_found: bool) -> list[str]:
    reasons = {
        "similar_text": is_near,
        "common_words": is_found,
        "rare_word": traits.has_rare_word,
        "same_playbook": traits.has_playbook,
        "same_domain": traits.has_domain,
        "resolved": traits.is_resolved,
    }
    return [reason for reason, holds in reasons.items() if holds]
