"""Texts as the matching sees them: words without their endings, and the sentences that say something (7.3)."""

import re
import unicodedata

STOP_WORDS = frozenset(
    """
    a an and are as at be been but by can cannot cant could did do does doesn't for from had has have he her his how i
    if in into is isn't it its just me my no not of on or our she so some that the their them then there they this to
    up us user users was we were what when which who why will with you your please help hi hello thanks client customer
    says reports issue problem get gets getting
    """.split()  # noqa: SIM905 - a list of words is read as words
)
NEGATIONS = frozenset(
    """
    no not none never nobody nothing neither nor cannot cant without except t dont doesnt didnt isnt arent wasnt werent
    wont wouldnt couldnt shouldnt hasnt havent hadnt
    """.split()  # noqa: SIM905 - a list of words is read as words
)
"""The single `t` is what is left of "don't" and its like."""
ENDINGS = ("ingly", "edly", "ings", "ing", "ied", "ies", "ed", "es", "s", "ly")
SHORTEST_STEM = 3
MAX_SEGMENTS = 20
MIN_SEGMENT_WORDS = 3

# What belongs to Chinese, Japanese and Korean script is written without blanks; pairs of characters stand for its words.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+(?:[._:\-][^\W_{_UNSPACED}]+)*")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")  # noqa: RUF001 - full-width on purpose


def words(text: str) -> list[str]:
    """The words of a text in lower case; error codes and host names, joined by `._:-`, are one word each."""
    found: list[str] = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        if _IS_UNSPACED.match(word) and len(word) > 1:
            found += (word[index : index + 2] for index in range(len(word) - 1))
        else:
            found.append(word)
    return found


def stemmed(word: str) -> str:
    """A word without an English ending, so that `printing` is `print`."""
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM:
            return word[: -len(ending)] + ("y" if ending in {"ied", "ies"} else "")
    return word


def significant(text: str) -> list[str]:
    """The stems of the words that say something, in their order."""
    return [stemmed(word) for word in words(text) if word not in STOP_WORDS]


def negates(text: str) -> bool:
    """Whether a word in it may turn what the others say into its opposite."""
    return not NEGATIONS.isdisjoint(words(text))


def contains(text: list[str], phrase: list[str]) -> bool:
    """Whether a phrase occurs in a text, both as words."""
    return bool(phrase) and f" {' '.join(phrase)} " in f" {' '.join(text)} "


def segments(text: str) -> list[str]:
    """The sentences that say enough to be looked at alone, or the whole text where there is none.

    A problem that is told in one sentence drowns in the e-mail around it; by itself it is found.
    """
    sentences = [part for part in _SENTENCE_END.split(text) if len(significant(part)) >= MIN_SEGMENT_WORDS]
    return sentences[:MAX_SEGMENTS] or [text]
