"""How often a caller may use a route: counted before their request is read any further, for each route apart."""

from typing import Any

from dishka import AsyncContainer
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from workbench.domain.rates.model import Pace, Rate
from workbench.domain.rates.ports import RateLimiter

MINUTE = 60
PACE = "per_minute"
"""The option of a route that says how often a minute it may be used."""


async def paced(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Count one more use of the route. Raises ExhaustedError, with the seconds to wait, where it is one too many."""
    container: AsyncContainer = connection.scope["state"]["dishka_container"]
    limiter = await container.get(RateLimiter)
    pace = await container.get(Pace)
    rate = Rate(act=handler.name or handler.handler_name, times=pace.times(handler.opt[PACE]), seconds=MINUTE)
    await limiter.count(connection.user, rate)
