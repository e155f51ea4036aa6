"""The models that assistants of the service's own may use, as settings name them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from importlib import import_module

from dishka import Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.adapters.models.absent import NoModels
from workbench.domain.model_assistants.ports import Ask, CallTool, ModelGateway, ModelInfo
from workbench.domain.parts.events import ProducerEvent
from workbench.wiring.model_settings import McpServer, Models
from workbench.wiring.settings import Settings

LIBRARIES = "workbench.wiring.models"


class ModelsOnDemand(ModelGateway):
    """Knows the models by their settings alone, and opens them when that is asked for: their libraries load slowly."""

    def __init__(self, chosen: Models, servers: dict[str, McpServer], stack: AsyncExitStack) -> None:
        """Close what is opened with the `stack`."""
        self._chosen = chosen
        self._servers = servers
        self._stack = stack
        self._opening = asyncio.Lock()
        self._opened: ModelGateway | None = None

    @property
    def models(self) -> Sequence[ModelInfo]:
        """The models, the default one first."""
        return [ModelInfo(name=name, takes_images=model.takes_images) for name, model in self._chosen.in_order.items()]

    @property
    def fallback(self) -> str | None:
        """The one that is asked once more where another one is too busy."""
        return self._chosen.fallback

    @property
    def mcp_servers(self) -> Sequence[str]:
        """The names of the MCP servers."""
        return sorted(self._servers)

    async def prepare(self) -> None:
        """Open them."""
        await self._open()

    async def answer(self, ask: Ask, call_tool: CallTool) -> AsyncGenerator[ProducerEvent]:
        """Ask the model, once all are open."""
        gateway = await self._open()
        async with aclosing(gateway.answer(ask, call_tool)) as events:
            async for event in events:
                yield event

    async def _open(self) -> ModelGateway:
        async with self._opening:
            if self._opened is None:
                # In a thread, so that all else goes on meanwhile.
                await asyncio.to_thread(import_module, LIBRARIES)
                from workbench.wiring.models import open_model_gateway  # noqa: PLC0415 - takes seconds to load

                self._opened = await self._stack.enter_async_context(open_model_gateway(self._chosen, self._servers))
            return self._opened


class ModelsOfSettings(Provider):
    """Models as settings have them."""

    scope = Scope.APP

    @provide
    async def gateway(self, settings: Settings) -> AsyncIterator[ModelGateway]:
        """Have them opened on demand."""
        if not settings.models.named:
            yield NoModels()
            return
        async with AsyncExitStack() as stack:
            yield ModelsOnDemand(settings.models, settings.mcp, stack)
