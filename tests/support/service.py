"""The service under test: the whole application behind real HTTP on loopback, on a database of the test's own."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from dishka import Provider
from litestar import Litestar
from tests.support.assistants import RecordingAssistantService
from tests.support.conformance import check_answer
from tests.support.databases import open_store
from tests.support.servers import serve

from workbench.adapters.clock import SystemClock
from workbench.domain.participants.model import Permission
from workbench.entrypoints.http.app import create_app
from workbench.entrypoints.http.patience import PatientProtocol
from workbench.wiring.local_tokens import sign_local_token
from workbench.wiring.settings import Settings


class Service:
    """A running service, and callers of every kind."""

    def __init__(self, url: str, settings: Settings, database_url: str, app: Litestar, part: str = "") -> None:
        self.url = url
        self.app = app
        self.settings = settings
        self.database_url = database_url
        self._part = part
        self._clients: list[httpx.AsyncClient] = []

    def part(self, name: str) -> "Service":
        """The same service for another test, which has workspaces and a recorder of its own in it."""
        return Service(self.url, self.settings, self.database_url, self.app, name)

    @property
    def recorder_id(self) -> str:
        """The id of the test's recording assistant service: they are unique over all workspaces."""
        return f"{self._part or 'recorder'}.workbench.example"

    def workspace(self, name: str = "default") -> str:
        """The id of the workspace that the test calls so."""
        return f"{self._part}-{name}" if self._part else name

    def token(self, user_id: str = "ann", workspace: str = "default", name: str | None = None) -> str:
        """A token of the local issuer."""
        shown, workspace = user_id.title() if name is None else name, self.workspace(workspace)
        return sign_local_token(self.settings, user_id=user_id, name=shown, workspace=workspace, ttl_seconds=3600)

    def client(self, **headers: str) -> httpx.AsyncClient:
        """A client with these headers, closed with the service."""
        # Loading the certificates of all authorities takes longer than most tests, and here they are never asked.
        client = httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=20, verify=False, event_hooks={"response": [check_answer]}
        )
        self._clients.append(client)
        return client

    def user(self, user_id: str = "ann", workspace: str = "default", name: str | None = None) -> httpx.AsyncClient:
        """A user's client."""
        return self.client(Authorization=f"Bearer {self.token(user_id, workspace, name)}")

    def admin(self, user_id: str = "root", workspace: str = "default") -> httpx.AsyncClient:
        """An admin's client."""
        chosen = {"user_id": user_id, "name": user_id.title(), "workspace": self.workspace(workspace)}
        token = sign_local_token(self.settings, ttl_seconds=3600, admin=True, **chosen)
        return self.client(Authorization=f"Bearer {token}")

    def assistant_service(self, service_id: str = "", key: str = "") -> httpx.AsyncClient:
        """An assistant service's client, speaking for itself; without an id the recorder's."""
        return self.client(**{"X-Assistant-Service-ID": service_id or self.recorder_id, "X-API-Key": key})

    def assistant(self, assistant_id: str, service_id: str = "", key: str = "") -> httpx.AsyncClient:
        """An assistant's client; without a service's id one of the recorder's."""
        headers = {"X-Assistant-Service-ID": service_id or self.recorder_id, "X-API-Key": key}
        return self.client(**headers, **{"X-Assistant-ID": str(assistant_id)})

    async def register(self, service_id: str) -> None:
        """Register an assistant service, by nobody else: one that comes unknown belongs to the default workspace."""
        new = {"assistant_service_id": service_id, "name": "Recorder", "description": ""}
        (await self.user("registrar").post("/assistant-service-registrations", json=new)).raise_for_status()

    @asynccontextmanager
    async def recorder(self, *, announced: bool = True) -> AsyncGenerator[RecordingAssistantService]:
        """Run the test's recording assistant service, registered in its workspace."""
        async with RecordingAssistantService(self.recorder_id) as recorder:
            await self.register(recorder.service_id)
            if announced:
                (await recorder.announce(self.url)).raise_for_status()
            yield recorder

    async def seat_user(
        self, conversation_id: str, user_id: str, permission: Permission = "read_write", workspace: str = "default"
    ) -> None:
        """Give a user a seat by way of the database, as redeeming a share does."""
        async with open_store(self.database_url, SystemClock()) as store:
            await store.seat_user(UUID(conversation_id), user_id, permission, self.workspace(workspace))

    async def drain(self) -> None:
        """Drain, as the server does when it is told to stop."""
        await asyncio.to_thread(self.app.state.drain.begin_from_thread)

    def stream_count(self) -> int:
        """How many streams the service holds open."""
        return self.app.state.drain.stream_count

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


@asynccontextmanager
async def running_service(
    database_url: str, folder: Path, *providers: Provider, **settings: Any
) -> AsyncGenerator[Service]:
    """Run the application on the database; a second one beside it on the same database is another replica."""
    groups = {"data_root": folder, **settings}
    groups["db"] = {"url": database_url, "postgresql_ssl_mode": "disable", "migrate_at_start": False}
    groups["db"] |= settings.get("db", {})
    chosen = Settings.of(**groups)
    app = create_app(chosen, *providers)
    async with serve(app, protocol=PatientProtocol) as url:
        service = Service(url, chosen, database_url, app)
        try:
            yield service
        finally:
            await service.close()


class SseEvent:
    """One event as it came over the wire."""

    def __init__(self, fields: dict[str, str]) -> None:
        self.id = fields.get("id", "")
        self.name = fields.get("event", "")
        self.data: Any = json.loads(fields["data"]) if "data" in fields else None
        self.retry = fields.get("retry")

    def __repr__(self) -> str:
        return f"SseEvent({self.id} {self.name})"


class Stream:
    """An open event stream, read by hand so that nothing on the wire is hidden."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.comments: list[str] = []
        self._lines = response.aiter_lines()

    async def next(self) -> SseEvent:
        """The next event. Raises StopAsyncIteration at the end of the stream."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            if line.startswith(":"):
                self.comments.append(line[1:].strip())
            elif line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            elif fields:
                return SseEvent(fields)
        raise StopAsyncIteration

    async def take(self, count: int) -> list[SseEvent]:
        """So many events."""
        return [await self.next() for _ in range(count)]

    async def until_end(self) -> list[SseEvent]:
        """All events until the server ends the stream."""
        found: list[SseEvent] = []
        while True:
            try:
                found.append(await self.next())
            except StopAsyncIteration:
                return found


@asynccontextmanager
async def open_stream(client: httpx.AsyncClient, path: str, last_event_id: object = None) -> AsyncGenerator[Stream]:
    """Open an event stream, and close it at the end of the block."""
    headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
    async with client.stream("GET", path, headers=headers, timeout=httpx.Timeout(10)) as response:
        yield Stream(response)
