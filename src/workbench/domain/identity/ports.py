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


class ApiKeyVault(ApiKeyStore, Protocol):
    """Keys of assistant services in a store outside the database.

    Every method raises UnavailableError where the store cannot be asked. None may be called inside a
    transaction: store a registration first, then its key, or the key of somebody else's service of the same
    id would be replaced.
    """

    async def put(self, assistant_service_id: str, key: str) -> None:
        """Keep this key for the service, instead of any that it had."""
        ...

    async def remove(self, assistant_service_id: str) -> None:
        """Forget the service's key, if there is one; its id can be used anew."""
        ...


class AssistantDirectory(Protocol):
    """Where services and assistants belong; asked before a workspace is known."""

    async def workspace_of_service(self, assistant_service_id: str) -> str | None:
        """The workspace that the service is registered in."""
        ...

    async def workspace_of_assistant(self, assistant_id: UUID, assistant_service_id: str) -> str | None:
        """The workspace of an assistant of that service; None where it is not the service's."""
        ...
