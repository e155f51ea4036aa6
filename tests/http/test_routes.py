"""Every route, walked by every kind of caller from one table; a route that is not in the table fails."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar.routes import HTTPRoute
from tests.support.assistants import RecordingAssistantService
from tests.support.databases import open_store
from tests.support.service import Service, running_service

from workbench.domain.delivery.model import DeadLetter
from workbench.entrypoints.http.app import create_app
from workbench.entrypoints.http.routing import RouteHandler
from workbench.wiring.settings import Settings

CALLERS = (
    "nobody",
    "owner",
    "observer",
    "stranger",
    "neighbour",
    "removed",
    "service",
    "assistant",
    "outsider",
    "thief",
)
"""neighbour: a user of another workspace. outsider: an assistant that is not in the conversation. thief: a service that
names another service's assistant as its own."""


@dataclass(frozen=True)
class Row:
    """One route and what each kind of caller gets, in the order of CALLERS."""

    method: str
    path: str
    expected: tuple[int, ...]
    body: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def row(method: str, path: str, expected: str, body: Any = None) -> Row:
    return Row(method, path, tuple(map(int, expected.split())), body)


HEARTBEAT = {"name": "n", "description": "d", "url": "{url}", "online_expires_in_seconds": 60}
REGISTRATION = {"assistant_service_id": "{fresh}", "name": "n", "description": "d"}

REGISTRATIONS = "/assistant-service-registrations"
STATES = "/assistants/{assistant}/conversations/{conversation}/states"
DELIVERY = "/assistants/{assistant}/delivery"
FILES = "/conversations/{conversation}/files"
UPLOAD = {"files": ("kept.txt", b"kept")}
"""A body that is sent as a form, not as JSON."""
SHARE = {"conversation_id": "{conversation}", "label": "", "conversation_permission": "read"}
STATE_EVENT = {"state_id": "notes", "event": "updated", "state": None}

TURNS = "/conversations/{conversation}/turns"
TURN = {"turn_id": "t1", "assistant_id": "{assistant}", "input": {"content": "hello"}}
BATCH = {"epoch": 1, "batch": 1, "events": []}
ENDING = {"epoch": 1, "outcome": "completed"}
ACTIVE_TURN = "/conversations/{conversation}/active-turn/stream"

SESSION = "/ai-sessions/{session}"
NEW_SESSION = {"intake_content": {"text": "It does not work"}, "start_mode": "manual"}
STEP_ANSWER = {"step_id": "{step}", "free_text": "Switched it off and on"}
SOLVED = {"resolution_summary": "It works again", "resolution_action": "fixed"}
PLAYBOOK = "/playbooks/printer-offline"
TICKET_SYSTEM = {
    "kind": "webhook",
    "name": "Hook",
    "config": {"url": "https://127.0.0.1:9/"},
    "secret": {"keys": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]},
}
CONNECTION = "/psa-connections/{connection}"
TICKET = {"psa_ticket_id": "4711", "psa_connection_id": "{connection}"}

