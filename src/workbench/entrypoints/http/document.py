"""The OpenAPI document: what the framework writes of each route, made true where the framework cannot know better.

The framework knows what a handler takes and what it returns. Which errors follow from that (who has no credentials,
what does not fit, what is too large) is the same for all routes, and is said here. What only some routes answer
stands beside them, as `responses=failing(...)`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import ScalarRenderPlugin
from litestar.openapi.spec import Components, License, OpenAPI, SecurityScheme

from workbench.domain.errors import (
    BadAnswerError,
    ConflictError,
    ExhaustedError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
    UpstreamError,
    WorkbenchError,
)
from workbench.domain.idempotency.model import HEADER
from workbench.entrypoints.http.error_bodies import (
    AssistantFailure,
    ErrorBody,
    ErrorEnvelope,
    FaultList,
    InvalidInput,
    is_enveloped,
)
from workbench.entrypoints.http.errors import STATUS, summary_of
from workbench.entrypoints.http.strict import is_strict

Json = dict[str, Any]

BAD_REQUEST = str(int(HTTPStatus.BAD_REQUEST))
OK = str(int(HTTPStatus.OK))
UNPROCESSABLE = str(int(HTTPStatus.UNPROCESSABLE_ENTITY))
UNSUPPORTED = str(int(STATUS[UnsupportedError]))
UPSTREAM = str(int(STATUS[UpstreamError]))
READING = ("get", "head")
BYTES = {"*/*", "application/zip"}
EVENT_STREAM = "text/event-stream"
BUSY = (str(int(STATUS[ExhaustedError])), str(int(STATUS[UnavailableError])))
RETRY_AFTER: Json = {
    "Retry-After": {
        "description": "Seconds after which it is worth trying again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
REFERENCE = "#/components/schemas/{name}"

MISFIT = "The request does not fit the route; each fault with its place"
STRICT_MISFIT = "The request does not fit the route, or cannot mean anything; each fault with its field"
PASSED_ON = "What an assistant service answered passes through, its words in `detail`"

SCHEMES = {
    "user": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT", description="A user's token."),
    "host": SecurityScheme(type="http", scheme="bearer", description="A token of a host of services of flows."),
    "service_id": SecurityScheme(type="apiKey", name="X-Assistant-Service-ID", security_scheme_in="header"),
    "service_key": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header"),
    "assistant_id": SecurityScheme(type="apiKey", name="X-Assistant-ID", security_scheme_in="header"),
}
SERVICE: dict[str, list[str]] = {"service_id": [], "service_key": []}
SECURITY: list[dict[str, list[str]]] = [{"user": []}, SERVICE, {**SERVICE, "assistant_id": []}]


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """A route of which the framework sees only the beginning, since an id or a name before its end may hold slashes."""

    method: str
    path: str
    tail: str
    operation_id: str
    summary: str
    answer: str | None = None
    """The name of what it answers, where that is not what the route without the tail answers."""
    without: tuple[str, ...] = ()
    """The parameters and statuses of the route without the tail that it has not."""
    is_alone: bool = False
    """Whether there is no route without the tail."""


TAILS = (
    Tail(
        method="get",
        path="/assistant-services/{assistant_service_id}",
        tail="/info",
        operation_id="get_assistant_service_info",
        summary="Get an assistant service, by its other name",
    ),
    Tail(
        method="get",
        path="/conversations/{conversation_id}/files/{filename}",
        tail="/versions",
        operation_id="list_file_versions",
        summary="List a file's versions",
        answer="FileVersions",
        without=("link", "206", "304", "409", "416"),
    ),
    Tail(
        method="post",
        path="/assistant-service-registrations/{assistant_service_id}",
        tail="/api-key",
        operation_id="reset_assistant_service_api_key",
        summary="Reset an assistant service's key",
        is_alone=True,
    ),
)


@dataclass
class Document(OpenAPI):
    """The document with what all routes share."""

    anonymous_paths: frozenset[str] = frozenset()

    @property
    def _exclude_fields(self) -> set[str]:
        return {"anonymous_paths"}

    def to_schema(self) -> Json:
        """Write it."""
        document = super().to_schema()
        forms = [ErrorBody, ErrorEnvelope, FaultList, InvalidInput, AssistantFailure]
        _, components = msgspec.json.schema_components(forms, ref_template=REFERENCE)
        document["components"]["schemas"] |= components
        for path, method, operation in _operations(document["paths"]):
            if path in self.anonymous_paths:
                operation["security"] = []
            _correct_parameters(operation.get("parameters", ()))
            operation["responses"] = dict(sorted(_responses(path, method, operation).items()))
        _add_tails(document["paths"])
        return document


@dataclass
class DocumentConfig(OpenAPIConfig):
    """The framework's settings for a document, of which ours is made."""

    anonymous_paths: frozenset[str] = frozenset()

    def to_openapi_schema(self) -> OpenAPI:
        """Begin a document."""
        begun = super().to_openapi_schema()
        values = {field.name: getattr(begun, field.name) for field in fields(begun)}
        return Document(**values, anonymous_paths=self.anonymous_paths)


def document_config(anonymous_paths: Iterable[str]) -> OpenAPIConfig:
    """Say how an application is described that answers at `anonymous_paths` without credentials."""
    return DocumentConfig(
        title="Workbench",
        version=version("workbench"),
        description="People and AI assistants working together in conversations.",
        license=License(name="MIT", identifier="MIT"),
        path="/docs",
        render_plugins=[ScalarRenderPlugin()],
        components=Components(security_schemes={**SCHEMES}),
        security=SECURITY,
        use_handler_docstrings=True,
        anonymous_paths=frozenset(anonymous_paths),
    )


