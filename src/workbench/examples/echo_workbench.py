"""The workbench, as the example assistant service sees it: the events that it sends, and the calls that it takes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
import msgspec

BEAT_SECONDS = 30.0
ONLINE_SECONDS = 105.0  # three beats may be missed before the workbench takes us for dead
RETRY_PAUSES_SECONDS = (0.2, 0.5, 1.0)
REMEMBERED_EVENTS = 1_000  # in each conversation

log = logging.getLogger("echo_assistant")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the workbench is, and where and who we are; an empty key means that none is asked for."""

    workbench_url: str
    url: str
    service_id: str = "echo.workbench.example"
    api_key: str = ""


class Sender(msgspec.Struct):
    """Who wrote a message: a `user`, an `assistant` or a `service`."""

    participant_role: str


class Message(msgspec.Struct):
    """What somebody wrote in a conversation."""

    id: UUID
    sender: Sender
    message_type: str
    content: str


class Participant(msgspec.Struct):
    """A person's or an assistant's seat in a conversation, by the id of the one who sits there."""

    id: str


class EventData(msgspec.Struct):
    """What an event is about; which member is there depends on the event's name."""

    message: Message | None = None
    participant: Participant | None = None


class Event(msgspec.Struct):
    """Something that happened in a conversation. The workbench may send it more than once, with the same id."""

    id: str
    correlation_id: str
    conversation_id: UUID
    event: str
    data: EventData


class NewMessage(msgspec.Struct):
    """A message of ours. We choose its id, so that posting it twice still makes one message."""

    id: UUID
    message_type: str
    content: str
    metadata: dict[str, str]


class Inbox:
    """Takes the events of one conversation, drops the repeated ones and has the others handled one by one."""

    def __init__(self, handle: Callable[[Event], Awaitable[None]]) -> None:
        """Start the worker; it runs until it is cancelled."""
        self._handle = handle
        self._seen: dict[str, None] = {}  # a dict keeps its order, so that the oldest can be forgotten
        self._waiting = asyncio.Queue[Event]()
        self.worker = asyncio.create_task(self._work())

    def take(self, event: Event) -> None:
        """Keep an event for the worker, unless it came before: the workbench delivers at least once."""
        if event.id in self._seen:
            return
        self._seen[event.id] = None
        if len(self._seen) > REMEMBERED_EVENTS:
            del self._seen[next(iter(self._seen))]
        self._waiting.put_nowait(event)

    async def _work(self) -> None:
        while True:
            event = await self._waiting.get()
            try:
                await self._handle(event)
            except Exception:
                log.exception("%s %s could not be handled", event.event, event.id)


class Workbench:
    """Calls the workbench, in the name of this service or of one of its assistants."""

    def __init__(self, settings: Settings) -> None:
        """Open a pool of connections, to be closed with `close`."""
        self._settings = settings
        headers = {"X-Assistant-Service-ID": settings.service_id, "X-API-Key": settings.api_key}
        self._client = httpx.AsyncClient(base_url=settings.workbench_url, headers=headers, timeout=10.0)
        self.close = self._client.aclose

    async def announce(self) -> None:
        """Say that we are here; raises `httpx.HTTPError` when the workbench is away or does not want us."""
        body = {
            "name": "Echo",
            "description": "Repeats what you say.",
            "url": self._settings.url,
            "online_expires_in_seconds": ONLINE_SECONDS,
        }
        path = f"/assistant-service-registrations/{quote(self._settings.service_id, safe='')}"
        (await self._client.put(path, json=body)).raise_for_status()

    async def post_message(self, assistant_id: UUID, cause: Event, message: NewMessage) -> None:
        """Post a message once; raises `httpx.HTTPError` when it was refused or could not be brought."""
        path = f"/conversations/{cause.conversation_id}/messages"
        response = await self._call("POST", path, msgspec.to_builtins(message), _as(assistant_id, cause))
        if response.status_code != HTTPStatus.CONFLICT:  # 409: an earlier attempt had arrived after all
            response.raise_for_status()

    async def set_status(self, assistant_id: UUID, cause: Event, status: str | None) -> None:
        """Show what the assistant is busy with, or clear it; a mere ornament, so that a failure is only logged."""
        path = f"/conversations/{cause.conversation_id}/participants/me"
        body = {} if status is None else {"status": status}
        try:
            (await self._call("PUT", path, body, _as(assistant_id, cause))).raise_for_status()
        except httpx.HTTPError as error:
            log.warning("status not set: %s", error)

    async def _call(self, method: str, path: str, body: Any, headers: dict[str, str]) -> httpx.Response:
        for pause_seconds in RETRY_PAUSES_SECONDS:
            with suppress(httpx.TransportError):
                response = await self._client.request(method, path, json=body, headers=headers)
                if response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                    return response
            await asyncio.sleep(pause_seconds)
        return await self._client.request(method, path, json=body, headers=headers)


def _as(assistant_id: UUID, cause: Event) -> dict[str, str]:
    """Headers that name the assistant who speaks, and the request that all this goes back to."""
    return {"X-Assistant-ID": str(assistant_id), "X-Request-ID": cause.correlation_id}


async def announce_for_ever(workbench: Workbench) -> None:
    """Tell the workbench every 30 s that we are here; after a failure sooner, then ever later."""
    pause_seconds = 0.5
    while True:
        try:
            await workbench.announce()
        except httpx.HTTPError as error:
            log.warning("not announced, trying again in %.1f s: %s", pause_seconds, error)
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, BEAT_SECONDS)
        else:
            pause_seconds = 0.5
            await asyncio.sleep(BEAT_SECONDS)
