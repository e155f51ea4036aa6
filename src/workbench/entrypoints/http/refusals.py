"""Refusals that operators count: too often, not now, no guidance."""

from collections.abc import Iterable

from dishka import AsyncContainer
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.types import Scope

from workbench.domain.errors import WorkbenchError
from workbench.domain.rates.ports import RateMeter
from workbench.domain.troubleshooting.metering import SessionMeter, meter_unmatched
from workbench.entrypoints.http.pace import PACE

RATE_LIMITED = "rate_limited"
REDEEMING = "redeem_share"
"""A route that counts by itself."""


async def count_refusal(error: Exception, scope: Scope) -> None:
    """Count what a route refused, before it is answered."""
    if not isinstance(error, WorkbenchError):
        return
    container: AsyncContainer = scope["state"]["dishka_container"]
    if error.error_code == RATE_LIMITED:
        (await container.get(RateMeter)).limited(_name(scope["route_handler"]))
    elif error.error_code == "no_guidance_available":
        meter_unmatched(await container.get(SessionMeter), error.extra["nearest"])
    elif "allowed_actions" in error.extra:
        (await container.get(SessionMeter)).refused(error.extra["action"])


def limited_routes(app: Litestar) -> Iterable[str]:
    """The names of the routes that may be used only so often."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if PACE in handler.opt or handler.operation_id == REDEEMING:
                yield _name(handler)


def _name(handler: object) -> str:
    return str(handler.operation_id) if isinstance(handler, HTTPRouteHandler) else ""
