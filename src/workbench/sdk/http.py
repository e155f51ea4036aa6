"""The web server of an assistant service: what the workbench calls, by its contract."""

import asyncio
import hmac
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import unquote
from uuid import UUID

import msgspec
from litestar import Controller, Litestar, Request, Response, delete, get, post, put
from litestar.connection import ASGIConnection
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotAuthorizedException, ServiceUnavailableException
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, JSONBody

from workbench.sdk.errors import RefusedError
from workbench.sdk.model import Config, Event, Json, StateData, StateDescription
from workbench.sdk.running import RunningService
from workbench.sdk.service import AssistantService, Settings

F = TypeVar("F")
SEAT = "/conversations/{conversation_id:uuid}"


class AssistantForm(msgspec.Struct):
    """The form field `assistant`."""

    assistant_name: str
    template_id: str = "default"


class ConversationForm(msgspec.Struct):
    """The form field `conversation`; which one is meant stands in the path."""

    title: str = ""


class ConfigBody(msgspec.Struct):
    """The body that sets a config."""

    config: Json


class StateBody(msgspec.Struct):
    """The body that sets a state."""

    data: Json


class TemplateInfo(msgspec.Struct):
    """A template, as we offer it."""

    id: str
    name: str
    description: str
    config: Config


class ServiceInfo(msgspec.Struct):
    """What we are, and what we offer."""

    assistant_service_id: str
    name: str
    templates: list[TemplateInfo]
    metadata: Json


class StateList(msgspec.Struct):
    """The wire's wrapper of a list."""

    states: list[StateDescription]


@get("/")
async def service_info(running: NamedDependency[RunningService]) -> ServiceInfo:
    """Tell anybody which kinds of assistants there are to choose from."""
    service = running.service
    templates = [
        TemplateInfo(template.id, template.name, template.description, template.show_config({}))
        for template in service.templates.values()
    ]
    return ServiceInfo(running.service_id, service.name, templates, service.metadata)


