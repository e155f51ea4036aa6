"""Keys of assistant services in memory."""

from workbench.domain.identity.ports import ApiKeyVault


class MemoryKeys(ApiKeyVault):
    """Keeps keys in a dict, and counts how often it is asked."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}
        self.lookups: list[str] = []

    async def find(self, assistant_service_id: str) -> str | None:
        self.lookups.append(assistant_service_id)
        return self.keys.get(assistant_service_id)

    async def put(self, assistant_service_id: str, key: str) -> None:
        self.keys[assistant_service_id] = key

    async def remove(self, assistant_service_id: str) -> None:
        self.keys.pop(assistant_service_id, None)
