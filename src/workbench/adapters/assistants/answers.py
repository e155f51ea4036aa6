"""Reading what assistant services answer: no more than was agreed, and only what can be understood."""

import asyncio
import contextlib
from typing import TypeVar

import httpx
import msgspec

from workbench.domain.errors import BadAnswerError
from workbench.domain.texts import read_json

T = TypeVar("T")

MAX_ANSWER_BYTES = 10 * 1024 * 1024
MAX_DATA_BYTES = 64 * 1024 * 1024
"""How much an assistant may keep for itself of one conversation, or of all, if that is to be taken along."""
MAX_ERROR_BYTES = 64 * 1024
"""How much of an error's text is passed on."""
READ_OUT_SECONDS = 1.0

UNENCODED = {"Accept-Encoding": "identity"}
"""Sent with every call: what is not compressed cannot grow in our hands."""


def decode(body: bytes, kind: type[T], url: str) -> T:
    """Read an answer as JSON of that shape; what it holds beyond it is dropped. Raises BadAnswerError."""
    try:
        return msgspec.convert(read_json(body), kind)
    except msgspec.MsgspecError as error:
        raise BadAnswerError(f"The answer of the assistant at url {url} is not as expected: {error}") from error


async def read_limited(response: httpx.Response, limit: int = MAX_ANSWER_BYTES) -> bytes:
    """Read a whole answer, whatever it says of its length. Raises BadAnswerError where it is encoded or too large."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise BadAnswerError(
            f"The answer of the assistant at url {response.url} is encoded ({encoding}), which was not asked for"
        )
    announced = response.headers.get("Content-Length", "")
    is_too_large = announced.isdecimal() and int(announced) > limit
    body = b"" if is_too_large else await _start_of(response, limit + 1)
    if is_too_large or len(body) > limit:
        raise BadAnswerError(f"The answer of the assistant at url {response.url} is larger than {limit} bytes")
    return body


async def read_error(response: httpx.Response) -> str:
    """Read what it says of its error, and no more than is worth passing on."""
    return (await _start_of(response, MAX_ERROR_BYTES)).decode("utf-8", "replace")


async def read_out(response: httpx.Response) -> None:
    """Read an answer that says nothing more to us: only then can its connection be used again."""
    with contextlib.suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(READ_OUT_SECONDS):
            await _start_of(response, MAX_ERROR_BYTES)


async def _start_of(response: httpx.Response, limit: int) -> bytes:
    """Read up to so many bytes, as they were sent: decoding could make very many of a few."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= limit:
            break
    return bytes(body[:limit])
