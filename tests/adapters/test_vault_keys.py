"""Keys in Azure Key Vault: names, deleted secrets, and a vault that fails."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from azure.keyvault.secrets.aio import SecretClient
from structlog.testing import capture_logs
from tests.support.credentials import GivenToken
from tests.support.key_vault import KeyVault, key_vault
from tests.support.keys import one

from workbench.adapters.keys.vault import MAX_NAME, RETRIES, VaultKeys, secret_name
from workbench.domain.errors import UnavailableError

BOT = "bot.example"
NAME = secret_name(BOT)


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncGenerator[KeyVault]:
    async with key_vault(tmp_path) as running:
        yield running


@pytest.fixture
async def client(vault: KeyVault) -> AsyncGenerator[SecretClient]:
    async with vault.client() as client:
        yield client


@pytest.fixture
def keys(client: SecretClient) -> VaultKeys:
    return VaultKeys(client)


def test_a_name_is_readable_and_ends_in_a_hash_of_the_id() -> None:
    assert secret_name("bot.example") == "assistant-service-bot-example-106f6cea069f312b"


def test_a_name_fits_into_the_vault() -> None:
    assert len(secret_name("x" * 1000)) == MAX_NAME
    assert secret_name("") != secret_name(" ")


async def test_the_token_is_asked_for_the_vaults_own_resource(vault: KeyVault) -> None:
    credential = GivenToken()
    async with vault.client(credential) as client:
        await VaultKeys(client).find(BOT)
    assert credential.scopes == ["https://vault.azure.net/.default"]


async def test_a_key_alone_is_stored_as_it_is_and_can_be_made_by_hand(vault: KeyVault, keys: VaultKeys) -> None:
    await keys.put(BOT, one("by-us"))
    assert vault.secrets[NAME] == ["by-us"]
    vault.secrets[NAME] = ["by-hand"]
    assert await keys.find(BOT) == one("by-hand")


async def test_a_secret_that_is_not_of_our_making_is_unavailable(vault: KeyVault, keys: VaultKeys) -> None:
    vault.secrets[NAME] = ['{"hidden": true}']
    with pytest.raises(UnavailableError) as caught:
        await keys.find(BOT)
    assert "hidden" not in str(caught.value)


async def test_removing_deletes_and_purges(vault: KeyVault, keys: VaultKeys) -> None:
    await keys.put(BOT, one("one"))
    await keys.remove(BOT)
    assert (vault.secrets, vault.deleted) == ({}, {})


async def test_a_vault_without_soft_delete_has_nothing_to_purge(vault: KeyVault, keys: VaultKeys) -> None:
    vault.soft_delete = False
    await keys.put(BOT, one("one"))
    await keys.remove(BOT)
    assert vault.requests[-1] == f"DELETE /secrets/{NAME}"
    assert vault.secrets == {}


async def test_a_name_that_may_not_be_purged_is_taken_back(vault: KeyVault, keys: VaultKeys) -> None:
    vault.purge_allowed = False
    await keys.put(BOT, one("one"))
    with capture_logs() as logs:
        await keys.remove(BOT)
    assert [(entry["event"], entry["reason"]) for entry in logs] == [("deleted key not purged", "it answered 403")]
    assert await keys.find(BOT) is None
    assert NAME in vault.deleted
    await keys.put(BOT, one("two"))
    assert await keys.find(BOT) == one("two")
    assert vault.secrets[NAME] == ["one", "two"]


async def test_a_vault_that_is_busy_for_a_moment_is_asked_again(vault: KeyVault, keys: VaultKeys) -> None:
    await keys.put(BOT, one("one"))
    vault.failures = [503] * RETRIES
    assert await keys.find(BOT) == one("one")


@pytest.mark.parametrize("status", [403, 429, 500, 503])
async def test_a_refusal_or_a_failure_is_unavailable(vault: KeyVault, keys: VaultKeys, status: int) -> None:
    await keys.put(BOT, one("hidden"))
    for act in (keys.find(BOT), keys.put(BOT, one("hidden")), keys.remove(BOT)):
        vault.failures = [status] * (RETRIES + 1)
        with pytest.raises(UnavailableError) as caught:
            await act
        vault.failures = []
        assert caught.value.error_code == "no_key_vault"
        assert caught.value.detail == f"The key vault cannot be used: it answered {status}"
    assert await keys.find(BOT) == one("hidden")


async def test_a_vault_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    async with key_vault(tmp_path) as vault:
        client = vault.client()
    async with client:
        with pytest.raises(UnavailableError):
            await VaultKeys(client).find(BOT)


async def test_a_vault_that_does_not_answer_is_not_waited_for(vault: KeyVault, client: SecretClient) -> None:
    vault.held = True
    with pytest.raises(UnavailableError, match="did not answer in time"):
        await VaultKeys(client, patience_seconds=0.2).find(BOT)
    vault.held = False


async def test_without_an_identity_the_vault_is_unavailable(vault: KeyVault) -> None:
    async with vault.client(GivenToken(None)) as client:
        with pytest.raises(UnavailableError, match=r"no token for it could be had$"):
            await VaultKeys(client).find(BOT)


async def test_a_token_is_never_sent_to_who_asks_in_the_name_of_another_host(vault: KeyVault) -> None:
    credential = GivenToken()
    async with vault.client(credential, verify_challenge_resource=True) as client:
        with pytest.raises(UnavailableError):
            await VaultKeys(client).find(BOT)
    assert (credential.scopes, vault.requests) == ([], [])
