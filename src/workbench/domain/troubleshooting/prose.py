"""Texts of sessions in better words: a model may rephrase what the house has written, and lose nothing of it (8.1).

Where it may not, or fails, or loses a fact, the text of the house stands; the reason is told beside.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Literal
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.texts import cleaned_text
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.cases import Case
from workbench.domain.troubleshooting.documentation import TEMPLATE_VERSION
from workbench.domain.troubleshooting.facts import keeps_facts
from workbench.domain.troubleshooting.failures import ProviderError
from workbench.domain.troubleshooting.generating import GeneratingService
from workbench.domain.troubleshooting.generations import Generation
from workbench.domain.troubleshooting.model import Session
from workbench.domain.troubleshooting.outputs import Rephrased, RephrasedText
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.troubleshooting.quotas import QuotaExceededError
from workbench.domain.troubleshooting.ticket_notes import people_of
from workbench.domain.troubleshooting.writers import Prose, ProsePolisher
from workbench.domain.usage.accumulating import Accumulator

ProseFallback = Literal["quota", "provider", "facts_lost"]
"""Why the house's own text stands: the allowance is used up, the model failed, or what it wrote lost a fact."""
Author = Literal["template", "model"]
Put = Callable[[str], None]

MAX_POLISHED = 12_000
"""Longer texts, in characters, are not rephrased: no model's answer may be as long."""
MODEL_SECONDS = 100
"""All models together have so long, which is less than a stream lasts."""

logger = logging.getLogger(__name__)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A text and who wrote it, with the reason where it was to be somebody else."""

    text: str
    generated_by: Author = "template"
    fallback_reason: ProseFallback | None = None


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A model's text, and where the books say what it took."""

    text: str
    usage_id: UUID | None = None


class FactsLostError(Exception):
    """What a model wrote has not all that the house's text has."""


class ProseService:
    """Has texts rephrased."""

    def __init__(
        self,
        transactions: Transactions[SessionTx],
        generating: GeneratingService,
        polisher: ProsePolisher,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._generating = generating
        self._polisher = polisher
        self._clock = clock

    def rephrases(self, workspace_id: str, text: str) -> bool:
        """Whether there is a model for a text."""
        return self._generating.serves(workspace_id) and len(text) <= MAX_POLISHED

    async def kept(self, workspace_id: str, session: Session) -> str | None:
        """The documentation of this version as the model has written it before, so that nobody pays twice for it."""
        async with self._transactions.read(workspace_id) as tx:
            found = await tx.outputs.rephrased(session.id)
        if found is None or found.session_version != session.version:
            return None
        is_same = (found.content.template_version, found.content.model) == (TEMPLATE_VERSION, self._model(workspace_id))
        return found.content.markdown if is_same else None

    async def keep(self, workspace_id: str, case: Case, markdown: str) -> None:
        """Keep it for whoever asks next, on whichever replica; unless the session is gone by now."""
        text = RephrasedText(template_version=TEMPLATE_VERSION, model=self._model(workspace_id), markdown=markdown)
        kept = Rephrased(session_version=case.session.version, content=text)
        now = self._clock.now()

        async def act() -> None:
            async with self._transactions.write(workspace_id) as tx:
                if await tx.sessions.find(case.session.id) is not None:
                    tx.outputs.keep_rephrased(case.session.id, kept, people_of(case), now)

        try:
            await retrying(act)
        except Exception:
            # Whoever asked has the text; who asks next pays for another one.
            logger.exception("a rephrased documentation could not be kept")

    def _model(self, workspace_id: str) -> str:
        return self._generating.models(workspace_id)[0]

    async def told(self, generation: Generation, prose: Prose, seconds: float = MODEL_SECONDS) -> Told:
        """The text as it is to be told: a model's, or the house's own; it takes so long at most."""
        if not self.rephrases(generation.workspace_id, prose.template):
            return Told(text=prose.template)
        try:
            written = await self.rephrased(generation, prose, seconds=seconds)
        except (QuotaExceededError, ProviderError, FactsLostError) as error:
            return Told(text=prose.template, fallback_reason=fallback_of(error))
        return Told(text=written.text, generated_by="model")

    async def rephrased(
        self, generation: Generation, prose: Prose, put: Put | None = None, *, seconds: float = MODEL_SECONDS
    ) -> Written:
        """A model's text, whose pieces are `put` as they come. No block is open meanwhile.

        Raises QuotaExceededError before anything is asked, ProviderError, FactsLostError.
        """
        await self._generating.admit(generation)
        async with self._generating.spending(generation) as spent:
            try:
                async with asyncio.timeout(seconds):
                    text = await self._written(generation, prose, spent, put)
            except TimeoutError:
                raise ProviderError("timeout") from None
        if not keeps_facts(prose.template, text):
            raise FactsLostError
        return Written(text=text, usage_id=spent.usage_id)

    async def _written(self, generation: Generation, prose: Prose, spent: Accumulator, put: Put | None) -> str:
        """Ask one model after the other, until one has begun to write."""
        *firsts, last = self._generating.models(generation.workspace_id)
        for model in firsts:
            pieces: list[str] = []
            try:
                with self._generating.counting(generation, spent):
                    return await self._by(model, prose, spent, put, pieces)
            except ProviderError:
                if pieces:
                    raise
        with self._generating.counting(generation, spent):
            return await self._by(last, prose, spent, put, [])

    async def _by(self, model: str, prose: Prose, spent: Accumulator, put: Put | None, pieces: list[str]) -> str:
        async with aclosing(self._polisher.polish(model, prose, spent)) as written:
            async for piece in written:
                clean = cleaned_text(piece)
                pieces.append(clean)
                if put is not None:
                    put(clean)
        return "".join(pieces)


def fallback_of(error: Exception) -> ProseFallback:
    """Why the house's own text stands."""
    if isinstance(error, QuotaExceededError):
        return "quota"
    return "facts_lost" if isinstance(error, FactsLostError) else "provider"
