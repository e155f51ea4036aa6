"""Keys of registered services alone, so that nobody makes us ask a far store for ids that they made up."""

from workbench.domain.identity.model import ServiceKeys
from workbench.domain.identity.ports import ApiKeyStore, AssistantDirectory


class RegisteredKeys(ApiKeyStore):
    """A store that is asked only for services that are registered here.

    A key that outlived its registration, because the store was away when that ended, is good for nothing.
    """

    def __init__(self, store: ApiKeyStore, directory: AssistantDirectory) -> None:
        self._store = store
        self._directory = directory

    async def find(self, assistant_service_id: str) -> ServiceKeys | None:
        """Find the key, if there is such a service."""
        if await self._directory.workspace_of_service(assistant_service_id) is None:
            return None
        return await self._store.find(assistant_service_id)

    async def put(self, assistant_service_id: str, keys: ServiceKeys) -> None:
        """Put it into the store."""
        await self._store.put(assistant_service_id, keys)

    async def remove(self, assistant_service_id: str) -> None:
        """Remove it from the store."""
        await self._store.remove(assistant_service_id)
