"""The adapters to everything that is not the database: the clock, keys, tokens, assistant services."""

from collections.abc import AsyncIterator

import httpx
from dishka import AnyOf, Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.adapters.assistants.client import HttpAssistantClient, make_http_client
from workbench.adapters.clock import SystemClock
from workbench.adapters.keys.cipher import KeyCipher
from workbench.adapters.keys.file import load_or_make
from workbench.adapters.keys.local import LocalModeKeys
from workbench.adapters.metrics.prometheus import PrometheusMeter
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.service_keys import SqlServiceKeys
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.clock import Clock
from workbench.domain.delivery.ports import DeliveryMeter
from workbench.domain.identity.ports import ApiKeyStore
from workbench.wiring.measures import Measures
from workbench.wiring.settings import Settings

SERVICE_KEYS_FILE = "service-keys.key"


class Outbound(Provider):
    """The outside world."""

    scope = Scope.APP

    clock = provide(SystemClock, provides=Clock)
    meter = provide(PrometheusMeter, provides=AnyOf[PrometheusMeter, DeliveryMeter])
    measures = provide(Measures)

    @provide
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        """Share one pool of connections for all calls out."""
        async with make_http_client() as client:
            yield client

    @provide
    def assistants(
        self, http: httpx.AsyncClient, keys: ApiKeyStore, clock: Clock, settings: Settings
    ) -> AssistantClient:
        """Call assistant services."""
        return HttpAssistantClient(http, keys, clock, settings.delivery.timeout_seconds)

    @provide
    def cipher(self, settings: Settings) -> KeyCipher:
        """Keep services' keys encrypted under the data folder's own key."""
        return KeyCipher(load_or_make(settings.make_data_root() / "keys" / SERVICE_KEYS_FILE, KeyCipher.new_key))

    @provide
    def keys(self, settings: Settings, database: Database, cipher: KeyCipher) -> ApiKeyStore:
        """Know services' keys: one for all in local mode, otherwise each its own."""
        return LocalModeKeys() if settings.service.assistant_keys == "local" else SqlServiceKeys(database, cipher)
