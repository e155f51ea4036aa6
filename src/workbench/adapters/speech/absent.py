"""No speech service."""

from workbench.domain.speech.model import SpeechToken
from workbench.domain.speech.ports import SpeechTokens


class NoSpeechTokens(SpeechTokens):
    """What there is while no speech service is set up."""

    async def find(self) -> SpeechToken | None:
        """There is none."""
        return None
