"""Ticket systems: how they are reached, what they may cost in time, and where their secrets are kept."""

import ssl
from collections.abc import AsyncIterator

from dishka import AnyOf, Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.adapters.keys.cipher import KeyCipher
from workbench.adapters.tickets.box import FolderKeys, NumberedBox
from workbench.adapters.tickets.calls import TicketHttp
from workbench.adapters.tickets.systems import HttpTicketSystems
from workbench.domain.clock import Clock
from workbench.domain.tickets.ports import PushMeter, PushQueue, SecretBox, SecretKeys, TicketSystems
from workbench.domain.tickets.rotating import RotationService
from workbench.domain.tickets.schedule import PushPolicy
from workbench.domain.tickets.service import ConnectionService
from workbench.domain.troubleshooting.output_jobs import OutputService
from workbench.domain.troubleshooting.pushing import PushingService, PushMeans
from workbench.domain.troubleshooting.ticketing import TicketingService, TicketLookup
from workbench.wiring.settings import Settings


class Tickets(Provider):
    """Connections, and what is pushed by them."""

    scope = Scope.APP

    connections = provide(ConnectionService)
    rotation = provide(RotationService)
    lookup = provide(TicketLookup)
    ticketing = provide(TicketingService)
    pushing = provide(PushingService)
    outputs = provide(OutputService)
    box = provide(NumberedBox, provides=SecretBox)
    systems = provide(HttpTicketSystems, provides=TicketSystems)

    @provide
    def keys(self, settings: Settings, cipher: KeyCipher) -> AnyOf[FolderKeys, SecretKeys]:
        """Seal under the service's own key, until there are others in the data folder."""
        return FolderKeys(settings.make_data_root() / "keys", cipher)

    @provide
    async def http(self, settings: Settings, authorities: ssl.SSLContext, clock: Clock) -> AsyncIterator[TicketHttp]:
        """Share one pool of connections."""
        http = TicketHttp(settings.tickets.allowed_hosts, authorities, clock)
        yield http
        await http.close()

    @provide
    def means(self, queue: PushQueue, systems: TicketSystems, meter: PushMeter, settings: Settings) -> PushMeans:
        """Put together what pushing takes."""
        return PushMeans(queue, systems, PushPolicy(retry_seconds=settings.tickets.retry_seconds), meter)
