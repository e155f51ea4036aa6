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

from workbench.adapters.keys.cipher import KeyCipher
from workbench.adapters.keys.vault import VaultKeys, secret_name
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.service_keys import SqlServiceKeys
from workbench.domain.identity.ports import ApiKeyStore, AssistantDirectory
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
    async def given(
        self, database: Database, cipher: KeyCipher, directory: AssistantDirectory
    ) -> AsyncIterator[ApiKeyStore]:
        async with self._vault.client() as client:
            yield keys_in(VaultKeys(client), SqlServiceKeys(database, cipher), directory)


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncGenerator[KeyVault]:
    async with key_vault(tmp_path) as running:
        yield running


@asynccontextmanager
async def vaulted_service(database_url: str, folder: Path, vault: KeyVault) -> AsyncIterator[Service]:
    place = {"assistant_api_key": {"key_vault_url": vault.url}}
    async with running_service(database_url, folder, OnLoopback(vault), service=place) as service:
        yield service


@pytest.fixture
async def vaulted(sqlite_url: str, tmp_path: Path, vault: KeyVault) -> AsyncGenerator[Service]:
    async with vaulted_service(sqlite_url, tmp_path / "data", vault) as service:
        yield service


NEW = {"assistant_service_id": "bot.example", "name": "Bot", "description": "d"}
PATH = "/assistant-service-registrations/bot.example"
NAME = secret_name("bot.example")


async def register(service: Service) -> str:
    answer = await service.user("ann").post("/assistant-service-registrations", json=NEW)
    key: str = answer.raise_for_status().json()["api_key"]
    return key


async def status(service: Service, key: str, service_id: str = "bot.example") -> int:
    return (await service.assistant_service(service_id, key).get("/users?id=ann")).status_code


async def test_a_registered_services_key_is_in_the_vault_and_lets_it_in(vaulted: Service, vault: KeyVault) -> None:
    key = await register(vaulted)
    assert vault.secrets == {NAME: [key]}
    vault.requests.clear()
    assert [await status(vaulted, shown) for shown in (key, "wrong", "")] == [200, 401, 401]
    assert await status(vaulted, key, "other.example") == 401
    assert vault.requests == []


async def test_a_reset_key_works_at_once_and_the_one_before_for_a_time(vaulted: Service, vault: KeyVault) -> None:
    first = await register(vaulted)
    user = vaulted.user("ann")
    second = (await user.post(f"{PATH}/api-key?overlap_seconds=600")).raise_for_status().json()["api_key"]
    assert [await status(vaulted, key) for key in (first, second)] == [200, 200]
    third = (await user.post(f"{PATH}/api-key?overlap_seconds=0")).raise_for_status().json()["api_key"]
    assert [await status(vaulted, key) for key in (first, second, third)] == [401, 401, 200]
    assert vault.secrets[NAME][-1] == third


async def test_a_deleted_registration_leaves_nothing_in_the_vault(vaulted: Service, vault: KeyVault) -> None:
    key = await register(vaulted)
    assert (await vaulted.user("ann").delete(PATH)).status_code == 204
    assert (vault.secrets, vault.deleted) == ({}, {})
    assert await status(vaulted, key) == 401


async def test_a_key_that_outlived_its_registration_is_good_for_nothing(vaulted: Service, vault: KeyVault) -> None:
    vault.secrets[NAME] = ["left over"]
    assert await status(vaulted, "left over") == 401
    assert vault.requests == []


async def test_keys_move_from_the_database_into_the_vault(sqlite_url: str, tmp_path: Path, vault: KeyVault) -> None:
    async with running_service(sqlite_url, tmp_path / "data", service={"assistant_keys": "secured"}) as service:
        key = await register(service)
    async with vaulted_service(sqlite_url, tmp_path / "data", vault) as service:
        assert await status(service, key) == 200
        assert vault.secrets == {NAME: [key]}


async def test_a_vault_that_is_away_is_503_for_services_and_nothing_for_users(
    vaulted: Service, vault: KeyVault
) -> None:
    vault.is_down = True
    answer = await vaulted.user("ann").post("/assistant-service-registrations", json=NEW)
    assert (answer.status_code, answer.json()["code"]) == (503, "no_key_vault")
    assert answer.headers["retry-after"] == "1"
    assert (await vaulted.user("ann").get("/users/me")).status_code == 200
    vault.is_down = False
    key = await register(vaulted)
    assert await status(vaulted, key) == 200
