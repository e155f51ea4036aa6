"""Models of Google."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from pydantic_ai.models import Model
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.providers.google import GoogleProvider

from workbench.adapters.models.choice import ModelChoice


@asynccontextmanager
async def open_google(choice: ModelChoice) -> AsyncGenerator[Model]:
    """Open the model; its connections are closed with the block."""
    async with GoogleProvider(api_key=choice.key, base_url=choice.base_url) as provider:
        yield GoogleModel(choice.model, provider=provider)
