"""Clients that live through faults: they turn to another replica, repeat what may be repeated, and note every answer."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from typing import Any

import httpx

TIMEOUT_SECONDS = 10.0
PAUSE_SECONDS = 0.03
EXPECTED = frozenset({200, 201, 204, 503})
"""What may be answered while something is broken; anything else is a finding."""


class Outside:
    """One caller, of all replicas in turn."""

    def __init__(
        self, urls: list[str], headers: dict[str, str], first: int, unexpected: list[str], *, buffer_bytes: int = 0
    ) -> None:
        """`first` is the replica that is asked first; what should never be answered is put on `unexpected`.

        `buffer_bytes` bounds what a connection holds of an answer that is not read; 0 leaves it to the system.
        """
        self._unexpected = unexpected
        options = [(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)] if buffer_bytes else []
        self._clients = [
            httpx.AsyncClient(
                base_url=url,
                headers=headers,
                timeout=TIMEOUT_SECONDS,
                transport=httpx.AsyncHTTPTransport(verify=False, socket_options=options),
            )
            for url in urls
        ]
        self._turn = first % len(urls)

    async def try_once(self, method: str, path: str, **request: Any) -> httpx.Response | None:
        """Ask once: the answer if it is a good one, else None, and the next call goes elsewhere."""
        answer: httpx.Response | None = None
        with contextlib.suppress(httpx.HTTPError):
            answer = await self._clients[self._turn].request(method, path, **request)
        if answer is not None and answer.is_success:
            return answer
        if answer is not None and answer.status_code not in EXPECTED:
            self._unexpected.append(
                f"{method} {path.rsplit('/', maxsplit=1)[-1]}: {answer.status_code} {answer.text[:200]}"
            )
        self._move_on()
        return None

    async def insist(self, method: str, path: str, **request: Any) -> Any:
        """Ask until somebody gives a good answer; its JSON."""
        while (answer := await self.try_once(method, path, **request)) is None:  # noqa: ASYNC110 - every try is a call
            await asyncio.sleep(PAUSE_SECONDS)
        return answer.json() if answer.content else None

    @contextlib.asynccontextmanager
    async def stream(self, path: str, last_event_id: int) -> AsyncGenerator[httpx.Response]:
        """Open a stream; the next one is asked for elsewhere."""
        headers = {"Last-Event-ID": str(last_event_id)}
        client = self._clients[self._turn]
        self._move_on()
        async with client.stream("GET", path, headers=headers, timeout=httpx.Timeout(5, read=30)) as response:
            response.raise_for_status()
            yield response

    def _move_on(self) -> None:
        self._turn = (self._turn + 1) % len(self._clients)

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            await client.aclose()
