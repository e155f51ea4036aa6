"""What is looked at first on routes of sessions, playbooks and ticket systems, as the specification has it (3).

401, 429 for the rate, 403 for the role, 400, what an idempotency key remembers, 404, 403 for the act, 409, 503, 429 for the
quota. Each request here has something of several of these the matter with it, and is told of the first alone.
"""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import OctKey
from tests.support.bad_input import CONNECTIONS, HOOK, PLAYBOOK, ROUTES, SESSION, documented, plain
from tests.support.databases import copy_of_template
from tests.support.playbooks import EXAMPLE
from tests.support.service import Service, running_service
from tests.support.session_models import SessionScript, service_with_models
from tests.support.troubleshooting import FOREIGN, SESSIONS, SOLVED, YAML, act, by_hand, done, start, start_chat

SECRET = "s" * 32
ROLES = {"engineer_role": "Engineer", "author_role": "Author", "connector_role": "Connector"}
ISSUER = {"name": "company", "secret": SECRET, **ROLES}
AUTH = {"issuers": [ISSUER]}
EVERYTHING = tuple(ROLES.values())
GARBAGE = {"content": b"{", "headers": {"Content-Type": "application/json", "Idempotency-Key": "a b"}}
WRONG_QUERY = {
    f"GET {SESSIONS}": {"limit": 0},
    f"GET {SESSIONS}/search": {"q": "x"},
    f"GET {SESSIONS}/escalation-queue": {"limit": 0},
    "GET /ai-sessions/{session_id}/similar": {"limit": 0},
    "GET /ai-sessions/{session_id}/documentation": {"format": "pdf"},
    "POST /playbooks/import": {"publish": "maybe"},
}
OPERATIONS = documented()
FOR_ENGINEERS = {
    "POST /ai-sessions",
    "GET /ai-sessions/escalation-queue",
    *(f"POST {SESSION}/{act}" for act in ("chat", "respond", "resolve", "escalate", "pause", "resume", "abandon")),
    *(f"POST {SESSION}/{act}" for act in ("pickup", "withdraw-escalation", "reopen", "rate", "status-update")),
    *(f"POST {SESSION}/{act}" for act in ("link-ticket", "retry-psa-push")),
    f"PUT {SESSION}/task-lane",
    f"GET {CONNECTIONS}",
    f"GET {CONNECTIONS}/{{connection}}",
}
FOR_AUTHORS = {"POST /playbooks/import", f"POST {PLAYBOOK}/publish", f"POST {PLAYBOOK}/archive"}
FOR_CONNECTORS = {
    f"POST {CONNECTIONS}",
    f"PATCH {CONNECTIONS}/{{connection}}",
    f"DELETE {CONNECTIONS}/{{connection}}",
    f"POST {CONNECTIONS}/{{connection}}/test",
}
GUARDED = {plain(route) for route in FOR_ENGINEERS | FOR_AUTHORS | FOR_CONNECTORS}
NOT_FOUND = {
    "{session_id}": "session_not_found",
    "{connection_id}": "connection_not_found",
    "{key}": "playbook_not_found",
}


def member(service: Service, user_id: str, *roles: str) -> httpx.AsyncClient:
    claims = {"sub": user_id, "name": user_id.title(), "exp": 4_000_000_000, "roles": roles}
    token = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))
    return service.client(Authorization=f"Bearer {token}")


