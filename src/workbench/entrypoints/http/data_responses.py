"""How what handlers return is answered: as JSON, with the two headers that it takes."""

# Litestar names its requests without their type arguments.
# pyright: reportUnknownMemberType=false

from http import HTTPStatus
from typing import Any

from litestar import MediaType, Request, Response
from litestar.serialization import get_serializer
from litestar.types import ASGIApp, Receive, Scope, Send

_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_KIND = (b"content-type", MediaType.JSON.encode())


class DataResponse(Response[Any]):
    """The response of a handler that returns data.

    The framework's own keeps headers in a mapping that can be changed, and asks it for each whether it is there: a
    twentieth of what a post takes. Whatever else than JSON is to be answered is left to it.
    """

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **more: Any) -> Any:
        """Encode the data, and answer with it."""
        if self.media_type != MediaType.JSON or self.status_code in _WITHOUT_BODY or any(more.values()):
            return super().to_asgi_response(app, request, **more)
        encoders = self.response_type_encoders
        return _answering(self.status_code, self.render(self.content, MediaType.JSON, get_serializer(encoders)))


def _answering(status: int | None, body: bytes) -> ASGIApp:
    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [_KIND, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status or HTTPStatus.OK, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return answer
