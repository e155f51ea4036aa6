"""Whether an answer is one that the OpenAPI document names, and errors have their form, asked of all that tests get."""

import re
from functools import cache
from http import HTTPStatus
from typing import Any

import httpx

from workbench.entrypoints.http.app import create_app
from workbench.wiring.settings import Settings

OPEN_ENDED = ("assistant_service_id", "filename")
"""The parameters of a path that may hold slashes."""
STRICT = ("ai-sessions", "playbooks", "psa-connections")
"""How the paths of strict routes begin."""
ENVELOPED = (*STRICT, "flows", "flow-")
"""How the paths begin whose errors have the product's own form."""
ENVELOPE: dict[str, type] = {"status_code": int, "code": str, "detail": str, "extra": dict}


@cache
def _routes() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """Every path as a pattern, with its operations; a path of which another is the beginning comes first."""
    paths: dict[str, Any] = create_app(Settings.of()).openapi_schema.to_schema()["paths"]
    by_length = sorted(paths.items(), key=lambda entry: (entry[0].count("{"), -len(entry[0])))
    return [(_pattern(path), operations) for path, operations in by_length]


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", path)
    found = [(".+" if part in OPEN_ENDED else "[^/]+") if at % 2 else re.escape(part) for at, part in enumerate(parts)]
    return re.compile("".join(found))


async def check_answer(response: httpx.Response) -> None:
    """Fail where the document does not name the answer's status; what has no route of its own is let through."""
    path, method = response.request.url.path, response.request.method.lower()
    if response.is_error and path.lstrip("/").startswith(ENVELOPED) and method != "head":
        await response.aread()
        require_envelope(response)
    operation = next((ways.get(method) for pattern, ways in _routes() if pattern.fullmatch(path)), None)
    if operation is None or response.status_code == HTTPStatus.TEMPORARY_REDIRECT:
        return
    status = str(response.status_code)
    named = operation["responses"]
    assert named.keys() & {status, f"{status[0]}XX"}, f"{method} {path} answered {status}; the document has {[*named]}"


def require_envelope(response: httpx.Response) -> None:
    """Fail unless an error has the product's own form, with the faults of what is bad input."""
    told = response.json()
    assert {key: type(value) for key, value in told.items()} == ENVELOPE, told
    assert told["status_code"] == response.status_code, told
    assert told["code"], told
    assert told["detail"], told
    if response.status_code == HTTPStatus.BAD_REQUEST:
        assert told["extra"]["errors"], told
        assert all(each.keys() == {"field", "message"} for each in told["extra"]["errors"]), told
