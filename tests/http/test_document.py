"""The OpenAPI document: whole, valid, and with the errors that every route answers."""

import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from workbench.entrypoints.http.app import create_app
from workbench.wiring.settings import Settings

ANONYMOUS = {"/", "/livez", "/readyz", "/metrics"}
STRICT = ("/ai-sessions", "/playbooks", "/psa-connections")
ENVELOPED = (*STRICT, "/flow")
"""Where routes are that are strict with what they are sent."""


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
    passed_on = {"4XX": "AssistantFailure", "5XX": "AssistantFailure"}
    # What does not fit is a list of faults; a route may refuse in words of its own as well.
    for route, operation in operations.items():
        path = route.partition(" ")[2]
        is_strict, is_enveloped = path.startswith(STRICT), path.startswith(ENVELOPED)
        usual = passed_on | ({"400": "InvalidInput"} if is_enveloped else {})
        other, misfit = ("ErrorEnvelope", "InvalidInput") if is_enveloped else ("ErrorBody", "FaultList")
        misfits = ({misfit}, {misfit, other})
        for status, answer in operation["responses"].items():
            if status[0] in "45" and route != "GET /readyz":
                (content,) = answer["content"].values()
                schemas = content["schema"].get("anyOf") or [content["schema"]]
                forms = {schema["$ref"].rpartition("/")[2] for schema in schemas}
                is_misfit = status == "422" and not is_strict
                allowed = misfits if is_misfit else ({usual.get(status, other)},)
                assert forms in allowed, (route, status)


def test_strict_routes_answer_400_for_what_does_not_fit_and_others_422(operations: dict[str, Any]) -> None:
    strict = {route: each for route, each in operations.items() if route.partition(" ")[2].startswith(STRICT)}
    assert len(strict) > 40
    for route, operation in strict.items():
        takes_more = "requestBody" in operation or any(each["in"] != "path" for each in operation.get("parameters", ()))
        assert ("400" in operation["responses"]) is takes_more, route
        assert ("415" in operation["responses"]) is ("requestBody" in operation), route
        assert ("422" in operation["responses"]) is (route == "POST /playbooks/import"), route
    for route in operations.keys() - strict.keys():
        takes_something = "requestBody" in operations[route] or "parameters" in operations[route]
        assert ("422" in operations[route]["responses"]) is takes_something, route


def test_what_was_answered_as_busy_says_when_to_come_back(operations: dict[str, Any]) -> None:
    for operation in operations.values():
        for status in operation["responses"].keys() & {"429", "503"}:
            assert operation["responses"][status]["headers"]["Retry-After"]["required"]


def test_no_bytes_are_called_text(operations: dict[str, Any]) -> None:
    files = operations["GET /conversations/{conversation_id}/files/{filename}"]["responses"]
    assert files["200"]["content"] == files["206"]["content"] == {"*/*": {"schema": {}}}
    for route in ("GET /conversations/export", "GET /assistants/{assistant_id}/export"):
        assert operations[route]["responses"]["200"]["content"] == {"application/zip": {"schema": {}}}


def test_a_stream_of_documentation_names_its_events(operations: dict[str, Any]) -> None:
    answer = operations["GET /ai-sessions/{session_id}/documentation/stream"]["responses"]["200"]
    assert answer["content"].keys() == {"text/event-stream"}
    event = answer["content"]["text/event-stream"]["schema"]
    assert event["required"] == ["event", "data"]
    data = event["properties"]["data"]
    assert (data["type"], data["contentMediaType"]) == ("string", "application/json")
    forms = {schema["$ref"].rpartition("/")[2] for schema in data["contentSchema"]["oneOf"]}
    assert forms == {"MetaEvent", "DeltaEvent", "ResetEvent", "DoneEvent", "ErrorEvent"}


def test_taking_a_session_over_answers_by_its_kind(operations: dict[str, Any]) -> None:
    answer = operations["POST /ai-sessions/{session_id}/pickup"]["responses"]["200"]
    forms = {schema["$ref"].rpartition("/")[2] for schema in answer["content"]["application/json"]["schema"]["oneOf"]}
    assert forms == {"PickedUp", "Chatted"}
