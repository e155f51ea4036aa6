"""From credentials to a principal, by the contract's order: a service's headers win over any token."""

from uuid import UUID

from workbench.domain.clock import Clock
from workbench.domain.errors import UnauthenticatedError
from workbench.domain.identity.model import (
    DEFAULT_WORKSPACE,
    EVERYWHERE,
    HOST_ID,
    RESIDENT_SERVICE_IDS,
    Credentials,
    HostTokens,
    Principal,
)
from workbench.domain.identity.ports import ApiKeyStore, AssistantDirectory, TokenVerifier


class Authenticator:
    """Establishes who is calling. What they may do is for the services to say."""

    def __init__(
        self,
        tokens: TokenVerifier,
        keys: ApiKeyStore,
        directory: AssistantDirectory,
        clock: Clock,
        hosts: HostTokens,
    ) -> None:
        self._hosts = hosts
        self._tokens = tokens
        self._keys = keys
        self._directory = directory
        self._clock = clock

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Prove the credentials. Raises UnauthenticatedError with the contract's texts, UnavailableError."""
        if credentials.service_id in RESIDENT_SERVICE_IDS:
            # They call nobody from outside, whatever key is shown.
            raise UnauthenticatedError("Invalid credentials", code="invalid_credentials")
        if credentials.service_id:
            return await self._service(credentials.service_id, credentials)
        if credentials.bearer_token and self._hosts.have(credentials.bearer_token):
            return Principal(workspace_id=EVERYWHERE, role="host", id=HOST_ID)
        if credentials.bearer_token:
            return await self._tokens.verify(credentials.bearer_token)
        raise UnauthenticatedError

    async def _service(self, service_id: str, credentials: Credentials) -> Principal:
        keys = await self._keys.find(service_id)
        shown = keys.which(credentials.api_key, self._clock.now()) if keys else None
        if shown is None:
            raise UnauthenticatedError("Invalid credentials", code="invalid_credentials")
        assistant_id = _uuid(credentials.assistant_id)
        if assistant_id is None:
            workspace_id = await self._directory.workspace_of_service(service_id) or DEFAULT_WORKSPACE
            return Principal(
                workspace_id=workspace_id,
                role="service",
                id=service_id,
                service_id=service_id,
                has_old_key=shown == "previous",
            )
        workspace_id = await self._directory.workspace_of_assistant(assistant_id, service_id)
        if workspace_id is None:
            # Believed only where the assistant is the service's own, or any service could speak for any assistant.
            raise UnauthenticatedError("Invalid credentials", code="invalid_credentials")
        return Principal(workspace_id=workspace_id, role="assistant", id=str(assistant_id), service_id=service_id)


def _uuid(text: str | None) -> UUID | None:
    """The assistant id, if it is one; the contract takes anything else as if it were not there."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
