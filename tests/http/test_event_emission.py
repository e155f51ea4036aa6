"""Every mutating route and the events that the log gains by it: no more, no fewer, in order, under the request's id."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from tests.support.assistants import Kind, RecordingAssistantService
from tests.support.behaviours import status
from tests.support.databases import Store, open_store
from tests.support.service import Service

from workbench.domain.events.model import Event
from workbench.entrypoints.http.app import create_app
from workbench.wiring.settings import Settings


@dataclass(frozen=True)
class Act:
    """A request, its answer's status, and the types of the events that follow from it."""

    who: str
    method: str
    path: str
    body: Any
    status: int
    events: Sequence[str] = field(default=())


CONVERSATION = "/conversations/{conversation}"
MESSAGES = f"{CONVERSATION}/messages"
ME = f"{CONVERSATION}/participants/me"
ROBOT = f"{CONVERSATION}/participants/{{assistant}}"
ASSISTANT = "/assistants/{assistant}"
REGISTRATION = "/assistant-service-registrations/other.example"
FILES = f"{CONVERSATION}/files"
UPLOAD = {"files": ("a/b.txt", b"text")}
"""A body that is sent as a form, not as JSON."""
SHARES = "/conversation-shares/{conversation-share}"
SHARE = {"conversation_id": "{conversation}", "label": "", "conversation_permission": "read"}
STATE = {"state_id": "notes", "event": "focus", "state": None}
SERVICE = "/assistant-service-registrations/recorder.workbench.example"
HEARTBEAT = {"name": "Recorder", "description": "", "url": "{url}", "online_expires_in_seconds": 60}
TURNS = f"{CONVERSATION}/turns"
TURN = f"{TURNS}/{{turn}}"
QUESTION = {"turn_id": "{turn}", "assistant_id": "{assistant}", "input": {"content": "hello"}}
ABORTED = {"epoch": 1, "outcome": "aborted"}
FOLLOWING = {"assistant_service_id": "recorder.workbench.example", "name": "Robot"}

SESSION = "/ai-sessions/{session}"
NEW_SESSION = {"intake_content": {"text": "It does not work"}, "start_mode": "manual"}
STEP_ANSWER = {"step_id": "{step}", "free_text": "Switched it off and on"}
SOLVED = {"resolution_summary": "It works again", "resolution_action": "fixed"}
ESCALATION = {"reason": "No idea"}
CHAT = "/ai-sessions/{chat}"
NEW_CHAT = {"session_type": "chat", "intake_content": {"text": "The printer shows offline"}, "start_mode": "manual"}
PRINTING = {"message": "The printer shows offline and jobs are stuck in the print queue"}
PRINTER = "/playbooks/{playbook}"
ASKED = ["message.created", "session.step.presented"]
SAID = ["turn.opened", "message.created", "turn.status"]
ASKED_FOR = ["session.escalation.requested", "escalation.requested"]
TAKEN = ["session.picked_up", "escalation.picked_up"]
REPLIED = ["message.created", *SAID]
CONNECTION = "/psa-connections/{connection}"
# At an address that is refused without a look at the network.
TICKET_SYSTEM = {
    "kind": "webhook",
    "name": "Hook",
    "config": {"url": "https://127.0.0.1:9/"},
    "secret": {"keys": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]},
}
LINK = {"psa_ticket_id": "4711", "psa_connection_id": "{connection}"}

