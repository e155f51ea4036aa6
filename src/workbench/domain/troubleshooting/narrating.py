"""Telling the documentation of a session piece by piece, as it is written (8.2).

Whatever happens while it is told, there is exactly one last word: that all was told, or why it could not be.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Literal
from uuid import UUID

import msgspec

from workbench.domain.identity.model import Principal
from workbench.domain.ids import correlation_id
from workbench.domain.troubleshooting.cases import Case
from workbench.domain.troubleshooting.documentation import Documentation
from workbench.domain.troubleshooting.failures import ProviderError
from workbench.domain.troubleshooting.generations import Generation
from workbench.domain.troubleshooting.prose import (
    Author,
    FactsLostError,
    ProseFallback,
    ProseService,
    fallback_of,
)
from workbench.domain.troubleshooting.quotas import QuotaExceededError
from workbench.domain.troubleshooting.wishes import documentation_prose

TOTAL_SECONDS = 120
PIECE = 1000
"""How many characters of a text that is there are told at once."""

ErrorCode = Literal["session_not_found", "time_limit", "internal"]
SAID: dict[ErrorCode, str] = {
    "session_not_found": "The session was deleted meanwhile",
    "time_limit": "The documentation took too long",
    "internal": "Something went wrong on our side",
}

logger = logging.getLogger(__name__)


class MetaEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The first word: which version of the session is told, and who is to write the text."""

    session_version: int
    generated_by: Author
    format: Literal["markdown"] = "markdown"


class DeltaEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the text; `seq` counts them, those before a reset included."""

    seq: int
    text: str


class ResetEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What was told so far does not hold: the text begins anew."""

    reason: ProseFallback


class DoneEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All is told: how many characters the text has, and who wrote it."""

    chars: int
    generated_by: Author
    usage_id: UUID | None = None
    """Of the row in the usage that says what a model took for it, where one was asked now."""
    fallback_reason: ProseFallback | None = None


class ErrorEvent(msgspec.Struct, frozen=True, kw_only=True):
    """It cannot be told. The correlation id leads to what the service's log says of it."""

    code: ErrorCode
    message: str
    retryable: bool
    correlation_id: str


NarrationEvent = MetaEvent | DeltaEvent | ResetEvent | DoneEvent | ErrorEvent
Tell = Callable[[NarrationEvent], None]
IsThere = Callable[[], Awaitable[bool]]


class Narration:
    """One telling of a documentation, to one who may have it; cancelled, it ends the model's work and keeps the books."""

    def __init__(
        self, prose: ProseService, principal: Principal, case: Case, document: Documentation, is_there: IsThere
    ) -> None:
        """`is_there` says whether the session is still there."""
        self._prose = prose
        self._principal = principal
        self._case = case
        self._document = document
        self._is_there = is_there
        self._told = 0

    async def tell(self, tell: Tell, seconds: float = TOTAL_SECONDS) -> None:
        """Tell it, up to the last word, for so long at most. Raises nothing."""
        try:
            async with asyncio.timeout(seconds):
                tell(await self._to_the_end(tell))
        except TimeoutError:
            tell(_failed("time_limit", retryable=True))
        except Exception:
            logger.exception("the documentation of a session could not be told")
            tell(_failed("internal", retryable=True))

    async def _to_the_end(self, tell: Tell) -> DoneEvent | ErrorEvent:
        template = self._document.markdown
        if not self._prose.rephrases(self._principal.workspace_id, template):
            tell(self._meta("template"))
            return self._whole(tell, template, "template")
        tell(self._meta("model"))
        workspace_id, session = self._principal.workspace_id, self._case.session
        kept = await self._prose.kept(workspace_id, session)
        if kept is not None:
            return self._whole(tell, kept, "model")
        try:
            written = await self._prose.rephrased(
                Generation.wished(self._principal, "flowpilot_documentation", session),
                documentation_prose(template),
                lambda piece: self._piece(tell, piece),
            )
        except (QuotaExceededError, ProviderError, FactsLostError) as error:
            return await self._instead(tell, template, fallback_of(error))
        if not await self._is_there():
            return _failed("session_not_found", retryable=False)
        await self._prose.keep(workspace_id, self._case, written.text)
        return DoneEvent(chars=len(written.text), generated_by="model", usage_id=written.usage_id)

    async def _instead(self, tell: Tell, template: str, reason: ProseFallback) -> DoneEvent | ErrorEvent:
        """Tell the house's own text, in the place of what was told so far, if anything was."""
        if not await self._is_there():
            return _failed("session_not_found", retryable=False)
        if self._told:
            tell(ResetEvent(reason=reason))
        return self._whole(tell, template, "template", reason)

    def _meta(self, author: Author) -> MetaEvent:
        return MetaEvent(session_version=self._document.session_version, generated_by=author)

    def _whole(self, tell: Tell, text: str, author: Author, reason: ProseFallback | None = None) -> DoneEvent:
        for piece in _pieces(text):
            self._piece(tell, piece)
        return DoneEvent(chars=len(text), generated_by=author, fallback_reason=reason)

    def _piece(self, tell: Tell, text: str) -> None:
        self._told += 1
        tell(DeltaEvent(seq=self._told, text=text))


def _pieces(text: str) -> Iterator[str]:
    yield from (text[at : at + PIECE] for at in range(0, len(text), PIECE))


def _failed(code: ErrorCode, *, retryable: bool) -> ErrorEvent:
    return ErrorEvent(code=code, message=SAID[code], retryable=retryable, correlation_id=correlation_id.get())
