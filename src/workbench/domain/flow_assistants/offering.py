"""What flows offer to the conversations of a workspace, and which services of this process offer anything there."""

from collections.abc import Sequence

from workbench.domain.assistant_services.ports import Residents
from workbench.domain.flow_assistants.model import offered
from workbench.domain.flow_assistants.ports import FlowAssistantTx
from workbench.domain.flows.model import StoredFlow
from workbench.domain.flows.ports import FlowFilter
from workbench.domain.identity.model import FLOW_SERVICE_ID, MODEL_SERVICE_ID
from workbench.domain.model_assistants.ports import ModelGateway
from workbench.domain.transactions import Transactions

AT_ONCE = 50


class FlowTemplates:
    """Reads which flows run."""

    def __init__(self, transactions: Transactions[FlowAssistantTx]) -> None:
        self._transactions = transactions

    async def running(self, workspace_id: str) -> Sequence[StoredFlow]:
        """The flows that run in a workspace; settings say how many there can be."""
        found: list[StoredFlow] = []
        async with self._transactions.read(workspace_id) as tx:
            while True:
                after = (found[-1].flow_id, found[-1].generation) if found else None
                page = await tx.flows.page(FlowFilter(states=("running",), after=after, limit=AT_ONCE))
                found += page
                if len(page) < AT_ONCE:
                    return found


class ResidentOffers(Residents):
    """Models that are configured are there for everybody, flows in their workspace."""

    def __init__(self, gateway: ModelGateway, templates: FlowTemplates) -> None:
        self._gateway = gateway
        self._templates = templates

    async def offering(self, workspace_id: str) -> frozenset[str]:
        """Look at what there is."""
        found = {MODEL_SERVICE_ID} if self._gateway.models else set[str]()
        if any(offered(await self._templates.running(workspace_id))):
            found.add(FLOW_SERVICE_ID)
        return frozenset(found)
