"""One call of a model: its answer as it streams in, and what it took."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack

import msgspec
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from workbench.adapters.models.blocks import Blocks, arguments_of, told
from workbench.adapters.models.refusals import failure_of
from workbench.domain.ids import new_id
from workbench.domain.model_assistants.failures import ModelFailedError
from workbench.domain.model_assistants.ports import ModelInfo
from workbench.domain.parts.events import ProducerEvent

FINISHED = {"tool_call": "tool_calls"}
"""Where the ledger's word for an end differs from the library's."""

Complete = Callable[[Sequence[ModelMessage], ModelResponse], ModelResponse]


class ReachedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is open. `complete` adds what its answers to what was asked do not tell themselves."""

    info: ModelInfo
    provider: str
    model: Model
    complete: Complete | None = None


class CallOfModel:
    """Asks once. Afterwards `response` is the answer, and `tools` what it calls, with the ids of their events."""

    def __init__(self, reached: ReachedModel, silence_seconds: float, *, with_pictures: bool) -> None:
        """Give the model up once it has said nothing for `silence_seconds`."""
        self.response: ModelResponse | None = None
        self.tools: list[tuple[str, ToolCallPart]] = []
        self._reached = reached
        self._silence_seconds = silence_seconds
        self._with_pictures = with_pictures
        self._call_id = str(new_id())
        self._blocks = Blocks(self._call_id)
        self._begun_at = 0.0
        self._cap: int | None = None

    async def events(
        self, messages: Sequence[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> AsyncGenerator[ProducerEvent]:
        """Tell the answer, and at its end, good or bad, what it took. Raises ModelFailedError.

        A cancellation that comes while the model speaks is raised once that has been told.
        """
        self._begun_at, self._cap = time.perf_counter(), settings.get("max_tokens")
        opened: StreamedResponse | None = None
        try:
            async with AsyncExitStack() as stack:
                asked = model_request_stream(
                    self._reached.model, messages, model_settings=settings, model_request_parameters=parameters
                )
                async with asyncio.timeout(self._silence_seconds):
                    opened = await stack.enter_async_context(asked)
                events = aiter(opened)
                while (event := await self._next(events)) is not None:
                    for each in self._blocks.told(event):
                        yield each
        except asyncio.CancelledError:
            if opened is not None:
                yield self._usage(messages, opened, failed=True)
            raise
        except Exception as error:
            yield self._usage(messages, opened, failed=True)
            raise ModelFailedError(failure_of(error, with_pictures=self._with_pictures)) from error
        self.response = opened.get()
        self.tools = self._blocks.tools(self.response)
        for tool_call_id, part in self.tools:
            yield told("tool.args", toolCallId=tool_call_id, toolName=part.tool_name, args=arguments_of(part) or {})
        yield self._usage(messages, opened, failed=False)
        if self.response.finish_reason == "content_filter" and not self.response.parts:
            raise ModelFailedError("content_filtered")

    async def _next(self, events: AsyncIterator[ModelResponseStreamEvent]) -> ModelResponseStreamEvent | None:
        async with asyncio.timeout(self._silence_seconds):
            return await anext(events, None)

    def _usage(
        self, messages: Sequence[ModelMessage], opened: StreamedResponse | None, *, failed: bool
    ) -> ProducerEvent:
        """What the call took, as far as it is known: providers may tell at the end alone."""
        reached = self._reached
        response = ModelResponse(parts=[]) if opened is None else opened.get()
        if opened is not None and reached.complete is not None:
            response = reached.complete(messages, response)
        taken = response.usage
        ended = "error" if failed else response.finish_reason
        return told(
            "usage.call",
            call_id=self._call_id,
            model=response.model_name or reached.model.model_name,
            model_ref=reached.info.name,
            provider=reached.provider,
            prompt_tokens=taken.input_tokens,
            completion_tokens=taken.output_tokens,
            cached_tokens=taken.cache_read_tokens,
            cache_write_tokens=taken.cache_write_tokens,
            reasoning_tokens=_reasoning_tokens(taken),
            finish_reason=FINISHED.get(ended, ended) if ended else None,
            latency_ms=round((time.perf_counter() - self._begun_at) * 1000),
            max_output_tokens=self._cap,
        )


def _reasoning_tokens(taken: RequestUsage) -> int:
    """Those of reasoning, by whichever name the library has them from the provider."""
    return taken.output_reasoning_tokens or taken.details.get(
        "reasoning_tokens", taken.details.get("thoughts_tokens", 0)
    )