def _operations(paths: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in paths.items():
        for method, operation in methods.items():
            yield path, method, operation


def _correct_parameters(parameters: Iterable[Json]) -> None:
    """Leave null out of what a parameter may be, since no text means it; and no rest of a path is a URI."""
    for parameter in parameters:
        schema: Json = parameter["schema"]
        kinds = [kind for kind in schema.pop("oneOf", ()) if kind != {"type": "null"}]
        schema = {**kinds[0], **schema} if len(kinds) == 1 else schema
        parameter["schema"] = {key: value for key, value in schema.items() if (key, value) != ("format", "uri")}


def _responses(path: str, method: str, operation: Json) -> Json:
    """What a route answers, with the errors that follow from what it takes."""
    found: Json = {**operation["responses"]}
    if _is_the_frameworks(found.get(BAD_REQUEST)):
        del found[BAD_REQUEST]
    if is_strict(path):
        found |= _strict_misfits(operation, speaks_of_it=BAD_REQUEST in found)
    elif "requestBody" in operation or operation.get("parameters"):
        form = InvalidInput if is_enveloped(path) else FaultList
        found[UNPROCESSABLE] = _either(_failure(MISFIT, form), found.get(UNPROCESSABLE))
    for kind in _shared(path, method, operation):
        found.setdefault(str(int(STATUS[kind])), _failure(summary_of(kind)))
    if UPSTREAM in found:
        found |= {"4XX": _failure(PASSED_ON, AssistantFailure), "5XX": _failure(PASSED_ON, AssistantFailure)}
    for status, answer in found.items():
        _correct_answer(status, answer)
        if is_enveloped(path):
            _envelop(status, answer)
    return found


def _strict_misfits(operation: Json, *, speaks_of_it: bool) -> Json:
    """What a strict route answers that takes more than ids in its path, which are there or not."""
    if "requestBody" in operation:
        return {
            BAD_REQUEST: _failure(STRICT_MISFIT, InvalidInput),
            UNSUPPORTED: _failure(summary_of(UnsupportedError)),
        }
    takes_more = any(parameter["in"] != "path" for parameter in operation.get("parameters", ()))
    return {BAD_REQUEST: _failure(STRICT_MISFIT, InvalidInput)} if takes_more or speaks_of_it else {}


def _correct_answer(status: str, answer: Json) -> None:
    """Let bytes be of any form, which the framework takes for text; show events whole; say when to come back."""
    contents = answer.get("content", {})
    for kind in BYTES & contents.keys():
        contents[kind]["schema"] = {}
    if events := contents.get(EVENT_STREAM, {}).get("schema"):
        contents[EVENT_STREAM]["schema"] = _event(events)
    if status in BUSY:
        answer["headers"] = RETRY_AFTER


def _event(data: Json) -> Json:
    """A server-sent event with such data, in the words that OpenAPI 3.2 has for it."""
    told = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    return {"type": "object", "required": ["event", "data"], "properties": {"event": {"type": "string"}, "data": told}}


def _envelop(status: str, answer: Json) -> None:
    """Give the errors that routes of all kinds name the product's own form."""
    plain = _reference(ErrorBody)
    enveloped = _reference(InvalidInput if status == BAD_REQUEST else ErrorEnvelope)
    for content in answer.get("content", {}).values():
        schema = content["schema"]
        if schema == plain:
            content["schema"] = enveloped
        elif "anyOf" in schema:
            schema["anyOf"] = [enveloped if each == plain else each for each in schema["anyOf"]]


def _shared(path: str, method: str, operation: Json) -> Iterator[type[WorkbenchError]]:
    if operation.get("security") != []:
        yield UnauthenticatedError
        # Whose token names no workspace, and should, is refused before any route.
        yield ForbiddenError
        yield UnavailableError
    if "{" in path:
        yield NotFoundError
    if "requestBody" in operation:
        yield TooLargeError
    if any(parameter["name"] == HEADER for parameter in operation.get("parameters", ())):
        # The body is read for what it is, also where the route itself needs none.
        yield InvalidError
        yield TooLargeError
    if method not in READING:
        yield ConflictError
    if UPSTREAM in operation["responses"]:
        yield BadAnswerError


def _is_the_frameworks(response: Json | None) -> bool:
    """Whether this is the framework's own word for what does not fit, which no caller of ours gets."""
    return response is not None and "$ref" not in response["content"]["application/json"]["schema"]


def _either(misfit: Json, own: Json | None) -> Json:
    """What does not fit, or what the route itself says of it."""
    if own is not None:
        schemas = [each["content"]["application/json"]["schema"] for each in (misfit, own)]
        misfit["content"]["application/json"]["schema"] = {"anyOf": schemas}
    return misfit


def _failure(description: str, body: type = ErrorBody) -> Json:
    return _answer(description, body.__name__)


def _reference(body: type) -> Json:
    return {"$ref": REFERENCE.format(name=body.__name__)}


def _answer(description: str, name: str) -> Json:
    schema = {"$ref": REFERENCE.format(name=name)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _add_tails(paths: Json) -> None:
    for each in TAILS:
        whole: Json = paths[each.path].pop(each.method) if each.is_alone else paths[each.path][each.method]
        parameters = [parameter for parameter in whole["parameters"] if parameter["name"] not in each.without]
        responses = {status: answer for status, answer in whole["responses"].items() if status not in each.without}
        if each.answer:
            responses[OK] = _answer("Request fulfilled, document follows", each.answer)
        named = {"operationId": each.operation_id, "summary": each.summary}
        paths[each.path + each.tail] = {
            each.method: {**whole, **named, "parameters": parameters, "responses": responses}
        }
