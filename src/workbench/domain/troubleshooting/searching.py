"""Full text as every database is to see it: we make the words, the database only looks them up (10.1).

A stemmer in one database and another in the next would give different answers to the same question.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from workbench.domain.playbooks.wording import STOP_WORDS, stemmed

MAX_FRAGMENTS = 3
MAX_FRAGMENT = 160
LEAD = 40
"""How much of what stands before the first find is shown."""
MAX_WORD = 64
"""Of a longer word only the beginning is looked at."""
MAX_TERMS = 32

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
# Accents that follow their letter belong to the word.
_PART = re.compile(rf"[{_UNSPACED}]+|(?:[^\W_{_UNSPACED}]|[\u0300-\u036f])+")
_COMPOUND = re.compile(rf"(?:{_PART.pattern})(?:[._:\-](?:{_PART.pattern}))*")
_PLAIN = re.compile(r"[^\W_]+")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")


class Token(msgspec.Struct, frozen=True):
    """A word as it is looked up, and from where to where it stands in the text, in characters."""

    word: str
    start: int
    end: int


class Term(msgspec.Struct, frozen=True):
    """Words that are to stand one after the other. Of the last term the last word may go on."""

    words: tuple[str, ...]
    is_prefix: bool = False


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Words to be found: all of them, or with `any_of` at least one."""

    terms: tuple[Term, ...]
    any_of: bool = False


class Highlight(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a field, and where in it the finds are, in characters. It is plain text."""

    field: str
    fragment: str
    ranges: list[tuple[int, int]]


def tokens(text: str) -> Iterator[Token]:
    """The words of a text. Compounds such as `DNS_PROBE` are their parts, and unspaced script pairs of characters."""
    for found in _PART.finditer(text):
        if _IS_UNSPACED.match(found[0]):
            last = max(1, len(found[0]) - 1)
            for at in range(last):
                pair = found[0][at : at + 2]
                yield Token(pair, found.start() + at, found.start() + at + len(pair))
        else:
            plain = unicodedata.normalize("NFKC", found[0]).casefold()
            for word in _PLAIN.findall(plain):
                yield Token(stemmed(word)[:MAX_WORD], found.start(), found.end())


def search_text(text: str) -> str:
    """What a database keeps of a text: its words, with blanks between."""
    return " ".join(token.word for token in tokens(text))


def search_terms(query: str) -> list[Term]:
    """What is looked for; nothing, if the query consists of words that say little, or of none.

    A database gets these words, quoted, and never the query itself: a quotation mark or AND would be its own language.
    """
    compounds = [found[0] for found in _COMPOUND.finditer(query)]
    kept = [words for each in compounds if (words := _words_of(each))][:MAX_TERMS]
    return [Term(words, is_prefix=number == len(kept)) for number, words in enumerate(kept, 1)]


def highlights(fields: Mapping[str, str], terms: Sequence[Term]) -> list[Highlight]:
    """The pieces of some fields that have finds, in the order of the fields, three at most."""
    shown: list[Highlight] = []
    for field, text in fields.items():
        for highlight in _fragments(field, text, _finds(text, terms)):
            if len(shown) == MAX_FRAGMENTS:
                return shown
            shown.append(highlight)
    return shown


def _words_of(compound: str) -> tuple[str, ...]:
    """A word alone is left out if it says little; within a name it belongs to it."""
    if unicodedata.normalize("NFKC", compound).casefold() in STOP_WORDS:
        return ()
    return tuple(token.word for token in tokens(compound))


def _finds(text: str, terms: Sequence[Term]) -> list[tuple[int, int]]:
    """Where the terms stand, in their order, those that overlap made one."""
    known = list(tokens(text))
    spans = sorted(
        (known[at].start, known[at + len(term.words) - 1].end)
        for term in terms
        for at in range(len(known) - len(term.words) + 1)
        if _stands(term, known[at : at + len(term.words)])
    )
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _stands(term: Term, here: Sequence[Token]) -> bool:
    *before, last = (token.word for token in here)
    fits_last = last.startswith(term.words[-1]) if term.is_prefix else last == term.words[-1]
    return fits_last and tuple(before) == term.words[:-1]


def _fragments(field: str, text: str, finds: list[tuple[int, int]]) -> Iterator[Highlight]:
    shown_to = 0
    for start, _ in finds:
        if start < shown_to:
            continue
        begin = _begin(text, max(shown_to, start - LEAD), start)
        shown_to = min(len(text), begin + MAX_FRAGMENT)
        inside = [(at - begin, min(to, shown_to) - begin) for at, to in finds if begin <= at < shown_to]
        yield Highlight(field=field, fragment=text[begin:shown_to], ranges=inside)


def _begin(text: str, earliest: int, find: int) -> int:
    """Not in the middle of a word, where one begins before the find."""
    if earliest == 0 or text[earliest - 1].isspace():
        return earliest
    blank = re.compile(r"\s").search(text, earliest, find)
    return blank.end() if blank else earliest
