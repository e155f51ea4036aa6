"""A real assistant service on loopback for tests: it records what it is sent and misbehaves as it is told."""

import asyncio
import json
import re
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote
from uuid import UUID

import httpx
from tests.support.behaviours import USUAL, Behaviour, Ending, status
from tests.support.servers import (
    Receive,
    ReceivedRequest,
    ReservedPort,
    Scope,
    Send,
    close_connection,
    eventually,
    read_request,
    send_response,
    serve,
)


class Kind(StrEnum):
    """What a workbench may ask of an assistant service, as method and path."""

    SERVICE_INFO = "GET /"
    PUT_ASSISTANT = "PUT /{assistant_id}"
    DELETE_ASSISTANT = "DELETE /{assistant_id}"
    EXPORT_ASSISTANT = "GET /{assistant_id}/export-data"
    GET_CONFIG = "GET /{assistant_id}/config"
    PUT_CONFIG = "PUT /{assistant_id}/config"
    PUT_CONVERSATION = "PUT /{assistant_id}/conversations/{conversation_id}"
    DELETE_CONVERSATION = "DELETE /{assistant_id}/conversations/{conversation_id}"
    EXPORT_CONVERSATION = "GET /{assistant_id}/conversations/{conversation_id}/export-data"
    EVENT = "POST /{assistant_id}/conversations/{conversation_id}/events"
    GET_STATES = "GET /{assistant_id}/conversations/{conversation_id}/states"
    GET_STATE = "GET /{assistant_id}/conversations/{conversation_id}/states/{state_id}"
    PUT_STATE = "PUT /{assistant_id}/conversations/{conversation_id}/states/{state_id}"

    @property
    def pattern(self) -> str:
        return re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.value)


@dataclass(kw_only=True)
class AssistantRequest(ReceivedRequest):
    """A request to the service, with the ids that its path names."""

    number: int = 0  # in order of arrival
    kind: Kind | None = None
    assistant_id: str | None = None
    conversation_id: str | None = None
    state_id: str | None = None


@dataclass
class _Rule:
    kind: Kind
    replies: deque[Behaviour]
    then: Behaviour | None
    where: Callable[[AssistantRequest], bool]

    def behaviour_for(self, request: AssistantRequest) -> Behaviour | None:
        if request.kind is not self.kind or not self.where(request):
            return None
        return self.replies.popleft() if self.replies else self.then


