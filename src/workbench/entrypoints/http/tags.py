"""What clients keep of an answer, and ask for again only if it has changed (RFC 9110, 8.8.3 and 13.1.2)."""

import re
from hashlib import blake2b
from http import HTTPStatus
from typing import Annotated, Any

from litestar import MediaType, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter
from litestar.serialization import encode_json

_TAG = re.compile(r'(?:W/)?("[^"]*")')

IfNoneMatch = Annotated[
    str | None, HeaderParameter(name="If-None-Match", description="The ETag of what the caller has already.")
]
UNCHANGED = {
    int(HTTPStatus.NOT_MODIFIED): ResponseSpec(
        None, generate_examples=False, description="What the caller has is right."
    )
}


def tagged(content: Any, version: int, had: str | None) -> Response[Any]:
    """An answer whose ETag is its version and what else is in it; 304 without a body for who has just that."""
    body = encode_json(content)
    tag = f'"{version}-{blake2b(body, digest_size=8).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if is_had(had or "", tag):
        return Response(None, status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, headers=headers, media_type=MediaType.JSON)


def is_had(header: str, tag: str) -> bool:
    """Whether an `If-None-Match` names it."""
    return header.strip() == "*" or tag in _TAG.findall(header)
