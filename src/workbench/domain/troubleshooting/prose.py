"""Texts of sessions in better words: a model may rephrase what the house has written, and lose nothing of it (8.1).

Where it may not, or fails, or loses a fact, the text of the house stands; the reason is told beside.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import aclosing
from typing import Literal
from uuid import UUID

import msgspec

from workbench.domain.identity.model import Principal
from workbench.domain.texts import cleaned_text
from workbench.domain.troubleshooting.facts import keeps_facts
from workbench.domain.troubleshooting.failures import ProviderError
from workbench.domain.troubleshooting.generating import GeneratingService, Generation
from workbench.domain.troubleshooting.model import Session
from workbench.domain.troubleshooting.quotas import QuotaExceededError
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
KEPT = 256
"""Rephrased texts that are kept, so that nobody pays twice for the same one."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A text and who wrote it, with the reason where it was to be somebody else."""

    text: str
    generated_by: Author = "template"
    fallback_reason: ProseFallback | None = None


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A model's text, and where the books say what it took."""

    text: str
    usage_id: UUID | None = None


class ProseKey(msgspec.Struct, frozen=True):
    """Which text it is: of the same version of a session, by the same template, each model writes one."""

    workspace_id: str
    session_id: UUID
    session_version: int
    template_version: int
    model: str


class FactsLostError(Exception):
    """What a model wrote has not all that the house's text has."""


class ProseService:
    """Has texts rephrased."""

    def __init__(self, generating: GeneratingService, polisher: ProsePolisher) -> None:
        self._generating = generating
        self._polisher = polisher
        self._kept: OrderedDict[ProseKey, str] = OrderedDict()

    def rephrases(self, workspace_id: str, text: str) -> bool:
        """Whether there is a model for a text."""
        return self._generating.serves(workspace_id) and len(text) <= MAX_POLISHED

    def key(self, principal: Principal, session: Session, template_version: int) -> ProseKey:
        """Under what a text is kept."""
        model = self._generating.models(principal.workspace_id)[0]
        return ProseKey(principal.workspace_id, session.id, session.version, template_version, model)

    def kept(self, key: ProseKey) -> str | None:
        """The text, if it was written before and is still at hand."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def keep(self, key: ProseKey, text: str) -> None:
        """Keep it for whoever asks next."""
        self._kept[key] = text
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

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
                    text = await self._written(generation.workspace_id, prose, spent, put)
            except TimeoutError:
                raise ProviderError("timeout") from None
        if not keeps_facts(prose.template, text):
            raise FactsLostError
        return Written(text=text, usage_id=spent.usage_id)

    async def _written(self, workspace_id: str, prose: Prose, spent: Accumulator, put: Put | None) -> str:
        """Ask one model after the other, until one has begun to write."""
        *firsts, last = self._generating.models(workspace_id)
        for model in firsts:
            pieces: list[str] = []
            try:
                return await self._by(model, prose, spent, put, pieces)
            except ProviderError:
                if pieces:
                    raise
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
