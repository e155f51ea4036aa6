"""What every store of services' keys promises, be it in memory, in the vault, behind the cache or adopting."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.support.key_vault import key_vault
from tests.support.keys import MemoryKeys

from workbench.adapters.keys.adopting import AdoptingKeys
from workbench.adapters.keys.cached import CachedKeys
from workbench.adapters.keys.vault import VaultKeys
from workbench.domain.identity.ports import ApiKeyVault

IDS = ["bot.example", "bot-example", "bot example", "Bot.example", "böt.example", "a" * 300, "a" * 300 + "b", "/../x"]


@pytest.fixture(params=["memory", "vault", "cached vault", "adopting"])
async def keys(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[ApiKeyVault]:
    async with AsyncExitStack() as stack:
        store: ApiKeyVault = MemoryKeys()
        if request.param == "adopting":
            store = AdoptingKeys(store, MemoryKeys())
        if "vault" in request.param:
            vault = await stack.enter_async_context(key_vault(tmp_path))
            store = VaultKeys(await stack.enter_async_context(vault.client()))
        yield CachedKeys(store) if "cached" in request.param else store


async def test_an_unknown_service_has_no_key(keys: ApiKeyVault) -> None:
    assert await keys.find("bot.example") is None


async def test_a_key_is_found_as_it_was_put(keys: ApiKeyVault) -> None:
    await keys.find("bot.example")
    await keys.put("bot.example", "one-_Az09")
    assert await keys.find("bot.example") == "one-_Az09"
    assert await keys.find("bot.example") == "one-_Az09"


async def test_another_key_replaces_the_first(keys: ApiKeyVault) -> None:
    await keys.put("bot.example", "one")
    assert await keys.find("bot.example") == "one"
    await keys.put("bot.example", "two")
    assert await keys.find("bot.example") == "two"


async def test_a_removed_key_is_gone_and_its_name_can_be_used_anew(keys: ApiKeyVault) -> None:
    for key in ("one", "two"):
        await keys.put("bot.example", key)
        assert await keys.find("bot.example") == key
        await keys.remove("bot.example")
        assert await keys.find("bot.example") is None


async def test_to_remove_what_is_not_there_is_no_fault(keys: ApiKeyVault) -> None:
    await keys.remove("bot.example")
    assert await keys.find("bot.example") is None


async def test_services_with_similar_ids_have_keys_of_their_own(keys: ApiKeyVault) -> None:
    for number, service_id in enumerate(IDS):
        await keys.put(service_id, f"key-{number}")
    assert [await keys.find(service_id) for service_id in IDS] == [f"key-{number}" for number in range(len(IDS))]
    await keys.remove(IDS[0])
    assert [await keys.find(service_id) for service_id in IDS[:2]] == [None, "key-1"]


async def test_a_key_is_adopted_from_the_former_store_at_its_first_use() -> None:
    store, former = MemoryKeys(), MemoryKeys()
    adopting = AdoptingKeys(store, former)
    former.keys = {"a": "old a", "b": "old b"}
    await adopting.put("b", "new b")
    assert [await adopting.find(name) for name in ("a", "b", "c")] == ["old a", "new b", None]
    assert store.keys == {"a": "old a", "b": "new b"}
    former.keys.clear()
    assert await adopting.find("a") == "old a"
