"""A key vault on loopback: the part of Azure Key Vault's REST interface that concerns secrets, over TLS."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import uuid4

from azure.keyvault.secrets.aio import SecretClient
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.support.credentials import TOKEN, GivenToken
from tests.support.servers import LOOPBACK, Receive, Scope, Send, eventually, read_request, send_json, serve

from workbench.adapters.keys.vault import make_vault_client

CHALLENGE = 'Bearer authorization="https://login.microsoftonline.com/tenant", resource="https://vault.azure.net"'


@cache
def certificate_text() -> bytes:
    """A key and its certificate for loopback, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)


@dataclass
class KeyVault:
    """Secrets with their versions, soft delete and purge; it fails as it is told."""

    url: str = ""
    certificate: Path = Path()
    secrets: dict[str, list[str]] = field(default_factory=dict)
    deleted: dict[str, list[str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)  # those with a token, as `METHOD /path`
    failures: list[int] = field(default_factory=list)  # statuses of the next answers
    is_down: bool = False
    held: bool = False
    soft_delete: bool = True
    purge_allowed: bool = True

    def client(self, credential: GivenToken | None = None, **options: Any) -> SecretClient:
        """The real client, which trusts this vault, and does not wait before it asks again."""
        ours = {
            "connection_verify": str(self.certificate),
            "retry_backoff_factor": 0,
            "verify_challenge_resource": False,
        }
        return make_vault_client(self.url, credential or GivenToken(), **{**ours, **options})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = await read_request(scope, receive)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            await self._refuse(send)
            return
        self.requests.append(f"{request.method} {request.path.rstrip('/')}")
        await eventually(lambda: not self.held, timeout_seconds=30)
        if self.is_down or self.failures:
            status = self.failures.pop(0) if self.failures else 503
            await send_json(send, status, fault("Failed", f"{request.body!r}"))
            return
        await send_json(send, *self._answer(request.method, request.path.rstrip("/"), request.json))

    async def _refuse(self, send: Send) -> None:
        headers = [(b"www-authenticate", CHALLENGE.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        found = re.fullmatch(r"/(secrets|deletedsecrets)/([0-9a-zA-Z-]{1,127})(/recover)?", path)
        if found is None:
            return 400, fault("BadParameter", path)
        folder, name, act = found[1], found[2].lower(), found[3] or ""
        answers = {
            "GET secrets": self._get,
            "PUT secrets": lambda name: self._put(name, body["value"]),
            "DELETE secrets": self._delete,
            "GET deletedsecrets": self._get_deleted,
            "DELETE deletedsecrets": self._purge,
            "POST deletedsecrets/recover": self._recover,
        }
        return answers[f"{method} {folder}{act}"](name)

    def _get(self, name: str) -> tuple[int, Any]:
        return (200, self._bundle(name)) if name in self.secrets else (404, fault("SecretNotFound", name))

    def _put(self, name: str, value: str) -> tuple[int, Any]:
        if name in self.deleted:
            return 409, fault("Conflict", "ObjectIsDeletedButRecoverable")
        self.secrets.setdefault(name, []).append(value)
        return 200, self._bundle(name)

    def _delete(self, name: str) -> tuple[int, Any]:
        if name not in self.secrets:
            return 404, fault("SecretNotFound", name)
        bundle = self._bundle(name)
        versions = self.secrets.pop(name)
        if not self.soft_delete:
            return 200, bundle
        self.deleted[name] = versions
        return 200, self._deleted_bundle(name)

    def _get_deleted(self, name: str) -> tuple[int, Any]:
        return (200, self._deleted_bundle(name)) if name in self.deleted else (404, fault("SecretNotFound", name))

    def _purge(self, name: str) -> tuple[int, Any]:
        if not self.purge_allowed:
            return 403, fault("Forbidden", "purge protection")
        del self.deleted[name]
        return 204, None

    def _recover(self, name: str) -> tuple[int, Any]:
        self.secrets[name] = self.deleted.pop(name)
        return 200, self._bundle(name)

    def _bundle(self, name: str) -> dict[str, Any]:
        place = f"{self.url}/secrets/{name}/{uuid4().hex}"
        return {"value": self.secrets[name][-1], "id": place, "attributes": {"enabled": True}}

    def _deleted_bundle(self, name: str) -> dict[str, Any]:
        moment = int(datetime.now(UTC).timestamp())
        return {
            "id": f"{self.url}/secrets/{name}/{uuid4().hex}",
            "recoveryId": f"{self.url}/deletedsecrets/{name}",
            "deletedDate": moment,
            "scheduledPurgeDate": moment + 86400,
            "attributes": {"enabled": True},
        }


def fault(code: str, message: str) -> dict[str, Any]:
    """An error as the vault words it."""
    return {"error": {"code": code, "message": message}}


@asynccontextmanager
async def key_vault(folder: Path) -> AsyncGenerator[KeyVault]:
    """Run a vault; when the block ends it is down."""
    vault = KeyVault(certificate=folder / "vault.pem")
    vault.certificate.write_bytes(certificate_text())
    async with serve(vault, certificate=vault.certificate) as url:
        vault.url = url
        yield vault
