"""What assistant services say of themselves, asked when somebody wants to know."""

import asyncio
from collections.abc import Sequence

from workbench.domain.assistant_services.model import RegistrationFilter, ServiceAddress
from workbench.domain.assistant_services.ports import AssistantClient, RegistrationTx
from workbench.domain.assistant_services.service import RegistrationService
from workbench.domain.assistant_services.shapes import ServiceInfo
from workbench.domain.errors import NotFoundError, UpstreamError
from workbench.domain.identity.model import Principal
from workbench.domain.transactions import Transactions

CALLS_AT_ONCE = 32


class ServiceInfoService:
    """Acts about the information that services give."""

    def __init__(
        self, transactions: Transactions[RegistrationTx], registrations: RegistrationService, client: AssistantClient
    ) -> None:
        self._transactions = transactions
        self._registrations = registrations
        self._client = client
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE)

    async def all(self, principal: Principal, created_by: Sequence[str]) -> list[ServiceInfo]:
        """What every matching service that is online says; one that fails is left out."""
        wanted = RegistrationFilter(created_by=tuple(created_by), online=True)
        registrations = await self._registrations.all(principal, wanted)
        async with self._transactions.read(principal.workspace_id) as tx:
            addresses = await tx.registrations.addresses([each.assistant_service_id for each in registrations])
        infos = await asyncio.gather(*[self._ask(address, principal.workspace_id) for address in addresses])
        return [info for info in infos if info is not None]

    async def get(self, principal: Principal, assistant_service_id: str) -> ServiceInfo:
        """What one service says. Raises NotFoundError where it is unknown or offline, UpstreamError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            registration = await tx.registrations.find(assistant_service_id)
            address = await tx.registrations.address(assistant_service_id)
        if registration is None or address is None or not registration.assistant_service_online:
            raise NotFoundError
        return await self._client.info(address, principal.workspace_id)

    async def _ask(self, address: ServiceAddress, workspace_id: str) -> ServiceInfo | None:
        async with self._calls:
            try:
                return await self._client.info(address, workspace_id)
            except UpstreamError:
                return None
