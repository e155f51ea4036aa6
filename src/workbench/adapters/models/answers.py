"""Answers of models, whose tools are called for as long as they want."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from typing import Protocol

import msgspec
from pydantic_ai.messages import InstructionPart, ModelRequest, ToolCallPart, ToolReturnPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from workbench.adapters.models.blocks import arguments_of, told
from workbench.adapters.models.calls import CallOfModel, ReachedModel
from workbench.adapters.models.history import history_of
from workbench.domain.model_assistants.failures import ModelFailedError
from workbench.domain.model_assistants.model import first_of
from workbench.domain.model_assistants.ports import Ask, CallTool, ModelGateway, ModelInfo, Tool, ToolError
from workbench.domain.parts.events import ProducerEvent

MAX_CALLS = 25
"""A model that calls tools for longer than that has lost its way."""


class Offered(msgspec.Struct, frozen=True):
    """What a model may call, and who does it."""

    tools: Sequence[Tool]
    call: CallTool


class ToolServers(Protocol):
    """Servers elsewhere that have tools."""

    @property
    def names(self) -> Sequence[str]:
        """Their names."""
        ...

    def joined(self, offered: Offered, names: Sequence[str]) -> AbstractAsyncContextManager[Offered]:
        """What is offered, and the tools of the named servers; they stay connected until the block ends."""
        ...


class ModelAnswers(ModelGateway):
    """Asks the models that are open, and has done what they call for."""

    def __init__(
        self,
        reached: Sequence[ReachedModel],
        *,
        fallback: str | None = None,
        servers: ToolServers | None = None,
        silence_seconds: float,
    ) -> None:
        """Take the models in the order in which they are preferred; who opened them closes them.

        An answer is given up once its model has said nothing for `silence_seconds`.
        """
        self._reached = {each.info.name: each for each in reached}
        self._fallback = fallback
        self._servers = servers
        self._silence_seconds = silence_seconds

    @property
    def models(self) -> Sequence[ModelInfo]:
        """All models that are open."""
        return [each.info for each in self._reached.values()]

    @property
    def fallback(self) -> str | None:
        """The one that is asked once more where another one is too busy."""
        return self._fallback

    @property
    def mcp_servers(self) -> Sequence[str]:
        """The MCP servers that may be used."""
        return () if self._servers is None else self._servers.names

    async def prepare(self) -> None:
        """Nothing: the models are open."""

    async def answer(self, ask: Ask, call_tool: CallTool) -> AsyncGenerator[ProducerEvent]:
        """Ask, and go on asking with what tools gave back, until the model calls none.

        Cancelled while the model speaks, it ends the call, tells what that took, and then raises the cancellation.
        """
        name = first_of(list(self._reached), ask.model)
        if name is None:
            raise ModelFailedError("no_model")
        async with AsyncExitStack() as stack:
            offered = Offered(ask.tools, call_tool)
            if self._servers is not None and ask.mcp_servers:
                offered = await stack.enter_async_context(self._servers.joined(offered, ask.mcp_servers))
            answer = _Answer(ask, self._reached[name], offered)
            events = await stack.enter_async_context(aclosing(answer.events(self._silence_seconds)))
            async for event in events:
                yield event


class _Answer:
    """One answer: the conversation as it grows by calls of tools and what they give back."""

    def __init__(self, ask: Ask, reached: ReachedModel, offered: Offered) -> None:
        sees = reached.info.takes_images
        self._reached = reached
        self._offered = offered
        self._names = {tool.name for tool in offered.tools}
        self._has_pictures = sees and any(line.pictures for line in ask.lines)
        self._messages = history_of(ask.lines, with_pictures=sees)
        self._settings = _settings(ask)
        self._parameters = ModelRequestParameters(
            function_tools=[_definition(tool) for tool in offered.tools],
            instruction_parts=[InstructionPart(content=ask.instructions)] if ask.instructions.strip() else [],
        )

    async def events(self, silence_seconds: float) -> AsyncGenerator[ProducerEvent]:
        for _ in range(MAX_CALLS):
            call = CallOfModel(self._reached, silence_seconds, with_pictures=self._has_pictures)
            async with aclosing(call.events(self._messages, self._settings, self._parameters)) as said:
                async for event in said:
                    yield event
            if call.response is None or not call.tools:
                return
            results: list[ToolReturnPart] = []
            for tool_call_id, part in call.tools:
                event, result = await self._result_of(tool_call_id, part)
                results.append(result)
                yield event
            self._messages += [call.response, ModelRequest(parts=results)]
        raise ModelFailedError("tool_failed")

    async def _result_of(self, tool_call_id: str, part: ToolCallPart) -> tuple[ProducerEvent, ToolReturnPart]:
        """What a tool gave back, for whoever watches and for the model."""
        name = part.tool_name
        try:
            result = await self._called(part)
        except ToolError as error:
            text = str(error) or "The tool failed."
            back = ToolReturnPart(name, text, tool_call_id=part.tool_call_id, outcome="failed")
            return told("tool.error", toolCallId=tool_call_id, message=text), back
        event = told("tool.result", toolCallId=tool_call_id, result=result)
        return event, ToolReturnPart(name, event.payload["result"], tool_call_id=part.tool_call_id)

    async def _called(self, part: ToolCallPart) -> object:
        if part.tool_name not in self._names:
            raise ToolError("There is no such tool.")
        arguments = arguments_of(part)
        if arguments is None:
            raise ToolError("The arguments are not a JSON object.")
        return await self._offered.call(part.tool_name, arguments)


def _definition(tool: Tool) -> ToolDefinition:
    return ToolDefinition(name=tool.name, description=tool.description, parameters_json_schema=tool.parameters)


def _settings(ask: Ask) -> ModelSettings:
    settings = ModelSettings()
    if ask.temperature is not None:
        settings["temperature"] = ask.temperature
    if ask.max_output_tokens is not None:
        settings["max_tokens"] = ask.max_output_tokens
    return settings
