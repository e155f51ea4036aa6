"""Schemathesis against a running service: a world whose names it may use, and a caller in whose name it asks."""

import re
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import schemathesis
from schemathesis.cli import schemathesis as command
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import status

CONFIG = Path(__file__).parents[1] / "fuzz" / "schemathesis.toml"
STAND_INS = {
    entry["values"][0]: name
    for name, entry in tomllib.loads(CONFIG.read_text(encoding="utf-8"))["dictionaries"].items()
}
CALLERS = {"user": 0.6, "assistant": 0.25, "service": 0.15}
"""Who asks, and their share of the time: most routes are for users."""
STREAMS = ("stream_conversation_events", "stream_user_events")
"""Their answers have no end to wait for; what they answer instead of a stream is tried by the table of routes."""

_HOST = re.compile(r"^(https?://)[^/?#\\]*", re.IGNORECASE)


class World:
    """A user's conversation with all that a request can name. What a request takes away is made anew before the next."""

    def __init__(self, url: str, token: str, assistants: RecordingAssistantService) -> None:
        """`assistants` is running; it refuses events from now on, so that there are dead letters."""
        assistants.answer(Kind.EVENT, then=status(400, "not wanted"))
        self._names = {"service": assistants.service_id, "url": assistants.url, "state": "notes"}
        self._names |= {"user": "ann", "owner": "ann", "participant": "me", "filename": "notes/kept.txt"}
        self._names["playbook"] = "printer-offline"
        self._as_service = {"X-Assistant-Service-ID": assistants.service_id, "X-API-Key": assistants.api_key}
        self._as_user = {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(base_url=url, headers=self._as_user, timeout=20)
        self._is_whole = False

    def headers_of(self, caller: str) -> dict[str, str]:
        """How a kind of caller shows who they are."""
        as_assistant = {**self._as_service, "X-Assistant-ID": self._names["assistant"]}
        return {"user": self._as_user, "service": self._as_service, "assistant": as_assistant}[caller]

    def prepare(self, case: schemathesis.Case, caller: str) -> None:
        """Put what there is in the place of its stand-ins, and the caller's credentials beside it."""
        if not self._is_whole:
            self._make()
        if "dead-letters" in case.path:
            self._find_letter()
        case.path_parameters = self._told(case.path_parameters)
        case.query = self._told(case.query)
        case.body = self._told(case.body)
        if isinstance(case.body, dict) and isinstance(url := case.body.get("url"), str):
            # A service that announces itself elsewhere would have ours call strangers.
            case.body["url"] = _HOST.sub(self._names["url"], url)
        case.headers.update(self.headers_of(caller))

    def heed(self, case: schemathesis.Case, response: schemathesis.Response) -> None:
        """See whether something is gone, or somebody."""
        takes_away = case.method == "DELETE" or "/participants/" in case.path or "registrations" in case.path
        takes_away |= case.path.endswith(("/resolve", "/abandon"))
        if takes_away and "dead-letters" not in case.path and response.status_code < 300:
            self._is_whole = False

    def close(self) -> None:
        """Close its connection."""
        self._client.close()

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
        reported = {"intake_content": {"text": "It does not print"}, "start_mode": "manual"}
        session = self._send("POST", "/ai-sessions", reported)
        self._names |= {"session": session["session_id"], "step": session["first_step"]["step_id"]}
        share = {"conversation_id": self._names["conversation"], "label": "", "conversation_permission": "read"}
        self._names["share"] = self._send("POST", "/conversation-shares", share)["id"]
        self._is_whole = True

    def _find_letter(self) -> None:
        letters = self._send("GET", f"/assistants/{self._names['assistant']}/delivery/dead-letters")["dead_letters"]
        self._names["letter"] = letters[0]["id"] if letters else str(uuid4())

    def _send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        return self._client.request(method, path, json=body, headers=headers).raise_for_status().json()

    def _told(self, value: Any) -> Any:
        """The same with names in place of their stand-ins."""
        if isinstance(value, str):
            return self._names[STAND_INS[value]] if value in STAND_INS else value
        if isinstance(value, dict):
            return {name: self._told(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self._told(member) for member in value]
        return value


@contextmanager
def _asking_as(world: World, caller: str) -> Generator[None]:
    """Let Schemathesis ask as a caller, of what there is."""

    @schemathesis.hook
    def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
        world.prepare(case, caller)

    @schemathesis.hook
    def after_call(context: schemathesis.HookContext, case: schemathesis.Case, response: schemathesis.Response) -> None:
        world.heed(case, response)

    try:
        yield
    finally:
        schemathesis.hooks.unregister_all()


def fuzz(world: World, caller: str, document: str, *options: str) -> bool:
    """Ask as that caller what the document, a URL or a file, says of; whether all was as it says.

    `options` are those of `schemathesis run`.
    """
    left_out = [word for stream in STREAMS for word in ("--exclude-operation-id", stream)]
    words = ["--config-file", str(CONFIG), "run", document, *left_out, "--no-color", *options]
    with _asking_as(world, caller):
        try:
            code = command.main(args=words, standalone_mode=False)
        except SystemExit as ended:
            code = ended.code
    return not code
