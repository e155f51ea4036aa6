"""An issuer's key server on loopback, which tests make rotate, fail, stall and misbehave."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from joserfc.jwk import Key
from tests.support.servers import Receive, ReceivedRequest, Scope, Send, eventually, read_request, send_response, serve


def jwk_set(keys: Iterable[Key]) -> bytes:
    """The public halves, as an issuer publishes them."""
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


class KeyServer:
    """Answers every request in the way that is set at the time."""

    def __init__(self) -> None:
        self.url = ""
        self.requests = 0
        self.last_request: ReceivedRequest | None = None
        self.held = False
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""
        self.dripping = False

    def publish(self, *keys: Key) -> None:
        """Serve these keys from now on."""
        self.body = jwk_set(keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.last_request = await read_request(scope, receive)
        self.requests += 1
        await eventually(lambda: not self.held, timeout_seconds=30)
        if self.dripping:
            await self._drip(send)
        await send_response(send, self.status, self.body, self.headers)

    async def _drip(self, send: Send) -> None:
        """Answer byte by byte, each in good time and the whole never."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(0.01)


@asynccontextmanager
async def key_server(*keys: Key) -> AsyncGenerator[KeyServer]:
    """Run a key server; when the block ends it is down."""
    server = KeyServer()
    server.publish(*keys)
    async with serve(server) as url:
        server.url = f"{url}/keys"
        yield server
