"""The adapters to everything that is not the database: the clock, keys, assistant services, speech."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import NewType

import httpx
from dishka import AnyOf, Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]

from workbench.adapters.assistants.addresses import AddressPolicy
from workbench.adapters.assistants.breaker import BreakerPolicy, CircuitBreakers
from workbench.adapters.assistants.client import HttpAssistantClient, Patience, make_http_client
from workbench.adapters.assistants.in_process import HouseCalls
from workbench.adapters.clock import SystemClock
from workbench.adapters.keys.adopting import AdoptingKeys
from workbench.adapters.keys.cached import CachedKeys
from workbench.adapters.keys.cipher import KeyCipher
from workbench.adapters.keys.file import load_or_make
from workbench.adapters.keys.local import LocalModeKeys
from workbench.adapters.keys.pseudonyms import KeyedPseudonyms
from workbench.adapters.keys.registered import RegisteredKeys
from workbench.adapters.metrics.prometheus import PrometheusMeter
from workbench.adapters.prices.files import packaged_prices, read_prices
from workbench.adapters.rates.local import LocalRateLimiter
from workbench.adapters.speech.absent import NoSpeechTokens
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.rates import SqlRateLimiter
from workbench.adapters.sql.service_keys import SqlServiceKeys
from workbench.domain.assistant_services.ports import AssistantClient
from workbench.domain.clock import Clock
from workbench.domain.delivery.ports import DeliveryMeter
from workbench.domain.flow_assistants.hosting import FlowAssistantHost
from workbench.domain.identity.model import FLOW_SERVICE_ID, MODEL_SERVICE_ID
from workbench.domain.identity.ports import ApiKeyStore, AssistantDirectory
from workbench.domain.jobs.ports import DutyMeter
from workbench.domain.lifecycle.ports import Pseudonyms
from workbench.domain.model_assistants.hosting import ModelHost
from workbench.domain.rates.ports import RateLimiter, RateMeter
from workbench.domain.speech.ports import SpeechTokens
from workbench.domain.tickets.ports import PushMeter
from workbench.domain.troubleshooting.generations import GenerationMeter
from workbench.domain.troubleshooting.metering import SessionMeter
from workbench.domain.usage.ports import UsageMeter
from workbench.domain.usage.prices import PriceTable
from workbench.wiring.measures import DueJobs, Lookups, Measures
from workbench.wiring.settings import Settings

AssistantHttp = NewType("AssistantHttp", httpx.AsyncClient)
"""The client that calls only where the policy of addresses allows."""

SERVICE_KEYS_FILE = "service-keys.key"
PSEUDONYMS_FILE = "pseudonyms.key"


def keys_in(vault: ApiKeyStore, stored: ApiKeyStore, directory: AssistantDirectory) -> ApiKeyStore:
    """Use a vault that is far away, and that may be younger than the keys stored in the database."""
    return CachedKeys(RegisteredKeys(AdoptingKeys(vault, stored), directory))


class Outbound(Provider):
    """The outside world."""

    scope = Scope.APP

    def __init__(self) -> None:
        """Begin at once to read the authorities, beside what else a start makes: nothing else takes as long."""
        super().__init__()
        reading = ThreadPoolExecutor(1, "authorities")
        self._authorities = reading.submit(httpx.create_ssl_context)
        reading.shutdown(wait=False)

    clock = provide(SystemClock, provides=Clock)
    due_jobs = provide(DueJobs)
    lookups = provide(Lookups)
    measures = provide(Measures)

    @provide
    def meter(
        self, settings: Settings
    ) -> AnyOf[PrometheusMeter, DeliveryMeter, DutyMeter, RateMeter, UsageMeter, PushMeter]:
        """Measure."""
        return PrometheusMeter(flows_by_workspace=settings.flows.metrics_by_workspace)

    @provide
    async def authorities(self) -> ssl.SSLContext:
        """Trust the usual authorities and `SSL_CERT_FILE`, read once for all clients."""
        return await asyncio.wrap_future(self._authorities)

    @provide
    async def http(self, authorities: ssl.SSLContext) -> AsyncIterator[httpx.AsyncClient]:
        """Share one pool of connections for calls to where settings say, such as issuers' keys."""
        async with make_http_client(context=authorities) as client:
            yield client

    @provide
    def prices(self, settings: Settings) -> PriceTable:
        """Know what models cost; an operator's own prices win."""
        own = settings.usage.prices_file
        return PriceTable(packaged_prices(), read_prices(own) if own else ())

    @provide
    def addresses(self, settings: Settings) -> AddressPolicy:
        """Say where assistant services may be called, since they say themselves where they are."""
        secured = settings.service.assistant_keys == "secured"
        return AddressPolicy(secured=secured, allowed_networks=settings.service.allowed_networks)

    @provide
    async def assistant_http(self, policy: AddressPolicy, authorities: ssl.SSLContext) -> AsyncIterator[AssistantHttp]:
        """Share one pool of connections for calls to assistant services."""
        async with make_http_client(policy, context=authorities) as client:
            yield AssistantHttp(client)

    @provide
    def breakers(self, settings: Settings) -> CircuitBreakers:
        """Leave failing services alone for a while."""
        delivery = settings.delivery
        policy = BreakerPolicy(
            failures=delivery.breaker_failures,
            first_seconds=delivery.breaker_first_seconds,
            max_seconds=delivery.breaker_max_seconds,
            # Delivery gives a call up a moment before it has lasted for its time-out by the breaker's watch.
            patience_seconds=delivery.timeout_seconds * 0.9,
        )
        return CircuitBreakers(policy, time.monotonic)

    @provide
    def rates(self, database: Database) -> RateLimiter:
        """Count together with other replicas, which only PostgreSQL has."""
        return SqlRateLimiter(database) if database.dialect_name == "postgresql" else LocalRateLimiter()

    @provide
    def session_meter(self, meter: PrometheusMeter) -> AnyOf[SessionMeter, GenerationMeter]:
        """Count what happens to sessions, and what models do for them."""
        return meter.sessions

    @provide
    def assistants(
        self, http: AssistantHttp, breakers: CircuitBreakers, keys: ApiKeyStore, clock: Clock, settings: Settings
    ) -> HttpAssistantClient:
        """Call assistant services."""
        patience = Patience(event_seconds=settings.delivery.timeout_seconds)
        return HttpAssistantClient(http, breakers, keys, clock, patience)

    @provide
    def all_assistants(
        self, others: HttpAssistantClient, models: ModelHost, flows: FlowAssistantHost
    ) -> AssistantClient:
        """Call assistant services, our own among them."""
        return HouseCalls({MODEL_SERVICE_ID: models, FLOW_SERVICE_ID: flows}, others)

    @provide
    def cipher(self, settings: Settings) -> KeyCipher:
        """Keep services' keys encrypted under the data folder's own key."""
        return KeyCipher(load_or_make(settings.make_data_root() / "keys" / SERVICE_KEYS_FILE, KeyCipher.new_key))

    @provide
    def pseudonyms(self, settings: Settings) -> Pseudonyms:
        """Name people who are erased by a hash under the data folder's own key."""
        path = settings.make_data_root() / "keys" / PSEUDONYMS_FILE
        return KeyedPseudonyms(load_or_make(path, KeyedPseudonyms.new_key))

    @provide
    async def keys(
        self, settings: Settings, database: Database, cipher: KeyCipher, directory: AssistantDirectory
    ) -> AsyncIterator[ApiKeyStore]:
        """Know services' keys: one for all in local mode, otherwise each its own, in a key vault or the database."""
        stored = SqlServiceKeys(database, cipher)
        url = settings.service.assistant_api_key.key_vault_url
        if url is None:
            yield LocalModeKeys() if settings.service.assistant_keys == "local" else stored
            return
        from workbench.wiring.azure import open_vault  # noqa: PLC0415 - needs the extra `azure`

        async with open_vault(url) as vault:
            yield keys_in(vault, stored, directory)

    @provide
    async def speech(self, settings: Settings) -> AsyncIterator[SpeechTokens]:
        """Get speech tokens, where settings name a speech service."""
        service = settings.azure_speech
        if service.resource_id is None or service.region is None:
            yield NoSpeechTokens()
            return
        from workbench.wiring.azure import open_speech  # noqa: PLC0415 - needs the extra `azure`

        async with open_speech(service.resource_id, service.region) as tokens:
            yield tokens
