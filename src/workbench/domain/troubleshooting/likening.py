"""Which earlier sessions are like one (10.3)."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.embeddings.model import Space, Vector, active_of
from workbench.domain.embeddings.ports import Embedder, Embedders
from workbench.domain.identity.model import Principal
from workbench.domain.playbooks.matching import Report
from workbench.domain.playbooks.model import ResolutionAction
from workbench.domain.playbooks.steps import LikeSession
from workbench.domain.playbooks.wording import STOP_WORDS
from workbench.domain.transactions import Transactions
from workbench.domain.troubleshooting.choices import Choices
from workbench.domain.troubleshooting.documents import problem_text
from workbench.domain.troubleshooting.foundations import new_session
from workbench.domain.troubleshooting.known import seen
from workbench.domain.troubleshooting.model import Intake, Session
from workbench.domain.troubleshooting.searches import Beholder, Neighbour, SearchTx
from workbench.domain.troubleshooting.searching import tokens
from workbench.domain.troubleshooting.similarity import Similar, Traits, fused
from workbench.domain.troubleshooting.sourcing import LikeCase, LikeCases

NEAREST = 100
"""Asked of the vectors, since those that one may not know of are left out after that."""
CANDIDATES = 50
READ_WORDS = 80
COMPARED_WORDS = 16
"""Of so many words of a text so many are counted, those that are likely to be rare: each takes a look into the index."""
LOOKED_FOR = 12
"""So many of the words are looked for, the rarest."""
RARE = 20
"""In more sessions than this no word is rare."""
RARE_AT_LEAST, RARE_SHARE = 3, 0.02
SMALL_WORKSPACE = 2000
"""Among more sessions only rare words are looked for: half of them would have one of the others."""
SHARING_RARE = 500


class SharingPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """In which workspaces everybody is told how others solved like problems, though not whose or what these were.

    This holds for workspaces that decided nothing themselves.
    """

    workspaces: frozenset[str] = frozenset()
    everywhere: bool = False

    def holds_in(self, workspace_id: str, own: bool | None) -> bool:
        """Whether it is so in a workspace that decided so, or with None nothing."""
        return self.everywhere or workspace_id in self.workspaces if own is None else own


class SimilarSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session like the one that was asked about, and why it is. One that is `redacted` tells how it was solved, no more."""

    redacted: bool
    problem_domain: str | None
    resolution_summary: str | None
    resolution_action: ResolutionAction | None
    score: float
    why: list[str]
    session_id: UUID | msgspec.UnsetType = msgspec.UNSET
    title: str | msgspec.UnsetType | None = msgspec.UNSET
    problem_summary: str | None = None


class SimilarSessions(msgspec.Struct, frozen=True, kw_only=True):
    """Those most like it first. The score orders one answer, and means nothing beyond."""

    items: list[SimilarSession]


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked about: a session, whose eyes look, and its vector, if it has one."""

    session: Session
    beholder: Beholder
    only_resolved: bool = False
    space: Space | None = None
    vector: Vector | None = None
    min_cosine: float = 1.0


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is like it, the most like first, and how near each is in the space of vectors."""

    ranked: list[Similar]
    known: Mapping[UUID, Neighbour]
    cosines: Mapping[UUID, float]

    def shown(self) -> list[SimilarSession]:
        """What one may know of them."""
        return [_shown(self.known[each.session_id], each.score, each.why) for each in self.ranked]