# Told in order: each act stands on those before it.
STORY = [
    Act("ann", "PUT", "/users/me", {"name": "Anna"}, 200),
    Act("ann", "POST", "/assistant-service-registrations", {"assistant_service_id": "other.example", "name": "n"}, 422),
    Act(
        "ann",
        "POST",
        "/assistant-service-registrations",
        {"assistant_service_id": "other.example", "name": "n", "description": ""},
        200,
    ),
    Act("service", "PUT", SERVICE, HEARTBEAT, 200),
    Act("ann", "POST", "/assistants", FOLLOWING, 201),
    Act("ann", "POST", "/assistants", {**FOLLOWING, "assistant_service_id": "none.example"}, 400),
    Act("ann", "POST", "/conversations", {}, 200, ["conversation.created"]),
    Act("ann", "PATCH", CONVERSATION, {"title": "Plans"}, 200, ["conversation.updated"]),
    Act("ann", "PATCH", CONVERSATION, {}, 200, ["conversation.updated"]),
    Act("bea", "PATCH", CONVERSATION, {"title": "Mine"}, 404),
    Act("ann", "PUT", f"{CONVERSATION}/retention", {"messages_days": 30}, 200),
    Act("ann", "PUT", f"{CONVERSATION}/retention", {"messages_days": 0.5}, 400),
    Act("ann", "PUT", f"{CONVERSATION}/retention", {"messages_days": 0}, 422),
    Act("bea", "PUT", f"{CONVERSATION}/retention", {"messages_days": 30}, 404),
    Act("ann", "POST", MESSAGES, {"content": "hello", "id": "{message}"}, 200, ["message.created"]),
    Act("ann", "POST", MESSAGES, {"content": "hello", "id": "{message}"}, 200),
    Act("ann", "POST", MESSAGES, {"content": "other", "id": "{message}"}, 409),
    Act("ann", "POST", MESSAGES, {"message_type": "chat"}, 422),
    Act("bea", "POST", MESSAGES, {"content": "hello"}, 404),
    Act("ann", "POST", CONVERSATION, {}, 200, ["conversation.created"]),
    Act("ann", "POST", "/conversations/import", {}, 422),
    Act("bea", "POST", CONVERSATION, {}, 404),
    Act("ann", "POST", "/conversation-shares", SHARE, 200),
    Act("ann", "POST", "/conversation-shares", {}, 422),
    Act("robot", "POST", "/conversation-shares/ann", SHARE, 400),
    Act("dan", "POST", f"{SHARES}/redemptions", None, 200, ["participant.created"]),
    Act("dan", "POST", f"{SHARES}/redemptions", None, 200),
    Act("ann", "DELETE", SHARES, None, 204),
    Act("dan", "POST", f"{SHARES}/redemptions", None, 404),
    Act("ann", "PUT", FILES, UPLOAD, 200, ["file.created"]),
    Act("ann", "PUT", FILES, UPLOAD, 200, ["file.updated"]),
    Act("bea", "PUT", FILES, UPLOAD, 404),
    Act("ann", "PUT", FILES, {}, 422),
    Act("ann", "PATCH", f"{FILES}/a/b.txt", {"metadata": {"a": 1}}, 200, ["file.updated"]),
    Act("ann", "PATCH", f"{FILES}/none", {"metadata": {"a": 1}}, 404),
    Act("ann", "DELETE", f"{FILES}/a/b.txt", None, 204, ["file.deleted"]),
    Act("ann", "DELETE", f"{FILES}/a/b.txt", None, 404),
    Act("ann", "PATCH", REGISTRATION, {"name": "m"}, 200),
    Act("ann", "PATCH", REGISTRATION, {"name": None}, 400),
    Act("ann", "POST", f"{REGISTRATION}/api-key", None, 200),
    Act("ann", "DELETE", REGISTRATION, None, 204),
    Act("ann", "PATCH", ASSISTANT, {"name": "Robot"}, 200),
    Act("ann", "PUT", f"{ASSISTANT}/config", {"config": {}}, 200),
    Act("robot", "POST", f"{ASSISTANT}/states/events", STATE, 204),
    Act("ann", "POST", f"{ASSISTANT}/delivery/dead-letters/replay", None, 200),
    Act("ann", "POST", f"{ASSISTANT}/delivery/dead-letters/{{message}}/replay", None, 404),
    Act("ann", "DELETE", f"{ASSISTANT}/delivery/dead-letters/{{message}}", None, 404),
    # An assistant is told of before others are: one that cannot join is not told of at all.
    Act("broken", "PUT", ROBOT, {}, 500),
    Act("ann", "PUT", ROBOT, {}, 200, ["participant.created"]),
    Act("ann", "PUT", ROBOT, {}, 200),
    Act("ann", "PUT", ROBOT, {"status": "thinking"}, 200, ["participant.updated"]),
    Act("ann", "PATCH", ROBOT, {"active_participant": False}, 200, ["participant.updated"]),
    Act("broken", "PUT", ROBOT, {"active_participant": True}, 500),
    Act("ann", "PATCH", ROBOT, {"active_participant": True}, 200, ["participant.updated"]),
    Act("robot", "POST", MESSAGES, {"content": "beep"}, 200, ["message.created"]),
    Act("robot", "POST", f"{ASSISTANT}/states/events", STATE, 204, ["assistant.state.focus"]),
    Act("ann", "POST", TURNS, QUESTION, 201, ["message.created", "turn.opened"]),
    Act("ann", "POST", TURNS, QUESTION, 200),
    Act("ann", "POST", TURNS, {**QUESTION, "input": {"content": "other"}}, 409),
    Act("robot", "PUT", f"{TURN}/lease", {"producer_id": "p"}, 200, ["turn.status"]),
    Act("robot", "POST", f"{TURN}/events", {"epoch": 1, "batch": 1, "events": []}, 200),
    Act("ann", "POST", f"{TURN}/cancel", {}, 202),
    Act("ann", "POST", f"{TURN}/finalize", {"epoch": 1, "outcome": "aborted"}, 403),
    Act("robot", "POST", f"{TURN}/finalize", ABORTED, 200, ["message.created", "turn.status"]),
    Act("robot", "POST", f"{TURN}/finalize", ABORTED, 200, ["message.updated"]),
    Act("ann", "POST", f"{TURN}/retry", None, 409),
    Act("root", "PUT", "/budgets/user/ann", {"limits": []}, 200),
    Act("ann", "PUT", "/budgets/user/ann", {"limits": []}, 403),
    Act("root", "DELETE", "/budgets/user/ann", None, 204),
    Act("root", "PATCH", "/workspace/choices", {"share_resolutions": False}, 200),
    Act("ann", "PATCH", "/workspace/choices", {"share_resolutions": True}, 403),
    Act("ann", "PUT", f"{ASSISTANT}/conversations/{{conversation}}/states/notes", {"data": {}}, 200),
    Act("robot", "PATCH", CONVERSATION, {"metadata": {"a": 1}}, 200, ["conversation.updated"]),
    Act("robot", "PATCH", ME, {"status": "typing"}, 200, ["participant.updated"]),
    Act("robot", "PATCH", ME, {"status": "typing"}, 200),
    Act("robot", "DELETE", CONVERSATION, None, 204, ["participant.updated"]),
    Act("robot", "DELETE", CONVERSATION, None, 404),
    Act("ann", "PUT", ME, {"status": "busy"}, 200, ["participant.updated"]),
    Act("ann", "PUT", ME, {}, 200, ["participant.updated"]),
    Act("ann", "PUT", ME, {}, 200),
    Act("ann", "PATCH", ME, {"metadata": {}}, 200, ["participant.updated"]),
    Act("ann", "PATCH", ME, {"active_participant": True}, 200, ["participant.updated"]),
    Act("ann", "PUT", f"{CONVERSATION}/participants/bea", {}, 403),
    Act("bea", "DELETE", f"{MESSAGES}/{{message}}", None, 404),
    Act("ann", "DELETE", f"{MESSAGES}/{{message}}", None, 204, ["message.deleted"]),
    Act("ann", "DELETE", f"{MESSAGES}/{{message}}", None, 404),
    Act("bea", "DELETE", CONVERSATION, None, 404),
    Act("service", "PUT", SERVICE, {**HEARTBEAT, "online_expires_in_seconds": 0}, 200),
    Act("ann", "PUT", ROBOT, {"active_participant": True}, 424),
    Act("service", "PUT", SERVICE, HEARTBEAT, 200),
    Act("ann", "PUT", ROBOT, {"active_participant": True}, 200, ["participant.updated"]),
    Act("bea", "DELETE", ASSISTANT, None, 404),
    Act("robot", "POST", "/conversations/ann", {}, 200, ["conversation.created", "participant.created"]),
    Act("ann", "DELETE", ASSISTANT, None, 204, ["participant.updated", "participant.updated"]),
    Act("ann", "DELETE", CONVERSATION, None, 204, ["conversation.deleted"]),
    Act("ann", "DELETE", CONVERSATION, None, 404),
    Act("ann", "POST", "/playbooks/validate", None, 200),
    Act("ann", "POST", "/playbooks/import", None, 422),
    Act("ann", "POST", "/playbooks/match", {"text": "It does not print"}, 200),
    Act("ann", "POST", f"{PRINTER}/archive", None, 200),
    Act("ann", "POST", f"{PRINTER}/publish", {"version": 0}, 200),
    Act("ann", "POST", "/ai-sessions", {"intake_content": {"text": "Which coffee do we order?"}}, 503),
    Act("ann", "POST", "/ai-sessions", NEW_CHAT, 201, ["conversation.created", "session.started", "message.created"]),
    Act("ann", "POST", f"{CHAT}/chat", PRINTING, 200, REPLIED),
    Act("ann", "POST", f"{CHAT}/chat", {"message": "Which coffee do we order?"}, 503),
    Act("bea", "POST", f"{CHAT}/chat", PRINTING, 404),
    Act("ann", "POST", f"{CHAT}/escalate", ESCALATION, 200, ASKED_FOR),
    Act("bea", "POST", f"{CHAT}/pickup", {}, 200, ["participant.created", *SAID, *TAKEN]),
    Act("ann", "POST", "/ai-sessions", NEW_SESSION, 201, ["conversation.created", "session.started", *ASKED]),
    Act("bea", "POST", f"{SESSION}/respond", STEP_ANSWER, 404),
    Act("ann", "POST", f"{SESSION}/respond", {**STEP_ANSWER, "skip": True}, 400),
    Act(
        "ann",
        "POST",
        f"{SESSION}/respond",
        STEP_ANSWER,
        200,
        ["message.created", "session.step.answered", *ASKED],
    ),
    Act("ann", "POST", f"{SESSION}/respond", STEP_ANSWER, 200),
    Act("ann", "POST", f"{SESSION}/status-update", {"audience": "client"}, 200),
    Act("ann", "POST", "/psa-connections", TICKET_SYSTEM, 403),
    Act("root", "POST", "/psa-connections", TICKET_SYSTEM, 201),
    Act("root", "POST", f"{CONNECTION}/test", None, 200),
    Act("ann", "POST", f"{SESSION}/link-ticket", LINK, 200, ["session.ticket.linked"]),
    Act("bea", "POST", f"{SESSION}/link-ticket", LINK, 404),
    # Notes wait from here on.
    Act("root", "PATCH", CONNECTION, {"enabled": False}, 200),
    Act("ann", "POST", f"{SESSION}/link-ticket", LINK, 409),
    Act(
        "ann",
        "POST",
        f"{SESSION}/status-update",
        {"audience": "client", "post_to_ticket": True},
        200,
        ["session.status_update.created"],
    ),
    Act("ann", "POST", f"{SESSION}/retry-psa-push", None, 404),
    Act("ann", "PUT", f"{SESSION}/task-lane", {}, 204),
    Act("ann", "POST", f"{SESSION}/pause", None, 204, ["session.paused"]),
    Act("ann", "POST", f"{SESSION}/pause", None, 409),
    Act("ann", "POST", f"{SESSION}/resume", None, 204, ["session.resumed"]),
    Act("ann", "POST", f"{SESSION}/escalate", ESCALATION, 200, ASKED_FOR),
    Act(
        "ann",
        "POST",
        f"{SESSION}/withdraw-escalation",
        None,
        204,
        ["session.escalation.withdrawn", "escalation.withdrawn"],
    ),
    Act("ann", "POST", f"{SESSION}/escalate", ESCALATION, 200, ASKED_FOR),
    Act("bea", "POST", f"{SESSION}/pickup", {}, 200, ["participant.created", *ASKED, *ASKED, *TAKEN]),
    Act("dan", "POST", f"{SESSION}/pickup", {}, 409),
    # What it leaves is told of when it is made.
    Act("bea", "POST", f"{SESSION}/resolve", SOLVED, 200, ["session.resolved", "session.outputs_ready"]),
    Act("bea", "POST", f"{SESSION}/reopen", None, 204, ["session.reopened"]),
    Act("bea", "POST", f"{SESSION}/escalate", ESCALATION, 200, ASKED_FOR),
    Act(
        "bea",
        "POST",
        f"{SESSION}/abandon",
        {},
        204,
        ["session.abandoned", "session.escalation.cancelled", "escalation.cancelled"],
    ),
    Act("ann", "POST", f"{SESSION}/rate", {"rating": 5}, 204, ["session.rated"]),
    Act("bea", "DELETE", SESSION, None, 403),
    Act("ann", "DELETE", SESSION, None, 204, ["session.deleted", "conversation.deleted"]),
    Act("root", "DELETE", CONNECTION, None, 204),
    Act("ann", "PUT", "/flow-parameter-types/{mark}", {}, 201),
    Act("ann", "PUT", "/flow-blueprints/{blueprint}", {"services": []}, 201),
    Act("ann", "POST", "/flow-blueprints/{blueprint}/check", {}, 200),
    Act("ann", "POST", "/flows", {"flow_id": "f", "blueprint": "b"}, 201, ["flow.started"]),
    Act("ann", "POST", "/flows", {"flow_id": "f", "blueprint": "b"}, 409),
    Act("ann", "PATCH", "/flows/{flow}", {"description": "d"}, 200),
    Act("ann", "POST", "/flows/{flow}/services/{interface}", {}, 404),
    Act("ann", "DELETE", "/flows/{flow}/requests/{request}", None, 404),
    Act("ann", "POST", "/flow-hosts/{host}/released", {"keys": []}, 401),
    Act("ann", "DELETE", "/flows/{flow}?drain_s=0", None, 200, ["flow.stopping", "flow.stopped"]),
    Act("ann", "DELETE", "/flows/{flow}?drain_s=0", None, 200),
    Act("ann", "DELETE", "/flow-blueprints/{blueprint}", None, 204),
    Act("ann", "DELETE", "/flow-parameter-types/{mark}", None, 204),
]


def filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: filled(each, names) for key, each in value.items()}
    return names[value[1:-1]] if isinstance(value, str) and value[:1] == "{" else value


async def test_each_act_tells_exactly_this(own_service: Service) -> None:
    async with RecordingAssistantService() as recorder, open_store(own_service.database_url) as store:
        names = {
            "url": recorder.url,
            "message": str(uuid4()),
            "conversation": "",
            "assistant": "",
            "conversation-share": "",
            "turn": "t1",
            "session": "",
            "chat": "",
            "step": "",
            "connection": "",
            "playbook": "printer-offline",
            "mark": "mark",
            "blueprint": "b",
            "flow": "f",
            "interface": "ask",
            "request": "r",
            "host": "h",
        }
        clients = {
            "ann": own_service.user("ann"),
            "bea": own_service.user("bea"),
            "service": own_service.assistant_service(),
        }
        clients |= {"broken": clients["ann"], "dan": own_service.user("dan"), "root": own_service.admin()}
        head, wrong = 0, []
        for act in STORY:
            if act.who == "broken":
                recorder.answer(Kind.PUT_CONVERSATION, status(500))
            request_id = str(uuid4())
            answer = await clients[act.who].request(
                act.method,
                act.path.format(**names),
                headers={"X-Request-ID": request_id},
                **sent(act.body, names),
            )
            assert answer.headers["x-request-id"] == request_id
            learn(act, answer, names, clients, own_service)
            gained = await told(store, head, len(act.events) if "session.outputs_ready" in act.events else 0)
            head += len(gained)
            if not as_told(act, answer, gained, request_id):
                wrong.append(f"{act}: {answer.status_code} {answer.text[:200]} {[e.type for e in gained]}")
        assert wrong == []


