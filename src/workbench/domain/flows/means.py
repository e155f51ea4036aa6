"""What the acts of flows have in common: where they store, the bus, the clock, who is told, and the bounds."""

import msgspec

from workbench.domain.bus.ports import MessageBus
from workbench.domain.clock import Clock
from workbench.domain.flows.changes import FlowChanges
from workbench.domain.flows.policy import FlowPolicy
from workbench.domain.flows.ports import FlowLedger, FlowMeter, FlowTx, Schemas, Sealer
from workbench.domain.transactions import Transactions


class StopTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how far apart topics are deleted, how long hosts have to let go of a flow, and its end is waited for.

    An end that takes longer than `answer_seconds` is only said to be under way.
    """

    pause_seconds: float = 2.0
    release_seconds: float = 10.0
    answer_seconds: float = 10.0
    tries: int = 5


class FlowMeans(msgspec.Struct, frozen=True, kw_only=True):
    """Handed to each service of the capability."""

    transactions: Transactions[FlowTx]
    ledger: FlowLedger
    bus: MessageBus
    changes: FlowChanges
    clock: Clock
    policy: FlowPolicy
    meter: FlowMeter
    sealer: Sealer
    schemas: Schemas
    times: StopTimes = StopTimes()
