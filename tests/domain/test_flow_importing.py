"""Blueprints of TrustGraph, older and newer ones, read as ours."""

from typing import Any

import pytest

from workbench.domain.errors import InvalidError
from workbench.domain.flows.checking import Walls, findings_of
from workbench.domain.flows.importing import read_foreign
from workbench.domain.flows.model import ParameterType

OLDER: dict[str, Any] = {
    "description": "Questions about documents",
    "tags": ["rag"],
    "class": {
        "embeddings:{class}": {
            "request": "non-persistent://tg/request/embeddings:{class}",
            "response": "non-persistent://tg/response/embeddings:{class}",
            "settings": {"model": "{model}", "note": ["of {class}"]},
        },
    },
    "flow": {
        "chunker:{id}": {
            "input": "persistent://tg/flow/document-load:{id}",
            "output": "persistent://tg/flow/chunk-load:{id}",
        },
    },
    "interfaces": {
        "document-load": "persistent://tg/flow/document-load:{id}",
        "embeddings": {
            "request": "non-persistent://tg/request/embeddings:{class}",
            "response": "non-persistent://tg/response/embeddings:{class}",
        },
    },
    "parameters": {"model": "llm-model"},
}
NEWER: dict[str, Any] = {
    "blueprint": {
        "text-completion:{workspace}.{blueprint}": {
            "topics": {
                "request": "request:tg:{workspace}:text-completion:{blueprint}",
                "response": "response:tg:{workspace}:text-completion:{blueprint}",
            },
            "parameters": {"model": "{model}"},
        },
    },
    "flow": {"loader:{workspace}.{id}": {"topics": {"input": "flow:tg:{workspace}:load:{id}"}}},
    "interfaces": {
        "load": {"flow": "flow:tg:{workspace}:load:{id}"},
        "text-completion": {
            "request": "request:tg:{workspace}:text-completion:{blueprint}",
            "response": "response:tg:{workspace}:text-completion:{blueprint}",
        },
    },
    "parameters": {
        "model": {"type": "llm-model", "description": "Which", "order": 1},
        "rag-model": {"type": "llm-model", "controlled-by": "model", "advanced": True, "unknown": 1},
    },
}
TYPES = {"llm-model": ParameterType(default="m")}


def test_an_older_one_is_read() -> None:
    document = read_foreign(OLDER)
    embeddings, chunker = document.services
    assert (embeddings.service, embeddings.scope, embeddings.variant) == ("embeddings", "blueprint", "{blueprint}")
    assert embeddings.topics["request"] == "request:tg:embeddings:{blueprint}"
    assert embeddings.parameters == {"model": "{model}", "note": ["of {blueprint}"]}
    assert (chunker.scope, chunker.variant, chunker.parameters) == ("flow", "{id}", {})
    assert chunker.topics == {"input": "flow:tg:document-load:{id}", "output": "flow:tg:chunk-load:{id}"}
    load, ask = document.interfaces["document-load"], document.interfaces["embeddings"]
    assert (load.kind, load.topic) == ("send", "flow:tg:document-load:{id}")
    assert (ask.kind, ask.dialect, ask.is_hosted) == ("request_response", "plain", False)
    assert document.parameters["model"].type == "llm-model"
    assert (document.description, document.tags) == ("Questions about documents", ["rag"])


def test_a_newer_one_is_read() -> None:
    document = read_foreign(NEWER)
    completion, loader = document.services
    assert completion.variant == "{workspace}.{blueprint}"
    assert completion.topics["request"] == "request:tg:{workspace}:text-completion:{blueprint}"
    assert completion.parameters == {"model": "{model}"}
    assert loader.topics == {"input": "flow:tg:{workspace}:load:{id}"}
    assert document.interfaces["load"].topic == "flow:tg:{workspace}:load:{id}"
    assert document.parameters["rag-model"].controlled_by == "model"
    assert document.parameters["rag-model"].advanced


@pytest.mark.parametrize("foreign", [OLDER, NEWER], ids=["older", "newer"])
def test_what_was_read_can_be_stored(foreign: dict[str, Any]) -> None:
    assert findings_of(read_foreign(foreign), TYPES, Walls(is_open=True)) == []


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ([], "$"),
        ({"interfaces": {}}, "$"),
        ({"flow": []}, "$.flow"),
        ({"flow": {"a:{id}": "x"}}, "$.flow.a:{id}"),
        ({"flow": {"a:{id}": {"input": 1}}}, "$.flow.a:{id}.input"),
        ({"flow": {"a:{id}": {}}, "interfaces": {"i": {"request": "request:tg:a"}}}, "$.interfaces.i.response"),
        ({"flow": {"a:{id}": {}}, "parameters": {"p": 1}}, "$.parameters.p"),
    ],
)
def test_what_is_no_blueprint_is_refused_with_its_place(wrong: Any, path: str) -> None:
    with pytest.raises(InvalidError) as caught:
        read_foreign(wrong)
    assert caught.value.field == path
