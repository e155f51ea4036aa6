"""Keys of assistant services in memory."""

from workbench.domain.identity.model import ServiceKeys
from workbench.domain.identity.ports import ApiKeyStore


def one(key: str) -> ServiceKeys:
    """A key that never expires, and none before it."""
    return ServiceKeys(current=key)


class MemoryKeys(ApiKeyStore):
    """Keeps keys in a dict, and notes what it is asked for."""

    def __init__(self) -> None:
        self.keys: dict[str, ServiceKeys] = {}
        self.lookups: list[str] = []

    async def find(self, assistant_service_id: str) -> ServiceKeys | None:
        self.lookups.append(assistant_service_id)
        return self.keys.get(assistant_service_id)

    async def put(self, assistant_service_id: str, keys: ServiceKeys) -> None:
        self.keys[assistant_service_id] = keys

    async def remove(self, assistant_service_id: str) -> None:
        self.keys.pop(assistant_service_id, None)
