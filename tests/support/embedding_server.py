"""A model on loopback that makes vectors behind the HTTP interface of OpenAI's embeddings."""

import hashlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.servers import Receive, ReceivedRequest, Scope, Send, read_request, send_response, serve


class EmbeddingServer:
    """Answers with vectors that tell texts apart, in any order; or with what it was told to answer instead."""

    def __init__(self, dims: int) -> None:
        self.url = ""
        self.dims = dims
        self.requests: list[ReceivedRequest] = []
        self.instead: tuple[int, Any] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = await read_request(scope, receive)
        self.requests.append(request)
        texts = request.json["input"]
        made = [{"object": "embedding", "index": at, "embedding": self.vector(text)} for at, text in enumerate(texts)]
        status, body = self.instead or (200, {"object": "list", "data": made[::-1], "model": request.json["model"]})
        await send_response(send, status, json.dumps(body).encode(), {"content-type": "application/json"})

    def vector(self, text: str) -> list[float]:
        """Some numbers, the same for the same text, and not of the length one."""
        digest = hashlib.blake2b(text.encode()).digest()
        return [float(digest[place % len(digest)]) + 1 for place in range(self.dims)]


@asynccontextmanager
async def embedding_server(dims: int) -> AsyncGenerator[EmbeddingServer]:
    """Run it."""
    server = EmbeddingServer(dims)
    async with serve(server) as url:
        server.url = f"{url}/v1"
        yield server
