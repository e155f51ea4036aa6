"""What the service's own assistants need: models that answer, and their configuration kept."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec

from workbench.domain.model_assistants.model import ModelConfig, StoredConfig
from workbench.domain.parts.events import ProducerEvent
from workbench.domain.turns.ports import TurnTx


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A model that settings name. `takes_images` says that it looks at pictures."""

    name: str
    takes_images: bool = False


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """An image that a user showed."""

    media_type: str
    data: bytes


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What was said, and on which side."""

    role: Literal["user", "assistant"]
    text: str
    pictures: tuple[Picture, ...] = ()


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """What a model may ask for by name. `parameters` is the JSON schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is asked: the conversation, ending with what it is to answer, and what it may use."""

    model: str
    instructions: str
    lines: tuple[Line, ...]
    temperature: float | None = None
    max_output_tokens: int | None = None
    tools: tuple[Tool, ...] = ()
    mcp_servers: tuple[str, ...] = ()


CallTool = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""Does what a model asks for; the answer can be written as JSON. Raises ToolError."""


class ToolError(Exception):
    """A tool could not do what it was asked; the text is for the model and for whoever watches, and safe to show."""


class ModelGateway(Protocol):
    """The models that settings name."""

    @property
    def models(self) -> Sequence[ModelInfo]:
        """All of them, the one that is taken where nothing else is said first; none where none is configured."""
        ...

    @property
    def fallback(self) -> str | None:
        """The one that is asked once more where another one is too busy."""
        ...

    @property
    def mcp_servers(self) -> Sequence[str]:
        """The names of the MCP servers whose tools assistants may be allowed to use."""
        ...

    async def prepare(self) -> None:
        """Do now what takes long, so that the first who asks does not wait for it."""
        ...

    def answer(self, ask: Ask, call_tool: CallTool) -> AsyncGenerator[ProducerEvent]:
        """Ask, have tools called for as long as the model wants, and tell all of it as events of a turn.

        Each call of the model is told by a `usage.call` with what it took, also one that failed or was given up where
        anything is known of it, and ids of blocks and calls are unique within the generator. Closing the generator
        ends the call. Raises ModelFailedError.
        """
        ...


class ModelConfigs(Protocol):
    """The configurations of the model assistants of one workspace."""

    async def find(self, assistant_id: UUID) -> StoredConfig | None:
        """An assistant's configuration, and the template that it was made from."""
        ...

    def put(self, assistant_id: UUID, template_id: str, config: ModelConfig) -> None:
        """Keep a configuration in the place of what there was."""
        ...

    def remove(self, assistant_id: UUID) -> None:
        """Forget it."""
        ...


class ModelAssistantTx(TurnTx, Protocol):
    """The slice of a transaction that model assistants may touch."""

    @property
    def model_configs(self) -> ModelConfigs: ...
