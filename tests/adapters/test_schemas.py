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
        {"$ref": "#elsewhere"},
        {"$ref": "http://127.0.0.1:9/schema"},
        {"$ref": "file:///etc/passwd"},
        {"$schema": "http://127.0.0.1:9/meta"},
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_and_nothing_is_fetched(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\$"):
        JsonSchemas().read(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#name", "$defs": {"a": {"$anchor": "name"}}},
        {"$dynamicRef": "#a", "$dynamicAnchor": "a"},
        {"properties": {"a": {"$id": "http://x/y", "$ref": "#/$defs/a", "$defs": {"a": {}}}}},
        {"$schema": "http://json-schema.org/draft-04/schema#"},
    ],
)
def test_a_schema_refers_by_paths_alone(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^\$: "):
        JsonSchemas().read(schema)


def doubling(count: int) -> dict[str, Any]:
    """Definitions, each of which names the next one twice."""
    steps: dict[str, Any] = {}
    for number in range(count):
        after = {"$ref": f"#/$defs/a{number + 1}"}
        steps[f"a{number}"] = {"anyOf": [{"allOf": [after]}, {"allOf": [after, {}]}]}
    return {"$ref": "#/$defs/a0", "$defs": {**steps, f"a{count}": {"type": "string"}}}


def test_references_that_multiply_are_refused_and_those_that_do_not_are_followed() -> None:
    with pytest.raises(ValueError, match="branches"):
        JsonSchemas().read(doubling(30))
    assert JsonSchemas().read(doubling(5)).misfits(1)
    once = {f"a{number}": {"properties": {"x": {"$ref": f"#/$defs/a{number + 1}"}}} for number in range(100)}
    assert JsonSchemas().read({"$ref": "#/$defs/a0", "$defs": {**once, "a100": {}}}).misfits({"x": {"x": 1}}) == []


TREE: dict[str, Any] = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "anyOf": [
                {"type": "integer"},
                {"properties": {"l": {"$ref": "#/$defs/node"}, "r": {"$ref": "#/$defs/node"}}, "type": "object"},
            ]
        }
    },
}


def test_definitions_that_contain_each_other_count_each_way_round() -> None:
    mutual: dict[str, Any] = {
        "$ref": "#/$defs/a",
        "$defs": {
            "a": {
                "anyOf": [
                    {"properties": {"x": {"$ref": "#/$defs/b~1b"}}},
                    {"properties": {"x": {"$ref": "#/$defs/b~1b"}}},
                ]
            },
            "b/b": {"properties": {"x": {"$ref": "#/$defs/a"}}, "not": {"const": 1}},
        },
    }
    deep: Any = 1
    for _ in range(60):
        deep = {"x": deep}
    began = time.perf_counter()
    JsonSchemas().read(mutual).misfits(deep)
    assert time.perf_counter() - began < 5


def test_where_a_value_is_wrong_is_said_as_long_as_that_is_soon_said() -> None:
    shape = JsonSchemas().read(TREE)
    deep: Any = "wrong"
    assert shape.misfits(deep)[0].detail != "does not fit; it branches too much to say where"
    for _ in range(50):
        deep = {"l": deep, "r": 1}
    began = time.perf_counter()
    assert [misfit.path for misfit in shape.misfits(deep)] == ["$"]
    assert time.perf_counter() - began < 5
    fine: Any = 1
    for _ in range(50):
        fine = {"l": fine, "r": 1}
    assert shape.misfits(fine) == []


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
