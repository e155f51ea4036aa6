"""What assistants of flows need to have stored: turns, and flows."""

from typing import Protocol

from workbench.domain.flows.ports import Flows
from workbench.domain.turns.ports import TurnTx


class FlowAssistantTx(TurnTx, Protocol):
    """The slice of a transaction that assistants of flows may touch."""

    @property
    def flows(self) -> Flows: ...
