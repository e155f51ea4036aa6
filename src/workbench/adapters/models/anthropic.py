"""Models of Anthropic."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from anthropic import AsyncAnthropic
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

from workbench.adapters.models.choice import ModelChoice

URL = "https://api.anthropic.com"


@asynccontextmanager
async def open_anthropic(choice: ModelChoice) -> AsyncGenerator[Model]:
    """Open the model; its connections are closed with the block."""
    async with AsyncAnthropic(api_key=choice.key, base_url=choice.base_url or URL, max_retries=0) as client:
        yield AnthropicModel(choice.model, provider=AnthropicProvider(anthropic_client=client))
