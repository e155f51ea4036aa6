"""What is told of flows: that they run, are being stopped, are stopped, or could not be started."""

from workbench.domain.events.model import NewWorkspaceEvent
from workbench.domain.flows.model import FlowState, StoredFlow

TOLD: dict[FlowState, str] = {
    "running": "flow.started",
    "stopping": "flow.stopping",
    "stopped": "flow.stopped",
    "failed": "flow.failed",
}
"""What it is called that a flow has come to a state; one that is starting is not told of before it runs."""


def flow_changed(flow: StoredFlow) -> NewWorkspaceEvent:
    """Tell of the state that a flow has come to: ids and states alone, since everybody in the workspace may read it."""
    return NewWorkspaceEvent(
        type=TOLD[flow.state],
        data={
            "flow": {
                "flow_id": flow.flow_id,
                "generation": flow.generation,
                "state": flow.state,
                "blueprint": {"name": flow.blueprint.name, "version": flow.blueprint.version},
                "error_code": None if flow.error is None else flow.error.code,
            }
        },
    )
