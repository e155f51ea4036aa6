"""Where speech tokens come from."""

from typing import Protocol

from workbench.domain.speech.model import SpeechToken


class SpeechTokens(Protocol):
    """Tokens of the speech service."""

    async def find(self) -> SpeechToken | None:
        """A token that lives for ten minutes or more where possible. None: there is none, for whatever reason."""
        ...