class LikeningService(LikeCases):
    """Finds sessions that are like one, by vectors and by words."""

    def __init__(
        self, transactions: Transactions[SearchTx], embedders: Embedders, sharing: SharingPolicy, clock: Clock
    ) -> None:
        self._transactions = transactions
        self._embedders = embedders
        self._sharing = sharing
        self._clock = clock

    async def similar(self, principal: Principal, session_id: UUID, limit: int) -> SimilarSessions:
        """The sessions most like one that the caller may see. Raises NotFoundError."""
        return SimilarSessions(items=(await self._look(principal, session_id, limit)).shown())

    async def solved_like(self, principal: Principal, session: Session, limit: int) -> Sequence[LikeSession]:
        """Look for resolved ones alone."""
        found = await self._look(principal, session, limit, only_resolved=True)
        return [LikeSession(session_id=each.session_id, score=each.score, why=tuple(each.why)) for each in found.ranked]

    async def known_of(self, principal: Principal, likes: Sequence[LikeSession]) -> list[SimilarSession]:
        """What the caller may know now of resolved sessions that were found before, maybe by somebody else.

        Left out are those that are gone, not resolved any more, or none of theirs to know.
        """
        if not likes:
            return []
        async with self._transactions.read(principal.workspace_id) as tx:
            beholder = self._beholder(principal, await tx.choices.own())
            found = await tx.searches.neighbours(beholder, [each.session_id for each in likes])
        known = {each.id: each for each in found if each.status == "resolved"}
        return [_shown(known[each.session_id], each.score, each.why) for each in likes if each.session_id in known]

    async def like(
        self, principal: Principal, report: Report, session_id: UUID | None, limit: int
    ) -> Sequence[LikeCase]:
        """Solved sessions for a model to go by, by the report where the session itself is not stored yet.

        How near one is in the space of vectors is its score; one that only shares words has none.
        """
        about = session_id or new_session(principal.id, "guided", None, Intake(text=report.text), self._clock.now())
        found = await self._look(principal, about, limit, only_resolved=True)
        return [
            LikeCase(
                session_id=each.session_id,
                title=each.title or None,
                summary=each.problem_summary,
                resolution=each.resolution_summary or "",
                score=max(found.cosines.get(each.session_id, 0.0), 0.0),
            )
            for each in found.shown()
            if each.session_id is not msgspec.UNSET
        ]

    async def _look(
        self, principal: Principal, about: Session | UUID, limit: int, *, only_resolved: bool = False
    ) -> _Found:
        """Look in one block, unless a vector is to be made first: it is made where that is quick, with no block open."""
        workspace_id = principal.workspace_id
        async with self._transactions.read(workspace_id) as tx:
            own = await tx.choices.own()
            beholder = self._beholder(principal, own)
            session = about if isinstance(about, Session) else (await seen(tx, principal, about)).session
            asked = _Asked(session=session, beholder=beholder, only_resolved=only_resolved)
            space = active_of(await tx.spaces.all())
            opted_in = own.embed_by_model
            embedder = self._embedders.by(workspace_id, space.descriptor, opted_in=opted_in) if space else None
            if space is not None and embedder is not None:
                kept = (await tx.vectors.of(space, [session.id])).get(session.id)
                asked = _with_vector(asked, space, embedder, kept.vector if kept else None)
            if embedder is None or asked.vector is not None or not embedder.is_local:
                return await _found(tx, asked, limit)
        made = (await embedder.embed([problem_text(session)]))[0]
        asked = msgspec.structs.replace(asked, vector=made)
        async with self._transactions.read(workspace_id) as tx:
            return await _found(tx, asked, limit)

    def _beholder(self, principal: Principal, own: Choices) -> Beholder:
        shares = self._sharing.holds_in(principal.workspace_id, own.share_resolutions)
        return Beholder(person_id=principal.id, with_resolved=shares)


def _with_vector(asked: _Asked, space: Space, embedder: Embedder, vector: Vector | None) -> _Asked:
    return msgspec.structs.replace(asked, space=space, vector=vector, min_cosine=embedder.min_cosine)


async def _found(tx: SearchTx, asked: _Asked, limit: int) -> _Found:
    near = await _near(tx, asked)
    words = await _by_words(tx, asked)
    ids = {each for each, _ in near} | {*words.found} - {asked.session.id}
    known = {each.id: each for each in await tx.searches.neighbours(asked.beholder, ids)}
    return _Found(ranked=_ranked(asked, near, words, known, limit), known=known, cosines=dict(near))


