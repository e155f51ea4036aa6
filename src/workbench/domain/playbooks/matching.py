"""Which playbook fits what is reported: counted, not guessed, so that the same report always finds the same (7.3).

Every playbook is scored, through an index by places of the vectors; nothing is selected beforehand by a search whose
ranks depend on what else is stored.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from workbench.domain.playbooks.hashing import hashed
from workbench.domain.playbooks.model import Playbook
from workbench.domain.playbooks.wording import contains, segments, significant, words

LIKENESS_SHARE, COVERAGE_SHARE, PHRASE_SHARE = 0.55, 0.25, 0.30
ENOUGH_LIKENESS = 0.8
"""A cosine that counts as the same; found by trial, for hashed vectors only."""
_DIGITS = 6


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody reports. `fields` is what a form, an alert or a ticket tells besides.

    A field `domain` tells what kind of problem it is, where that is the domain of a playbook; else it is any other field:
    that of a host or an account mostly.
    """

    text: str
    fields: Mapping[str, str] = {}


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """How well a playbook fits, from 0 to 1, and why: the parts are of the sentence that it fits best."""

    key: str
    title: str
    score: float
    likeness: float = 0.0
    coverage: float = 0.0
    has_phrase: bool = False


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the index keeps of a playbook."""

    playbook: Playbook
    phrases: list[list[str]]
    excluded: list[list[str]]
    vocabulary: set[str]


class _Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence, prepared once for all playbooks."""

    words: list[str]
    weights: dict[str, float]
    likeness: dict[int, float]


class PlaybookIndex:
    """The playbooks of a workspace, prepared for matching. It is not changed; a new set of playbooks is a new index."""

    def __init__(self, playbooks: Iterable[Playbook]) -> None:
        self._known = [_known(playbook) for playbook in playbooks]
        self._domains = [words(known.playbook.domain) for known in self._known if known.playbook.domain]
        self._spread = Counter(stem for known in self._known for stem in known.vocabulary)
        self._texts: list[int] = []
        """Which playbook each text belongs to."""
        self._places: dict[int, list[tuple[int, float]]] = defaultdict(list)
        """For each place of the vectors the texts that have something there."""
        for number, known in enumerate(self._known):
            for text in (known.playbook.title, *known.playbook.match.examples):
                self._add_text(number, text)

    def ranked(self, report: Report) -> list[Candidate]:
        """The playbooks whose conditions hold, the best first; those equal by their keys."""
        whole = words(report.text)
        told = {name: words(value) for name, value in report.fields.items()}
        domain = told.get("domain") if told.get("domain") in self._domains else None
        eligible = [
            number
            for number, known in enumerate(self._known)
            if _may_fit(known, told, whole) and _is_of(known.playbook, domain)
        ]
        best: dict[int, Candidate] = {}
        for segment in map(self._segment, segments(report.text)):
            for number in eligible:
                candidate = _scored(self._known[number], segment, segment.likeness.get(number, 0.0))
                if number not in best or candidate.score > best[number].score:
                    best[number] = candidate
        return sorted(best.values(), key=lambda candidate: (-candidate.score, candidate.key))

    def _add_text(self, number: int, text: str) -> None:
        position = len(self._texts)
        self._texts.append(number)
        for place, value in hashed(significant(text)).items():
            self._places[place].append((position, value))

    def _segment(self, text: str) -> _Segment:
        stems = significant(text)
        return _Segment(
            words=words(text),
            weights={stem: self._weight(stem) for stem in stems},
            likeness=self._likeness(stems),
        )

    def _weight(self, stem: str) -> float:
        """A word that many playbooks know tells little."""
        return math.log((1 + len(self._known)) / (1 + self._spread[stem])) + 1

    def _likeness(self, stems: list[str]) -> dict[int, float]:
        """The best cosine between the words and a text of each playbook that has any place in common."""
        cosines: dict[int, float] = defaultdict(float)
        for place, value in hashed(stems).items():
            for position, other in self._places.get(place, ()):
                cosines[position] += value * other
        best: dict[int, float] = {}
        for position, cosine in cosines.items():
            number = self._texts[position]
            best[number] = max(best.get(number, 0.0), cosine)
        return best


def _known(playbook: Playbook) -> _Known:
    trigger = playbook.match
    return _Known(
        playbook=playbook,
        phrases=[words(phrase) for phrase in trigger.phrases],
        excluded=[words(phrase) for phrase in trigger.exclude],
        vocabulary={
            stem for text in (playbook.title, *trigger.examples, *trigger.phrases) for stem in significant(text)
        },
    )


def _may_fit(known: _Known, told: Mapping[str, list[str]], whole: list[str]) -> bool:
    """Whether no condition speaks against it. What a report does not tell contradicts nothing."""
    playbook = known.playbook
    if any(contains(whole, phrase) for phrase in known.excluded):
        return False
    return all(told[name] == words(value) for name, value in playbook.match.fields.items() if name in told)


def _is_of(playbook: Playbook, domain: list[str] | None) -> bool:
    return domain is None or playbook.domain is None or words(playbook.domain) == domain


def _scored(known: _Known, segment: _Segment, likeness: float) -> Candidate:
    total = sum(segment.weights.values()) or 1.0
    coverage = sum(weight for stem, weight in segment.weights.items() if stem in known.vocabulary) / total
    has_phrase = any(contains(segment.words, phrase) for phrase in known.phrases)
    score = (
        LIKENESS_SHARE * min(1.0, likeness / ENOUGH_LIKENESS) + COVERAGE_SHARE * coverage + PHRASE_SHARE * has_phrase
    )
    return Candidate(
        key=known.playbook.key,
        title=known.playbook.title,
        score=round(min(1.0, score), _DIGITS),
        likeness=round(likeness, _DIGITS),
        coverage=round(coverage, _DIGITS),
        has_phrase=has_phrase,
    )
