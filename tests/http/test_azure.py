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

from workbench.adapters.keys.vault import VaultKeys, secret_name
from workbench.adapters.sql.assistants import SqlDirectory
from workbench.domain.identity.ports import ApiKeyVault
from workbench.wiring.outbound import keys_in

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
    async def given(self, directory: SqlDirectory) -> AsyncIterator[ApiKeyVault | None]:
        async with self._vault.client() as client:
            yield keys_in(VaultKeys(client), directory)


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncGenerator[KeyVault]:
    async with key_vault(tmp_path) as running:
        yield running


@pytest.fixture
async def vaulted(sqlite_url: str, tmp_path: Path, vault: KeyVault) -> AsyncGenerator[Service]:
    place = {"assistant_api_key": {"key_vault_url": vault.url}}
    async with running_service(sqlite_url, tmp_path / "data", OnLoopback(vault), service=place) as service:
        yield service


async def register(service: Service) -> str:
    new = {"assistant_service_id": "bot.example", "name": "Bot", "description": "d"}
    answer = await service.user("ann").post("/assistant-service-registrations", json=new)
    key: str = answer.raise_for_status().json()["api_key"]
    return key


async def status(service: Service, key: str, service_id: str = "bot.example") -> int:
    return (await service.assistant_service(service_id, key).get("/users?id=ann")).status_code


async def test_the_key_in_the_vault_lets_its_service_in_and_no_other(vaulted: Service, vault: KeyVault) -> None:
    registered = await register(vaulted)
    async with vault.client() as client:
        for service_id in ("bot.example", "gone.example"):
            await VaultKeys(client).put(service_id, "of the vault")
    assert await status(vaulted, "of the vault") == 200
    for wrong in (registered, "wrong", ""):
        assert await status(vaulted, wrong) == 401
    assert await status(vaulted, "of the vault", "other.example") == 401
    assert await status(vaulted, "of the vault", "gone.example") == 401


async def test_the_vault_is_not_asked_for_services_that_are_not_registered(vaulted: Service, vault: KeyVault) -> None:
    assert await status(vaulted, "key", "made.up") == 401
    assert vault.requests == []


async def test_a_key_moves_from_the_database_into_the_vault(vaulted: Service, vault: KeyVault) -> None:
    key = await register(vaulted)
    beat = {"name": "n", "description": "d", "url": "https://bot.example/", "online_expires_in_seconds": 60}
    itself = vaulted.assistant_service("bot.example", key)
    for _ in range(2):
        answer = await itself.put("/assistant-service-registrations/bot.example", json=beat)
        assert answer.status_code == 200, answer.text
    name = secret_name("bot.example")
    assert vault.secrets == {name: [key]}
    assert vault.requests == [f"GET /secrets/{name}", f"PUT /secrets/{name}"]


async def test_a_vault_that_is_away_is_503_for_services_and_nothing_for_users(
    vaulted: Service, vault: KeyVault
) -> None:
    key = await register(vaulted)
    vault.is_down = True
    answer = await vaulted.assistant_service("bot.example", key).get("/users?id=ann")
    assert (answer.status_code, answer.json()["code"]) == (503, "no_key_vault")
    assert answer.headers["retry-after"] == "1"
    assert (await vaulted.user("ann").get("/users/me")).status_code == 200
    vault.is_down = False
    assert await status(vaulted, key) == 200
