"""The OpenAPI document: whole, valid, and with the errors that every route answers."""

import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from workbench.entrypoints.http.app import create_app
from workbench.wiring.settings import Settings

ANONYMOUS = {"/", "/livez", "/readyz", "/metrics"}


@pytest.fixture(scope="module")
def document() -> Any:
    """As it is sent."""
    return json.loads(json.dumps(create_app(Settings.of()).openapi_schema.to_schema()))


@pytest.fixture(scope="module")
def operations(document: Any) -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_it_is_openapi_3_1(document: Any) -> None:
    assert document["openapi"].startswith("3.1.")
    validate(document, cls=OpenAPIV31SpecValidator)


def test_each_route_that_asks_who_is_calling_says_what_it_answers_to_nobody(operations: dict[str, Any]) -> None:
    for route, operation in operations.items():
        is_anonymous = route.partition(" ")[2] in ANONYMOUS
        assert (operation.get("security") == []) is is_anonymous, route
        assert ("401" in operation["responses"]) is not is_anonymous, route


def test_each_error_has_the_form_of_errors(operations: dict[str, Any]) -> None:
    forms = {"422": "FaultList", "4XX": "AssistantFailure", "5XX": "AssistantFailure"}
    for route, operation in operations.items():
        for status, answer in operation["responses"].items():
            if status[0] in "45" and route != "GET /readyz":
                (content,) = answer["content"].values()
                assert content["schema"]["$ref"].rpartition("/")[2] == forms.get(status, "ErrorBody"), (route, status)


def test_what_was_answered_as_busy_says_when_to_come_back(operations: dict[str, Any]) -> None:
    for operation in operations.values():
        for status in operation["responses"].keys() & {"429", "503"}:
            assert operation["responses"][status]["headers"]["Retry-After"]["required"]


def test_no_bytes_are_called_text(operations: dict[str, Any]) -> None:
    files = operations["GET /conversations/{conversation_id}/files/{filename}"]["responses"]
    assert files["200"]["content"] == files["206"]["content"] == {"*/*": {"schema": {}}}
    for route in ("GET /conversations/export", "GET /assistants/{assistant_id}/export"):
        assert operations[route]["responses"]["200"]["content"] == {"application/zip": {"schema": {}}}
