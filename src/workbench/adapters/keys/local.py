"""Keys in local mode: there are none, so every service shows the empty one."""

from workbench.domain.identity.model import ServiceKeys

NO_KEY = ServiceKeys(current="")


class LocalModeKeys:
    """Lets every service in that says a name; for loopback only."""

    async def find(self, assistant_service_id: str) -> ServiceKeys | None:  # noqa: ARG002 - the port's
        """Answer with the empty key, whoever it is."""
        return NO_KEY

    async def put(self, assistant_service_id: str, keys: ServiceKeys) -> None:
        """Keep nothing: no service needs a key here."""

    async def remove(self, assistant_service_id: str) -> None:
        """Nothing is kept, so nothing goes."""