def require_api_key(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Let only the workbench in. It sends the key percent-encoded, and an empty one where none is agreed on."""
    expected = connection.app.state.api_key
    given = unquote(connection.headers.get("X-API-Key", ""))
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise NotAuthorizedException("Invalid credentials")


class AssistantRoutes(Controller):
    """What the workbench asks of one assistant. The bodies of the first PUTs are forms that hold JSON."""

    path = "/{assistant_id:uuid}"
    guards = (require_api_key,)

    @put(status_code=204)
    async def put_assistant(
        self, running: NamedDependency[RunningService], assistant_id: FromPath[UUID], request: Request[Any, Any, Any]
    ) -> None:
        """Create an assistant, rename it, or restore it from an archive."""
        form, packed = await read_form(request, "assistant", AssistantForm)
        await running.put_assistant(assistant_id, form.assistant_name, form.template_id, packed)

    @delete()
    async def delete_assistant(self, running: NamedDependency[RunningService], assistant_id: FromPath[UUID]) -> None:
        """Forget an assistant."""
        await running.delete_assistant(assistant_id)

    @get("/config")
    async def get_config(self, running: NamedDependency[RunningService], assistant_id: FromPath[UUID]) -> Config:
        """Show the config."""
        return running.config(assistant_id)

    @put("/config")
    async def put_config(
        self, running: NamedDependency[RunningService], assistant_id: FromPath[UUID], data: JSONBody[ConfigBody]
    ) -> Config:
        """Change the config."""
        return await running.set_config(assistant_id, data.config)

    @get("/export-data")
    async def export_assistant(
        self, running: NamedDependency[RunningService], assistant_id: FromPath[UUID]
    ) -> Response[bytes]:
        """Give what is needed to restore the assistant elsewhere."""
        return Response(await running.export_assistant(assistant_id), media_type="application/octet-stream")

    @put(SEAT, status_code=204)
    async def join(
        self,
        running: NamedDependency[RunningService],
        assistant_id: FromPath[UUID],
        conversation_id: FromPath[UUID],
        request: Request[Any, Any, Any],
    ) -> None:
        """Sit down in a conversation, hear its new title, or restore it from an archive."""
        running.record(assistant_id)
        form, packed = await read_form(request, "conversation", ConversationForm)
        await running.join(assistant_id, conversation_id, form.title, packed)

    @delete(SEAT)
    async def leave(
        self, running: NamedDependency[RunningService], assistant_id: FromPath[UUID], conversation_id: FromPath[UUID]
    ) -> None:
        """Leave a conversation."""
        await running.leave(assistant_id, conversation_id)

    @post(f"{SEAT}/events", status_code=204)
    async def take_event(
        self,
        running: NamedDependency[RunningService],
        assistant_id: FromPath[UUID],
        conversation_id: FromPath[UUID],
        data: JSONBody[Event],
    ) -> None:
        """Take an event and answer at once: the workbench waits for us before it sends the next."""
        if not running.take(assistant_id, conversation_id, data):
            raise ServiceUnavailableException("too many events wait to be handled")

    @get(f"{SEAT}/states")
    async def get_states(
        self, running: NamedDependency[RunningService], assistant_id: FromPath[UUID], conversation_id: FromPath[UUID]
    ) -> StateList:
        """List the states."""
        return StateList(running.states(assistant_id, conversation_id))

    @get(f"{SEAT}/states/{{state_id:str}}")
    async def get_state(
        self,
        running: NamedDependency[RunningService],
        assistant_id: FromPath[UUID],
        conversation_id: FromPath[UUID],
        state_id: FromPath[str],
    ) -> StateData:
        """Show a state."""
        return running.state(assistant_id, conversation_id, state_id)

    @put(f"{SEAT}/states/{{state_id:str}}")
    async def put_state(
        self,
        running: NamedDependency[RunningService],
        assistant_id: FromPath[UUID],
        conversation_id: FromPath[UUID],
        state_id: FromPath[str],
        data: JSONBody[StateBody],
        request: Request[Any, Any, Any],
    ) -> StateData:
        """Change a state."""
        cause = unquote(request.headers.get("X-Request-ID", ""))
        return await running.set_state((assistant_id, conversation_id), state_id, data.data, cause)

    @get(f"{SEAT}/export-data")
    async def export_conversation(
        self, running: NamedDependency[RunningService], assistant_id: FromPath[UUID], conversation_id: FromPath[UUID]
    ) -> Response[bytes]:
        """Give what is needed to restore the assistant's part of a conversation elsewhere."""
        packed = await running.export_conversation(assistant_id, conversation_id)
        return Response(packed, media_type="application/octet-stream")


async def read_form(request: Request[Any, Any, Any], field: str, shape: type[F]) -> tuple[F, bytes | None]:
    """Read the JSON in a field of a form, and the archive that may come with it. Raises msgspec.DecodeError."""
    form = await request.form()
    archive = form.get("from_export")
    packed = await archive.read() if isinstance(archive, UploadFile) else None
    return msgspec.json.decode(form.get(field, ""), type=shape), packed


def tell_refusal(_: Request[Any, Any, Any], error: RefusedError) -> Response[dict[str, str]]:
    """Say why not."""
    return Response({"detail": str(error)}, status_code=error.status)


def refuse_form(_: Request[Any, Any, Any], error: msgspec.DecodeError) -> Response[dict[str, str]]:
    """Say what is wrong with the JSON in a form."""
    return Response({"detail": str(error)}, status_code=HTTPStatus.UNPROCESSABLE_ENTITY)


def create_app(service: AssistantService, settings: Settings) -> Litestar:
    """Build the web server of a service, which announces itself for as long as it runs."""

    @asynccontextmanager
    async def at_work(app: Litestar) -> AsyncGenerator[None]:
        running = RunningService(service, settings)
        app.state.running = running
        app.state.api_key = settings.api_key
        announcer = asyncio.create_task(running.announce())
        try:
            yield
        finally:
            announcer.cancel()
            await asyncio.wait([announcer])
            await running.drain()

    def running(request: Request[Any, Any, Any]) -> RunningService:
        return request.app.state.running

    return Litestar(
        [service_info, AssistantRoutes],
        dependencies={"running": Provide(running, sync_to_thread=False)},
        exception_handlers={RefusedError: tell_refusal, msgspec.DecodeError: refuse_form},
        lifespan=[at_work],
        logging_config=None,
        openapi_config=None,
        request_max_body_size=settings.body_limit_bytes,
    )
