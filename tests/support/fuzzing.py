"""Schemathesis against the running service: a world whose ids it may use, and a caller in whose name it asks.

What it removes is made anew before its next request, so that it does not run out of things to meet.
"""

import json
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import schemathesis
from schemathesis.cli import schemathesis as command
from tests.support.service import Service

CONFIG = Path(__file__).parents[1] / "fuzz" / "schemathesis.toml"
CALLERS = ("user", "assistant", "service")
STREAMS = ("stream_conversation_events", "stream_user_events")
"""Their answers have no end to wait for; what they answer instead of a stream is tried by the table of routes."""


class World:
    """Somebody's conversation with all that a request can name, as of now."""

    def __init__(self, service: Service, assistant_service_id: str, assistant_service_url: str) -> None:
        self._names = {"service": assistant_service_id, "url": assistant_service_url, "state": "notes"}
        self._names |= {"user": "ann", "owner": "ann", "participant": "me", "filename": "notes/kept.txt"}
        self._as_service = {"X-Assistant-Service-ID": assistant_service_id, "X-API-Key": ""}
        self._owner = {"Authorization": f"Bearer {service.token('ann')}"}
        self._client = httpx.Client(base_url=service.url, headers=self._owner, timeout=20)
        self._is_whole = False

    def headers_of(self, caller: str) -> dict[str, str]:
        """How a kind of caller shows who they are."""
        if caller == "user":
            return self._owner
        return self._as_service if caller == "service" else {**self._as_service, "X-Assistant-ID": self._names["assistant"]}

    def now(self) -> dict[str, str]:
        """What there is, by its stand-in."""
        if not self._is_whole:
            self._make()
        stand_ins = tomllib.loads(CONFIG.read_text(encoding="utf-8"))["dictionaries"]
        return {entry["values"][0]: self._names[name] for name, entry in stand_ins.items()}

    def may_have_changed(self) -> None:
        """Something was removed, or somebody left."""
        self._is_whole = False

    def _make(self) -> None:
        heartbeat = {"name": "Recorder", "description": "", "url": self._names["url"], "online_expires_in_seconds": 600}
        self._send("PUT", f"/assistant-service-registrations/{self._names['service']}", heartbeat, self._as_service)
        new = {"assistant_service_id": self._names["service"], "name": "Recorder"}
        self._names["assistant"] = self._send("POST", "/assistants", new)["id"]
        self._names["conversation"] = self._send("POST", "/conversations", {})["id"]
        path = f"/conversations/{self._names['conversation']}"
        self._send("PUT", f"{path}/participants/{self._names['assistant']}", {})
        message = {"content": "hello", "debug_data": {"why": "because"}}
        self._names["message"] = self._send("POST", f"{path}/messages", message)["id"]
        files = {"files": (self._names["filename"], b"kept", "text/plain")}
        self._client.put(f"{path}/files", files=files).raise_for_status()
        share = {"conversation_id": self._names["conversation"], "label": "", "conversation_permission": "read"}
        self._names["share"] = self._send("POST", "/conversation-shares", share)["id"]
        self._names["letter"] = str(uuid4())
        self._is_whole = True

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        return self._client.request(method, path, json=body, headers=headers).raise_for_status().json()

    def close(self) -> None:
        self._client.close()


@contextmanager
def _asking_as(world: World, caller: str) -> Generator[None]:
    """Let Schemathesis ask as a caller, of what there is."""

    @schemathesis.hook
    def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
        there = world.now()
        case.path_parameters = _told(case.path_parameters, there)
        case.query = _told(case.query, there)
        case.body = _told(case.body, there)
        case.headers.update(world.headers_of(caller))

    @schemathesis.hook
    def after_call(
        context: schemathesis.HookContext, case: schemathesis.Case, response: schemathesis.Response
    ) -> None:
        takes_away = case.method == "DELETE" or "/participants/" in case.path or "registrations" in case.path
        if takes_away and response.status_code < 300:
            world.may_have_changed()

    try:
        yield
    finally:
        schemathesis.hooks.unregister_all()


def _told(value: Any, there: dict[str, str]) -> Any:
    """The same with what there is in place of its stand-ins."""
    if isinstance(value, str):
        return there.get(value, value)
    if isinstance(value, dict):
        return {name: _told(member, there) for name, member in value.items()}
    if isinstance(value, list):
        return [_told(member, there) for member in value]
    return value


def fuzz(world: World, url: str, caller: str, *options: str) -> int:
    """Ask as that caller, by the options of `schemathesis run`; its exit code, which is 0 if all is well."""
    left_out = [word for stream in STREAMS for word in ("--exclude-operation-id", stream)]
    words = ["--config-file", str(CONFIG), "run", f"{url}/openapi.json", *left_out, "--no-color", *options]
    with _asking_as(world, caller):
        try:
            command.main(args=words, standalone_mode=False)
        except SystemExit as ended:
            return int(ended.code or 0)
    return 0
