"""Models of OpenAI, of Azure OpenAI, and of servers that speak OpenAI's language."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from openai import AsyncAzureOpenAI, AsyncOpenAI
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.azure import AzureProvider
from pydantic_ai.providers.openai import OpenAIProvider

from workbench.adapters.models.choice import AzureChoice, ModelChoice

URL = "https://api.openai.com/v1"


@asynccontextmanager
async def open_openai(choice: ModelChoice) -> AsyncGenerator[Model]:
    """Open the model; its connections are closed with the block."""
    async with AsyncOpenAI(api_key=choice.key, base_url=choice.base_url or URL, max_retries=0) as client:
        yield OpenAIChatModel(choice.model, provider=OpenAIProvider(openai_client=client))


@asynccontextmanager
async def open_azure(choice: AzureChoice) -> AsyncGenerator[Model]:
    """Open the deployment. It may have any name: what it can do goes by the name of its model."""
    async with _azure_client(choice) as client:
        provider = AzureProvider(openai_client=client)
        yield OpenAIChatModel(choice.deployment, provider=provider, profile=AzureProvider.model_profile(choice.model))


def _azure_client(choice: AzureChoice) -> AsyncAzureOpenAI:
    if choice.token_source is None:
        return AsyncAzureOpenAI(
            azure_endpoint=choice.endpoint, api_version=choice.api_version, api_key=choice.key, max_retries=0
        )
    return AsyncAzureOpenAI(
        azure_endpoint=choice.endpoint,
        api_version=choice.api_version,
        azure_ad_token_provider=choice.token_source,
        max_retries=0,
    )
