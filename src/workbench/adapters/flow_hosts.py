"""What a host outside of the service is to run, asked of it over HTTP."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import httpx
import msgspec

from workbench.domain.errors import UnauthenticatedError, UnavailableError
from workbench.domain.flows.model import AssignmentList
from workbench.domain.flows.ports import AssignmentSource

GRACE_SECONDS = 15.0
"""How much longer than it was told to wait the service may take to answer."""


class HttpAssignments(AssignmentSource):
    """The routes `/flow-hosts` of a workbench."""

    def __init__(self, http: httpx.AsyncClient, url: str, token: str, host_id: str, services: Sequence[str]) -> None:
        self._http = http
        self._url = f"{url.rstrip('/')}/flow-hosts"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._host_id = host_id
        self._services = list(services)

    async def next(self, version: int, wait_seconds: float) -> AssignmentList | None:
        """Ask, and let it wait."""
        answer = await self._call(
            "GET",
            "/assignments",
            params={
                "host_id": self._host_id,
                "service": self._services,
                "version": version,
                "wait": wait_seconds,
            },
            timeout=wait_seconds + GRACE_SECONDS,
        )
        if answer.status_code == HTTPStatus.NOT_MODIFIED:
            return None
        try:
            return msgspec.json.decode(answer.content, type=AssignmentList)
        except msgspec.MsgspecError as error:
            raise UnavailableError(f"{self._url} does not answer as a workbench does: {error}") from error

    async def release(self, keys: Sequence[str]) -> None:
        """Tell it."""
        await self._call("POST", f"/{self._host_id}/released", json={"keys": list(keys)}, timeout=GRACE_SECONDS)

    async def _call(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = await self._http.request(method, self._url + path, headers=self._headers, **more)
        except httpx.HTTPError as error:
            raise UnavailableError(f"{self._url} cannot be reached: {type(error).__name__}") from error
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            raise UnauthenticatedError(f"{self._url} does not know the token", code="invalid_credentials")
        if answer.is_error:
            raise UnavailableError(f"{self._url} answers {answer.status_code}: {answer.text[:200]}")
        return answer
