"""What a text must not lose when a model rephrases it: ticket ids, error codes, host names and numbers (8.1)."""

import re

from workbench.domain.playbooks.wording import words

_IS_FACT = re.compile(r"\d|[^\W_][._:\-][^\W_]")


def facts(text: str) -> frozenset[str]:
    """The words that have a digit, or are joined of several as names of hosts and errors are."""
    return frozenset(word for word in words(text) if _IS_FACT.search(word))


def keeps_facts(template: str, polished: str) -> bool:
    """Whether every fact of the one is in the other."""
    return facts(template) <= facts(polished)
