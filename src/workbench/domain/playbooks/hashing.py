"""Texts as vectors, without a model: features of words are hashed into a fixed number of places (10.2).

They see common words, not common meaning. For the same text they are the same on every platform.
"""

import hashlib
import math
from array import array
from collections import Counter
from itertools import pairwise

from workbench.domain.playbooks.wording import significant

DIMENSIONS = 1024
WORD_WEIGHT, PAIR_WEIGHT, GRAM_WEIGHT = 1.0, 0.6, 0.15
GRAM_SIZES = (3, 4)
SHORTEST_WITH_GRAMS = 5
_SIGN_BIT = 63

SparseVector = dict[int, float]
"""The places that are not zero. The length of the whole is one, or there is no place."""


def hashed(stems: list[str]) -> SparseVector:
    """The vector of significant words; empty where there are none."""
    places: SparseVector = {}
    for feature, weight in _features(stems).items():
        number = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "little")
        sign = 1 if number >> _SIGN_BIT else -1
        place = number % DIMENSIONS
        places[place] = places.get(place, 0.0) + sign * weight
    length = math.sqrt(sum(value * value for value in places.values()))
    return {place: value / length for place, value in places.items() if value} if length else {}


def hashed_vector(text: str) -> "array[float] | None":
    """The vector of a text as it is stored, in floats of 32 bits; None where the text says nothing to store."""
    places = hashed(significant(text))
    return array("f", (places.get(place, 0.0) for place in range(DIMENSIONS))) if places else None


def _features(stems: list[str]) -> dict[str, float]:
    """What is hashed: words, neighbours, and pieces of longer words, which survive a slip of the pen."""
    weights: dict[str, float] = {}
    counts: Counter[str] = Counter()
    for stem in stems:
        weights[f"w:{stem}"] = WORD_WEIGHT
        counts[f"w:{stem}"] += 1
        if len(stem) >= SHORTEST_WITH_GRAMS:
            for gram in _grams(f"^{stem}$"):
                weights[gram] = GRAM_WEIGHT
                counts[gram] += 1
    for pair in pairwise(stems):
        feature = f"b:{'_'.join(pair)}"
        weights[feature] = PAIR_WEIGHT
        counts[feature] += 1
    return {feature: weights[feature] * (1 + math.log(count)) for feature, count in counts.items()}


def _grams(framed: str) -> list[str]:
    return [f"c:{framed[at : at + size]}" for size in GRAM_SIZES for at in range(len(framed) - size + 1)]
