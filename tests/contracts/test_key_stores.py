"""What every store of services' keys promises, be it in memory, in the vault, behind the cache or adopting."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.support.clocks import START
from tests.support.key_vault import key_vault
from tests.support.keys import MemoryKeys, one

from workbench.adapters.keys.adopting import AdoptingKeys
from workbench.adapters.keys.cached import CachedKeys
from workbench.adapters.keys.vault import VaultKeys
from workbench.domain.identity.model import ServiceKeys
from workbench.domain.identity.ports import ApiKeyStore

IDS = ["bot.example", "bot-example", "bot example", "Bot.example", "böt.example", "a" * 300, "a" * 300 + "b", "/../x"]


@pytest.fixture(params=["memory", "vault", "cached vault", "adopting"])
async def keys(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[ApiKeyStore]:
    async with AsyncExitStack() as stack:
        store: ApiKeyStore = MemoryKeys()
        if request.param == "adopting":
            store = AdoptingKeys(store, MemoryKeys())
        if "vault" in request.param:
            vault = await stack.enter_async_context(key_vault(tmp_path))
            store = VaultKeys(await stack.enter_async_context(vault.client()))
        yield CachedKeys(store) if "cached" in request.param else store


async def test_an_unknown_service_has_no_key(keys: ApiKeyStore) -> None:
    assert await keys.find("bot.example") is None


@pytest.mark.parametrize(
    "given",
    [
        one("one-_Az09"),
        ServiceKeys(current="two", previous="one", previous_expires=START),
        ServiceKeys(current="two", expires=START),
    ],
)
async def test_keys_are_found_as_they_were_put(keys: ApiKeyStore, given: ServiceKeys) -> None:
    await keys.find("bot.example")
    await keys.put("bot.example", given)
    assert await keys.find("bot.example") == given
    assert await keys.find("bot.example") == given


async def test_another_key_replaces_the_first(keys: ApiKeyStore) -> None:
    for given in (one("one"), one("two")):
        await keys.put("bot.example", given)
        assert await keys.find("bot.example") == given


async def test_removed_keys_are_gone_and_their_name_can_be_used_anew(keys: ApiKeyStore) -> None:
    for given in (one("one"), one("two")):
        await keys.put("bot.example", given)
        assert await keys.find("bot.example") == given
        await keys.remove("bot.example")
        assert await keys.find("bot.example") is None


async def test_to_remove_what_is_not_there_is_no_fault(keys: ApiKeyStore) -> None:
    await keys.remove("bot.example")
    assert await keys.find("bot.example") is None


async def test_services_with_similar_ids_have_keys_of_their_own(keys: ApiKeyStore) -> None:
    for number, service_id in enumerate(IDS):
        await keys.put(service_id, one(f"key-{number}"))
    assert [await keys.find(service_id) for service_id in IDS] == [one(f"key-{number}") for number in range(len(IDS))]
    await keys.remove(IDS[0])
    assert [await keys.find(service_id) for service_id in IDS[:2]] == [None, one("key-1")]


async def test_keys_are_adopted_from_the_former_store_at_their_first_use() -> None:
    store, former = MemoryKeys(), MemoryKeys()
    adopting = AdoptingKeys(store, former)
    former.keys = {"a": one("old"), "b": one("old")}
    await adopting.put("b", one("new"))
    assert former.keys.keys() == {"a"}
    assert [await adopting.find(name) for name in ("a", "b", "c")] == [one("old"), one("new"), None]
    assert store.keys == {"a": one("old"), "b": one("new")}
    await adopting.remove("a")
    assert await adopting.find("a") is None
