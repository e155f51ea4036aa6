"""An issuer's public keys (a JWK set, RFC 7517), fetched from a URL or a file, and remembered.

Keys are refreshed in the background once they are old, so that a request with a known key never waits;
while the issuer is away the old ones serve on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet

from workbench.domain.errors import UnavailableError

FRESH_SECONDS = 600.0
REFRESH_PAUSE_SECONDS = 30.0
"""At most one refresh in this time, so that tokens with made-up key ids cannot make us flood the issuer."""
FETCH_TIMEOUT_SECONDS = 5.0
MAX_SET_BYTES = 1 << 20

Fetch = Callable[[], Awaitable[bytes]]

logger = structlog.get_logger(__name__)


def from_url(http: httpx.AsyncClient, url: str) -> Fetch:
    """Fetch the set over HTTP, without following redirects and without reading more than MAX_SET_BYTES."""

    async def fetch() -> bytes:
        body = b""
        async with http.stream("GET", url, timeout=FETCH_TIMEOUT_SECONDS, follow_redirects=False) as response:
            response.raise_for_status()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_SET_BYTES:
                    raise ValueError(f"the key set is larger than {MAX_SET_BYTES} bytes")
        return body

    return fetch


def from_file(path: Path) -> Fetch:
    """Read the set from a file, off the event loop."""

    async def fetch() -> bytes:
        return await asyncio.to_thread(path.read_bytes)

    return fetch


class JwksCache:
    """The keys of one issuer."""

    def __init__(self, name: str, fetch: Fetch, now: Callable[[], float] = time.monotonic) -> None:
        """`name` is for logs; `now` gives monotonic seconds."""
        self._name = name
        self._fetch = fetch
        self._now = now
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        self._tried_at: float | None = None
        self._failure = ""
        self._refresh: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> Key | None:
        """Find a key; only one that is not known is waited for."""
        if self._keys is not None and self._now() - self._fetched_at > FRESH_SECONDS:
            self._begin_refresh()
        key = self._known(kid)
        if key is None:
            refresh = self._begin_refresh()
            if refresh is not None:
                # One fetch for all who wait; one of them going away must not end it for the others.
                await asyncio.shield(refresh)
            key = self._known(kid)
        if key is None and self._keys is None:
            raise UnavailableError(f"the signing keys of {self._name} cannot be had: {self._failure}", code="no_keys")
        return key

    def _known(self, kid: str | None) -> Key | None:
        if self._keys is None:
            return None
        try:
            return self._keys.get_by_kid(kid)
        except JoseError:
            return None

    def _begin_refresh(self) -> asyncio.Task[None] | None:
        """Start a refresh, or join the one that runs; None where the last is too recent."""
        if self._refresh is not None:
            return self._refresh
        if self._tried_at is not None and self._now() - self._tried_at < REFRESH_PAUSE_SECONDS:
            return None
        self._tried_at = self._now()
        self._refresh = asyncio.create_task(self._load())
        return self._refresh

    async def _load(self) -> None:
        try:
            content: Any = msgspec.json.decode(await self._fetch())
            self._keys = KeySet.import_key_set(content)
            self._fetched_at = self._now()
        except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError, JoseError) as error:
            self._failure = f"{type(error).__name__}: {error}"
            logger.warning("signing keys not refreshed", issuer=self._name, reason=self._failure)
        finally:
            self._refresh = None


class FixedKeys:
    """Keys that are just there: a shared secret, or our own pair."""

    def __init__(self, *keys: Key) -> None:
        self._keys = {key.kid: key for key in keys}

    async def find(self, kid: str | None) -> Key | None:
        """Find by id; a lone key needs none."""
        if kid is None or kid not in self._keys:
            return next(iter(self._keys.values())) if kid is None and len(self._keys) == 1 else None
        return self._keys[kid]


class SharedSecret:
    """One symmetric key, whatever id a token gives it."""

    def __init__(self, key: Key) -> None:
        self._key = key

    async def find(self, kid: str | None) -> Key | None:  # noqa: ARG002 - the port's
        """Answer with the key."""
        return self._key