async def told(store: Store, head: int, awaited: int) -> Sequence[Event]:
    """What the log gained, where some of it is told later when there is as much as is awaited."""
    async with asyncio.timeout(20):
        while True:
            async with store.transactions.read("default") as tx:
                gained = await tx.events.of_workspace(head, 100)
            if len(gained) >= awaited:
                return gained
            await asyncio.sleep(0.05)


def learn(
    act: Act, answer: httpx.Response, names: dict[str, str], clients: dict[str, httpx.AsyncClient], service: Service
) -> None:
    """Remember the ids that an answer gives."""
    if (act.path, answer.status_code) == ("/ai-sessions", 201):
        begun = answer.json()
        if begun["session_type"] == "chat":
            names["chat"] = begun["session_id"]
        else:
            names |= {"session": begun["session_id"], "step": begun["first_step"]["step_id"]}
    if (act.path, answer.status_code) == ("/psa-connections", 201):
        names["connection"] = answer.json()["id"]
    if (
        act.method == "POST"
        and answer.is_success
        and act.path in ("/conversations", "/assistants", "/conversation-shares")
    ):
        names[act.path.strip("/").removesuffix("s")] = answer.json()["id"]
        if act.path == "/assistants":
            clients["robot"] = service.assistant(names["assistant"])


