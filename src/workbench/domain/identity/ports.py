"""What identity needs: token verification, service keys, and where an assistant belongs."""

from typing import Protocol
from uuid import UUID

from workbench.domain.identity.model import Principal


class TokenVerifier(Protocol):
    """Turns a user's signed token into a principal."""

    async def verify(self, token: str) -> Principal:
        """Check the token and say who its bearer is.

        Raises UnauthenticatedError with the contract's text (`Expired token`, `Invalid token`, ...), and
        UnavailableError while the issuer's keys have never been fetched and cannot be.
        """
        ...


class ApiKeyStore(Protocol):
    """The keys of assistant services."""

    async def find(self, assistant_service_id: str) -> str | None:
        """The key that the service must show, and that we show it. None: unknown service."""
        ...


class AssistantDirectory(Protocol):
    """Where services and assistants belong; asked before a workspace is known."""

    async def workspace_of_service(self, assistant_service_id: str) -> str | None:
        """The workspace that the service is registered in."""
        ...

    async def workspace_of_assistant(self, assistant_id: UUID, assistant_service_id: str) -> str | None:
        """The workspace of an assistant of that service; None where it is not the service's."""
        ...
