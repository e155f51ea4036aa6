"""Models on loopback that stream, in the words of OpenAI, Anthropic and Google."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from tests.support.behaviours import Behaviour
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


@dataclass(frozen=True)
class Streamed:
    """An answer in frames. At its end it is whole, or stays open until the caller leaves, or is cut."""

    frames: Sequence[bytes]
    ending: Literal["whole", "held", "cut"] = "whole"


class StreamServer:
    """Answers with what it was told of, in that order, and notices callers that leave."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[ReceivedRequest] = []
        self.left = 0
        self._planned: list[Streamed | Behaviour] = []
        self._then: Streamed | Behaviour | None = None

    def answer(self, *planned: Streamed | Behaviour, then: Streamed | Behaviour | None = None) -> None:
        """Say what comes next, and what ever after."""
        self._planned, self._then = list(planned), then

    async def all_left(self, count: int) -> None:
        """Wait until so many callers left before the end."""
        await eventually(lambda: self.left >= count)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = await read_request(scope, receive)
        self.requests.append(request)
        what = self._planned.pop(0) if self._planned else self._then
        if what is None:
            raise AssertionError("it was asked more often than planned")
        if isinstance(what, Behaviour):
            await send_response(send, what.status or 200, what.body, what.headers)
            return
        await self._stream(what, receive, send)

    async def _stream(self, what: Streamed, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for frame in what.frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        if what.ending == "cut":
            await close_connection(receive)
        elif what.ending == "held":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.left += 1
        else:
            await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def stream_server() -> AsyncGenerator[StreamServer]:
    """Run one."""
    server = StreamServer()
    async with serve(server) as url:
        server.url = url
        yield server


def sse(data: Any, event: str = "") -> bytes:
    """A frame."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


OPENAI_USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 7,
    "total_tokens": 27,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def openai_delta(finish_reason: str | None = None, **delta: Any) -> bytes:
    """A chunk of a chat completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return sse(_openai_chunk([choice]))


def openai_end(finish_reason: str = "stop") -> list[bytes]:
    """The end of a chat completion, with what it took."""
    usage = {**_openai_chunk([]), "usage": OPENAI_USAGE}
    return [openai_delta(finish_reason), sse(usage), sse("[DONE]")]


def openai_text(*pieces: str) -> Streamed:
    """A whole answer."""
    return Streamed([*(openai_delta(content=piece) for piece in pieces), *openai_end()])


def openai_calls(*calls: tuple[str, Sequence[str]]) -> Streamed:
    """An answer that calls tools, their arguments in pieces; all calls have the same id, as some servers give them."""
    frames: list[bytes] = []
    for index, (name, pieces) in enumerate(calls):
        head = {"index": index, "id": "call_0", "type": "function", "function": {"name": name, "arguments": ""}}
        frames.append(openai_delta(tool_calls=[head]))
        frames += [openai_delta(tool_calls=[{"index": index, "function": {"arguments": each}}]) for each in pieces]
    return Streamed([*frames, *openai_end("tool_calls")])


def openai_error(status: int, code: str, message: str) -> Behaviour:
    """A refusal."""
    body = {"error": {"message": message, "type": "error", "param": None, "code": code}}
    return Behaviour(status=status, body=json.dumps(body).encode(), headers={"content-type": "application/json"})


def anthropic_answer(thought: str, *pieces: str) -> Streamed:
    """A message that is thought about first."""
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 2,
        "output_tokens": 1,
    }
    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "claude-as-served",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    frames = [sse({"type": "message_start", "message": message}, "message_start")]
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    frames += _anthropic_block(0, thinking, [{"type": "thinking_delta", "thinking": thought}])
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    frames += _anthropic_block(1, {"type": "text", "text": ""}, deltas)
    end = {"stop_reason": "max_tokens", "stop_sequence": None}
    frames.append(sse({"type": "message_delta", "delta": end, "usage": {"output_tokens": 9}}, "message_delta"))
    return Streamed([*frames, sse({"type": "message_stop"}, "message_stop")])


def google_answer(*pieces: str) -> Streamed:
    """What Gemini streams."""
    usage = {"promptTokenCount": 11, "candidatesTokenCount": 6, "thoughtsTokenCount": 2, "totalTokenCount": 19}
    frames: list[bytes] = []
    for place, piece in enumerate(pieces, start=1):
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": piece}]}, "index": 0}
        if place == len(pieces):
            candidate["finishReason"] = "STOP"
        chunk = {"candidates": [candidate], "modelVersion": "gemini-as-served", "responseId": "r"}
        frames.append(sse({**chunk, "usageMetadata": usage} if place == len(pieces) else chunk))
    return Streamed(frames)


def _openai_chunk(choices: list[Any]) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-as-served",
        "choices": choices,
    }


def _anthropic_block(index: int, block: dict[str, Any], deltas: list[dict[str, Any]]) -> list[bytes]:
    return [
        sse({"type": "content_block_start", "index": index, "content_block": block}, "content_block_start"),
        *(
            sse({"type": "content_block_delta", "index": index, "delta": delta}, "content_block_delta")
            for delta in deltas
        ),
        sse({"type": "content_block_stop", "index": index}, "content_block_stop"),
    ]