def sent(body: Any, names: dict[str, str]) -> dict[str, Any]:
    if body is None:
        return {}
    return {"files": body} if body is UPLOAD else {"json": filled(body, names)}


def as_told(act: Act, answer: httpx.Response, gained: Sequence[Event], request_id: str) -> bool:
    return (
        answer.status_code == act.status
        and [event.type for event in gained] == list(act.events)
        and all(event.correlation_id == request_id for event in gained)
    )


async def test_events_say_what_the_answers_said(service: Service) -> None:
    ann = service.user("ann")
    created = (await ann.post("/conversations", json={"title": "T"})).json()
    path = f"/conversations/{created['id']}"
    updated = (await ann.patch(path, json={"metadata": {"ü": 1}})).json()
    said = (await ann.post(f"{path}/messages", json={"content": "ü", "debug_data": {"a": 1}})).json()
    seat = (await ann.put(f"{path}/participants/me", json={"status": "ü"})).json()
    await ann.delete(f"{path}/messages/{said['id']}")
    async with ann.stream("GET", f"{path}/events", headers={"Last-Event-ID": "0"}) as response:
        frames: list[dict[str, Any]] = []
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                frames.append(httpx.Response(200, text=line[6:]).json())
            if len(frames) == 5:
                break
    assert [list(frame) for frame in frames] == [["timestamp", "data"]] * 5
    assert [frame["data"] for frame in frames] == [
        {"conversation": created},
        {"conversation": {**updated, "latest_message": None}},
        {"message": said},
        {"participant": seat, "participants": [seat]},
        {"message": {**said, "has_debug_data": False}},
    ]


def test_every_mutating_route_has_its_act(tmp_path: Path) -> None:
    app = create_app(Settings.of(data_root=tmp_path))
    registered = {
        (method, "/".join("*" if "{" in part else part for part in route.path.split("/")))
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method not in ("OPTIONS", "GET") and not route.path.startswith(("/docs", "/{path:path}"))
    }
    known: set[tuple[str, str]] = set()
    for act in STORY:
        path = (
            act.path.replace("/user/ann", "/{whose}/{subject}")
            .replace("/api-key", "")
            .replace("/states/notes", "/states/{id}")
        )
        for service in (SERVICE, REGISTRATION):
            path = path.replace(service, "/assistant-service-registrations/{id}")
        if path in ("/conversation-shares/ann", "/conversations/ann"):
            path = path.replace("ann", "{owner}")
        if path.startswith(f"{FILES}/"):
            path = f"{FILES}/{{name}}"
        for person in ("me", "bea"):
            path = path.replace(f"/participants/{person}", "/participants/{id}")
        known.add((act.method, "/".join("*" if "{" in part else part for part in path.split("/"))))
    assert known == registered
