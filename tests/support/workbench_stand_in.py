"""A stand-in of the workbench for assistant services under test, and a caller that acts as the workbench does."""

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
from litestar import Litestar
from tests.support.servers import (
    Receive,
    ReceivedRequest,
    ReservedPort,
    Scope,
    Send,
    eventually,
    read_request,
    send_json,
    serve,
)

from workbench.sdk import AssistantService, Settings, create_app

NOW = "2026-01-02T03:04:05.678901Z"


def message_json(content: str = "hello", **members: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "sender": {"participant_role": "user", "participant_id": "ada"},
        "message_type": "chat",
        "timestamp": NOW,
        "content_type": "text/plain",
        "content": content,
        "filenames": [],
        "metadata": {},
        "has_debug_data": False,
    } | members


def participant_json(participant_id: UUID | str, **members: Any) -> dict[str, Any]:
    return {
        "role": "assistant",
        "id": str(participant_id),
        "conversation_id": str(uuid4()),
        "name": "Echo",
        "image": None,
        "status": None,
        "status_updated_timestamp": NOW,
        "active_participant": True,
        "online": True,
        "conversation_permission": "read_write",
        "metadata": {},
    } | members


def conversation_json(conversation_id: UUID | str, **members: Any) -> dict[str, Any]:
    return {
        "id": str(conversation_id),
        "title": "A talk",
        "owner_id": "ada",
        "imported_from_conversation_id": None,
        "metadata": {},
        "created_datetime": NOW,
        "conversation_permission": "read_write",
        "latest_message": None,
        "participants": [],
    } | members


class WorkbenchStandIn:
    """Records what is asked of a workbench and answers with 200, or first with the statuses in `failures`."""

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self.failures: deque[int] = deque()
        self.answers: dict[str, Any] = {}  # by method and path
        self.url = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = await read_request(scope, receive)
        request.status = self.failures.popleft() if self.failures else 200
        self.requests.append(request)
        await send_json(send, request.status, self._answer(request) if request.status == 200 else {"detail": "no"})

    def _answer(self, request: ReceivedRequest) -> Any:
        if request.method == "POST" and request.path.endswith("/messages"):
            return message_json(**request.json)
        if "/participants/" in request.path:
            return participant_json(request.headers.get("x-assistant-id", "ada"))
        return self.answers.get(f"{request.method} {request.path}", {})

    def heartbeats(self) -> list[ReceivedRequest]:
        return [request for request in self.requests if "registrations" in request.path]

    def calls(self, path: str) -> list[tuple[str, str, Any]]:
        """What was asked below a path."""
        return [(r.method, r.path, r.json) for r in self.requests if r.path.startswith(path)]

    def posts(self) -> list[ReceivedRequest]:
        """The requests whose messages were taken."""
        return [r for r in self.requests if r.method == "POST" and r.path.endswith("/messages") and r.status == 200]

    def messages(self) -> list[dict[str, Any]]:
        """The messages that were taken; a type that is left out means chat."""
        return [{"message_type": "chat", **request.json} for request in self.posts()]

    async def replies(self, count: int) -> list[dict[str, Any]]:
        await eventually(lambda: len(self.messages()) >= count, reason=f"posted: {self.messages()}")
        return self.messages()

    def state_events(self) -> list[ReceivedRequest]:
        return [request for request in self.requests if request.path.endswith("/states/events")]


class CalledService:
    """The service under test, called as the workbench calls it, with one assistant in one conversation."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.assistant_id, self.conversation_id = uuid4(), uuid4()
        self.path = f"/{self.assistant_id}"
        self.seat = f"{self.path}/conversations/{self.conversation_id}"

    async def sit_down(self) -> None:
        form = {"assistant": '{"assistant_name": "Echo", "template_id": "default"}'}
        assert (await self.client.put(self.path, data=form)).status_code == 204
        form = {"conversation": '{"id": "any", "title": "Any"}'}
        assert (await self.client.put(self.seat, data=form)).status_code == 204

    async def tell(self, event: dict[str, Any]) -> httpx.Response:
        return await self.client.post(f"{self.seat}/events", json=event)

    async def say(
        self, content: str, *, message_type: str = "chat", role: str = "user", sender: str = "ada"
    ) -> dict[str, Any]:
        """Have somebody write a message; returns the event that told of it."""
        who = {"participant_role": role, "participant_id": sender}
        event = self.event("message.created", {"message": message_json(content, message_type=message_type, sender=who)})
        assert (await self.tell(event)).status_code == 204
        return event

    def event(self, name: str, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": uuid4().hex,
            "correlation_id": "c0ffee",
            "conversation_id": str(self.conversation_id),
            "event": name,
            "timestamp": NOW,
            "data": data,
        }

    def joined(self, participant_id: UUID | str) -> dict[str, Any]:
        participant = participant_json(participant_id)
        return self.event("participant.created", {"participant": participant, "participants": [participant]})


@asynccontextmanager
async def standing_in() -> AsyncGenerator[WorkbenchStandIn]:
    """Run a stand-in."""
    stand_in = WorkbenchStandIn()
    async with serve(stand_in) as url:
        stand_in.url = url
        yield stand_in


@asynccontextmanager
async def called(app: Litestar, port: ReservedPort, key: str = "") -> AsyncGenerator[CalledService]:
    """Run a service at a port that is its own."""
    headers = {"X-API-Key": key}
    async with (
        serve(app, port=port.number),
        httpx.AsyncClient(base_url=port.url, headers=headers, verify=False, timeout=20) as client,
    ):
        yield CalledService(client)


@asynccontextmanager
async def seated(
    service: AssistantService, workbench: WorkbenchStandIn, key: str = "", **settings: Any
) -> AsyncGenerator[CalledService]:
    """Run a service beside a stand-in, with an assistant in a conversation."""
    port = ReservedPort()
    chosen = Settings(workbench_url=workbench.url, url=port.url, api_key=key, **settings)
    async with called(create_app(service, chosen), port, key) as running:
        await running.sit_down()
        yield running
    port.release()
