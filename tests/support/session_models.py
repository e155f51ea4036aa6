"""Models of sessions that say what a test tells them to; their answers go the whole way through the library."""

# ruff: noqa: PLC0415 - the library takes seconds to load, and not every process of the suite runs a test of it

import json
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dishka import Provider, Scope
from tests.support.service import Service, running_service

from workbench.domain.model_assistants.ports import ModelInfo
from workbench.domain.troubleshooting.writers import StepWriter

NAMED = {"provider": "openai", "model": "any", "base_url": "http://127.0.0.1:9/v1"}
SETTINGS: dict[str, Any] = {
    "models": {"named": {"first": NAMED, "second": NAMED}, "default": "first"},
    "sessions": {
        "models": ["first", "second"],
        "workspace_models": {"alone-default": []},
        "workspace_plans": {"planned-default": "free"},
    },
}
NONSENSE = {"step_type": "dance"}
"""What has not the shape that was asked for."""

PLANTED = "PLANTED-9c1f sk-abcdefghijklmnopqrstuv"
"""What a provider says that nobody is to hear."""

Said = dict[str, Any] | Exception | Callable[[], Awaitable[dict[str, Any]]]


def written(prompt: str = "What does the display show?", **members: Any) -> dict[str, Any]:
    """A question with two options, but for what is given."""
    options = [{"label": "An error code", "value": "code"}, {"label": "Nothing", "value": "nothing"}]
    return {"step_type": "question", "prompt": prompt, "options": options, "confidence": 0.9, **members}


def refusal(status: int) -> Exception:
    """What the library raises where a provider answers with this status, the provider's words in it."""
    from pydantic_ai.exceptions import ModelAuthenticationError, ModelHTTPError, ModelRateLimitError, ModelServerError

    category = {401: ModelAuthenticationError, 429: ModelRateLimitError}.get(status, ModelServerError)
    return ModelHTTPError.for_category(category, status_code=status, model_name="any", body={"error": PLANTED})


class SessionScript:
    """What the models say, one after the other; when nothing is left, they ask what they are asked for the so-manieth time."""

    def __init__(self) -> None:
        self.said: deque[Said] = deque()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.requests: list[str] = []

    def says(self, *said: Said) -> None:
        """Say these next."""
        self.said.extend(said)

    def forget(self) -> None:
        """Begin anew."""
        self.said.clear()
        self.asked.clear()
        self.requests.clear()

    @property
    def situations(self) -> list[dict[str, Any]]:
        """What the models were shown, in the order of asking."""
        return [shown for _, shown in self.asked]

    def reached(self, name: str) -> Any:
        """A model of this name, as if it were open."""
        from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, UserPromptPart
        from pydantic_ai.models.function import FunctionModel

        from workbench.adapters.models.calls import ReachedModel

        async def answer(messages: Any, info: Any) -> ModelResponse:
            self.requests.append(name)
            prompts = [part.content for part in messages[0].parts if isinstance(part, UserPromptPart)]
            if len(messages) == 1:
                self.asked.append((name, json.loads(str(prompts[0]))))
            said = self.said.popleft() if self.said else written(f"What of number {len(self.asked)}?")
            if isinstance(said, Exception):
                raise said
            body = said if isinstance(said, dict) else await said()
            if info.output_tools:
                return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, body)])
            return ModelResponse(parts=[TextPart(json.dumps(body))])

        model = FunctionModel(answer, model_name=f"scripted-{name}")
        return ReachedModel(info=ModelInfo(name=name, takes_images=False), provider="scripted", model=model)

    @property
    def provider(self) -> Provider:
        """What puts these models in the place of real ones."""
        from workbench.adapters.models.steps import ModelStepWriter

        writer = ModelStepWriter([self.reached("first"), self.reached("second")], timeout_seconds=20)
        provider = Provider(scope=Scope.APP)
        provider.provide(lambda: writer, provides=StepWriter)
        return provider


@asynccontextmanager
async def service_with_models(
    url: str, folder: Path, script: SessionScript, *providers: Provider
) -> AsyncGenerator[Service]:
    """The service, its sessions served by the script's models."""
    async with running_service(url, folder, script.provider, *providers, **SETTINGS) as running:
        yield running
