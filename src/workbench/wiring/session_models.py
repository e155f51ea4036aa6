"""The models that write for sessions, as settings name them; opened once one is asked, as their libraries load slowly."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from importlib import import_module

import msgspec
from dishka import Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.domain.troubleshooting.writers import (
    ChatResponder,
    Prose,
    ProsePolisher,
    Situation,
    StepWriter,
    Talk,
    WrittenReply,
    WrittenStep,
)
from workbench.domain.usage.accumulating import Accumulator
from workbench.wiring.settings import Settings

LIBRARIES = "workbench.wiring.models"


class SessionWriters(msgspec.Struct, frozen=True):
    """Models that are open, and what they write for sessions."""

    steps: StepWriter
    replies: ChatResponder
    prose: ProsePolisher


class WritersOnDemand(StepWriter, ChatResponder, ProsePolisher):
    """Knows the models by their settings alone, until one is asked."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        """Close what is opened with the `stack`."""
        self._settings = settings
        self._stack = stack
        self._opening = asyncio.Lock()
        self._opened: SessionWriters | None = None

    async def write(self, model: str, situation: Situation, spent: Accumulator) -> WrittenStep:
        """Ask the model, once all are open."""
        return await (await self._open()).steps.write(model, situation, spent)

    async def reply(self, model: str, talk: Talk, spent: Accumulator) -> WrittenReply:
        """Ask the model, once all are open."""
        return await (await self._open()).replies.reply(model, talk, spent)

    async def polish(self, model: str, prose: Prose, spent: Accumulator) -> AsyncGenerator[str]:
        """Ask the model, once all are open."""
        async with aclosing((await self._open()).prose.polish(model, prose, spent)) as pieces:
            async for piece in pieces:
                yield piece

    async def _open(self) -> SessionWriters:
        async with self._opening:
            if self._opened is None:
                # In a thread, so that all else goes on meanwhile.
                await asyncio.to_thread(import_module, LIBRARIES)
                from workbench.wiring.models import open_session_writers  # noqa: PLC0415 - takes seconds to load

                sessions = self._settings.sessions
                opened = open_session_writers(
                    self._settings.models, sessions.all_models, sessions.model_timeout_seconds
                )
                self._opened = await self._stack.enter_async_context(opened)
            return self._opened


class SessionModelsOfSettings(Provider):
    """Models as settings have them."""

    scope = Scope.APP

    @provide
    async def writers(self, settings: Settings) -> AsyncIterator[WritersOnDemand]:
        """Have them opened on demand."""
        async with AsyncExitStack() as stack:
            yield WritersOnDemand(settings, stack)

    @provide
    def steps(self, writers: WritersOnDemand) -> StepWriter:
        """Have them write steps."""
        return writers

    @provide
    def replies(self, writers: WritersOnDemand) -> ChatResponder:
        """Have them reply in chats."""
        return writers

    @provide
    def prose(self, writers: WritersOnDemand) -> ProsePolisher:
        """Have them rephrase."""
        return writers
