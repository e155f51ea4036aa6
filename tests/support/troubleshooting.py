"""Sessions over HTTP, as tests bring them about."""

from collections.abc import Sequence
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import OctKey
from tests.support.service import Service

SESSIONS = "/ai-sessions"
REPORT = "The printer on the second floor shows offline and jobs are stuck in the print queue"
FOREIGN = "Our cafeteria would like a different brand of coffee beans next month"
SOLVED = {"resolution_summary": "Cleared the queue on PRN-02", "resolution_action": "fixed"}
ESCALATION = {"reason": "No idea what else to try"}
YAML = {"Content-Type": "application/yaml"}
SECRET = "s" * 32
COMPANY = {
    "name": "company",
    "secret": SECRET,
    "engineer_role": "Engineer",
    "admin_role": "Admin",
    "team_claim": "groups",
    "workspace_claim": "workspace",
}
"""An issuer whose tokens say what somebody may do, and which teams they are in."""


def member(
    service: Service, user_id: str, *teams: str, roles: Sequence[str] = ("Engineer",), **claims: Any
) -> httpx.AsyncClient:
    """Somebody with a token of that issuer."""
    usual = {"sub": user_id, "name": user_id.title(), "exp": 4_000_000_000, "roles": roles, "groups": teams}
    usual["workspace"] = "default"
    token = jwt.encode({"alg": "HS256"}, {**usual, **claims}, OctKey.import_key(SECRET))
    return service.client(Authorization=f"Bearer {token}")


async def start(who: httpx.AsyncClient, text: str = REPORT, **more: Any) -> dict[str, Any]:
    """Begin a session; the answer, with the path of the session beside."""
    answer = await who.post(SESSIONS, json={"intake_content": {"text": text}, **more})
    assert answer.status_code == 201, answer.text
    return {**answer.json(), "path": f"{SESSIONS}/{answer.json()['session_id']}"}


async def by_hand(who: httpx.AsyncClient, text: str = REPORT, **more: Any) -> dict[str, Any]:
    """Begin one without a playbook."""
    return await start(who, text, start_mode="manual", **more)


async def start_chat(who: httpx.AsyncClient, text: str = REPORT, **more: Any) -> dict[str, Any]:
    """Begin one that is a chat."""
    return await start(who, text, session_type="chat", **more)


async def chat(who: httpx.AsyncClient, path: str, message: str = REPORT, **more: Any) -> dict[str, Any]:
    """Write in it, and get the reply."""
    answer = await who.post(f"{path}/chat", json={"message": message, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def messages_of(who: httpx.AsyncClient, session: dict[str, Any]) -> list[dict[str, Any]]:
    """What stands in the conversation of a session."""
    return (await who.get(f"/conversations/{session['conversation_id']}/messages")).json()["messages"]


async def respond(who: httpx.AsyncClient, path: str, step: dict[str, Any], **answer: Any) -> dict[str, Any]:
    """Answer a step, by default with its first option, or in words where it has none."""
    usual = {"option_value": step["options"][0]["value"]} if step["options"] else {"free_text": "Tried it"}
    answered = await who.post(f"{path}/respond", json={"step_id": step["step_id"], **(answer or usual)})
    assert answered.status_code == 200, answered.text
    return answered.json()


async def act(who: httpx.AsyncClient, path: str, action: str, body: Any = None) -> httpx.Response:
    """Do something with a session by its route of the same name."""
    if action == "delete":
        return await who.delete(path)
    if action == "task-lane":
        return await who.put(f"{path}/task-lane", json={})
    bodies: dict[str, Any] = {
        "chat": {"message": REPORT},
        "resolve": SOLVED,
        "escalate": ESCALATION,
        "pickup": {},
        "abandon": {},
        "rate": {"rating": 4},
    }
    if action == "respond":
        detail = (await who.get(path)).json()
        step = next(step for step in detail["steps"] if step["answered_at"] is None and not step["is_superseded"])
        body = {"step_id": step["step_id"], "free_text": "Tried it"}
    sent = body if body is not None else bodies.get(action)
    return await who.post(f"{path}/{action}", **({} if sent is None else {"json": sent}))


async def done(who: httpx.AsyncClient, path: str, *actions: str) -> None:
    """Do these things one after the other, each of which is allowed."""
    for action in actions:
        answer = await act(who, path, action)
        assert answer.is_success, f"{action}: {answer.text}"


async def import_playbook(who: httpx.AsyncClient, text: str) -> dict[str, Any]:
    """Import a playbook and have it followed."""
    answer = await who.post("/playbooks/import", params={"publish": True}, content=text.encode(), headers=YAML)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def session_in(service: Service, status: str, owner: str, colleague: str) -> tuple[str, str]:
    """Bring a session about that has a status; its path, and who handles it."""
    ann, bob = service.user(owner), service.user(colleague)
    path = (await by_hand(ann))["path"]
    ways: dict[str, tuple[str, ...]] = {
        "active": (),
        "paused": ("pause",),
        "requesting_escalation": ("escalate",),
        "escalated": ("escalate",),
        "resolved": ("resolve",),
        "abandoned": ("abandon",),
    }
    await done(ann, path, *ways[status])
    if status == "escalated":
        await done(bob, path, "pickup")
        return path, colleague
    return path, owner
