"""A model on loopback behind the HTTP interfaces of OpenAI, Azure OpenAI, Anthropic and Google."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.behaviours import Behaviour, Ending, hang
from tests.support.servers import (
    Receive,
    ReceivedRequest,
    Scope,
    Send,
    close_connection,
    eventually,
    read_request,
    send_response,
    serve,
)

LATE = "Late Title"
"""What it answers when it no longer hangs."""
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
GOOGLE_USAGE = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}


class ModelServer:
    """Answers with the titles, and fails in the ways, that it was told of in their order; then always alike."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[ReceivedRequest] = []
        self._planned: list[str | Behaviour] = []
        self._then: str | Behaviour = "A Title"
        self._released = False

    def answer(self, *planned: str | Behaviour, then: str | Behaviour = "A Title") -> None:
        """Say what comes next."""
        self._planned, self._then = list(planned), then

    def release(self) -> None:
        """Let go of what hangs, now and later."""
        self._released = True

    def prompts(self) -> list[list[tuple[str, str]]]:
        """What the model was shown each time: role and content of each turn."""
        return [[(turn["role"], turn["content"]) for turn in request.json["messages"]] for request in self.requests]

    async def asked(self, count: int, *, timeout_seconds: float = 8.0) -> None:
        """Wait until it was asked so often."""
        await eventually(lambda: len(self.requests) >= count, timeout_seconds=timeout_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = await read_request(scope, receive)
        self.requests.append(request)
        what = self._planned.pop(0) if self._planned else self._then
        if isinstance(what, Behaviour) and what.held:
            await eventually(lambda: self._released, timeout_seconds=30)
        if isinstance(what, str) or what == hang():
            title = what if isinstance(what, str) else LATE
            body = json.dumps(answer_of(request.path, json.dumps({"title": title}))).encode()
            await send_response(send, 200, body, {"content-type": "application/json"})
        elif what.ending is Ending.DROP:
            await close_connection(receive)
        else:
            await send_response(send, what.status or 200, what.body, what.headers)


def answer_of(path: str, text: str) -> dict[str, Any]:
    """Say the text in the words of the provider whose path this is."""
    if path.endswith("/messages"):
        return {
            "id": "one",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
    if ":generateContent" in path:
        candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}
        return {"candidates": [candidate], "usageMetadata": GOOGLE_USAGE, "modelVersion": "gemini", "responseId": "one"}
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {
        "id": "one",
        "object": "chat.completion",
        "created": 1,
        "model": "model",
        "choices": [choice],
        "usage": USAGE,
    }


@asynccontextmanager
async def model_server() -> AsyncGenerator[ModelServer]:
    """Run a model; when the block ends it is down."""
    server = ModelServer()
    async with serve(server) as url:
        server.url = url
        try:
            yield server
        finally:
            server.release()
