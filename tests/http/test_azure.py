"""The service on Azure: speech tokens by a managed identity, and services' keys in a key vault."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from dishka import Provider, Scope, provide
from tests.support.key_vault import KeyVault, key_vault
from tests.support.servers import Receive, Send, read_request, send_json, serve
from tests.support.service import Service, running_service

from workbench.adapters.keys.cached import CachedKeys
from workbench.adapters.keys.vault import VaultKeys
from workbench.domain.identity.ports import ApiKeyVault

SPEECH = {"resource_id": "/subscriptions/1/accounts/talk", "region": "westeurope"}


class ManagedIdentity:
    """The endpoint at which Azure gives a process the tokens of its identity."""

    def __init__(self) -> None:
        self.status = 200
        self.resources: list[str] = []

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = await read_request(scope, receive)
        self.resources.append(request.query["resource"])
        assert request.headers["x-identity-header"] == "identity-secret"
        token = {
            "access_token": "entra-token",
            "expires_on": str(int(time.time()) + 86400),
            "resource": request.query["resource"],
            "token_type": "Bearer",
        }
        await send_json(send, self.status, token if self.status == 200 else {"message": "no such identity"})


@contextmanager
def environment(**given: str) -> Generator[None]:
    with CliRunner().isolation(env={"AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential", **given}):
        yield


@asynccontextmanager
async def managed_identity() -> AsyncIterator[ManagedIdentity]:
    identity = ManagedIdentity()
    async with serve(identity) as url:
        with environment(IDENTITY_ENDPOINT=f"{url}/msi/token", IDENTITY_HEADER="identity-secret"):
            yield identity


async def test_a_user_gets_a_token_of_the_services_identity(sqlite_url: str, tmp_path: Path) -> None:
    async with managed_identity() as identity, running_service(sqlite_url, tmp_path, azure_speech=SPEECH) as service:
        answers = await asyncio.gather(*(service.user("ann").get("/azure-speech/token") for _ in range(3)))
    expected = {"token": "aad#/subscriptions/1/accounts/talk#entra-token", "region": "westeurope"}
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, expected)] * 3
    assert identity.resources == ["https://cognitiveservices.azure.com"]


async def test_an_identity_that_is_refused_leaves_the_answer_empty(sqlite_url: str, tmp_path: Path) -> None:
    async with managed_identity() as identity, running_service(sqlite_url, tmp_path, azure_speech=SPEECH) as service:
        identity.status = 400
        answer = await service.user("ann").get("/azure-speech/token")
    assert (answer.status_code, answer.json()) == (200, {})


async def test_without_a_speech_service_the_answer_is_empty(service: Service) -> None:
    answer = await service.user("ann").get("/azure-speech/token")
    assert (answer.status_code, answer.json()) == (200, {})


class OnLoopback(Provider):
    """Lets the service trust the vault of the test."""

    scope = Scope.APP

    def __init__(self, vault: KeyVault) -> None:
        super().__init__()
        self._vault = vault

    @provide
    async def given(self) -> AsyncIterator[ApiKeyVault | None]:
        async with self._vault.client() as client:
            yield CachedKeys(VaultKeys(client))


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncGenerator[KeyVault]:
    async with key_vault(tmp_path) as running:
        yield running


@pytest.fixture
async def vaulted(sqlite_url: str, tmp_path: Path, vault: KeyVault) -> AsyncGenerator[Service]:
    place = {"assistant_api_key": {"key_vault_url": vault.url}}
    async with running_service(sqlite_url, tmp_path / "data", OnLoopback(vault), service=place) as service:
        yield service


async def test_a_key_in_the_vault_lets_its_service_in(vaulted: Service, vault: KeyVault) -> None:
    async with vault.client() as client:
        await VaultKeys(client).put("bot.example", "right")
    for key, status in (("right", 200), ("wrong", 401), ("", 401)):
        answer = await vaulted.assistant_service("bot.example", key).get("/users?id=ann")
        assert answer.status_code == status
    assert (await vaulted.assistant_service("other.example", "right").get("/users?id=ann")).status_code == 401


async def test_a_vault_that_is_away_is_503_for_services_and_nothing_for_users(
    vaulted: Service, vault: KeyVault
) -> None:
    vault.is_down = True
    answer = await vaulted.assistant_service("bot.example", "right").get("/users?id=ann")
    assert (answer.status_code, answer.json()["code"]) == (503, "no_key_vault")
    assert answer.headers["retry-after"] == "1"
    assert (await vaulted.user("ann").get("/users/me")).status_code == 200
