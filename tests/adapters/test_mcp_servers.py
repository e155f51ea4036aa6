"""Tools of a real MCP server over HTTP, offered to a model and called by it."""

# ruff: noqa: PLC0415 - the libraries take seconds to load, and not every process of the suite runs a test of them

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from workbench.domain.model_assistants.ports import Tool, ToolError
from workbench.wiring.settings import Settings

OWN = Tool(name="own", description="", parameters={"type": "object"})


async def call_own(name: str, arguments: dict[str, Any]) -> Any:
    return [name, arguments]


@pytest.fixture
async def server() -> AsyncGenerator[Any]:
    from tests.support.mcp_server import mcp_server

    async with mcp_server() as running:
        yield running


@asynccontextmanager
async def offered(
    server: Any, *, key: str | None = None, tools: Sequence[Tool] = (OWN,), names: Sequence[str] = ("desk",)
) -> AsyncGenerator[Any]:
    """The tools that are offered, where settings name the server `desk`, and one that is not there."""
    from tests.support.mcp_server import KEY

    from workbench.adapters.models.answers import Offered
    from workbench.adapters.models.mcp import McpAddress, McpServers

    settings = Settings.of(
        mcp={
            "desk": {"url": server.url, "headers": {"X-Key": key or KEY}, "timeout_seconds": 1},
            "gone": {"url": "http://127.0.0.1:1/mcp", "timeout_seconds": 1},
        }
    )
    servers = McpServers(
        {
            name: McpAddress(url=each.url, headers=each.headers, timeout_seconds=each.timeout_seconds)
            for name, each in settings.mcp.items()
        }
    )
    async with servers.joined(Offered(tools, call_own), names) as joined:
        yield joined


async def test_the_servers_tools_are_offered_by_its_name_and_called(server: Any) -> None:
    async with offered(server) as joined:
        tools = {tool.name: tool for tool in joined.tools}
        assert list(tools) == [
            "own",
            *(f"desk_{name}" for name in ("add", "fail", "draw", "flood", "sleep")),
            "desk_odd_name",
        ]
        assert tools["desk_add"].description == "Add two numbers"
        assert list(tools["desk_add"].parameters["properties"]) == ["a", "b"]
        assert await joined.call("desk_add", {"a": 1, "b": 2}) == 3
        assert await joined.call("desk_odd_name", {"a": 2, "b": 2}) == 4
        assert await joined.call("own", {"x": 1}) == ["own", {"x": 1}]
        assert await joined.call("desk_draw", {}) == ["a dot", "(image/png, 3 bytes)"]


async def test_what_goes_wrong_with_a_tool_is_told_to_the_model(server: Any) -> None:
    async with offered(server) as joined:
        for tool, arguments, text in (
            ("fail", {}, "There is no paper."),
            ("add", {"a": "one"}, "validation"),
            ("flood", {}, "too much"),
            ("sleep", {}, "took too long"),
        ):
            with pytest.raises(ToolError, match=text):
                await joined.call(f"desk_{tool}", arguments)
        assert await joined.call("desk_add", {"a": 1, "b": 1}) == 2
        server.stuck = True
        with pytest.raises(ToolError, match="desk"):
            await joined.call("desk_add", {"a": 1, "b": 2})
        server.stuck = False


@pytest.mark.parametrize("fault", ["stuck", "key", "gone"])
async def test_a_server_that_cannot_be_reached_is_left_out_and_its_key_not_logged(server: Any, fault: str) -> None:
    server.stuck = fault == "stuck"
    with capture_logs() as logs:
        async with offered(
            server, key="wrong-secret" if fault == "key" else None, names=("gone",) if fault == "gone" else ("desk",)
        ) as joined:
            assert [tool.name for tool in joined.tools] == ["own"]
            assert await joined.call("own", {}) == ["own", {}]
    assert [(log["event"], log["server"]) for log in logs] == [
        ("an MCP server cannot be reached", "gone" if fault == "gone" else "desk")
    ]
    assert "secret" not in str(logs)


async def test_the_library_logs_with_all_others(server: Any) -> None:
    async with offered(server, names=()):
        theirs = logging.getLogger("fastmcp")
        assert (theirs.handlers, theirs.propagate) == ([], True)


async def test_only_the_named_servers_are_asked_and_ones_own_tools_come_first(server: Any) -> None:
    async with offered(server, names=()) as joined:
        assert [tool.name for tool in joined.tools] == ["own"]
    assert server.requests == 0
    mine = Tool(name="desk_add", description="mine", parameters={"type": "object"})
    async with offered(server, tools=(mine,), names=("desk", "nobody")) as joined:
        assert [tool.description for tool in joined.tools if tool.name == "desk_add"] == ["mine"]
        assert await joined.call("desk_add", {}) == ["desk_add", {}]


async def test_a_model_calls_the_tools_of_servers_that_it_may_use(server: Any) -> None:
    from tests.support.mcp_server import KEY
    from tests.support.model_streams import openai_calls, openai_text, stream_server

    from workbench.domain.model_assistants.ports import Ask, Line
    from workbench.wiring.models import open_model_gateway

    lines = (Line(role="user", text="What is 1 and 2?"),)
    allowed = Ask(model="fast", instructions="", lines=lines, mcp_servers=("desk",))
    async with stream_server() as model:
        named = {"provider": "openai", "model": "m", "base_url": model.url}
        settings = Settings.of(
            models={"named": {"fast": named}}, mcp={"desk": {"url": server.url, "headers": {"X-Key": KEY}}}
        )
        model.answer(openai_calls(("desk_add", ['{"a": 1, "b": 2}'])), then=openai_text("Three."))
        async with open_model_gateway(settings.models, settings.mcp) as gateway:
            assert gateway.mcp_servers == ["desk"]
            events = [event async for event in gateway.answer(allowed, call_own)]
            asked = server.requests
            async for _ in gateway.answer(Ask(model="fast", instructions="", lines=lines), call_own):
                pass
        assert server.requests == asked
    assert [event.payload["result"] for event in events if event.type == "tool.result"] == [3]
    offers = [[tool["function"]["name"] for tool in each.json.get("tools", ())] for each in model.requests]
    assert ["desk_add" in names for names in offers] == [True, True, False]