async def send(who: httpx.AsyncClient, route: str, **request: Any) -> httpx.Response:
    """Ask for something that is not there."""
    method, _, path = route.partition(" ")
    filled = path.format(session_id=uuid4(), connection_id=uuid4(), key=f"nothing-{uuid4()}", version=7)
    return await who.request(method, filled, params=WRONG_QUERY.get(route) if "content" in request else None, **request)


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def takes_something(route: str) -> bool:
    """Whether the route has a body or parameters that can be wrong, or a key. No `If-None-Match` is wrong."""
    operation = OPERATIONS[route]
    names = {each["name"] for each in operation.get("parameters", ()) if each["in"] != "path"}
    return "400" in operation["responses"] and names != {"If-None-Match"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hasty_service(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service]:
    """A service that lets everybody do each thing once a minute."""
    folder = tmp_path_factory.mktemp("hasty")
    url = copy_of_template(sqlite_template, folder)
    async with running_service(url, folder / "data", auth=AUTH, limits={"pace": 0.001}) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def patient_service(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service]:
    """One that lets everybody do as they like."""
    folder = tmp_path_factory.mktemp("patient")
    url = copy_of_template(sqlite_template, folder)
    async with running_service(url, folder / "data", auth=AUTH, limits={"pace": 100_000}) as running:
        yield running


@pytest.fixture
async def hasty(hasty_service: Service) -> AsyncGenerator[Service]:
    part = hasty_service.part("")
    yield part
    await part.close()


@pytest.fixture
async def patient(patient_service: Service) -> AsyncGenerator[Service]:
    part = patient_service.part("")
    yield part
    await part.close()


@pytest.mark.parametrize("route", OPERATIONS)
async def test_credentials_then_rate_then_role_then_input(hasty: Service, route: str) -> None:
    for nobody in (hasty.client(), hasty.client(Authorization="Bearer nonsense")):
        assert (await send(nobody, route, **GARBAGE)).status_code == 401
    eve = member(hasty, f"eve-{uuid4()}")
    first, second = await send(eve, route, **GARBAGE), await send(eve, route, **GARBAGE)
    if route in GUARDED:
        assert told(first) == (403, "role_required")
    elif takes_something(route):
        assert first.status_code == 400
    else:
        assert first.status_code == (404 if "{" in route else 200)
    assert told(second) == (429, "rate_limited")
    assert int(second.headers["Retry-After"]) > 0
    other = member(hasty, f"eve-{uuid4()}")
    assert (await send(other, route, **GARBAGE)).status_code == first.status_code


@pytest.mark.parametrize("route", [route for route in OPERATIONS if takes_something(route)])
async def test_input_comes_before_whether_something_is_there(patient: Service, route: str) -> None:
    ann = member(patient, "ann", *EVERYTHING)
    refused = await send(ann, route, **GARBAGE)
    expected = "invalid_idempotency_key" if not has_input(route) else "validation_error"
    assert told(refused) == (400, expected)


def has_input(route: str) -> bool:
    """Whether the route has input of its own, beside a key."""
    return route in WRONG_QUERY or route in {plain(each) for each in ROUTES}


@pytest.mark.parametrize("route", [route for route in OPERATIONS if "{" in route])
async def test_what_is_not_there_is_404(patient: Service, route: str) -> None:
    ann = member(patient, "ann", *EVERYTHING)
    examples = {plain(each): body for each, (body, _, _) in ROUTES.items()}
    body = json.dumps(examples.get(route)).replace("{step}", str(uuid4())).replace("{connection}", str(uuid4()))
    request = {"content": body.encode(), "headers": {"Content-Type": "application/json"}} if route in examples else {}
    method, _, path = route.partition(" ")
    filled = path.format(session_id=uuid4(), connection_id=uuid4(), key="nothing", version=7)
    answer = await ann.request(method, filled, **request)
    (kind,) = (code for name, code in NOT_FOUND.items() if name in route)
    assert told(answer) == (404, kind)


def under(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


#   an act, what is done before it, and its body
REPEATED: list[tuple[str, tuple[str, ...], Any]] = [
    ("pause", (), None),
    ("resume", ("pause",), None),
    ("resolve", (), SOLVED),
    ("abandon", (), {}),
    ("reopen", ("resolve",), None),
    ("escalate", (), {"reason": "No idea"}),
    ("withdraw-escalation", ("escalate",), None),
    ("rate", ("resolve",), {"rating": 5}),
    ("status-update", (), {"audience": "client"}),
    ("respond", (), "answer"),
]


@pytest.mark.parametrize(
    ("action", "before", "body"), REPEATED, ids=lambda value: value if isinstance(value, str) else ""
)
async def test_what_a_key_remembers_comes_behind_input_and_before_all_else(
    patient: Service, action: str, before: tuple[str, ...], body: Any
) -> None:
    ann = member(patient, "ann", *EVERYTHING)
    session = await by_hand(ann)
    path, key = session["path"], under(f"{action}-{uuid4()}")
    await done(ann, path, *before)
    sent = {"step_id": session["first_step"]["step_id"], "free_text": "x"} if body == "answer" else body
    request = {} if sent is None else {"json": sent}
    first = await ann.post(f"{path}/{action}", headers=key, **request)
    assert first.is_success, first.text
    if body is not None:
        assert told(await ann.post(f"{path}/{action}", headers=key, json={"mood": "bad"})) == (400, "validation_error")
    # Neither state nor whether it is there is looked at for what was done already.
    again = await ann.post(f"{path}/{action}", headers=key, **request)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    if action == "escalate":
        await done(ann, path, "withdraw-escalation")
    await done(ann, path, "delete")
    again = await ann.post(f"{path}/{action}", headers=key, **request)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert told(await ann.post(f"{path}/{action}", headers=under(str(uuid4())), **request)) == (
        404,
        "session_not_found",
    )


def test_every_post_takes_a_key() -> None:
    for route, operation in OPERATIONS.items():
        names = [each["name"] for each in operation.get("parameters", ())]
        assert ("Idempotency-Key" in names) is route.startswith("POST "), route


HANDLERS = (
    "pause",
    "resume",
    "resolve",
    "escalate",
    "withdraw-escalation",
    "abandon",
    "reopen",
    "task-lane",
    "link-ticket",
)
LINK = {"psa_ticket_id": "4711", "psa_connection_id": str(uuid4())}
ANSWER = {"step_id": str(uuid4()), "free_text": "Tried it"}


async def tried(who: httpx.AsyncClient, path: str, action: str) -> tuple[int, str]:
    bodies = {"link-ticket": LINK, "respond": ANSWER}
    if action in bodies:
        return told(await who.post(f"{path}/{action}", json=bodies[action]))
    answer = await act(who, path, action)
    return (answer.status_code, "") if answer.is_success else told(answer)


@pytest.mark.parametrize("action", [*HANDLERS, "respond", "rate"])
async def test_a_stranger_is_told_404_whatever_state_it_is_in(patient: Service, action: str) -> None:
    ann, dan = (member(patient, name, *EVERYTHING) for name in ("ann", "dan"))
    path = (await by_hand(ann))["path"]
    await done(ann, path, "abandon")
    assert await tried(dan, path, action) == (404, "session_not_found")


@pytest.mark.parametrize("action", [*HANDLERS, "respond"])
async def test_whose_act_it_is_comes_before_the_state(patient: Service, action: str) -> None:
    ann, bob = (member(patient, name, *EVERYTHING) for name in ("ann", "bob"))
    path = (await by_hand(ann))["path"]
    await done(ann, path, "escalate")
    assert await tried(bob, path, action) == (404, "session_not_found")
    await done(bob, path, "pickup", "abandon")
    assert await tried(ann, path, action) == (403, "not_handler")
    assert await tried(bob, path, action) == (409, "illegal_transition")


async def test_what_is_the_owners_comes_before_the_state(patient: Service) -> None:
    ann, bob = (member(patient, name, *EVERYTHING) for name in ("ann", "bob"))
    path = (await by_hand(ann))["path"]
    await done(ann, path, "escalate")
    await done(bob, path, "pickup")
    assert await tried(bob, path, "rate") == (403, "not_owner")
    assert await tried(ann, path, "rate") == (409, "illegal_transition")
    assert await tried(bob, path, "delete") == (403, "not_owner")
    assert (await tried(ann, path, "delete"))[0] == 409


async def test_who_is_asked_for_by_name_is_told_to_take_it_over_first(patient: Service) -> None:
    ann, bob = (member(patient, name, *EVERYTHING) for name in ("ann", "bob"))
    assert (await bob.get("/users/me")).status_code == 200
    path = (await by_hand(ann))["path"]
    asked = {"reason": "No idea", "target_user_id": "bob"}
    assert (await act(ann, path, "escalate", asked)).status_code == 200
    for action in (*HANDLERS, "respond"):
        assert await tried(bob, path, action) == (403, "pickup_required"), action


async def test_the_state_comes_before_what_is_needed_to_go_on(patient: Service) -> None:
    ann = member(patient, "ann", *EVERYTHING)
    path = (await start_chat(ann))["path"]
    foreign = {"message": FOREIGN}
    assert told(await ann.post(f"{path}/chat", json=foreign)) == (503, "no_guidance_available")
    await done(ann, path, "pause")
    assert told(await ann.post(f"{path}/chat", json=foreign)) == (409, "illegal_transition")
    guided = (await by_hand(ann))["path"]
    assert told(await ann.post(f"{guided}/chat", json=foreign)) == (409, "wrong_session_type")


SPENDING = {"pickup": {}, "chat": {"message": "x"}, "status-update": {"audience": "client"}}


async def test_what_is_used_up_comes_last(sqlite_url: str, tmp_path: Path) -> None:
    script = SessionScript()
    async with service_with_models(sqlite_url, tmp_path / "data", script) as service:
        ann, dan = service.user(), service.user("dan")
        session = await start(ann, FOREIGN)
        nothing = {"limits": [{"measure": "generations", "period": "day", "amount": 0}]}
        (await service.admin().put("/budgets/user/ann", json=nothing)).raise_for_status()
        (await service.admin().put("/budgets/user/dan", json=nothing)).raise_for_status()
        option = session["first_step"]["options"][0]["value"]
        answer = {"step_id": session["first_step"]["step_id"], "option_value": option}
        respond = f"{session['path']}/respond"
        assert told(await ann.post(respond, json=answer)) == (429, "quota_exceeded")
        assert told(await ann.post(respond, json={**answer, "mood": "bad"})) == (400, "validation_error")
        assert told(await dan.post(respond, json=answer)) == (404, "session_not_found")
        for action in ("pickup", "chat", "status-update"):
            foreign = await dan.post(f"{session['path']}/{action}", json=SPENDING[action])
            assert told(foreign) == (404, "session_not_found"), action
        assert told(await ann.post(respond, json={**answer, "option_value": "none"})) == (400, "unknown_option")
        stale = {"step_id": str(uuid4()), "free_text": "x"}
        assert told(await ann.post(respond, json=stale)) == (404, "step_not_found")
        await done(ann, session["path"], "pause")
        assert told(await ann.post(respond, json=answer)) == (409, "illegal_transition")


async def test_a_playbook_that_is_none_is_told_behind_the_role_alone(patient: Service) -> None:
    eve, ann = member(patient, "eve"), member(patient, "ann", *EVERYTHING)
    unfit = EXAMPLE.replace("start: scope", "start: nowhere").encode()
    for who, expected in ((eve, (403, "role_required")), (ann, (422, "invalid_playbook"))):
        assert told(await who.post("/playbooks/import", content=unfit, headers=YAML)) == expected
    assert told(await eve.post(CONNECTIONS, json={**HOOK, "kind": "pigeon"})) == (403, "role_required")
    assert told(await ann.post(CONNECTIONS, json={**HOOK, "kind": "pigeon"})) == (400, "validation_error")
