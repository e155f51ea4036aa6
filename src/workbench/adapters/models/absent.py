"""The gateway where settings name no model."""

from collections.abc import AsyncGenerator, Sequence

from workbench.domain.model_assistants.failures import ModelFailedError
from workbench.domain.model_assistants.ports import Ask, CallTool, ModelGateway, ModelInfo
from workbench.domain.parts.events import ProducerEvent


class NoModels(ModelGateway):
    """There is nothing to ask."""

    @property
    def models(self) -> Sequence[ModelInfo]:
        """None."""
        return ()

    @property
    def fallback(self) -> str | None:
        """None."""
        return None

    @property
    def mcp_servers(self) -> Sequence[str]:
        """None, since only models use them."""
        return ()

    async def prepare(self) -> None:
        """Nothing."""

    async def answer(self, ask: Ask, call_tool: CallTool) -> AsyncGenerator[ProducerEvent]:  # noqa: ARG002 - there is nobody to ask
        """Refuse: assistants may have been made while there still was a model."""
        raise ModelFailedError("no_model")
        yield  # makes this a generator
