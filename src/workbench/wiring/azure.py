"""What runs on Azure. Imported only where settings ask for it: it needs the extra `azure`."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from azure.identity.aio import DefaultAzureCredential, get_bearer_token_provider

from workbench.adapters.keys.vault import VaultKeys, make_vault_client
from workbench.adapters.speech.azure import AzureSpeechTokens
from workbench.domain.identity.ports import ApiKeyStore
from workbench.domain.speech.ports import SpeechTokens

MODEL_SCOPE = "https://cognitiveservices.azure.com/.default"


@asynccontextmanager
async def open_vault(url: str) -> AsyncGenerator[ApiKeyStore]:
    """Keep keys in the vault, by the identity that the process has in Azure."""
    async with DefaultAzureCredential() as credential, make_vault_client(url, credential) as client:
        yield VaultKeys(client)


@asynccontextmanager
async def open_speech(resource_id: str, region: str) -> AsyncGenerator[SpeechTokens]:
    """Get speech tokens for the identity that the process has in Azure."""
    async with DefaultAzureCredential() as credential:
        yield AzureSpeechTokens(credential, resource_id, region)


@asynccontextmanager
async def open_model_tokens() -> AsyncGenerator[Callable[[], Awaitable[str]]]:
    """Get tokens for Azure OpenAI for the identity that the process has in Azure."""
    async with DefaultAzureCredential() as credential:
        yield get_bearer_token_provider(credential, MODEL_SCOPE)
