"""/assistant-service-registrations and /assistant-services"""

from typing import Annotated, Any

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from workbench.domain.assistant_services.infos import ServiceInfoService
from workbench.domain.assistant_services.model import (
    Heartbeat,
    KeyReset,
    NewRegistration,
    Registration,
    RegistrationChange,
    RegistrationFilter,
    RegistrationList,
)
from workbench.domain.assistant_services.service import RegistrationService
from workbench.domain.assistant_services.shapes import ServiceInfo, ServiceInfoList
from workbench.domain.assistants.presence import PresenceService
from workbench.domain.assistants.removal import RemovalService
from workbench.domain.errors import ForbiddenError, InvalidError, NotFoundError, UpstreamError
from workbench.domain.identity.model import Principal
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import services_only, users_only
from workbench.entrypoints.http.queries import BOOLEAN, flag
from workbench.entrypoints.http.routing import delete, get, patch, post, put

API_KEY = "/api-key"
INFO = "/info"

CreatedBy = Annotated[
    list[str] | None,
    QueryParameter(
        name="user_id", description="Those that these users registered, unlisted ones too; `me`: one's own."
    ),
]


class RegistrationController(Controller):
    """Registrations of assistant services."""

    path = "/assistant-service-registrations"
    tags = ("assistant services",)

    @post(
        operation_id="create_assistant_service_registration",
        status_code=200,
        guards=[users_only],
        summary="Register an assistant service",
    )
    async def register(
        self,
        request: Request[Principal, Any, Any],
        data: JSONBody[NewRegistration],
        registrations: FromDishka[RegistrationService],
    ) -> Registration:
        """Register a service. In secured mode the answer holds its key; it is not shown again."""
        return await registrations.register(request.user, data)

    @get(
        operation_id="list_assistant_service_registrations",
        guards=[users_only],
        summary="List assistant service registrations",
    )
    async def all(
        self,
        request: Request[Principal, Any, Any],
        registrations: FromDishka[RegistrationService],
        user_id: CreatedBy = None,
        assistant_service_online: Annotated[
            str | None,
            QueryParameter(description="true: those that are online; false: those that are not.", schema_extra=BOOLEAN),
        ] = None,
    ) -> RegistrationList:
        """List the registrations that are to be listed, or those of some users, oldest first."""
        online = None
        if assistant_service_online is not None:
            online = flag("assistant_service_online", assistant_service_online, default=True)
        wanted = RegistrationFilter(created_by=tuple(user_id or ()), online=online)
        return RegistrationList(assistant_service_registrations=await registrations.all(request.user, wanted))

    @get(
        "/{assistant_service_id:path}",
        operation_id="get_assistant_service_registration",
        guards=[users_only],
        summary="Get an assistant service registration",
    )
    async def one(
        self,
        request: Request[Principal, Any, Any],
        assistant_service_id: FromPath[str],
        registrations: FromDishka[RegistrationService],
    ) -> Registration:
        """Get one registration, with the first characters of its key."""
        return await registrations.get(request.user, _id(assistant_service_id))

    @patch(
        "/{assistant_service_id:path}",
        operation_id="update_assistant_service_registration",
        responses=failing(InvalidError),
        guards=[users_only],
        summary="Update an assistant service registration",
    )
    async def change(
        self,
        request: Request[Principal, Any, Any],
        assistant_service_id: FromPath[str],
        data: JSONBody[RegistrationChange],
        registrations: FromDishka[RegistrationService],
    ) -> Registration:
        """Change name, description or listing of a registration of one's own."""
        return await registrations.change(request.user, _id(assistant_service_id), data)

    @post(
        "/{assistant_service_id:path}",
        operation_id="reset_assistant_service_api_key",
        status_code=200,
        guards=[users_only],
        summary="Reset an assistant service's key",
    )
    async def reset_key(
        self,
        request: Request[Principal, Any, Any],
        assistant_service_id: FromPath[str],
        registrations: FromDishka[RegistrationService],
        overlap_seconds: Annotated[
            float | None,
            QueryParameter(
                ge=0,
                le=30 * 86_400,
                description="Seconds for which the old key stays valid; 0: not.",
                schema_extra={"minimum": 0},  # the framework leaves out a bound of zero
            ),
        ] = None,
        expires_in_seconds: Annotated[
            float | None,
            QueryParameter(
                gt=0,
                description="Seconds after which the new key ends; by default never.",
                schema_extra={"exclusiveMinimum": 0},
            ),
        ] = None,
    ) -> Registration:
        """Make a new key (the path ends in `/api-key`); the answer holds it, and it is not shown again.

        The old key stays valid for a time, so that the service can be given the new one without a gap.
        """
        service_id = _id(assistant_service_id)
        if not service_id.endswith(API_KEY):
            raise NotFoundError
        reset = KeyReset(overlap_seconds=overlap_seconds, expires_in_seconds=expires_in_seconds)
        return await registrations.reset_key(request.user, service_id.removesuffix(API_KEY), reset)

    @delete(
        "/{assistant_service_id:path}",
        operation_id="delete_assistant_service_registration",
        guards=[users_only],
        summary="Delete an assistant service registration",
    )
    async def remove(
        self,
        request: Request[Principal, Any, Any],
        assistant_service_id: FromPath[str],
        removal: FromDishka[RemovalService],
    ) -> None:
        """Delete a registration of one's own, and all assistants of the service: they leave every conversation."""
        await removal.delete_registration(request.user, _id(assistant_service_id))

    @put(
        "/{assistant_service_id:path}",
        operation_id="announce_assistant_service",
        responses=failing(InvalidError, ForbiddenError),
        guards=[services_only],
        summary="Announce an assistant service",
    )
    async def announce(
        self,
        request: Request[Principal, Any, Any],
        assistant_service_id: FromPath[str],
        data: JSONBody[Heartbeat],
        presence: FromDishka[PresenceService],
    ) -> Registration:
        """Say where the service is and for how long it will be there; said again and again, this is its heartbeat."""
        return await presence.announce(request.user, _id(assistant_service_id), data)


class ServiceInfoController(Controller):
    """What assistant services say of themselves."""

    path = "/assistant-services"
    tags = ("assistant services",)

    @get(operation_id="list_assistant_services", summary="List assistant services")
    async def all(
        self,
        request: Request[Principal, Any, Any],
        infos: FromDishka[ServiceInfoService],
        user_id: FromQuery[list[str] | None] = None,
    ) -> ServiceInfoList:
        """Ask every service that is online what it offers; those that do not answer are left out."""
        return ServiceInfoList(assistant_service_infos=await infos.all(request.user, user_id or ()))

    @get(
        "/{assistant_service_id:path}",
        operation_id="get_assistant_service",
        responses=failing(UpstreamError),
        guards=[users_only],
        summary="Get an assistant service",
    )
    async def one(
        self,
        request: Request[Principal, Any, Any],
        assistant_service_id: FromPath[str],
        infos: FromDishka[ServiceInfoService],
    ) -> ServiceInfo:
        """Ask a service what it offers; `/info` at the end of the path says the same."""
        return await infos.get(request.user, _id(assistant_service_id).removesuffix(INFO))


def _id(path: str) -> str:
    """The service id, from the rest of a path."""
    return path.lstrip("/")
