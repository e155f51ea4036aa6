"""Models that say what a test tells them to, in the place of those that cost money."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from dishka import Provider, Scope

from workbench.domain.model_assistants.ports import Ask, CallTool, ModelGateway, ModelInfo
from workbench.domain.parts.events import ProducerEvent

Script = Callable[[Ask, CallTool], AsyncGenerator[ProducerEvent]]


def event(kind: str, **payload: Any) -> ProducerEvent:
    return ProducerEvent(type=kind, payload=payload)


def said(text: str, block: str = "t1") -> list[ProducerEvent]:
    return [event("text.start", id=block), event("text.delta", id=block, delta=text), event("text.end", id=block)]


def call(number: int = 1, **fields: Any) -> ProducerEvent:
    usual = {"prompt_tokens": 10, "completion_tokens": 5, "model": "scripted", "finish_reason": "stop"}
    return event("usage.call", call_id=f"call-{number}", **{**usual, **fields})


class ScriptedModels(ModelGateway):
    """Plays the script; remembers what was asked."""

    def __init__(self, script: Script, *names: str, fallback: str | None = None) -> None:
        self.script = script
        self.asked: list[Ask] = []
        self._models = [ModelInfo(name=name, takes_images=True) for name in names or ("scripted",)]
        self._fallback = fallback

    @property
    def models(self) -> Sequence[ModelInfo]:
        return self._models

    @property
    def fallback(self) -> str | None:
        return self._fallback

    @property
    def mcp_servers(self) -> Sequence[str]:
        return ("tickets",)

    async def prepare(self) -> None:
        """Nothing."""

    async def answer(self, ask: Ask, call_tool: CallTool) -> AsyncGenerator[ProducerEvent]:
        self.asked.append(ask)
        async for each in self.script(ask, call_tool):
            yield each

    @property
    def provider(self) -> Provider:
        """What puts it in the place of the real ones."""
        provider = Provider(scope=Scope.APP)
        provider.provide(lambda: self, provides=ModelGateway)
        return provider


class Valve:
    """A script that says one word, and the next when the test lets it."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self.was_closed = False

    async def script(self, _: Ask, __: CallTool) -> AsyncGenerator[ProducerEvent]:
        try:
            yield event("text.start", id="t1")
            yield event("text.delta", id="t1", delta="one ")
            self.reached.set()
            await self.go_on.wait()
            yield event("text.delta", id="t1", delta="two")
            yield event("text.end", id="t1")
            yield call()
        except (GeneratorExit, asyncio.CancelledError):
            self.was_closed = True
            raise
