"""An issuer's public keys, fetched from a URL or a file, and remembered; and keys that are just there.

Keys are refreshed in the background once they are old, so that a request with a known key never waits;
while the issuer is away the old ones serve on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import structlog
from joserfc.jwk import Key, OctKey

from workbench.adapters.tokens.key_sets import PublicKeys, read_public_keys
from workbench.domain.errors import UnavailableError

FRESH_SECONDS = 600.0
REFRESH_PAUSE_SECONDS = 30.0
"""At most one refresh in this time, so that tokens with made-up key ids cannot make us flood the issuer."""
FIRST_FETCH_PAUSE_SECONDS = 2.0
"""The same while there are no keys at all: every user waits for them."""
FETCH_TIMEOUT_SECONDS = 5.0
MAX_SET_BYTES = 1 << 20
MIN_SECRET_BYTES = 32

# The last is a client that has been closed, or JSON nested too deeply.
FETCH_FAILURES = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RuntimeError)

Fetch = Callable[[], Awaitable[bytes]]

logger = structlog.get_logger(__name__)


def from_url(http: httpx.AsyncClient, url: str, timeout_seconds: float = FETCH_TIMEOUT_SECONDS) -> Fetch:
    """Fetch the set over HTTP, without following redirects and without reading more than MAX_SET_BYTES.

    `timeout_seconds` is for the whole answer: an issuer that sends byte by byte would otherwise be waited for
    without end.
    """
    # Not compressed, or a small answer could become a large one.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}

    async def fetch() -> bytes:
        body = bytearray()
        async with (
            asyncio.timeout(timeout_seconds),
            http.stream("GET", url, headers=headers, timeout=timeout_seconds, follow_redirects=False) as response,
        ):
            response.raise_for_status()
            async for chunk in response.aiter_raw():
                body += chunk
                _require_bounded(len(body))
        return bytes(body)

    return fetch


def from_file(path: Path) -> Fetch:
    """Read the set from a file, off the event loop, and no more of it than MAX_SET_BYTES."""

    def read() -> bytes:
        with path.open("rb") as file:
            content = file.read(MAX_SET_BYTES + 1)
        _require_bounded(len(content))
        return content

    async def fetch() -> bytes:
        return await asyncio.to_thread(read)

    return fetch


class JwksCache:
    """The keys of one issuer."""

    def __init__(self, name: str, fetch: Fetch, now: Callable[[], float] = time.monotonic) -> None:
        """`name` is for logs and errors; `now` gives monotonic seconds."""
        self._name = name
        self._fetch = fetch
        self._now = now
        self._keys: PublicKeys | None = None
        self._fetched_at = 0.0
        self._tried_at: float | None = None
        self._failure = ""
        self._refresh: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> Key | None:
        """Find a key; only one that is not known is waited for.

        Raises UnavailableError while there are no keys at all and none can be had.
        """
        if self._keys is not None and self._now() - self._fetched_at > FRESH_SECONDS:
            self._begin_refresh()
        key = self._known(kid)
        if key is None and (kid is not None or self._keys is None):
            refresh = self._begin_refresh()
            if refresh is not None:
                # One fetch for all who wait; one of them going away must not end it for the others.
                await asyncio.shield(refresh)
            key = self._known(kid)
        if key is None and self._keys is None:
            raise UnavailableError(f"The signing keys of {self._name} cannot be had: {self._failure}", code="no_keys")
        return key

    def _known(self, kid: str | None) -> Key | None:
        return self._keys.find(kid) if self._keys is not None else None

    def _begin_refresh(self) -> asyncio.Task[None] | None:
        """Start a refresh, or join the one that runs; None where the last is too recent."""
        if self._refresh is not None:
            return self._refresh
        pause = FIRST_FETCH_PAUSE_SECONDS if self._keys is None else REFRESH_PAUSE_SECONDS
        if self._tried_at is not None and self._now() - self._tried_at < pause:
            return None
        self._tried_at = self._now()
        self._refresh = asyncio.create_task(self._load())
        return self._refresh

    async def _load(self) -> None:
        try:
            self._keys = read_public_keys(await self._fetch())
            self._fetched_at = self._now()
            self._note("")
        except FETCH_FAILURES as error:
            self._note(_reason(error))
        finally:
            self._refresh = None

    def _note(self, failure: str) -> None:
        """Log a failure when it begins or changes, and its end; not every attempt in between."""
        if failure and failure != self._failure:
            logger.warning("signing keys not refreshed", issuer=self._name, reason=failure)
        elif self._failure and not failure:
            logger.info("signing keys refreshed again", issuer=self._name)
        self._failure = failure


class FixedKeys:
    """Keys that are just there, such as our own pair."""

    def __init__(self, *keys: Key) -> None:
        self._keys = PublicKeys(keys)

    async def find(self, kid: str | None) -> Key | None:
        """Find by id; a lone key needs none."""
        return self._keys.find(kid)


class SharedSecret:
    """One symmetric key, whatever id a token gives it."""

    def __init__(self, key: OctKey) -> None:
        """Take the key. Raises ValueError for one that could be guessed (RFC 7518, 3.2)."""
        if len(key.raw_value) < MIN_SECRET_BYTES:
            raise ValueError(f"a shared secret needs at least {MIN_SECRET_BYTES} bytes")
        self._key = key

    async def find(self, kid: str | None) -> Key | None:  # noqa: ARG002 - the port's
        """Answer with the key."""
        return self._key


def _require_bounded(size: int) -> None:
    if size > MAX_SET_BYTES:
        raise ValueError(f"the key set is larger than {MAX_SET_BYTES} bytes")


def _reason(error: Exception) -> str:
    """Say why without address or path: strangers read it, and an address may hold a password."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"the issuer answered {error.response.status_code}"
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "the issuer did not answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) if isinstance(error, ValueError) else type(error).__name__
