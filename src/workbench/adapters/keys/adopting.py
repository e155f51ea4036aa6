"""Moving keys from one store to another while both are in use."""

from workbench.domain.identity.model import ServiceKeys
from workbench.domain.identity.ports import ApiKeyStore


class AdoptingKeys(ApiKeyStore):
    """A store that takes over what it lacks from the one before it, service by service, at the first use of each."""

    def __init__(self, store: ApiKeyStore, former: ApiKeyStore) -> None:
        """What `store` has counts."""
        self._store = store
        self._former = former

    async def find(self, assistant_service_id: str) -> ServiceKeys | None:
        """Find the keys, and copy them where they are still at their former place."""
        keys = await self._store.find(assistant_service_id)
        if keys is not None:
            return keys
        keys = await self._former.find(assistant_service_id)
        if keys is not None:
            await self._store.put(assistant_service_id, keys)
        return keys

    async def put(self, assistant_service_id: str, keys: ServiceKeys) -> None:
        """Put them into the new store, and let the former one forget: what was replaced must not come back."""
        await self._store.put(assistant_service_id, keys)
        if await self._former.find(assistant_service_id) is not None:
            await self._former.remove(assistant_service_id)

    async def remove(self, assistant_service_id: str) -> None:
        """Remove them from both."""
        await self._former.remove(assistant_service_id)
        await self._store.remove(assistant_service_id)
