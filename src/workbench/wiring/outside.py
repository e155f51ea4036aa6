"""What a host of services that is a process of its own needs: the broker, and a workbench to ask."""

from collections.abc import Sequence
from uuid import uuid4

import httpx
from dishka import Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.adapters.flow_hosts import HttpAssignments
from workbench.domain.bus.ports import MessageBus
from workbench.domain.bus.requesting import ProcessCalls
from workbench.domain.flows.hosting import FlowHost, HostedServices
from workbench.domain.flows.ports import AssignmentSource
from workbench.wiring.flow_services import load_services
from workbench.wiring.setting_names import SettingsError
from workbench.wiring.settings import Settings

TOKENS = "WORKBENCH__FLOWS__HOST_TOKENS"


class NamedServices(Provider):
    """The services that the command names; without any, those of the setting."""

    scope = Scope.APP

    def __init__(self, places: Sequence[str]) -> None:
        super().__init__()
        self._places = tuple(places)

    @provide
    def hosted(self, settings: Settings) -> HostedServices:
        """Find them."""
        return load_services(self._places or settings.flows.services)


class Outside(Provider):
    """Asks the workbench at a URL; nothing of it comes from a database."""

    scope = Scope.APP

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    @provide
    def host(self, bus: MessageBus, hosted: HostedServices, process: ProcessCalls) -> FlowHost:
        """Run services, whose parameters come unsealed."""
        return FlowHost(bus, hosted, process, None)

    @provide
    def source(self, settings: Settings, http: httpx.AsyncClient, host: FlowHost) -> AssignmentSource:
        """Show the first of the tokens. Raises SettingsError where there is none."""
        if not settings.flows.host_tokens:
            raise SettingsError({TOKENS: "is not set; this host shows the first token that it names"})
        token = settings.flows.host_tokens[0].get_secret_value()
        return HttpAssignments(http, self._url, token, uuid4().hex, host.services)
