"""A process's identity in Azure, as tests give it."""

import time
from collections.abc import Callable
from typing import Any, Self

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

TOKEN = "token-of-the-identity"


class GivenToken:
    """A credential that has one token, or none."""

    def __init__(
        self, token: str | None = TOKEN, *, lifetime_seconds: float = 3600, now: Callable[[], float] = time.time
    ) -> None:
        self.token = token
        self.scopes: list[str] = []  # of every call
        self._lifetime_seconds = lifetime_seconds
        self._now = now

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        if self.token is None:
            raise ClientAuthenticationError("no identity; secret-detail")
        return AccessToken(self.token, int(self._now() + self._lifetime_seconds))

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass
