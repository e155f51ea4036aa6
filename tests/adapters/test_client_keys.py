"""The key that assistant services are called with."""

import time
from collections.abc import AsyncGenerator
from uuid import uuid4

import httpx
import msgspec
import pytest
from tests.support.assistants import RecordingAssistantService
from tests.support.keys import MemoryKeys, one

from workbench.adapters.assistants.breaker import BreakerPolicy, CircuitBreakers
from workbench.adapters.assistants.client import HttpAssistantClient, Patience
from workbench.adapters.clock import SystemClock
from workbench.domain.assistant_services.model import AssistantAddress, ServiceAddress
from workbench.domain.errors import UnavailableError, UpstreamError
from workbench.domain.identity.model import ServiceKeys
from workbench.domain.identity.ports import ApiKeyStore

BOT = "bot.example"


class AbsentKeys(MemoryKeys):
    async def find(self, assistant_service_id: str) -> ServiceKeys | None:
        raise UnavailableError("The keys of assistant services cannot be read")


@pytest.fixture
async def recorder() -> AsyncGenerator[RecordingAssistantService]:
    async with RecordingAssistantService(BOT) as running:
        yield running


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


def address_of(recorder: RecordingAssistantService) -> AssistantAddress:
    service = ServiceAddress(assistant_service_id=BOT, url=recorder.url)
    return AssistantAddress(assistant_id=uuid4(), service=service)


def caller(http: httpx.AsyncClient, keys: ApiKeyStore) -> HttpAssistantClient:
    breakers = CircuitBreakers(BreakerPolicy(), time.monotonic)
    return HttpAssistantClient(http, breakers, keys, SystemClock(), Patience(event_seconds=5))


async def test_each_call_shows_the_key_of_the_moment(
    recorder: RecordingAssistantService, http: httpx.AsyncClient
) -> None:
    keys = MemoryKeys()
    client = caller(http, keys)
    for key in ("one", "two/+ "):
        await keys.put(BOT, one(key))
        await client.put_assistant(address_of(recorder), "Bot", "default")
    await keys.remove(BOT)
    await client.put_assistant(address_of(recorder), "Bot", "default")
    assert [request.headers["x-api-key"] for request in recorder.requests] == ["one", "two/%2B%20", ""]


async def test_a_last_call_shows_the_key_that_is_no_longer_kept(
    recorder: RecordingAssistantService, http: httpx.AsyncClient
) -> None:
    address = address_of(recorder)
    gone = msgspec.structs.replace(address, service=msgspec.structs.replace(address.service, last_key="last"))
    await caller(http, MemoryKeys()).delete_assistant(gone)
    assert [request.headers["x-api-key"] for request in recorder.requests] == ["last"]


async def test_a_store_that_is_away_fails_the_call_as_a_service_that_is_away_does(
    recorder: RecordingAssistantService, http: httpx.AsyncClient
) -> None:
    client = caller(http, AbsentKeys())
    with pytest.raises(UpstreamError, match="Failed to get the key") as caught:
        await client.put_assistant(address_of(recorder), "Bot", "default")
    assert caught.value.status is None
    assert recorder.requests == []
