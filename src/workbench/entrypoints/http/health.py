"""/, /livez, /readyz: for those who watch over the process."""

from http import HTTPStatus
from typing import Any

from dishka.integrations.litestar import FromDishka
from litestar import Controller, MediaType, Response
from litestar.openapi.datastructures import ResponseSpec

from workbench.entrypoints.http.drain import Drain
from workbench.entrypoints.http.errors import RETRY_AFTER_SECONDS
from workbench.entrypoints.http.routing import get
from workbench.wiring.readiness import DISPENSABLE, Readiness


class HealthController(Controller):
    """Signs of life."""

    tags = ("health",)

    @get("/", operation_id="root", media_type=MediaType.TEXT, summary="Say that something is here")
    async def root(self) -> Response[None]:
        """Answer with nothing, which clients take as a sign of life."""
        return Response[None](None)

    @get("/livez", operation_id="livez", summary="Say whether the process lives")
    async def live(self) -> dict[str, str]:
        """Answer while the process can answer at all."""
        return {"status": "ok"}

    @get(
        "/readyz",
        operation_id="readyz",
        summary="Say whether requests are welcome",
        responses={
            HTTPStatus.SERVICE_UNAVAILABLE: ResponseSpec(
                dict[str, Any], generate_examples=False, description="They are not; `failing` names the parts."
            )
        },
    )
    async def ready(self, drain: FromDishka[Drain], readiness: FromDishka[Readiness]) -> Response[dict[str, Any]]:
        """Check every part that a request needs; 503 names what fails. `indexes` says what sessions are found by."""
        parts = await readiness.check()
        if drain.is_on:
            parts["serving"] = "draining"
        failing = sorted(name for name, state in parts.items() if state != "ok" and name not in DISPENSABLE)
        body: dict[str, Any] = {"status": "failing" if failing else "ok", "parts": parts, "failing": failing}
        if not failing:
            body["indexes"] = await readiness.indexes()
        if not failing:
            return Response(body)
        later = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return Response(body, status_code=HTTPStatus.SERVICE_UNAVAILABLE, headers=later)
