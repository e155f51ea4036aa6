"""/metrics: what the service measures, for Prometheus."""

from dishka.integrations.litestar import FromDishka
from litestar import Response
from prometheus_client import CONTENT_TYPE_LATEST

from workbench.entrypoints.http.routing import get
from workbench.wiring.measures import Measures


@get("/metrics", operation_id="metrics", media_type="text/plain", tags=["health"], summary="Read the service's metrics")
async def metrics(measures: FromDishka[Measures]) -> Response[bytes]:
    """Answer in Prometheus' text format: requests, events, streams, delivery and its lag, dead letters."""
    return Response(await measures.read(), media_type=CONTENT_TYPE_LATEST)
