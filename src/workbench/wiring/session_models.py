"""The models that write for sessions, as settings name them; opened once one is asked, as their libraries load slowly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from importlib import import_module

from dishka import Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.domain.troubleshooting.writers import Situation, StepWriter, WrittenStep
from workbench.domain.usage.accumulating import Accumulator
from workbench.wiring.settings import Settings

LIBRARIES = "workbench.wiring.models"


class WritersOnDemand(StepWriter):
    """Knows the models by their settings alone, until one is asked."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        """Close what is opened with the `stack`."""
        self._settings = settings
        self._stack = stack
        self._opening = asyncio.Lock()
        self._steps: StepWriter | None = None

    async def write(self, model: str, situation: Situation, spent: Accumulator) -> WrittenStep:
        """Ask the model, once all are open."""
        return await (await self._open()).write(model, situation, spent)

    async def _open(self) -> StepWriter:
        async with self._opening:
            if self._steps is None:
                # In a thread, so that all else goes on meanwhile.
                await asyncio.to_thread(import_module, LIBRARIES)
                from workbench.wiring.models import open_step_writer  # noqa: PLC0415 - takes seconds to load

                sessions = self._settings.sessions
                opened = open_step_writer(self._settings.models, sessions.all_models, sessions.model_timeout_seconds)
                self._steps = await self._stack.enter_async_context(opened)
            return self._steps


class SessionModelsOfSettings(Provider):
    """Models as settings have them."""

    scope = Scope.APP

    @provide
    async def writers(self, settings: Settings) -> AsyncIterator[StepWriter]:
        """Have them opened on demand."""
        async with AsyncExitStack() as stack:
            yield WritersOnDemand(settings, stack)
