"""A real MCP server on loopback, by the protocol's own library; it takes a second to load, so import it in tests."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from tests.support.servers import Receive, Scope, Send, send_response, serve

KEY = "mcp-very-secret"


class GuardedServer:
    """Has tools, for callers with the key alone. While it is `stuck` it answers nobody."""

    def __init__(self) -> None:
        self.url = ""
        self.stuck = False
        self.requests = 0
        server = MCPServer("tools")
        server.add_tool(add, description="Add two numbers")
        for tool in (fail, draw, flood, sleep):
            server.add_tool(tool, structured_output=False)
        server.add_tool(add, name="odd.name")
        self._app = server.streamable_http_app()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.requests += 1
            if dict(scope["headers"]).get(b"x-key") != KEY.encode():
                await send_response(send, 401)
                return
            if self.stuck:
                while (await receive())["type"] != "http.disconnect":
                    pass
                return
        await self._app(scope, receive, send)


def add(a: int, b: int) -> int:
    return a + b


def fail() -> str:
    raise ToolError("There is no paper.")


def draw() -> list[Any]:
    return ["a dot", Image(data=b"PNG", format="png")]


def flood() -> str:
    return "x" * 300_000


async def sleep() -> str:
    await asyncio.sleep(30)
    return "awake"


@asynccontextmanager
async def mcp_server() -> AsyncGenerator[GuardedServer]:
    """Run one."""
    server = GuardedServer()
    async with serve(server) as url:
        server.url = f"{url}/mcp"
        yield server
