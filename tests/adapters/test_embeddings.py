"""What makes vectors of texts: the hashed words, and a model behind real HTTP on loopback."""

import math
from typing import Any

import httpx
import pytest
from tests.support.embedding_server import EmbeddingServer, embedding_server

from workbench.adapters.embeddings.chosen import ChosenEmbedders
from workbench.adapters.embeddings.hashed import HASHED, HashedEmbedder
from workbench.adapters.embeddings.openai import MAX_TEXTS, OpenAiEmbedder
from workbench.domain.embeddings.model import Descriptor, packed, unpacked
from workbench.domain.errors import UnavailableError
from workbench.domain.playbooks.hashing import hashed_vector
from workbench.domain.usage.accumulating import accumulating

MODEL = Descriptor(provider="openai", model="tiny", dims=4)


def embedder(client: httpx.AsyncClient, url: str, *, sends_dims: bool = False) -> OpenAiEmbedder:
    return OpenAiEmbedder(client, url, MODEL, min_cosine=0.3, sends_dims=sends_dims)


async def test_51_hashed_vectors_are_those_of_the_golden_test_with_the_low_byte_first() -> None:
    (vector,) = await HashedEmbedder().embed(["The printer on floor 2 shows offline"])
    floats = hashed_vector("The printer on floor 2 shows offline")
    assert vector is not None
    assert floats is not None
    assert vector == packed(floats)
    assert packed([1.0, -2.5]).hex() == "0000803f000020c0"
    assert math.fsum(value * value for value in unpacked(vector)) == pytest.approx(1, abs=1e-5)


async def test_51_a_text_that_says_nothing_has_no_vector() -> None:
    assert await HashedEmbedder().embed(["", "the of and", "printer"]) == [
        None,
        None,
        *(await HashedEmbedder().embed(["printer"])),
    ]


async def test_a_models_vectors_are_of_the_length_one_and_in_the_order_of_the_texts() -> None:
    async with embedding_server(4) as server, httpx.AsyncClient(headers={"Authorization": "Bearer k"}) as client:
        texts = [f"text {number}" for number in range(MAX_TEXTS + 3)]
        texts[5] = "  "
        vectors = await embedder(client, server.url, sends_dims=True).embed(texts)
        assert [len(request.json["input"]) for request in server.requests] == [MAX_TEXTS, 2]
        assert server.requests[0].json["dimensions"] == 4
        assert server.requests[0].headers["authorization"] == "Bearer k"
        assert vectors[5] is None
        for text, vector in zip(texts, vectors, strict=True):
            if vector is not None:
                raw = server.vector(text)
                length = math.sqrt(math.fsum(value * value for value in raw))
                assert unpacked(vector) == pytest.approx([value / length for value in raw], abs=1e-6)


async def test_6_what_the_server_says_it_took_is_told_to_whoever_keeps_the_books() -> None:
    made = {"data": [{"index": 0, "embedding": [1, 0, 0, 0]}], "usage": {"prompt_tokens": 7, "total_tokens": 7}}
    async with embedding_server(4) as server, httpx.AsyncClient() as client:
        server.instead = (200, made)
        with accumulating() as spent:
            await embedder(client, server.url).embed(["printer"])
            server.instead = None
            await embedder(client, server.url).embed(["printer"])
    told = [(call.model, call.provider, call.prompt, call.completion) for call in spent.calls]
    assert told == [("tiny", "openai", 7, 0), ("tiny", "openai", 0, 0)]


async def test_a_vector_of_nothing_but_zeros_is_none() -> None:
    async with embedding_server(4) as server, httpx.AsyncClient() as client:
        server.instead = (200, {"data": [{"index": 0, "embedding": [0, 0, 0, 0]}]})
        assert await embedder(client, server.url).embed(["text"]) == [None]


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (500, {"error": "SECRET of the text"}, "embedding_failed"),
        (200, {"data": [{"index": 0, "embedding": [1, 2, 3]}]}, "dims_mismatch"),
        (200, {"data": [{"index": 1, "embedding": [1, 2, 3, 4]}]}, "embedding_failed"),
        (200, {"data": []}, "embedding_failed"),
        (200, {"data": [{"index": 0, "embedding": ["a"]}]}, "embedding_failed"),
        (200, {"data": [{"index": 0, "embedding": [1e300, 1e300, 1e300, 1e300]}]}, "embedding_failed"),
        (200, ["SECRET"], "embedding_failed"),
    ],
)
async def test_52_what_a_model_answers_that_does_not_fit_is_a_failure(status: int, body: Any, code: str) -> None:
    async with embedding_server(4) as server, httpx.AsyncClient() as client:
        server.instead = (status, body)
        with pytest.raises(UnavailableError) as failed:
            await embedder(client, server.url).embed(["the text"])
        assert failed.value.error_code == code
        assert "SECRET" not in str(failed.value)
        assert "the text" not in str(failed.value)


async def test_a_model_that_is_away_is_a_failure() -> None:
    async with embedding_server(4) as server:
        url = server.url
    async with httpx.AsyncClient(timeout=2) as client:
        with pytest.raises(UnavailableError):
            await embedder(client, url).embed(["the text"])


async def test_only_texts_of_workspaces_that_opted_in_are_sent() -> None:
    async with httpx.AsyncClient() as client:
        hashed, model = HashedEmbedder(), embedder(client, "http://127.0.0.1:9")
        some = ChosenEmbedders(hashed, model, frozenset({"support"}))
        assert (some.of("support", opted_in=None), some.of("default", opted_in=None)) == (model, hashed)
        assert some.by("default", MODEL, opted_in=None) is None
        assert some.by("support", HASHED, opted_in=None) is hashed
        assert ChosenEmbedders(hashed, model, frozenset({"*"})).of("default", opted_in=None) is model
        assert ChosenEmbedders(hashed, model).of("default", opted_in=None) is hashed
        # What the workspace decided counts for more.
        assert (some.of("support", opted_in=False), some.of("default", opted_in=True)) == (hashed, model)
        assert some.by("support", MODEL, opted_in=False) is None
        assert some.by("default", MODEL, opted_in=True) is model
        assert ChosenEmbedders(hashed).of("support", opted_in=True) is hashed


def test_the_server_tells_texts_apart() -> None:
    server = EmbeddingServer(4)
    assert server.vector("one") != server.vector("two")
