"""Notes as signed webhooks, by the Standard Webhooks specification: whoever listens has a bridge to its own system.

The signature is four lines of the standard library; the library that publishes the specification brings five packages.
"""

import base64
import binascii
import hashlib
import hmac
from http import HTTPStatus
from typing import Any
from uuid import UUID

import msgspec

from workbench.adapters.tickets.calls import TicketHttp
from workbench.domain.errors import InvalidError
from workbench.domain.ids import new_id
from workbench.domain.tickets.model import Note, TicketSystemError, WebhookConfig, WebhookSecret
from workbench.domain.tickets.ports import TicketSystem

PREFIX = "whsec_"
KEY_BYTES = range(24, 65)


def signature(keys: tuple[str, ...], webhook_id: str, timestamp: int, body: bytes) -> str:
    """The header's value: one signature for each key."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    made = (base64.b64encode(hmac.digest(key_bytes(key), signed, hashlib.sha256)).decode() for key in keys)
    return " ".join(f"v1,{each}" for each in made)


def key_bytes(key: str) -> bytes:
    """The key itself. Raises InvalidError naming `secret` for what is none."""
    try:
        found = base64.b64decode(key.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) not in KEY_BYTES:
        raise InvalidError(
            "secret: a key is whsec_ and 24 to 64 bytes in base64", code="validation_error", field="secret"
        )
    return found


class Webhook(TicketSystem):
    """Whoever listens at a URL."""

    def __init__(self, http: TicketHttp, workspace_id: str, config: WebhookConfig, secret: WebhookSecret) -> None:
        self._http = http
        self._workspace_id = workspace_id
        self._url = config.url
        self._keys = secret.keys

    async def verify(self) -> None:
        """Send an event that says nothing, signed as notes are."""
        probe = new_id()
        told = {"type": "connection.test", "id": str(probe), "workspace": self._workspace_id}
        await self._send(probe, {**told, "occurred_at": self._http.now()})

    async def get_ticket(self, ticket_id: str) -> dict[str, Any] | None:  # noqa: ARG002 - the port's
        """Nobody can be asked."""
        return None

    async def post_note(self, note: Note) -> str | None:
        """Send it; whoever listens sees by the id whether it came before."""
        told = {
            "type": "session.note",
            "id": str(note.push_id),
            "workspace": note.workspace_id,
            "session_id": str(note.session_id),
            "ticket_id": note.ticket_id,
            "kind": note.kind,
            "visibility": note.visibility,
            "body": note.body,
            "occurred_at": note.occurred_at,
        }
        await self._send(note.push_id, told)
        return None

    async def find_note(self, ticket_id: str, marker: str) -> str | None:  # noqa: ARG002 - the port's
        """Nobody can be asked, and nobody need be: what comes twice is told by its id."""
        return None

    async def _send(self, webhook_id: UUID, told: dict[str, Any]) -> None:
        body, timestamp = msgspec.json.encode(told), int(self._http.now().timestamp())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": str(webhook_id),
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._keys, str(webhook_id), timestamp, body),
        }
        answer = await self._http.call("POST", self._url, limit_bytes=0, content=body, headers=headers)
        if answer.status == HTTPStatus.GONE:
            raise TicketSystemError("gone", http_status=answer.status)
        if not answer.is_success:
            raise answer.failure(self._http.now())
