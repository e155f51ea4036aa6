"""Who may do what with flows, and within which bounds."""

import msgspec

from workbench.domain.errors import ForbiddenError
from workbench.domain.flows.checking import Walls
from workbench.domain.identity.model import Principal, require_role


class FlowPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What settings say. `is_open`: everybody may write, as on one's own machine."""

    is_open: bool = False
    walls: Walls = Walls()
    flows_per_workspace: int = 200
    drain_seconds: float = 5.0
    request_bytes: int = 1 << 20
    timeout_seconds: float = 300.0

    def require_writer(self, principal: Principal) -> None:
        """Let users pass who may change flows. Raises UnauthenticatedError, ForbiddenError."""
        require_role(principal, "user")
        if not (self.is_open or principal.is_admin):
            raise ForbiddenError("This is for the administrators of the workspace", code="not_admin")
