"""Keys of assistant services in Azure Key Vault, one secret for each service."""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.keyvault.secrets.aio import SecretClient

from workbench.domain.errors import UnavailableError
from workbench.domain.identity.model import ServiceKeys
from workbench.domain.identity.ports import ApiKeyStore

PATIENCE_SECONDS = 10.0
"""For one call of ours, repetitions included: somebody waits for it."""
CONNECT_SECONDS = 3.0
READ_SECONDS = 5.0
RETRIES = 2

PREFIX = "assistant-service-"
MAX_NAME = 127
DIGEST_LENGTH = 16
READABLE_LENGTH = MAX_NAME - len(PREFIX) - DIGEST_LENGTH - 1

logger = structlog.get_logger(__name__)


def secret_name(assistant_service_id: str) -> str:
    """Name the service's secret.

    The vault takes only letters of either case as one, digits and `-`, and 127 of them. The readable part is
    for people; the hash keeps apart what it makes equal.
    """
    readable = re.sub(r"[^a-zA-Z0-9-]", "-", assistant_service_id)[:READABLE_LENGTH]
    digest = hashlib.sha256(assistant_service_id.encode()).hexdigest()[:DIGEST_LENGTH]
    return f"{PREFIX}{readable}-{digest}"


def make_vault_client(url: str, credential: AsyncTokenCredential, **options: Any) -> SecretClient:
    """Make the client of the vault; `options` are the SDK's own, over ours."""
    ours: dict[str, Any] = {
        "retry_total": RETRIES,
        "connection_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
    }
    return SecretClient(url, credential, **{**ours, **options})


class VaultKeys(ApiKeyStore):
    """Asks the vault every time; put a cache before it."""

    def __init__(self, client: SecretClient, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """`patience_seconds` is how long one of the methods may take."""
        self._client = client
        self._patience_seconds = patience_seconds

    async def find(self, assistant_service_id: str) -> ServiceKeys | None:
        """Read the newest version of the service's secret."""
        async with self._asking():
            try:
                secret = await self._client.get_secret(secret_name(assistant_service_id))
            except ResourceNotFoundError:
                return None
            return _keys_from(secret.value or "")

    async def put(self, assistant_service_id: str, keys: ServiceKeys) -> None:
        """Write a new version. A name that was deleted, and not purged, is taken back first."""
        name, value = secret_name(assistant_service_id), _text_of(keys)
        async with self._asking():
            try:
                await self._client.set_secret(name, value)
            except ResourceExistsError:
                # Recovered rather than purged: vaults may forbid purging, and it takes effect at an unknown time.
                await self._client.recover_deleted_secret(name)
                await self._client.set_secret(name, value)

    async def remove(self, assistant_service_id: str) -> None:
        """Delete all versions, and purge them where the vault lets us."""
        name = secret_name(assistant_service_id)
        async with self._asking():
            try:
                deleted = await self._client.delete_secret(name)
            except ResourceNotFoundError:
                return
            if deleted.recovery_id is not None:
                await self._purge(name)

    async def _purge(self, name: str) -> None:
        try:
            await self._client.purge_deleted_secret(name)
        except HttpResponseError as error:
            # It is deleted all the same: nobody gets in with it, and `put` takes the name back.
            logger.info("deleted key not purged", name=name, reason=_reason(error))

    @asynccontextmanager
    async def _asking(self) -> AsyncGenerator[None]:
        """Bound the time, and say in our words what went wrong."""
        try:
            async with asyncio.timeout(self._patience_seconds):
                yield
        # A ValueError is a vault that asks for tokens of somebody else; the last, a secret that is not of our making.
        except (AzureError, OSError, ValueError, msgspec.MsgspecError) as error:
            detail = f"The key vault cannot be used: {_reason(error)}"
            raise UnavailableError(detail, code="no_key_vault") from error


def _text_of(keys: ServiceKeys) -> str:
    """The key alone where there is no more to say, so that a secret can be read and made by hand; otherwise JSON."""
    if keys == ServiceKeys(current=keys.current):
        return keys.current
    return msgspec.json.encode(keys).decode()


def _keys_from(text: str) -> ServiceKeys:
    return msgspec.json.decode(text, type=ServiceKeys) if text.startswith("{") else ServiceKeys(current=text)


def _reason(error: Exception) -> str:
    """Say why without what was sent or answered, which may hold a key, and without the address: strangers read it."""
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        return f"it answered {error.status_code}"
    if isinstance(error, ClientAuthenticationError):
        return "no token for it could be had"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return type(error).__name__