async def _near(tx: SearchTx, asked: _Asked) -> Sequence[tuple[UUID, float]]:
    if asked.space is None or asked.vector is None:
        return []
    near = await tx.vectors.nearest(asked.space, asked.vector, NEAREST)
    return [(session_id, cosine) for session_id, cosine in near if session_id != asked.session.id]


class _Words(msgspec.Struct, frozen=True, kw_only=True):
    """What was found by the session's words: the best first, and who shares a rare word with it."""

    found: Sequence[UUID]
    sharing: frozenset[UUID]


async def _by_words(tx: SearchTx, asked: _Asked) -> _Words:
    """Look for the rarest of its words."""
    words = compared_words(problem_text(asked.session))
    total = await tx.searches.count(SMALL_WORKSPACE + 1)
    counted = await tx.searches.frequencies(words, RARE + 1)
    if not await tx.searches.hashes([asked.session.id]):
        # It is not stored yet, and so not among those that were counted.
        total, counted = total + 1, {word: count + 1 for word, count in counted.items()}
    rare, looked_for = chosen_words(counted, total)
    if not looked_for:
        return _Words(found=(), sharing=frozenset())
    found = await tx.searches.alike(asked.beholder, looked_for, CANDIDATES + 1)
    sharing = await tx.searches.sharing(rare, SHARING_RARE) if rare else ()
    others = [each for each in found if each != asked.session.id]
    return _Words(found=others[:CANDIDATES], sharing=frozenset(sharing))


def compared_words(text: str) -> list[str]:
    """Words of a text that say something, each once: those with digits first, such as error codes, then the longest."""
    found = dict.fromkeys(token.word for token in tokens(text) if token.word not in STOP_WORDS)
    telling = [word for word in found if len(word) > 1][:READ_WORDS]
    telling.sort(key=lambda word: (not any(map(str.isdigit, word)), -len(word)))
    return telling[:COMPARED_WORDS]


def chosen_words(counted: Mapping[str, int], total: int) -> tuple[list[str], list[str]]:
    """Which words are rare among so many sessions, and which are looked for: the rarest. The session itself has each."""
    bound = min(RARE, max(RARE_AT_LEAST, int(total * RARE_SHARE)))
    shared = sorted((count, word) for word, count in counted.items() if count > 1)
    rare = [word for count, word in shared if count <= bound]
    looked_for = [word for count, word in shared if count <= RARE or total <= SMALL_WORKSPACE]
    return rare, looked_for[:LOOKED_FOR]


def _ranked(
    asked: _Asked, near: Sequence[tuple[UUID, float]], words: _Words, known: Mapping[UUID, Neighbour], limit: int
) -> list[Similar]:
    traits = {
        session_id: _traits(asked.session, each, has_rare_word=session_id in words.sharing)
        for session_id, each in known.items()
        if each.status == "resolved" or not asked.only_resolved
    }
    return fused(
        [each for each in near if each[0] in traits][:CANDIDATES],
        [each for each in words.found if each in traits],
        traits,
        min_cosine=asked.min_cosine,
        limit=limit,
    )


def _traits(asked: Session, other: Neighbour, *, has_rare_word: bool) -> Traits:
    return Traits(
        has_rare_word=has_rare_word,
        has_playbook=asked.matched_flow_id is not None and asked.matched_flow_id == other.matched_flow_id,
        has_domain=asked.problem_domain is not None and asked.problem_domain == other.problem_domain,
        is_resolved=other.status == "resolved",
    )


def _shown(neighbour: Neighbour, score: float, why: Sequence[str]) -> SimilarSession:
    """What one may know of it: of one that one may not see only what kind of problem it was, and what solved it."""
    done = neighbour.resolution
    shown = SimilarSession(
        redacted=not neighbour.is_visible,
        problem_domain=neighbour.problem_domain,
        resolution_summary=done.summary if done else None,
        resolution_action=done.action if done else None,
        score=score,
        why=list(why),
    )
    if not neighbour.is_visible:
        return shown
    return msgspec.structs.replace(
        shown, session_id=neighbour.id, title=neighbour.title, problem_summary=neighbour.problem_summary
    )
