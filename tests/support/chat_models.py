"""A model that replies and rephrases as a test says, behind the service's own adapters; nothing goes over a network.

Its library takes seconds to load, so it is loaded where it is used.
"""

# ruff: noqa: PLC0415 - see above

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dishka import Provider, Scope
from tests.support.service import Service, running_service
from tests.support.ticket_desk import IdleJobs

from workbench.domain.troubleshooting.writers import ChatResponder, ProsePolisher
from workbench.entrypoints.workers.jobs import JobWorker

NAME = "fast"
MODELS = {"named": {NAME: {"provider": "openai", "model": "unused", "api_key": "unused"}}}
REPLY = {"content": "Is the spooler running?"}

Prose = Callable[[str], AsyncGenerator[str]]


async def unchanged(template: str) -> AsyncGenerator[str]:
    """The house's own text, in pieces."""
    for at in range(0, len(template), 40):
        yield template[at : at + 40]


class ChatModels:
    """Replies with what it was told of, in that order, the last of it ever after; an exception is raised in its place."""

    def __init__(self, *replies: dict[str, Any] | Exception, prose: Prose = unchanged) -> None:
        self.replies: list[dict[str, Any] | Exception] = [*(replies or (REPLY,))]
        self.prose = prose
        self.shown: list[dict[str, Any]] = []
        self.more: tuple[Provider, ...] = ()
        """What takes the place of something else besides."""

    @property
    def provider(self) -> Provider:
        """What puts it in the place of the models of settings."""
        from workbench.adapters.models.chat_replies import ModelChatResponder
        from workbench.adapters.models.polishing import ModelProsePolisher

        provider = Provider(scope=Scope.APP)
        provider.provide(lambda: ModelChatResponder(self.reached, 20), provides=ChatResponder)
        provider.provide(lambda: ModelProsePolisher(self.reached, 20), provides=ProsePolisher)
        return provider

    @property
    def reached(self) -> Sequence[Any]:
        """The model, open."""
        from pydantic_ai.models.function import FunctionModel

        from workbench.adapters.models.calls import ReachedModel
        from workbench.domain.model_assistants.ports import ModelInfo

        model = FunctionModel(self._reply, stream_function=self._rephrase, model_name="scripted")
        return [ReachedModel(info=ModelInfo(name=NAME), provider="test", model=model)]

    async def _reply(self, messages: list[Any], _: Any) -> Any:
        from pydantic_ai.messages import ModelResponse, TextPart

        self._note(messages)
        what = self.replies.pop(0) if self.replies[1:] else self.replies[0]
        if isinstance(what, Exception):
            raise what
        return ModelResponse(parts=[TextPart(json.dumps(what))])

    async def _rephrase(self, messages: list[Any], _: Any) -> AsyncIterator[str]:
        async for piece in self.prose(self._note(messages)["template"]):
            yield piece

    def _note(self, messages: list[Any]) -> dict[str, Any]:
        shown = json.loads(messages[0].parts[0].content)
        self.shown.append(shown)
        return shown


@asynccontextmanager
async def service_with(models: ChatModels, url: str, folder: Path, **settings: Any) -> AsyncGenerator[Service]:
    """Run the service with the model."""
    groups = {"models": MODELS, **settings}
    groups["sessions"] = {"models": [NAME], **settings.get("sessions", {})}
    idle = Provider(scope=Scope.APP)
    # What resolved sessions leave would ask the model besides.
    idle.provide(IdleJobs, provides=JobWorker)
    async with running_service(url, folder / "data", idle, models.provider, *models.more, **groups) as service:
        yield service
