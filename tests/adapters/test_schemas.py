"""JSON Schemas: what is told of values that do not fit, and what a schema cannot do to the service."""

import time
from typing import Any

import pytest

from workbench.adapters.schemas import JsonSchemas
from workbench.domain.flows.model import Document, Interface
from workbench.domain.flows.ports import MAX_MISFITS
from workbench.domain.flows.shapes import MAX_SCHEMA_BYTES, schema_findings

SCHEMA = {
    "type": "object",
    "properties": {"question": {"type": "string", "maxLength": 5}, "a b": {"items": {"enum": ["x"]}}},
    "required": ["question"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ({"question": "why"}, []),
        ([], ["$"]),
        ({}, ["$"]),
        ({"question": 1}, ["$.question"]),
        ({"question": "why", "a b": ["x", "y"]}, ["$['a b'][1]"]),
        ({"question": "why", "more": 1}, ["$"]),
        ({"question": "secret words", "a b": ["hidden"]}, ["$.question", "$['a b'][0]"]),
    ],
)
def test_each_misfit_has_its_place_and_tells_no_value(value: Any, paths: list[str]) -> None:
    misfits = JsonSchemas().read(SCHEMA).misfits(value)
    assert sorted(misfit.path for misfit in misfits) == sorted(paths)
    assert not any("secret" in misfit.detail or "hidden" in misfit.detail for misfit in misfits)


def test_no_more_is_told_than_somebody_would_read() -> None:
    shape = JsonSchemas().read({"items": {"type": "string"}})
    assert len(shape.misfits([1] * 1000)) == MAX_MISFITS


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strin"},
        {"pattern": "("},
        {"$ref": "#/nowhere"},
        {"$ref": "http://127.0.0.1:9/schema"},
        {"$ref": "file:///etc/passwd"},
        {"$schema": "http://127.0.0.1:9/meta"},
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_and_nothing_is_fetched(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\$"):
        JsonSchemas().read(schema)


def test_a_schema_without_end_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(2000):
        deep = {"properties": {"x": deep}}
    with pytest.raises(ValueError, match="Recursion"):
        JsonSchemas().read(deep)


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(?=(a+)+$)b"])
def test_a_pattern_does_not_run_away(pattern: str) -> None:
    shape = JsonSchemas().read({"pattern": pattern})
    began = time.perf_counter()
    assert shape.misfits("a" * 5000 + "!")
    assert time.perf_counter() - began < 5, "by the naive way it would take longer than the universe is old"


def test_what_is_wrong_with_schemas_is_found_with_their_place() -> None:
    interfaces = {
        "ask": Interface(request_schema={"type": "strin"}, response_schema={"type": "string"}),
        "load": Interface(kind="send", request_schema={"enum": ["x" * MAX_SCHEMA_BYTES]}),
    }
    found = schema_findings(Document(services=[], interfaces=interfaces), JsonSchemas())
    assert [(each.path, each.code) for each in found] == [
        ("$.interfaces.ask.request_schema", "invalid_schema"),
        ("$.interfaces.load.request_schema", "invalid_schema"),
    ]
