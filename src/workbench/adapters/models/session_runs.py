"""Asking a model for an answer of a given shape, for troubleshooting sessions: bounded, and with what it took written down."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Generic, TypeVar

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.exceptions import (
    ModelRequestTimeout,
    ModelTimeoutError,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
)
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RunUsage, UsageLimits

from workbench.adapters.models.calls import ReachedModel
from workbench.adapters.models.refusals import failure_of
from workbench.domain.ids import new_hex_id
from workbench.domain.model_assistants.failures import FailureCode
from workbench.domain.troubleshooting.failures import FailureKind, ProviderError
from workbench.domain.usage.accumulating import Accumulator
from workbench.domain.usage.model import ReportedCall

RETRIES = 2
MAX_OUTPUT_TOKENS = 2000
LIMITS = UsageLimits(request_limit=RETRIES + 1, output_tokens_limit=MAX_OUTPUT_TOKENS, total_tokens_limit=20_000)
SETTINGS = ModelSettings(max_tokens=MAX_OUTPUT_TOKENS)

Shape = TypeVar("Shape", bound=BaseModel)

_BY_TYPE: tuple[tuple[type[Exception], FailureKind], ...] = (
    (ModelRequestTimeout, "timeout"),
    (ModelTimeoutError, "timeout"),
    (TimeoutError, "timeout"),
    (UsageLimitExceeded, "bad_output"),
)
_BY_CODE: dict[FailureCode, FailureKind] = {
    "rate_limited": "rate_limited",
    "quota_exhausted": "rate_limited",
    "model_auth_failed": "auth",
    "model_unavailable": "overloaded",
    "model_out_of_memory": "overloaded",
}

logger = logging.getLogger(__name__)


class SessionModels(Generic[Shape]):
    """The models of sessions by their names, all asked for the same shape with the same instructions."""

    def __init__(
        self, reached: Sequence[ReachedModel], shape: type[Shape], instructions: str, timeout_seconds: float
    ) -> None:
        """Take models that are open; an answer is given up after `timeout_seconds`."""
        self._reached = {each.info.name: each for each in reached}
        self._agents = {name: _agent(each, shape, instructions) for name, each in self._reached.items()}
        self._timeout_seconds = timeout_seconds

    async def ask(self, name: str, prompt: str, spent: Accumulator) -> Shape:
        """Ask, twice more where the answer has not the shape. Notes what it took in `spent`. Raises ProviderError."""
        reached, used, asked_at = self._reached[name], RunUsage(), time.monotonic()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                result = await self._agents[name].run(prompt, usage=used, usage_limits=LIMITS, model_settings=SETTINGS)
        except Exception as error:
            kind = kind_of(error)
            # The provider's own words may repeat keys, or what people wrote.
            logger.warning("the model %s failed: %s (%s)", name, kind, type(error).__name__)
            raise ProviderError(kind) from error
        finally:
            spent.calls.append(_call(reached, used, time.monotonic() - asked_at))
        return result.output


def kind_of(error: Exception) -> FailureKind:
    """What a library's exception means for sessions."""
    for raised, kind in _BY_TYPE:
        if isinstance(error, raised):
            return kind
    code = failure_of(error, with_pictures=False)
    if isinstance(error, UnexpectedModelBehavior) and code == "model_unavailable":
        return "bad_output"
    return _BY_CODE.get(code, "other")


def _agent(reached: ReachedModel, shape: type[Shape], instructions: str) -> Agent[None, Shape]:
    """Have a JSON answer of the given shape where the model can do that, otherwise the call of a tool."""
    native = reached.model.profile.get("supports_json_schema_output", False)
    output = NativeOutput(shape) if native else ToolOutput(shape)
    return Agent(reached.model, output_type=output, instructions=instructions, retries=RETRIES)


def _call(reached: ReachedModel, used: RunUsage, seconds: float) -> ReportedCall:
    """What it took, also where nothing came of it."""
    return ReportedCall(
        call_id=new_hex_id(),
        model=reached.model.model_name,
        model_ref=reached.info.name,
        provider=reached.provider,
        prompt_tokens=used.input_tokens,
        completion_tokens=used.output_tokens,
        cached_tokens=used.cache_read_tokens,
        cache_write_tokens=used.cache_write_tokens,
        latency_ms=round(seconds * 1000),
    )
