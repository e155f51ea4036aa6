"""Vectors by a model that speaks the language of OpenAI's embeddings: a service of a provider, or a server of one's own."""

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

import httpx
import msgspec

from workbench.domain.embeddings.model import Descriptor, Vector, packed
from workbench.domain.errors import UnavailableError
from workbench.domain.ids import new_hex_id
from workbench.domain.usage.accumulating import note_call
from workbench.domain.usage.model import ReportedCall

MAX_TEXTS = 96
"""Of one request."""
MAX_ANSWER_BYTES = 32 << 20


class _Made(msgspec.Struct, frozen=True):
    index: Annotated[int, msgspec.Meta(ge=0)]
    embedding: list[float]


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: Annotated[int, msgspec.Meta(ge=0)] = 0


class _Answer(msgspec.Struct, frozen=True):
    data: list[_Made]
    usage: _Usage | None = None


class OpenAiEmbedder:
    """Asks for some texts at a time. What is said of a failure never repeats the texts, nor what the server answered."""

    is_local = False

    def __init__(
        self, client: httpx.AsyncClient, url: str, descriptor: Descriptor, *, min_cosine: float, sends_dims: bool
    ) -> None:
        """`client` brings the key along; `url` is where the interface begins. `sends_dims`: the model can shorten vectors."""
        self._client = client
        self._url = f"{url.rstrip('/')}/embeddings"
        self._sends_dims = sends_dims
        self.descriptor = descriptor
        self.min_cosine = min_cosine

    async def embed(self, texts: Sequence[str]) -> list[Vector | None]:
        """Some texts at a time, in their order; blank ones are not sent."""
        telling = [(place, text) for place, text in enumerate(texts) if text.strip()]
        made: list[Vector | None] = [None] * len(texts)
        for begin in range(0, len(telling), MAX_TEXTS):
            some = telling[begin : begin + MAX_TEXTS]
            for (place, _), vector in zip(some, await self._ask([text for _, text in some]), strict=True):
                made[place] = vector
        return made

    async def _ask(self, texts: Sequence[str]) -> list[Vector | None]:
        body: dict[str, object] = {"model": self.descriptor.model, "input": list(texts)}
        if self._sends_dims:
            body["dimensions"] = self.descriptor.dims
        content = await self._post(body)
        try:
            answer = msgspec.json.decode(content, type=_Answer)
        except msgspec.MsgspecError as error:
            raise _failed("an answer of another form") from error
        self._note(answer.usage or _Usage())
        in_order = {each.index: each.embedding for each in answer.data}
        if sorted(in_order) != list(range(len(texts))):
            raise _failed("vectors of other texts")
        return [self._vector(in_order[place]) for place in range(len(texts))]

    def _note(self, taken: _Usage) -> None:
        """Tell whoever keeps the books what was taken, as far as the server says so."""
        named = self.descriptor
        call = ReportedCall(
            call_id=new_hex_id(),
            model=named.model,
            provider=named.provider,
            call_kind="embedding",
            prompt_tokens=taken.prompt_tokens,
        )
        note_call(call)

    async def _post(self, body: dict[str, object]) -> bytes:
        content = bytearray()
        try:
            async with self._client.stream("POST", self._url, json=body) as answer:
                if answer.status_code != HTTPStatus.OK:
                    raise _failed(f"status {answer.status_code}")
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > MAX_ANSWER_BYTES:
                        raise _failed("an answer that is too long")
        except httpx.HTTPError as error:
            raise _failed(type(error).__name__) from error
        return bytes(content)

    def _vector(self, values: Sequence[float]) -> Vector | None:
        """Of the length one. Raises UnavailableError `dims_mismatch`."""
        if len(values) != self.descriptor.dims:
            raise UnavailableError(
                f"{self.descriptor.model} makes vectors of {len(values)} dimensions, not of {self.descriptor.dims}",
                code="dims_mismatch",
            )
        length = math.sqrt(math.fsum(value * value for value in values))
        if not math.isfinite(length):
            raise _failed("a vector that is no number")
        return packed([value / length for value in values]) if length else None


def _failed(seen: str) -> UnavailableError:
    return UnavailableError(f"The model that makes vectors failed: {seen}", code="embedding_failed")
