"""Handlers of services, whatever form they have, as one stream of what they say."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

from workbench.domain.bus.context import RunContext
from workbench.domain.bus.services import Final, Input


async def results(an_input: Input, data: Any, context: RunContext) -> AsyncIterator[Any]:
    """What the handler says, one by one; what it returns ends the answer."""
    handler: Callable[..., Any] = an_input.handler
    if inspect.isasyncgenfunction(handler):
        said = handler(data, context)
        try:
            async for item in said:
                yield item
        finally:
            await said.aclose()
        return
    if inspect.iscoroutinefunction(handler):
        result = await handler(data, context)
    else:
        result = await asyncio.to_thread(handler, data, context)
    yield result if isinstance(result, Final) else Final(data=result)
