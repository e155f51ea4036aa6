"""Handing out speech tokens."""

from workbench.domain.identity.model import Principal, require_role
from workbench.domain.speech.model import SpeechToken
from workbench.domain.speech.ports import SpeechTokens


class SpeechService:
    """Acts about speech."""

    def __init__(self, tokens: SpeechTokens) -> None:
        self._tokens = tokens

    async def token(self, principal: Principal) -> SpeechToken:
        """Give a user what speech needs, empty where there is none. Raises UnauthenticatedError for others."""
        require_role(principal, "user")
        return await self._tokens.find() or SpeechToken()
