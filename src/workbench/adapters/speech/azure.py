"""Tokens for Azure's speech service, from whatever identity the process has in Azure."""

import asyncio
import time
from collections.abc import Callable

import structlog
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError

from workbench.domain.speech.model import SpeechToken
from workbench.domain.speech.ports import SpeechTokens

SCOPE = "https://cognitiveservices.azure.com/.default"
RENEWAL_SECONDS = 900.0
"""A token is renewed when it has less to live: clients keep it for nine minutes."""
FAILURE_PAUSE_SECONDS = 10.0
"""After a failure the credential is left alone for so long: trying takes seconds, and users wait."""
PATIENCE_SECONDS = 10.0

logger = structlog.get_logger(__name__)


class AzureSpeechTokens(SpeechTokens):
    """Keeps one token of the identity for all users, and renews it in time."""

    def __init__(
        self, credential: AsyncTokenCredential, resource_id: str, region: str, now: Callable[[], float] = time.time
    ) -> None:
        """`now` gives seconds since 1970, as tokens count them."""
        self._credential = credential
        self._resource_id = resource_id
        self._region = region
        self._now = now
        self._token: AccessToken | None = None
        self._failed_at: float | None = None
        self._renewal: asyncio.Task[None] | None = None

    async def find(self) -> SpeechToken | None:
        """Answer with a token that lives for a while; an old one serves on while it is valid and no other is had."""
        if self._lives(RENEWAL_SECONDS) is None and not self._has_just_failed():
            # One renewal for all who wait; one of them going away must not end it for the others.
            await asyncio.shield(self._begin_renewal())
        token = self._lives(0)
        if token is None:
            return None
        return SpeechToken(token=f"aad#{self._resource_id}#{token.token}", region=self._region)

    def _lives(self, seconds: float) -> AccessToken | None:
        """The token, if it lives longer than that."""
        return self._token if self._token is not None and self._token.expires_on - self._now() > seconds else None

    def _has_just_failed(self) -> bool:
        return self._failed_at is not None and 0 <= self._now() - self._failed_at < FAILURE_PAUSE_SECONDS

    def _begin_renewal(self) -> asyncio.Task[None]:
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew())
        return self._renewal

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                self._token = await self._credential.get_token(SCOPE)
            self._failed_at = None
        except (AzureError, OSError, ValueError) as error:
            self._failed_at = self._now()
            # No text of the error: it may repeat what the identity's issuer answered.
            logger.warning("no speech token", reason=type(error).__name__)
        finally:
            self._renewal = None
