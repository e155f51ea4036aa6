"""Ticket systems as they are said to behave, as real servers: a ConnectWise, and somebody who listens for webhooks."""

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal

from tests.support.servers import (
    Receive,
    ReceivedRequest,
    Scope,
    Send,
    close_connection,
    read_request,
    send_json,
    send_response,
    serve,
)

COMPANY, PUBLIC, PRIVATE, CLIENT = "acme", "public-key", "private-key", "client-1"
WEBHOOK_KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_KEY = "whsec_" + base64.b64encode(bytes(range(32))).decode()

Fault = int | Literal["cut", "cut_before", "hang", "nonsense"] | tuple[int, dict[str, str]]
"""What becomes of a request: a status, one with headers, or a connection that is cut after or before all is done, or held."""


class TicketServer:
    """What both have: requests as they came, and what is to go wrong with the next ones."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[ReceivedRequest] = []
        self.faults: list[Fault | None] = []
        """What goes wrong with the next notes, one after the other."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        request = await read_request(scope, receive)
        self.requests.append(request)
        await self.answer(request, receive, send)

    async def answer(self, request: ReceivedRequest, receive: Receive, send: Send) -> None:
        raise NotImplementedError

    async def go_wrong(self, fault: Fault, receive: Receive, send: Send) -> None:
        """Answer as the fault has it."""
        if fault in ("cut", "cut_before"):
            await close_connection(receive)
        elif fault == "hang":
            while (await receive())["type"] != "http.disconnect":
                pass
        elif fault == "nonsense":
            await send_response(send, 201, b"<html>")
        else:
            status, headers = fault if isinstance(fault, tuple) else (fault, {})
            await send_response(send, status, b'{"code":"Busy","message":"secret text","errors":[]}', headers)  # type: ignore[arg-type]


class ConnectWiseServer(TicketServer):
    """A company's ConnectWise with the ticket 4711.

    Wrong keys are answered with 404, as the cloud is said to; another codebase than today's is not there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.codebase = "v2022_1/"
        self.keys = (PUBLIC, PRIVATE)
        self.wrong_keys_status = 404
        self.notes: list[dict[str, Any]] = []

    @property
    def config(self) -> dict[str, Any]:
        """How it is connected."""
        return {"site": self.url, "company_id": COMPANY, "client_id": CLIENT}

    @property
    def paths(self) -> list[str]:
        """Where was asked for what."""
        return [f"{request.method} {request.path}" for request in self.requests]

    async def answer(self, request: ReceivedRequest, receive: Receive, send: Send) -> None:
        if request.path.startswith("/login/companyinfo/"):
            known = request.path.endswith(f"/{COMPANY}")
            await send_json(send, 200, {"Codebase": self.codebase} if known else None)
            return
        base = f"/{self.codebase}apis/3.0"
        if not request.path.startswith(base):
            await send_json(send, 404, {"code": "NotFound", "message": "no such codebase", "errors": []})
        elif not self._is_known(request):
            await send_json(send, self.wrong_keys_status, {"code": "NotFound", "message": "no", "errors": []})
        else:
            await self._serve(request, request.path.removeprefix(base), receive, send)

    def _is_known(self, request: ReceivedRequest) -> bool:
        user, _, password = (
            base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic ")).decode().partition(":")
        )
        return (user, password) == (f"{COMPANY}+{self.keys[0]}", self.keys[1]) and request.headers.get(
            "clientid"
        ) == CLIENT

    async def _serve(self, request: ReceivedRequest, path: str, receive: Receive, send: Send) -> None:
        match request.method, path:
            case "GET", "/system/info":
                await send_json(send, 200, {"version": "v2022.1"})
            case "GET", "/service/tickets/4711":
                named = {"status": {"name": "New"}, "board": {"name": "Desk"}, "company": {"name": "Acme"}}
                await send_json(send, 200, {"id": 4711, "summary": "Printer", "closedFlag": False, **named})
            case "GET", "/service/tickets/4711/notes":
                newest = sorted(self.notes, key=lambda note: -note["id"])
                await send_json(send, 200, newest[: int(request.query.get("pageSize", "25"))])
            case "POST", "/service/tickets/4711/notes":
                await self._note(request, receive, send)
            case _:
                await send_json(send, 404, {"code": "NotFound", "message": "no such thing", "errors": []})

    async def _note(self, request: ReceivedRequest, receive: Receive, send: Send) -> None:
        fault = self.faults.pop(0) if self.faults else None
        note = {"id": len(self.notes) + 1, **request.json}
        if fault in (None, "cut", "hang", "nonsense", 500, 504):
            self.notes.append(note)
        if fault is None:
            await send_json(send, 201, note)
        else:
            await self.go_wrong(fault, receive, send)


class WebhookServer(TicketServer):
    """Somebody who listens, and takes each id once."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: dict[str, dict[str, Any]] = {}

    async def answer(self, request: ReceivedRequest, receive: Receive, send: Send) -> None:
        fault = self.faults.pop(0) if self.faults else None
        if fault in (None, "cut", "hang", 500):
            self.notes.setdefault(request.headers["webhook-id"], json.loads(request.body))
        if fault is None:
            await send_response(send, 204)
        else:
            await self.go_wrong(fault, receive, send)


@asynccontextmanager
async def connectwise() -> AsyncGenerator[ConnectWiseServer]:
    """Run one."""
    server = ConnectWiseServer()
    async with serve(server) as server.url:
        yield server


@asynccontextmanager
async def listener() -> AsyncGenerator[WebhookServer]:
    """Run one."""
    server = WebhookServer()
    async with serve(server) as server.url:
        yield server
