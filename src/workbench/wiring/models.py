"""The models that settings name. Imported only where settings name one: the models' libraries take long to load."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from pydantic_ai.models import Model

from workbench.adapters.models.answers import ModelAnswers, ToolServers
from workbench.adapters.models.calls import ReachedModel
from workbench.adapters.models.chat_replies import ModelChatResponder
from workbench.adapters.models.choice import AzureChoice, ModelChoice
from workbench.adapters.models.demo import completed, demo_model
from workbench.adapters.models.polishing import ModelProsePolisher
from workbench.adapters.models.steps import ModelStepWriter
from workbench.adapters.models.titles import ModelTitleWriter
from workbench.domain.model_assistants.ports import ModelGateway, ModelInfo
from workbench.domain.titles.ports import TitleWriter
from workbench.wiring.model_settings import DEFAULT_AZURE_MODEL, McpServer, Models, NamedModel, Titles
from workbench.wiring.session_models import SessionWriters


@asynccontextmanager
async def open_title_writer(chosen: Titles) -> AsyncGenerator[TitleWriter]:
    """Open the model that titles are asked of."""
    async with _opened(chosen) as model:
        yield ModelTitleWriter(model, chosen.timeout_seconds)


@asynccontextmanager
async def open_session_writers(
    chosen: Models, names: Sequence[str], timeout_seconds: float
) -> AsyncGenerator[SessionWriters]:
    """Open the models that steps, replies and texts of sessions are asked of."""
    async with AsyncExitStack() as stack:
        reached = [await stack.enter_async_context(_reached(name, chosen.named[name], chosen)) for name in names]
        yield SessionWriters(
            ModelStepWriter(reached, timeout_seconds),
            ModelChatResponder(reached, timeout_seconds),
            ModelProsePolisher(reached, timeout_seconds),
        )


@asynccontextmanager
async def open_model_gateway(chosen: Models, servers: dict[str, McpServer]) -> AsyncGenerator[ModelGateway]:
    """Open all models that assistants may use; they are closed with the block."""
    async with AsyncExitStack() as stack:
        reached = [
            await stack.enter_async_context(_reached(name, model, chosen)) for name, model in chosen.in_order.items()
        ]
        yield ModelAnswers(
            reached,
            fallback=chosen.fallback,
            servers=_servers(servers) if servers else None,
            silence_seconds=chosen.timeout_seconds,
        )


def _servers(servers: dict[str, McpServer]) -> ToolServers:
    from workbench.adapters.models.mcp import McpAddress, McpServers  # noqa: PLC0415 - takes long to load

    return McpServers(
        {
            name: McpAddress(url=server.url, headers=server.headers, timeout_seconds=server.timeout_seconds)
            for name, server in servers.items()
        }
    )


@asynccontextmanager
async def _reached(name: str, named: NamedModel, chosen: Models) -> AsyncGenerator[ReachedModel]:
    info = ModelInfo(name=name, takes_images=named.takes_images)
    if named.provider == "demo":
        model = demo_model(chosen.demo_pause_seconds)
        yield ReachedModel(info=info, provider=named.provider, model=model, complete=completed)
        return
    async with _opened(named) as model:
        yield ReachedModel(info=info, provider=named.provider, model=model)


def _opened(chosen: Titles | NamedModel) -> AbstractAsyncContextManager[Model]:
    return _open_azure(chosen) if chosen.provider == "azure" else _open(chosen)


def _open(chosen: Titles | NamedModel) -> AbstractAsyncContextManager[Model]:
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
async def _open_azure(chosen: Titles | NamedModel) -> AsyncGenerator[Model]:
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
