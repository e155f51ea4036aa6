"""The models that settings name. Imported only where settings name one: the models' libraries take long to load."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from pydantic_ai.models import Model

from workbench.adapters.models.choice import AzureChoice, ModelChoice
from workbench.adapters.models.titles import ModelTitleWriter
from workbench.domain.titles.ports import TitleWriter
from workbench.wiring.model_settings import DEFAULT_AZURE_MODEL, Titles


@asynccontextmanager
async def open_title_writer(chosen: Titles) -> AsyncGenerator[TitleWriter]:
    """Open the model that titles are asked of."""
    opened = _open_azure(chosen) if chosen.provider == "azure" else _open(chosen)
    async with opened as model:
        yield ModelTitleWriter(model, chosen.timeout_seconds)


def _open(chosen: Titles) -> AbstractAsyncContextManager[Model]:
    choice = ModelChoice(model=chosen.model or "", base_url=chosen.base_url, api_key=chosen.api_key)
    if chosen.provider == "anthropic":
        from workbench.adapters.models.anthropic import open_anthropic  # noqa: PLC0415 - one provider's library alone

        return open_anthropic(choice)
    if chosen.provider == "google":
        from workbench.adapters.models.google import open_google  # noqa: PLC0415 - one provider's library alone

        return open_google(choice)
    from workbench.adapters.models.openai import open_openai  # noqa: PLC0415 - one provider's library alone

    return open_openai(choice)


@asynccontextmanager
async def _open_azure(chosen: Titles) -> AsyncGenerator[Model]:
    from workbench.adapters.models.openai import open_azure  # noqa: PLC0415 - one provider's library alone

    async with AsyncExitStack() as stack:
        tokens = None
        if chosen.api_key is None:
            from workbench.wiring.azure import open_model_tokens  # noqa: PLC0415 - needs the extra `azure`

            tokens = await stack.enter_async_context(open_model_tokens())
        choice = AzureChoice(
            model=chosen.model or DEFAULT_AZURE_MODEL,
            api_key=chosen.api_key,
            endpoint=chosen.azure_endpoint or "",
            deployment=chosen.azure_deployment or "",
            api_version=chosen.azure_api_version,
            token_source=tokens,
        )
        yield await stack.enter_async_context(open_azure(choice))
