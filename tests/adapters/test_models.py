"""Titles from every provider's interface, by its real library over HTTP.

The libraries take seconds to load, so each test loads them: not every process of the suite runs one.
"""

# ruff: noqa: PLC0415 - see above

from collections.abc import AsyncGenerator

import pytest
from tests.support.behaviours import status
from tests.support.openai_server import ModelServer, model_server

from workbench.adapters.models.choice import AzureChoice, ModelChoice
from workbench.domain.errors import UnavailableError
from workbench.domain.titles.model import Line, Untitled
from workbench.domain.usage.accumulating import accumulating
from workbench.wiring.model_settings import Titles

LINES = (Line(role="assistant", content="Welcome"), Line(role="user", content=""), Line(role="user", content="Trains?"))
UNTITLED = Untitled(current_title="Old Title", lines=LINES)
SECRET = "sk-very-secret"
MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5", "google": "gemini-2.5-flash"}


@pytest.fixture
async def server() -> AsyncGenerator[ModelServer]:
    async with model_server() as running:
        yield running


def titles(provider: str, server: ModelServer) -> Titles:
    base_url = f"{server.url}/v1" if provider == "openai" else server.url
    return Titles.model_validate(
        {"provider": provider, "model": MODELS[provider], "base_url": base_url, "api_key": SECRET}
    )


@pytest.mark.parametrize("provider", MODELS)
async def test_each_provider_is_asked_in_its_own_way(server: ModelServer, provider: str) -> None:
    from workbench.wiring.models import open_title_writer

    async with open_title_writer(titles(provider, server)) as writer:
        with accumulating() as spent:
            assert await writer.write(UNTITLED) == "A Title"
    (call,) = spent.calls
    assert (call.prompt_tokens, call.completion_tokens) == (1, 1)
    (request,) = server.requests
    shown = request.body.decode()
    assert [shown.count(text) for text in ("Welcome", "Trains?", "Old Title")] == [1, 1, 1]
    assert SECRET in " ".join(request.headers.values())


@pytest.mark.parametrize("provider", MODELS)
async def test_each_providers_failures_are_told_alike_and_not_repeated(server: ModelServer, provider: str) -> None:
    from workbench.wiring.models import open_title_writer

    server.answer(then=status(503, f"no, {SECRET}"))
    async with open_title_writer(titles(provider, server)) as writer:
        with pytest.raises(UnavailableError) as failure:
            await writer.write(UNTITLED)
    assert failure.value.detail == "the model's provider answered 503"
    assert len(server.requests) == 1


async def test_azure_is_asked_for_the_deployment_with_a_key_or_an_identity(server: ModelServer) -> None:
    from workbench.adapters.models.openai import open_azure
    from workbench.adapters.models.titles import ModelTitleWriter
    from workbench.wiring.models import open_title_writer

    async def token() -> str:
        return "identity-token"

    place = {"model": "gpt-4o-mini", "endpoint": server.url, "deployment": "titler", "api_version": "2024-10-21"}
    given = Titles.model_validate(
        {"provider": "azure", "azure_endpoint": server.url, "azure_deployment": "titler", "api_key": SECRET}
    )
    async with open_title_writer(given) as writer:
        assert await writer.write(UNTITLED) == "A Title"
    async with open_azure(AzureChoice(**place, token_source=token)) as model:
        assert await ModelTitleWriter(model, 10).write(UNTITLED) == "A Title"
    for request in server.requests:
        assert request.path == "/openai/deployments/titler/chat/completions"
        assert request.query == {"api-version": "2024-10-21"}
    key, identity = (request.headers for request in server.requests)
    assert key["api-key"] == SECRET
    assert identity["authorization"] == "Bearer identity-token"


async def test_a_model_without_json_answers_is_asked_for_a_call(server: ModelServer) -> None:
    from workbench.adapters.models.anthropic import open_anthropic
    from workbench.adapters.models.titles import ModelTitleWriter

    choice = ModelChoice(model="claude-3-haiku-20240307", base_url=server.url)
    server.answer(then=status(400))
    async with open_anthropic(choice) as model:
        with pytest.raises(UnavailableError):
            await ModelTitleWriter(model, 10).write(UNTITLED)
    (request,) = server.requests
    (tool,) = request.json["tools"]
    assert list(tool["input_schema"]["properties"]) == ["title"]
