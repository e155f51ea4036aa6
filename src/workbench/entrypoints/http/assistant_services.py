"""/assistant-service-registrations"""

from typing import Any

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request, post, put
from litestar.params import FromPath, JSONBody

from workbench.domain.assistant_services.model import Heartbeat, NewRegistration, Registration
from workbench.domain.assistant_services.service import RegistrationService
from workbench.domain.identity.model import Principal
from workbench.entrypoints.http.guards import services_only, users_only


class RegistrationController(Controller):
    """Assistant services."""

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

    @put(
        "/{assistant_service_id:path}",
        operation_id="announce_assistant_service",
        guards=[services_only],
        summary="Announce an assistant service",
    )
    async def announce(
        self,
        request: Request[Principal, Any, Any],
        assistant_service_id: FromPath[str],
        data: JSONBody[Heartbeat],
        registrations: FromDishka[RegistrationService],
    ) -> Registration:
        """Say where the service is and for how long it will be there; said again and again, this is its heartbeat."""
        return await registrations.announce(request.user, assistant_service_id.lstrip("/"), data)
