"""What is counted of every request: how many, how long they took, and how many are under way.

The labels' children are looked up once for each route and outcome: looking them up costs more than counting does.
"""

import time
from functools import cache
from http import HTTPMethod, HTTPStatus

from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import Counter, Gauge, Histogram

LABELS = ("method", "path", "status_code")
REQUESTS = Counter("workbench_requests_total", "Requests that were answered", LABELS)
TOOK = Histogram("workbench_request_duration_seconds", "Time that requests took, in seconds", LABELS)
UNDER_WAY = Gauge("workbench_requests_in_progress", "Requests under way", LABELS[:2], multiprocess_mode="livesum")

LEFT_OUT = frozenset({"/metrics", "/livez", "/readyz"})
# A stream lasts for hours; streams have a gauge of their own.
STREAMS = ("/events", "/stream")
# Callers may send any word as a method, and each label's value is kept for good.
KNOWN_METHODS = frozenset(method.value for method in HTTPMethod)
OTHER_METHOD = "OTHER"


class Metering:
    """ASGI middleware within the router, which knows the path's template: paths with ids would make a series each."""

    def __init__(self, app: ASGIApp) -> None:
        """Count the requests that go to `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope["path_template"]
        if scope["type"] != "http" or path in LEFT_OUT or path.endswith(STREAMS):
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in KNOWN_METHODS else OTHER_METHOD
        status = int(HTTPStatus.INTERNAL_SERVER_ERROR)

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        under_way = _under_way(method, path)
        under_way.inc()
        begun = time.perf_counter()
        try:
            await self._app(scope, receive, noting)
        finally:
            under_way.dec()
            count, took = _ended(method, path, status)
            count.inc()
            took.observe(time.perf_counter() - begun)


@cache
def _under_way(method: str, path: str) -> Gauge:
    return UNDER_WAY.labels(method, path)


@cache
def _ended(method: str, path: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, path, status), TOOK.labels(method, path, status)
