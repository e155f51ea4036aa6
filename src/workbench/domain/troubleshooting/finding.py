"""Finding sessions by words (10.1)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from workbench.domain.identity.model import Principal
from workbench.domain.texts import cleaned_text
from workbench.domain.transactions import Transactions
from workbench.domain.troubleshooting.model import Session, SessionStatus, SessionType
from workbench.domain.troubleshooting.searches import FoundSession, SearchTx
from workbench.domain.troubleshooting.searching import Highlight, Term, Wanted, highlights, search_terms

MAX_FOUND = 20
_DIGITS = 6


class Find(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was found, and where in it the words are: plain text with places in characters, no markup."""

    id: UUID
    title: str | None
    session_type: SessionType
    problem_summary: str | None
    problem_domain: str | None
    status: SessionStatus
    created_at: datetime
    score: float
    highlights: list[Highlight]


class Finds(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, the best first. The score orders one answer, and means nothing beyond."""

    items: list[Find]


class FindingService:
    """Looks for sessions."""

    def __init__(self, transactions: Transactions[SearchTx]) -> None:
        self._transactions = transactions

    async def search(self, principal: Principal, query: str, limit: int) -> Finds:
        """The sessions that the caller may see with all of the words, or where there is none, with any of them.

        The last word may be the beginning of one. Words that say little are passed over.
        """
        terms = tuple(search_terms(cleaned_text(query)))
        if not terms:
            return Finds(items=[])
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await _found(tx, principal.id, terms, limit)
            said = await tx.searches.said_in([each.session for each in found])
        return Finds(items=[_find(each, terms, said) for each in found])


async def _found(tx: SearchTx, person_id: str, terms: tuple[Term, ...], limit: int) -> Sequence[FoundSession]:
    found = await tx.searches.find(person_id, Wanted(terms=terms), limit)
    if found or len(terms) == 1:
        return found
    return await tx.searches.find(person_id, Wanted(terms=terms, any_of=True), limit)


def _find(found: FoundSession, terms: Sequence[Term], said: Mapping[UUID, Sequence[str]]) -> Find:
    session = found.session
    return Find(
        id=session.id,
        title=session.title,
        session_type=session.session_type,
        problem_summary=session.problem_summary,
        problem_domain=session.problem_domain,
        status=session.status,
        created_at=session.created_at,
        score=round(found.score, _DIGITS),
        highlights=highlights(_fields(session, said.get(session.id, ())), terms),
    )


def _fields(session: Session, said: Sequence[str]) -> dict[str, str]:
    """The texts as they were written, those first that count most."""
    done, intake = session.resolution, session.intake
    told = "\n".join(str(value) for value in intake.fields.values() if value is not None)
    fields = {
        "title": session.title,
        "problem_summary": session.problem_summary,
        "problem_domain": session.problem_domain,
        "resolution_summary": done.summary if done else None,
        "root_cause": done.root_cause if done else None,
        "intake.subject": intake.subject,
        "intake.text": intake.text,
        "intake.fields": told,
        "said": "\n".join(said),
    }
    return {name: text for name, text in fields.items() if text}