class RecordingAssistantService:
    """Keeps to the contract, remembers every request, and errs where `answer` says so.

    It can be stopped and started again at the same URL and then still knows its assistants, like a
    service with a database. Its methods may be called from the test's thread at any time.
    """

    def __init__(self, service_id: str = "recorder.workbench.example", *, api_key: str = "", prefix: str = "") -> None:
        """`prefix` is a path under which everything lives, such as `/myagents`; an empty key lets anybody in."""
        self.service_id = service_id
        self.api_key = api_key
        self.requests: list[AssistantRequest] = []
        self.assistants: dict[str, dict[str, Any]] = {}  # the `assistant` form by assistant id
        self.conversations: dict[tuple[str, str], dict[str, Any]] = {}  # the `conversation` form
        self.configs: dict[str, dict[str, Any]] = {}
        self.states: dict[str, dict[str, Any]] = {"notes": {"text": "nothing yet"}}
        self.exported = b"exported by the recorder"
        self.info: dict[str, Any] = {
            "assistant_service_id": service_id,
            "name": "Recorder",
            "templates": [_template("default"), _template("other")],
            "metadata": {},
        }
        self._prefix = prefix
        self._port = ReservedPort()
        self._rules: list[_Rule] = []
        self._released = threading.Event()
        self._under_way: Counter[tuple[str, str]] = Counter()
        self._peaks: Counter[tuple[str, str]] = Counter()
        self._running: AsyncExitStack | None = None

    @property
    def url(self) -> str:
        """The URL to register; the same before, between and after starts."""
        return self._port.url + self._prefix

    async def start(self) -> None:
        """Listen; the port is ours already."""
        assert self._running is None, "the service runs already"
        stack = AsyncExitStack()
        await stack.enter_async_context(serve(self._serve_request, port=self._port.number))
        self._running = stack

    async def stop(self) -> None:
        """Stop listening and cut what is open: from now on callers are refused."""
        running, self._running = self._running, None
        if running is not None:
            await running.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        self._port.release()

    async def announce(self, workbench_url: str, *, expires_seconds: float = 105.0) -> httpx.Response:
        """Send one heartbeat to a workbench; 0 seconds takes the service offline."""
        body = {
            "name": self.info["name"],
            "description": "Records what it is sent.",
            "url": self.url,
            "online_expires_in_seconds": expires_seconds,
        }
        headers = {"X-Assistant-Service-ID": self.service_id, "X-API-Key": self.api_key}
        async with httpx.AsyncClient(base_url=workbench_url, headers=headers, verify=False) as client:
            return await client.put(f"/assistant-service-registrations/{quote(self.service_id, safe='')}", json=body)

    def answer(
        self,
        kind: Kind,
        *replies: Behaviour,
        then: Behaviour | None = None,
        where: Callable[[AssistantRequest], bool] = lambda _: True,
    ) -> None:
        """Answer the next requests of a kind with `replies`, one each, and all later ones with `then`.

        Without `then` the older rules hold again, and at last the usual answers. `where` narrows the rule,
        say to one conversation. The newest rule is asked first.
        """
        self._rules.insert(0, _Rule(kind, deque(replies), then, where))

    def release(self) -> None:
        """Let requests that hang go on; later ones do not hang any more."""
        self._released.set()

    def behave(self) -> None:
        """Forget all rules and let requests that hang go on; `hang` works anew afterwards."""
        self._rules.clear()
        self._released.set()
        self._released = threading.Event()

    def events(
        self,
        assistant_id: UUID | str | None = None,
        conversation_id: UUID | str | None = None,
        *,
        accepted: bool = False,
    ) -> list[dict[str, Any]]:
        """List the event envelopes in order of arrival, repeated attempts included.

        With `accepted` only those that were answered with 2xx.
        """
        return [
            request.json
            for request in self.received(Kind.EVENT)
            if request.json is not None  # cut off in the middle, when its sender was killed
            if assistant_id is None or str(assistant_id) == request.assistant_id
            if conversation_id is None or str(conversation_id) == request.conversation_id
            if not accepted or (request.status or 500) < 300
        ]

    def received(self, *kinds: Kind) -> list[AssistantRequest]:
        """List the requests of some kinds, or all, in order of arrival."""
        return [request for request in list(self.requests) if not kinds or request.kind in kinds]

    def peak_events(self, assistant_id: UUID | str, conversation_id: UUID | str) -> int:
        """The most event requests that were ever open at once for an assistant in a conversation."""
        return self._peaks[str(assistant_id), str(conversation_id)]

    async def wait_for(self, what: int | Callable[[Self], object], timeout_seconds: float = 5.0) -> None:
        """Wait for that many events, or until a condition on this service holds; raises TimeoutError."""
        true = what if callable(what) else (lambda service: len(service.events()) >= what)
        try:
            await eventually(lambda: true(self), timeout_seconds=timeout_seconds)
        except TimeoutError:
            seen = "\n".join(f"{request.method} {request.path} -> {request.status}" for request in self.received())
            raise TimeoutError(f"not seen within {timeout_seconds} s; received:\n{seen}") from None

    async def _serve_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = self._record(await read_request(scope, receive))
        seat = (request.assistant_id or "", request.conversation_id or "")
        counted = request.kind is Kind.EVENT
        self._under_way[seat] += counted
        self._peaks[seat] = max(self._peaks[seat], self._under_way[seat])
        try:
            await self._act(request, receive, send)
        finally:
            self._under_way[seat] -= counted

    def _record(self, received: ReceivedRequest) -> AssistantRequest:
        request = AssistantRequest(**vars(received), number=len(self.requests))
        if received.path.startswith(self._prefix):
            path = "/" + received.path.removeprefix(self._prefix).lstrip("/")
            matches = {kind: re.fullmatch(kind.pattern, f"{received.method} {path}") for kind in Kind}
            for kind, match in matches.items():
                if match:
                    vars(request).update(match.groupdict(), kind=kind)
        self.requests.append(request)
        return request

    async def _act(self, request: AssistantRequest, receive: Receive, send: Send) -> None:
        behaviour = self._behaviour_for(request)
        released = self._released
        gone = asyncio.ensure_future(receive())  # the body has been read: what comes now is the caller's leaving
        try:
            await asyncio.wait({gone}, timeout=behaviour.delay_seconds)
            while behaviour.held and not gone.done() and not released.is_set():
                await asyncio.wait({gone}, timeout=0.005)
            if not gone.done():
                await self._finish(request, behaviour, receive, send)
        finally:
            gone.cancel()

    def _behaviour_for(self, request: AssistantRequest) -> Behaviour:
        found = (rule.behaviour_for(request) for rule in list(self._rules))
        return next((behaviour for behaviour in found if behaviour is not None), USUAL)

    async def _finish(self, request: AssistantRequest, behaviour: Behaviour, receive: Receive, send: Send) -> None:
        if behaviour.ending is Ending.ANSWER:
            if behaviour.status is None:
                behaviour = self._usual(request)
            request.status = behaviour.status
            await send_response(send, behaviour.status or 204, behaviour.body, behaviour.headers)
            return
        if behaviour.ending is Ending.CUT:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
            await send({"type": "http.response.body", "body": behaviour.body, "more_body": True})
        await close_connection(receive)

    def _usual(self, request: AssistantRequest) -> Behaviour:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        answers: dict[Kind, Callable[[AssistantRequest], Any]] = {
            Kind.SERVICE_INFO: lambda _: self.info,
            Kind.PUT_ASSISTANT: self._put_assistant,
            Kind.DELETE_ASSISTANT: self._delete_assistant,
            Kind.GET_CONFIG: self._config,
            Kind.PUT_CONFIG: self._put_config,
            Kind.PUT_CONVERSATION: self._put_conversation,
            Kind.DELETE_CONVERSATION: self._delete_conversation,
            Kind.EXPORT_ASSISTANT: lambda _: self.exported,
            Kind.EXPORT_CONVERSATION: lambda _: self.exported,
            Kind.GET_STATES: lambda _: {"states": [_state_description(name) for name in self.states]},
            Kind.GET_STATE: self._state,
            Kind.PUT_STATE: self._put_state,
        }
        value = answers[request.kind](request) if request.kind in answers else None
        if value is None:
            return status(204)
        if isinstance(value, bytes):
            return Behaviour(status=200, body=value, headers={"content-type": "application/octet-stream"})
        return Behaviour(status=200, body=json.dumps(value).encode(), headers={"content-type": "application/json"})

    def _refusal(self, request: AssistantRequest) -> Behaviour | None:
        if request.kind is Kind.SERVICE_INFO:
            return None
        if self.api_key and unquote(request.headers.get("x-api-key", "")) != self.api_key:
            return status(401, "Invalid credentials")
        seat = (request.assistant_id or "", request.conversation_id or "")
        conversation_missing = request.conversation_id is not None and seat not in self.conversations
        unknown = (
            request.kind is None
            or (seat[0] not in self.assistants and request.kind is not Kind.PUT_ASSISTANT)
            or (conversation_missing and request.kind is not Kind.PUT_CONVERSATION)
            or (request.state_id is not None and request.state_id not in self.states)
        )
        return status(404, "Not Found") if unknown else None

    def _put_assistant(self, request: AssistantRequest) -> None:
        self.assistants[str(request.assistant_id)] = json.loads(request.form["assistant"])

    def _delete_assistant(self, request: AssistantRequest) -> None:
        del self.assistants[str(request.assistant_id)]
        for seat in [seat for seat in self.conversations if seat[0] == request.assistant_id]:
            del self.conversations[seat]

    def _put_conversation(self, request: AssistantRequest) -> None:
        seat = (str(request.assistant_id), str(request.conversation_id))
        self.conversations[seat] = json.loads(request.form["conversation"])

    def _delete_conversation(self, request: AssistantRequest) -> None:
        del self.conversations[str(request.assistant_id), str(request.conversation_id)]

    def _config(self, request: AssistantRequest) -> dict[str, Any]:
        return _config(self.configs.get(str(request.assistant_id), {"greeting": "hello"}))

    def _put_config(self, request: AssistantRequest) -> dict[str, Any]:
        self.configs[str(request.assistant_id)] = request.json["config"]
        return self._config(request)

    def _state(self, request: AssistantRequest) -> dict[str, Any]:
        name = str(request.state_id)
        return {"id": name, "data": self.states[name], "json_schema": {"type": "object"}, "ui_schema": {}}

    def _put_state(self, request: AssistantRequest) -> dict[str, Any]:
        self.states[str(request.state_id)] = request.json["data"]
        return self._state(request)


def _config(values: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"greeting": {"type": "string"}}}
    return {"config": values, "errors": [], "json_schema": schema, "ui_schema": {}}


def _template(name: str) -> dict[str, Any]:
    return {"id": name, "name": name.title(), "description": "Records.", "config": _config({"greeting": "hello"})}


def _state_description(name: str) -> dict[str, Any]:
    return {"id": name, "display_name": name.title(), "description": "A state.", "enabled": True}