#   nobody owner observer stranger neighbour removed service assistant outsider thief
TABLE = [
    row("GET", "/", "200 200 200 200 200 200 200 200 200 200"),
    row("GET", "/livez", "200 200 200 200 200 200 200 200 200 200"),
    row("GET", "/readyz", "200 200 200 200 200 200 200 200 200 200"),
    row("GET", "/metrics", "200 200 200 200 200 200 200 200 200 200"),
    row("GET", "/openapi.json", "200 200 200 200 200 200 200 200 200 200"),
    row("GET", "/users?id=ann", "401 200 200 200 200 200 200 200 200 401"),
    row("GET", "/users/me", "401 200 200 200 200 200 401 401 401 401"),
    row("PUT", "/users/me", "401 200 200 200 200 200 401 401 401 401", {}),
    row("GET", "/azure-speech/token", "401 200 200 200 200 200 401 401 401 401"),
    row("POST", "/assistant-service-registrations", "401 200 200 200 200 200 401 401 401 401", REGISTRATION),
    row("PUT", "/assistant-service-registrations/{service}", "401 401 401 401 401 401 200 200 200 401", HEARTBEAT),
    row("PUT", "/assistant-service-registrations/other.example", "401 401 401 401 401 401 403 403 403 401", HEARTBEAT),
    row("POST", "/assistants", "401 400 400 400 400 400 401 401 401 401", {"assistant_service_id": "no", "name": "n"}),
    row("GET", "/assistants/{assistant}", "401 200 200 404 404 404 401 401 401 401"),
    row("GET", REGISTRATIONS, "401 200 200 200 200 200 401 401 401 401"),
    row("GET", f"{REGISTRATIONS}/{{service}}", "401 200 200 200 404 200 401 401 401 401"),
    row("PATCH", f"{REGISTRATIONS}/{{service}}", "401 200 200 200 404 200 401 401 401 401", {}),
    row("POST", f"{REGISTRATIONS}/{{service}}/api-key", "401 200 200 200 404 200 401 401 401 401"),
    row("DELETE", f"{REGISTRATIONS}/{{service}}", "401 404 404 404 404 404 401 401 401 401"),
    row("GET", "/assistant-services", "401 200 200 200 200 200 200 200 200 401"),
    row("GET", "/assistant-services/{service}", "401 200 200 200 404 200 401 401 401 401"),
    row("GET", "/assistants", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", "/assistants?conversation_id={conversation}", "401 200 200 404 404 404 401 401 401 401"),
    row("PATCH", "/assistants/{assistant}", "401 200 404 404 404 404 401 401 401 401", {}),
    row("GET", "/assistants/{assistant}/config", "401 200 404 404 404 404 401 401 401 401"),
    row("PUT", "/assistants/{assistant}/config", "401 200 404 404 404 404 401 401 401 401", {"config": {}}),
    row("GET", "/assistants/{assistant}/conversations", "401 200 404 404 404 404 401 401 401 401"),
    row("GET", STATES, "401 200 200 404 404 404 401 401 401 401"),
    row("GET", f"{STATES}/notes", "401 200 200 404 404 404 401 401 401 401"),
    row("PUT", f"{STATES}/notes", "401 200 404 404 404 404 401 401 401 401", {"data": {}}),
    row("POST", "/assistants/{assistant}/states/events", "401 401 401 401 401 401 401 204 404 401", STATE_EVENT),
    row("GET", DELIVERY, "401 200 404 404 404 404 401 401 401 401"),
    row("GET", f"{DELIVERY}/dead-letters", "401 200 404 404 404 404 401 401 401 401"),
    row("POST", f"{DELIVERY}/dead-letters/{{letter}}/replay", "401 204 404 404 404 404 401 401 401 401"),
    row("DELETE", f"{DELIVERY}/dead-letters/{{dropped}}", "401 204 404 404 404 404 401 401 401 401"),
    row("POST", f"{DELIVERY}/dead-letters/replay", "401 200 404 404 404 404 401 401 401 401"),
    row("POST", "/conversations", "401 200 200 200 200 200 401 401 401 401", {}),
    row("GET", "/conversations", "401 200 200 200 200 200 401 200 200 401"),
    row("GET", "/conversations/{conversation}", "401 200 200 404 404 404 401 200 404 401"),
    row("PATCH", "/conversations/{conversation}", "401 200 404 404 404 404 401 200 404 401", {}),
    row("GET", "/conversations/{conversation}/retention", "401 200 404 404 404 404 401 401 401 401"),
    row("PUT", "/conversations/{conversation}/retention", "401 200 404 404 404 404 401 401 401 401", {}),
    row("GET", "/conversations/{conversation}/usage", "401 200 403 404 404 404 401 401 401 401"),
    row("GET", "/usage", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", "/usage/totals?group_by=day", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", "/workspace/choices", "401 200 200 200 200 200 401 401 401 401"),
    row("PATCH", "/workspace/choices", "401 403 403 403 403 403 401 401 401 401", {}),
    row("GET", "/budgets/me", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", "/budgets", "401 403 403 403 403 403 401 401 401 401"),
    row("GET", "/budgets/user/ann", "401 403 403 403 403 403 401 401 401 401"),
    row("PUT", "/budgets/user/ann", "401 403 403 403 403 403 401 401 401 401", {"limits": []}),
    row("DELETE", "/budgets/user/ann", "401 403 403 403 403 403 401 401 401 401"),
    row("GET", "/conversations/{conversation}/participants", "401 200 200 404 404 404 401 200 404 401"),
    row("GET", "/conversations/{conversation}/participants/ann", "401 200 200 404 404 404 401 200 404 401"),
    row("PUT", "/conversations/{conversation}/participants/me", "401 200 200 404 404 404 401 200 404 401", {}),
    row("PATCH", "/conversations/{conversation}/participants/me", "401 200 200 404 404 404 401 200 404 401", {}),
    row("PUT", "/conversations/{conversation}/participants/bea", "401 403 403 403 403 403 401 403 403 401", {}),
    row("PUT", "/conversations/{conversation}/participants/{assistant}", "401 200 404 404 404 404 401 200 403 401", {}),
    row("POST", "/conversations/{conversation}", "401 200 404 404 404 404 401 200 404 401", {}),
    row("POST", "/conversations/import", "401 422 422 422 422 422 401 401 401 401"),
    row("GET", "/conversations/export?id={conversation}", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", "/assistants/{assistant}/export", "401 200 404 404 404 404 401 401 401 401"),
    row("POST", "/conversation-shares", "401 200 400 400 400 400 401 401 401 401", SHARE),
    row("POST", "/conversation-shares/ann", "401 401 401 401 401 401 401 200 400 401", SHARE),
    row("GET", "/conversation-shares", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", "/conversation-shares/{share}", "401 200 404 404 404 404 401 401 401 401"),
    row("GET", "/conversation-shares/{share}/redemptions", "401 200 200 200 200 200 401 401 401 401"),
    row("POST", "/conversation-shares/{share}/redemptions", "401 404 404 404 404 404 401 401 401 401"),
    row("GET", "/conversation-share-redemptions", "401 200 200 200 200 200 401 401 401 401"),
    row("DELETE", "/conversation-shares/{share}", "401 204 404 404 404 404 401 401 401 401"),
    row("PUT", FILES, "401 200 404 404 404 404 401 200 404 401", UPLOAD),
    row("GET", FILES, "401 200 200 404 404 404 401 200 404 401"),
    row("GET", f"{FILES}/kept.txt", "401 200 200 404 404 404 401 200 404 401"),
    row("GET", f"{FILES}/kept.txt/versions", "401 200 200 404 404 404 401 200 404 401"),
    row("PATCH", f"{FILES}/kept.txt", "401 200 404 404 404 404 401 200 404 401", {"metadata": {}}),
    row("DELETE", f"{FILES}/kept.txt", "401 204 404 404 404 404 401 204 404 401"),
    row("GET", "/conversations/{conversation}/messages", "401 200 200 404 404 404 401 200 404 401"),
    row("POST", "/conversations/{conversation}/messages", "401 200 404 404 404 404 401 200 404 401", {"content": "x"}),
    row("GET", "/conversations/{conversation}/messages/{message}", "401 200 200 404 404 404 401 200 404 401"),
    row(
        "GET", "/conversations/{conversation}/messages/{message}/debug_data", "401 200 200 404 404 404 401 200 404 401"
    ),
    row("GET", "/conversations/{conversation}/events", "401 200 200 404 404 404 401 200 404 401"),
    row("GET", "/events", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", "/workspace/events", "401 200 200 200 200 200 401 401 401 401"),
    row("POST", TURNS, "401 409 403 404 404 404 401 201 404 401", TURN),
    row("GET", TURNS, "401 200 200 404 404 404 401 200 404 401"),
    row("GET", f"{TURNS}/t1", "401 200 200 404 404 404 401 200 404 401"),
    row("POST", f"{TURNS}/t1/retry", "401 409 403 404 404 404 401 409 404 401"),
    row("PUT", f"{TURNS}/t1/lease", "401 403 403 404 404 404 200 200 404 401", {"producer_id": "p"}),
    row("POST", f"{TURNS}/t1/events", "401 403 403 404 404 404 200 200 404 401", BATCH),
    row("GET", f"{TURNS}/t1/usage", "401 200 200 404 404 404 401 200 404 401"),
    row("POST", f"{TURNS}/t1/cancel", "401 202 403 404 404 404 401 202 404 401", {}),
    row("GET", ACTIVE_TURN, "401 200 200 404 404 404 401 200 404 401"),
    row("POST", f"{TURNS}/t1/finalize", "401 403 403 404 404 404 200 200 404 401", ENDING),
    row("GET", f"{TURNS}/t1/stream", "401 200 200 404 404 404 401 200 404 401"),
    row("POST", "/playbooks/validate", "401 200 200 200 200 200 401 401 401 401"),
    row("POST", "/playbooks/import", "401 422 422 422 422 422 401 401 401 401"),
    row("POST", "/playbooks/match", "401 200 200 200 200 200 401 401 401 401", {"text": "It does not print"}),
    row("GET", "/playbooks", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", PLAYBOOK, "401 200 200 200 200 200 401 401 401 401"),
    row("GET", f"{PLAYBOOK}/versions/0", "401 200 200 200 200 200 401 401 401 401"),
    row("POST", f"{PLAYBOOK}/publish", "401 200 200 200 200 200 401 401 401 401", {}),
    row("POST", f"{PLAYBOOK}/archive", "401 200 200 200 200 200 401 401 401 401"),
    row("POST", "/ai-sessions", "401 201 201 201 201 201 401 401 401 401", NEW_SESSION),
    row("GET", "/ai-sessions", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", "/ai-sessions/escalation-queue", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", "/ai-sessions/quota", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", "/ai-sessions/search?q=work", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", f"{SESSION}/similar", "401 200 404 404 404 404 401 401 401 401"),
    row("GET", SESSION, "401 200 404 404 404 404 401 401 401 401"),
    row("GET", f"{SESSION}/documentation", "401 200 404 404 404 404 401 401 401 401"),
    row("GET", f"{SESSION}/documentation/stream", "401 200 404 404 404 404 401 401 401 401"),
    row("POST", f"{SESSION}/chat", "401 409 404 404 404 404 401 401 401 401", {"message": "It does not print"}),
    row("POST", f"{SESSION}/respond", "401 200 404 404 404 404 401 401 401 401", STEP_ANSWER),
    row("POST", f"{SESSION}/status-update", "401 200 404 404 404 404 401 401 401 401", {"audience": "client"}),
    row("PUT", f"{SESSION}/task-lane", "401 204 404 404 404 404 401 401 401 401", {}),
    row("GET", "/psa-connections", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", CONNECTION, "401 200 200 200 404 200 401 401 401 401"),
    row("POST", "/psa-connections", "401 403 403 403 403 403 401 401 401 401", TICKET_SYSTEM),
    row("PATCH", CONNECTION, "401 403 403 403 403 403 401 401 401 401", {}),
    row("POST", f"{CONNECTION}/test", "401 403 403 403 403 403 401 401 401 401"),
    row("DELETE", CONNECTION, "401 403 403 403 403 403 401 401 401 401"),
    row("POST", f"{SESSION}/link-ticket", "401 200 404 404 404 404 401 401 401 401", TICKET),
    row("POST", f"{SESSION}/retry-psa-push", "401 404 404 404 404 404 401 401 401 401"),
    row("GET", f"{SESSION}/psa-pushes", "401 200 404 404 404 404 401 401 401 401"),
    row("GET", f"{SESSION}/outputs", "401 200 404 404 404 404 401 401 401 401"),
    row("POST", f"{SESSION}/pause", "401 204 404 404 404 404 401 401 401 401"),
    row("POST", f"{SESSION}/resume", "401 204 404 404 404 404 401 401 401 401"),
    row("POST", f"{SESSION}/escalate", "401 200 404 404 404 404 401 401 401 401", {"reason": "No idea"}),
    row("POST", f"{SESSION}/withdraw-escalation", "401 204 404 404 404 404 401 401 401 401"),
    # Whom it was meant for a moment ago is told that it is over.
    row("POST", f"{SESSION}/pickup", "401 409 409 409 404 409 401 401 401 401", {}),
    row("POST", f"{SESSION}/resolve", "401 200 404 404 404 404 401 401 401 401", SOLVED),
    row("POST", f"{SESSION}/reopen", "401 204 404 404 404 404 401 401 401 401"),
    row("POST", f"{SESSION}/abandon", "401 204 404 404 404 404 401 401 401 401", {}),
    row("POST", f"{SESSION}/rate", "401 204 404 404 404 404 401 401 401 401", {"rating": 5}),
    row("DELETE", SESSION, "401 204 404 404 404 404 401 401 401 401"),
    row("PUT", "/flow-parameter-types/{mark}", "401 200 201 200 201 200 401 401 401 401", {"default": "!"}),
    row("GET", "/flow-parameter-types/{mark}", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", "/flow-parameter-types", "401 200 200 200 200 200 401 401 401 401"),
    row("PUT", "/flow-blueprints/{blueprint}", "401 200 201 200 201 200 401 401 401 401", {"services": []}),
    row("GET", "/flow-blueprints/{blueprint}", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", "/flow-blueprints", "401 200 200 200 200 200 401 401 401 401"),
    row("POST", "/flow-blueprints/{blueprint}/check", "401 200 200 200 200 200 401 401 401 401", {}),
    row("POST", "/flows", "401 409 201 409 422 409 401 401 401 401", {"flow_id": "f", "blueprint": "ours"}),
    row("GET", "/flows", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", "/flows/{flow}", "401 200 200 200 404 200 401 401 401 401"),
    row("PATCH", "/flows/{flow}", "401 200 200 200 404 200 401 401 401 401", {"description": ""}),
    row("GET", "/flows/{flow}/topics", "401 200 200 200 404 200 401 401 401 401"),
    row("GET", "/flows/{flow}/services", "401 200 200 200 404 200 401 401 401 401"),
    row("POST", "/flows/{flow}/services/{interface}", "401 404 404 404 404 404 401 401 401 401", {}),
    row("GET", "/flows/{flow}/requests", "401 200 200 200 200 200 401 401 401 401"),
    row("GET", "/flow-hosts/assignments?host_id=h&service=s", "401 401 401 401 401 401 401 401 401 401"),
    row("POST", "/flow-hosts/{host}/released", "401 401 401 401 401 401 401 401 401 401", {"keys": []}),
    row("DELETE", "/flows/{flow}/requests/{request}", "401 404 404 404 404 404 401 401 401 401"),
    row("DELETE", "/flows/{flow}?drain_s=0", "401 200 200 200 404 200 401 401 401 401"),
    row("DELETE", "/flow-blueprints/{blueprint}", "401 404 204 404 204 404 401 401 401 401"),
    row("DELETE", "/flow-parameter-types/{mark}", "401 404 204 404 204 404 401 401 401 401"),
    # What takes something away comes last, the one who may do it at the end.
    row("DELETE", "/conversations/{conversation}/messages/{message}", "401 204 404 404 404 404 401 401 401 401"),
    row("DELETE", "/conversations/{conversation}", "401 204 403 404 404 404 401 204 404 401"),
    row("DELETE", "/assistants/{assistant}", "401 204 404 404 404 404 401 401 401 401"),
]


FILLED_IN = ("{fresh}", "{url}", "{conversation}", "{assistant}", "{step}", "{connection}")
FLOW_NAMES = {"mark": "mark", "blueprint": "b", "flow": "f", "interface": "ask", "request": "r", "host": "h"}


class World:
    """A conversation with everybody in their place, and a client for each kind of caller."""

    def __init__(self, names: dict[str, str], clients: dict[str, httpx.AsyncClient]) -> None:
        self.names = names
        self.clients = clients

    async def status(self, row: Row, caller: str) -> int:
        names = {**self.names, "fresh": f"fresh-{uuid4()}"}
        url = row.path.format(**names)
        if row.body is UPLOAD:
            return (await self.clients[caller].request(row.method, url, files=UPLOAD)).status_code
        body = {key: value.format(**names) if value in FILLED_IN else value for key, value in (row.body or {}).items()}
        request = {"json": body} if row.body is not None else {}
        async with self.clients[caller].stream(row.method, url, **request) as response:
            return response.status_code


async def make_world(service: Service, recorder: RecordingAssistantService) -> World:
    owner = service.user("ann")
    await recorder.announce(service.url)
    new = {"assistant_service_id": recorder.service_id, "name": "Recorder"}
    assistant = (await owner.post("/assistants", json=new)).json()["id"]
    outsider = (await owner.post("/assistants", json=new)).json()["id"]
    conversation = (await owner.post("/conversations", json={})).json()["id"]
    path = f"/conversations/{conversation}"
    (await owner.put(f"{path}/participants/{assistant}", json={})).raise_for_status()
    await service.seat_user(conversation, "oda", "read")
    await service.seat_user(conversation, "rex")
    removed = service.user("rex")
    (await removed.put(f"{path}/participants/me", json={"active_participant": False})).raise_for_status()
    message = {"content": "hello", "debug_data": {"why": "because"}}
    posted = (await owner.post(f"{path}/messages", json=message)).json()
    (await owner.put(f"{path}/files", files=UPLOAD)).raise_for_status()
    # With a token, since without one every user may look at a share and redeem it.
    secret = {"conversation_id": conversation, "label": "", "conversation_permission": "read", "with_token": True}
    share = (await owner.post("/conversation-shares", json=secret)).json()
    clients = {
        "nobody": service.client(),
        "owner": owner,
        "observer": service.user("oda"),
        "stranger": service.user("sam"),
        "neighbour": service.user("ann", "elsewhere"),
        "removed": removed,
        "service": service.assistant_service(recorder.service_id),
        "assistant": service.assistant(assistant, recorder.service_id),
        "outsider": service.assistant(outsider, recorder.service_id),
        "thief": service.assistant(assistant, "other.example"),
    }
    (await owner.put("/flow-blueprints/ours", json={"services": []})).raise_for_status()
    letters = [await dead_letter(service, conversation, assistant) for _ in range(2)]
    names = {"conversation": conversation, "message": posted["id"], "assistant": assistant}
    names["share"] = share["id"]
    session = (await owner.post("/ai-sessions", json=NEW_SESSION)).json()
    names |= {"session": session["session_id"], "step": session["first_step"]["step_id"]}
    names |= FLOW_NAMES
    names["connection"] = (await service.admin().post("/psa-connections", json=TICKET_SYSTEM)).json()["id"]
    names |= {"letter": letters[0], "dropped": letters[1], "service": recorder.service_id, "url": recorder.url}
    return World(names, clients)


async def dead_letter(service: Service, conversation: str, assistant: str) -> str:
    """Set an event aside that the assistant would take now."""
    letter = DeadLetter(
        id=uuid4(),
        assistant_id=UUID(assistant),
        conversation_id=UUID(conversation),
        position=1,
        event_id=uuid4().hex,
        event_type="message.created",
        envelope="{}",
        reason="refused",
        failed_datetime=datetime.now(UTC),
    )
    async with open_store(service.database_url) as store, store.transactions.write(service.workspace()) as tx:
        tx.deliveries.set_aside(letter)
    return str(letter.id)


@pytest.fixture
async def world(service: Service) -> AsyncGenerator[World]:
    async with service.recorder(announced=False) as recorder:
        yield await make_world(service, recorder)


async def test_each_kind_of_caller_gets_what_the_table_says(world: World) -> None:
    wrong: list[str] = []
    for entry in TABLE:
        callers = [caller for caller in CALLERS if caller not in ("owner", "assistant")]
        # A caller who may delete comes after those who may not.
        for caller in [*callers, "assistant", "owner"]:
            if entry.method == "DELETE" and caller == "assistant":
                continue
            expected = entry.expected[CALLERS.index(caller)]
            found = await world.status(entry, caller)
            if found != expected:
                wrong.append(f"{entry} as {caller}: {found}, not {expected}")
    assert wrong == []


async def test_an_assistant_that_deletes_a_conversation_only_leaves_it(world: World) -> None:
    path = f"/conversations/{world.names['conversation']}"
    assert (await world.clients["assistant"].delete(path)).status_code == 204
    assert (await world.clients["assistant"].get(path)).status_code == 404
    assert (await world.clients["owner"].get(path)).status_code == 200


def test_every_route_is_in_the_table(tmp_path: Path) -> None:
    app = create_app(Settings.of(data_root=tmp_path))
    named = {
        "{conversation}": "{conversation_id:str}",
        "{message}": "{message_id:str}",
        "{share}": "{share_id:str}",
        "{mark}": "{name:str}",
        "{blueprint}": "{name:str}",
        "{flow}": "{flow_id:str}",
        "{interface}": "{interface:str}",
        "{request}": "{request_id:str}",
        "{host}": "{host_id:str}",
        "/conversation-shares/ann": "/conversation-shares/{owner_id:str}",
        "{letter}": "{letter_id:str}",
        "{dropped}": "{letter_id:str}",
        "/states/notes": "/states/{state_id:str}",
        "{session}": "{session_id:uuid}",
        "{connection}": "{connection_id:uuid}",
        "/playbooks/printer-offline": "/playbooks/{key:str}",
        "/versions/0": "/versions/{version:int}",
        "/files/kept.txt/versions": "/files/{filename:path}",
        "/files/kept.txt": "/files/{filename:path}",
        "/assistant-services/{service}": "/assistant-services/{assistant_service_id:path}",
    }
    known: set[tuple[str, str]] = set()
    for entry in TABLE:
        path = entry.path.partition("?")[0]
        for short, full in named.items():
            path = path.replace(short, full)
        path = path.replace("/assistants/{assistant}", "/assistants/{assistant_id:str}")
        path = path.replace("/turns/t1", "/turns/{turn_id:str}").replace("/user/ann", "/{whose:str}/{subject:str}")
        if "/participants/" in path:
            path = path.partition("/participants/")[0] + "/participants/{participant_id:str}"
        if path.startswith("/assistant-service-registrations/"):
            path = "/assistant-service-registrations/{assistant_service_id:path}"
        known.add((entry.method, path))
    registered = {
        (method, route.path)
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method != "OPTIONS" and not route.path.startswith(("/docs", "/{path:path}"))
    }
    assert registered - known == set(), "routes that no row of the table walks"
    assert known - registered == set(), "rows without a route"


def test_every_route_of_ours_is_one_that_asks_its_guards_without_copies(tmp_path: Path) -> None:
    app = create_app(Settings.of(data_root=tmp_path))
    others = {
        f"{method} {route.path}"
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS" and not isinstance(handler, RouteHandler)
    }
    assert all(path.startswith("GET /docs") for path in others), others


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "e30.e30.e30", "x" * 20_000])
async def test_a_bad_token_is_401_everywhere(sqlite_url: str, tmp_path: Path, token: str) -> None:
    async with running_service(sqlite_url, tmp_path / "data") as service:
        bad = service.client(Authorization=f"Bearer {token}")
        for entry in TABLE:
            if entry.expected[0] == 401:
                ids = ("conversation", "message", "assistant", "letter", "dropped", "share", "session", "connection")
                names = dict.fromkeys(ids, uuid4()) | FLOW_NAMES
                path = entry.path.format(**names, service="s", fresh="f")
                body = None if entry.body is UPLOAD else entry.body
                assert (await bad.request(entry.method, path, json=body)).status_code == 401, str(entry)
