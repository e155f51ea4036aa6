"""Moving keys from one store to another while both are in use."""

from workbench.domain.identity.ports import ApiKeyStore, ApiKeyVault


class AdoptingKeys(ApiKeyVault):
    """A store that takes over what it lacks from the one before it, key by key, at the first use of each."""

    def __init__(self, store: ApiKeyVault, former: ApiKeyStore) -> None:
        """What `store` has counts; `former` is only read."""
        self._store = store
        self._former = former

    async def find(self, assistant_service_id: str) -> str | None:
        """Find the key, and move it where it is still at its former place."""
        key = await self._store.find(assistant_service_id)
        if key is not None:
            return key
        key = await self._former.find(assistant_service_id)
        if key is not None:
            await self._store.put(assistant_service_id, key)
        return key

    async def put(self, assistant_service_id: str, key: str) -> None:
        """Put it into the new store, which counts from now on."""
        await self._store.put(assistant_service_id, key)

    async def remove(self, assistant_service_id: str) -> None:
        """Remove it from the new store. While the former one has it, it comes back at the next use."""
        await self._store.remove(assistant_service_id)
