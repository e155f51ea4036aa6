"""Tools of MCP servers. Imported only where settings name one: the library takes long to load."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import msgspec
import structlog
from pydantic import SecretStr
from pydantic_ai.exceptions import ModelRetry, ToolFailed
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import BinaryContent

from workbench.adapters.models.answers import Offered, ToolServers
from workbench.domain.model_assistants.ports import Tool, ToolError

logger = structlog.get_logger(__name__)
RESULT_BYTES = 256 << 10
"""What a tool may give back as JSON; more would fill the model's memory, and is cut from the answer anyway."""
ERROR_CHARACTERS = 2000
NAME_CHARACTERS = 64
"""How long the names of tools may be, by OpenAI's rule, which is the strictest."""
_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
Invoke = Callable[[dict[str, Any]], Awaitable[Any]]


class McpAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a server is, what it is sent, and how long connecting, or one call, may take."""

    url: str
    headers: Mapping[str, SecretStr]
    timeout_seconds: float


class McpServers(ToolServers):
    """The servers that the operator named. Each answer has connections of its own."""

    def __init__(self, servers: Mapping[str, McpAddress]) -> None:
        """Connect to none as yet."""
        self._servers = servers
        _log_with_all_others()

    @property
    def names(self) -> Sequence[str]:
        """The names of all servers."""
        return sorted(self._servers)

    @asynccontextmanager
    async def joined(self, offered: Offered, names: Sequence[str]) -> AsyncGenerator[Offered]:
        """Offer the servers' tools as well, by the server's name and theirs; one that fails is left out."""
        async with AsyncExitStack() as stack:
            chosen = [_Server(name, self._servers[name]) for name in dict.fromkeys(names) if name in self._servers]
            found = [await stack.enter_async_context(server.connected()) for server in chosen]
            routes = {tool.name: invoke for tools in found for tool, invoke in tools}
            own = {tool.name for tool in offered.tools}

            async def call(name: str, arguments: dict[str, Any]) -> Any:
                if name in own or name not in routes:
                    return await offered.call(name, arguments)
                return await routes[name](arguments)

            theirs = {tool.name: tool for tools in found for tool, _ in tools if tool.name not in own}
            yield Offered([*offered.tools, *theirs.values()], call)


class _Server:
    def __init__(self, name: str, address: McpAddress) -> None:
        self._name = name
        self._seconds = address.timeout_seconds
        self._tools = MCPToolset[None](
            address.url,
            headers={header: value.get_secret_value() for header, value in address.headers.items()},
            init_timeout=address.timeout_seconds,
            read_timeout=address.timeout_seconds,
            tool_error_behavior="failed",
        )

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[list[tuple[Tool, Invoke]]]:
        """The server's tools while it is connected; none where it cannot be."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._tools.__aenter__()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a server, the answer goes on without it
            self._warn("an MCP server cannot be reached", error)
            yield []
            return
        try:
            yield await self._listed()
        finally:
            await self._disconnect()

    async def _listed(self) -> list[tuple[Tool, Invoke]]:
        try:
            async with asyncio.timeout(self._seconds):
                tools = await self._tools.list_tools()
        except Exception as error:  # noqa: BLE001 - as above
            self._warn("an MCP server does not list its tools", error)
            return []
        return [
            (
                Tool(
                    name=self._offered_as(tool.name), description=tool.description or "", parameters=tool.input_schema
                ),
                self._invoking(tool.name),
            )
            for tool in tools
        ]

    async def _disconnect(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._tools.__aexit__(None, None, None)
        except Exception as error:  # noqa: BLE001 - the answer is there
            self._warn("an MCP server was not left in good order", error)

    def _offered_as(self, tool: str) -> str:
        return _UNFIT.sub("_", f"{self._name}_{tool}")[:NAME_CHARACTERS]

    def _invoking(self, tool: str) -> Invoke:
        async def invoke(arguments: dict[str, Any]) -> Any:
            try:
                async with asyncio.timeout(self._seconds):
                    result = await self._tools.direct_call_tool(tool, arguments)
            except (ModelRetry, ToolFailed) as error:
                raise ToolError(error.message[:ERROR_CHARACTERS]) from error
            except TimeoutError as error:
                raise ToolError(f"The server {self._name} took too long.") from error
            except Exception as error:
                self._warn("an MCP server failed", error)
                raise ToolError(f"The server {self._name} failed.") from error
            return _fit(_plain(result))

        return invoke

    def _warn(self, what: str, error: Exception) -> None:
        """Without the error's text, which may repeat an address that holds a key."""
        logger.warning(what, server=self._name, error=type(error).__name__)


def _log_with_all_others() -> None:
    """Take away the handlers of its own that the library sets when it is loaded: they write past our log's form."""
    theirs = logging.getLogger("fastmcp")
    theirs.handlers.clear()
    theirs.propagate = True
    theirs.setLevel(logging.WARNING)


def _plain(result: Any) -> Any:
    """The result as JSON has it; what is not text is only named."""
    if isinstance(result, BinaryContent):
        return f"({result.media_type}, {len(result.data)} bytes)"
    if isinstance(result, list):
        return [_plain(each) for each in cast("list[Any]", result)]
    return result


def _fit(result: Any) -> Any:
    if len(msgspec.json.encode(result)) > RESULT_BYTES:
        raise ToolError("The tool gave back too much.")
    return result
