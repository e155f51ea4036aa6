"""The fuzz itself, on one route: it finds nothing where all is well, and something where it is not."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.assistants import RecordingAssistantService
from tests.support.fuzzing import World, fuzz
from tests.support.servers import Receive, Scope, Send, send_json, serve
from tests.support.service import Service, running_service

ONE_ROUTE = ("--include-operation-id", "get_user_me", "--phases", "coverage", "--seed", "1")
JSON = "application/json"


@pytest.fixture
async def service(sqlite_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    async with running_service(sqlite_url, tmp_path / "data") as running:
        yield running


async def holds(service: Service, folder: Path, change: Callable[[Any], None], url: str | None = None) -> bool:
    """Whether the service, or what answers at the URL, does what the changed document says of the route."""
    document = (await service.user().get("/openapi.json")).json()
    change(document["paths"]["/users/me"]["get"]["responses"])
    path = folder / "document.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    async with RecordingAssistantService() as assistants:
        world = World(service.url, service.token(), assistants)
        found = await asyncio.to_thread(fuzz, world, "user", str(path), "--url", url or service.url, *ONE_ROUTE)
        world.close()
    return found


async def test_nothing_is_found_where_the_document_is_true(service: Service, tmp_path: Path) -> None:
    assert await holds(service, tmp_path, lambda _: None)


def another_body(responses: Any) -> None:
    responses["200"]["content"][JSON]["schema"] = {"type": "object", "required": ["absent"]}


def another_status(responses: Any) -> None:
    responses["201"] = responses.pop("200")


def another_type(responses: Any) -> None:
    responses["200"]["content"]["text/csv"] = responses["200"]["content"].pop(JSON)


@pytest.mark.parametrize("change", [another_body, another_status, another_type])
async def test_an_answer_that_the_document_does_not_say_is_found(
    service: Service, tmp_path: Path, change: Callable[[Any], None]
) -> None:
    assert not await holds(service, tmp_path, change)


async def test_500_is_found_even_where_the_document_says_it(service: Service, tmp_path: Path) -> None:
    async def broken(_: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, 500, {"detail": "Internal Server Error"})

    async with serve(broken) as url:
        assert not await holds(service, tmp_path, lambda responses: responses.update({"500": responses["401"]}), url)
