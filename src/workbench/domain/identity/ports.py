"""What identity needs: token verification, service keys, and where an assistant belongs."""

from typing import Protocol
from uuid import UUID

from workbench.domain.identity.model import Principal, ServiceKeys


class TokenVerifier(Protocol):
    """Turns a user's signed token into a principal."""

    async def verify(self, token: str) -> Principal:
        """Check the token and say who its bearer is.

        Raises UnauthenticatedError with the contract's text (`Expired token`, `Invalid token`, ...), and
        UnavailableError while the issuer's keys have never been fetched and cannot be.
        """
        ...


class ApiKeyStore(Protocol):
    """The keys of assistant services. Each method raises UnavailableError while the store cannot be reached."""

    async def find(self, assistant_service_id: str) -> ServiceKeys | None:
        """The keys that the service may show, and that we show it. None: it has none, or is unknown."""
        ...

    async def put(self, assistant_service_id: str, keys: ServiceKeys) -> None:
        """Keep these keys in place of those there were."""
        ...

    async def remove(self, assistant_service_id: str) -> None:
        """Forget the service's keys; without any this does nothing."""
        ...


class AssistantDirectory(Protocol):
    """Where services and assistants belong; asked before a workspace is known."""

    async def workspace_of_service(self, assistant_service_id: str) -> str | None:
        """The workspace that the service is registered in."""
        ...

    async def workspace_of_assistant(self, assistant_id: UUID, assistant_service_id: str) -> str | None:
        """The workspace of an assistant of that service; None where it is not the service's."""
        ...
