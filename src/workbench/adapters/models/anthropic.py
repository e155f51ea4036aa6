"""Models of Anthropic."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from anthropic import AsyncAnthropic
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

from workbench.adapters.models.choice import ModelChoice

URL = "https://api.anthropic.com"
MAX_TOKENS = 4096
"""Anthropic wants to be told; without it the library takes the most there is, which needs a stream."""


@asynccontextmanager
async def open_anthropic(choice: ModelChoice) -> AsyncGenerator[Model]:
    """Open the model; its connections are closed with the block."""
    async with AsyncAnthropic(api_key=choice.key, base_url=choice.base_url or URL, max_retries=0) as client:
        provider = AnthropicProvider(anthropic_client=client)
        yield AnthropicModel(choice.model, provider=provider, settings={"max_tokens": MAX_TOKENS})
