"""Whoever is not let in learns nothing: what is another's is answered as what is not there, on every route.

The rows are those of the table of routes, in which every route of the application must be; so a new one is walked here too.
"""

from collections.abc import AsyncGenerator
from string import Formatter
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select
from tests.contracts.test_workspace_wall import contents
from tests.http.test_routes import FILLED_IN, FLOW_NAMES, NEW_SESSION, TABLE, UPLOAD, Row, World, make_world
from tests.support.databases import open_store
from tests.support.playbooks import EXAMPLE
from tests.support.service import Service
from tests.support.troubleshooting import import_playbook

from workbench.adapters.sql.playbook_tables import playbooks
from workbench.domain.budgets.model import Terms

IDS = ("conversation", "message", "assistant", "share", "session", "step", "letter", "dropped", "service", "connection")
OF_DUTIES = {"deliveries", "assistant_services", "jobs", "dead_letters", "rate_uses"}
MOVING = OF_DUTIES | {"embedding_spaces", "embeddings", "session_documents"}
"""Tables in which the service's own duties are at work, and where it counts who asks how often."""
WITH_IDS = [entry for entry in TABLE if any(f"{{{name}}}" in f"{entry.path} {entry.body}" for name in IDS)]
STRANGERS = [entry for entry in WITH_IDS if entry.expected[3] == 404]
OF_SESSIONS = [entry for entry in STRANGERS if "{session}" in entry.path]


@pytest.fixture
async def world(service: Service) -> AsyncGenerator[World]:
    async with service.recorder(announced=False) as recorder:
        yield await make_world(service, recorder)


def unknown(names: dict[str, str]) -> dict[str, str]:
    """Names of nothing."""
    return {**names, **{name: str(uuid4()) for name in IDS}, "service": f"unknown-{uuid4()}"}


async def answer(client: httpx.AsyncClient, entry: Row, names: dict[str, str]) -> tuple[int, str, str]:
    """The status, the kind and the words of an answer, without the ids that were asked for."""
    filled = {**names, "fresh": f"fresh-{uuid4()}"}
    request: dict[str, Any] = {}
    if entry.body is UPLOAD:
        request["files"] = UPLOAD
    elif entry.body is not None:
        body = entry.body.items()
        request["json"] = {key: value.format(**filled) if value in FILLED_IN else value for key, value in body}
    async with client.stream(entry.method, entry.path.format(**filled), **request) as response:
        kind = response.headers.get("content-type", "").partition(";")[0]
        words = (await response.aread()).decode() if kind == "application/json" else ""
    for name in IDS:
        words = words.replace(filled[name], name)
    return response.status_code, kind, words


async def different(client: httpx.AsyncClient, rows: list[Row], names: dict[str, str]) -> list[str]:
    """The rows that tell what is another's from what is not there."""
    found: list[str] = []
    for entry in rows:
        theirs, nothing = await answer(client, entry, names), await answer(client, entry, unknown(names))
        if theirs != nothing:
            found.append(f"{entry}: {theirs} where nothing is {nothing}")
    return found


async def kept(service: Service) -> dict[str, list[Any]]:
    async with open_store(service.database_url) as store:
        found = await contents(store, service.workspace())
    return {table: rows for table, rows in found.items() if table not in MOVING}


async def test_28_another_workspaces_ids_are_answered_as_ids_of_nothing_and_nothing_changes(
    service: Service, world: World
) -> None:
    assert len(WITH_IDS) > 70
    before = await kept(service)
    assert await different(world.clients["neighbour"], WITH_IDS, world.names) == []
    assert await different(service.admin("root", "elsewhere"), WITH_IDS, world.names) == []
    assert await kept(service) == before


async def test_29_a_stranger_of_the_same_workspace_learns_as_little(service: Service, world: World) -> None:
    assert len(STRANGERS) > 50
    before = await kept(service)
    assert await different(world.clients["stranger"], STRANGERS, world.names) == []
    assert await kept(service) == before


async def test_29_so_does_an_admin_of_the_workspace_with_sessions_of_others(service: Service, world: World) -> None:
    assert len(OF_SESSIONS) > 10
    admin = service.admin()
    assert await different(admin, OF_SESSIONS, world.names) == []
    assert {(await answer(admin, entry, world.names))[0] for entry in OF_SESSIONS} == {404}


PLAYBOOK_ROUTES = [
    ("GET", "/playbooks/{key}", None),
    ("GET", "/playbooks/{key}/versions/1", None),
    ("POST", "/playbooks/{key}/publish", {}),
    ("POST", "/playbooks/{key}/archive", None),
]


async def test_28_another_workspaces_playbooks_are_as_little_there_as_any(service: Service, world: World) -> None:
    await playbook_of(service)
    neighbour, owner = world.clients["neighbour"], world.clients["owner"]
    before = (await owner.get("/playbooks/ours-alone")).json()
    for method, path, body in PLAYBOOK_ROUTES:
        theirs, nothing = [
            await neighbour.request(method, path.format(key=key), **({} if body is None else {"json": body}))
            for key in ("ours-alone", "nobodys")
        ]
        assert (theirs.status_code, theirs.content) == (404, nothing.content), path
    assert (await owner.get("/playbooks/ours-alone")).json() == before


async def own_places(world: World) -> dict[str, str]:
    """A conversation and a session of the neighbour's own."""
    neighbour = world.clients["neighbour"]
    conversation = (await neighbour.post("/conversations", json={})).json()["id"]
    session = (await neighbour.post("/ai-sessions", json=NEW_SESSION)).json()
    return {"own": conversation, "own_session": session["session_id"]}


IN_BODIES = [
    (
        "POST",
        "/conversation-shares",
        {"conversation_id": "{conversation}", "label": "", "conversation_permission": "read"},
    ),
    ("POST", "/conversations/{own}/turns", {"turn_id": "t", "assistant_id": "{assistant}", "input": {"content": "x"}}),
    ("PUT", "/conversations/{own}/participants/{assistant}", {}),
    ("POST", "/assistants", {"assistant_service_id": "{service}", "name": "n"}),
    ("POST", "/ai-sessions/{own_session}/escalate", {"reason": "No idea", "target_user_id": "{user}"}),
    ("POST", "/ai-sessions", {**NEW_SESSION, "start_mode": "auto", "playbook_id": "{playbook}"}),
    ("GET", "/assistants?conversation_id={conversation}", None),
    ("GET", "/conversations/export?id={conversation}", None),
    ("GET", "/usage?conversation_id={conversation}", None),
    ("GET", "/usage?assistant_id={assistant}", None),
]


@pytest.mark.parametrize(
    ("method", "path", "body"), IN_BODIES, ids=lambda value: value if isinstance(value, str) else ""
)
async def test_30_ids_of_another_workspace_in_a_body_or_a_query_are_ids_of_nothing(
    service: Service, world: World, method: str, path: str, body: dict[str, Any] | None
) -> None:
    places = await own_places(world)
    theirs = {**world.names, **places, "user": "oda", "playbook": await playbook_of(service)}
    nothing = {**unknown(world.names), **places, "user": f"nobody-{uuid4()}", "playbook": str(uuid4())}
    answers: list[tuple[int, str]] = []
    for names in (theirs, nothing):
        filled = _filled(body, names)
        async with world.clients["neighbour"].stream(method, path.format(**names), json=filled) as response:
            is_json = "json" in response.headers.get("content-type", "")
            words = (await response.aread()).decode() if is_json else ""
        for name, value in names.items():
            words = words.replace(value, name) if len(value) > 8 else words
        answers.append((response.status_code, words))
    assert answers[0] == answers[1]


def _filled(body: Any, names: dict[str, str]) -> Any:
    if isinstance(body, dict):
        return {key: _filled(value, names) for key, value in body.items()}
    return body.format(**names) if isinstance(body, str) and body.startswith("{") else body


async def playbook_of(service: Service) -> str:
    """The id of a playbook that the owner's workspace alone has."""
    await import_playbook(service.user("ann"), EXAMPLE.replace("key: printer-offline", "key: ours-alone"))
    mine = select(playbooks.c.id).where(
        playbooks.c.workspace_id == service.workspace(), playbooks.c.key == "ours-alone"
    )
    async with open_store(service.database_url) as store:
        return str((await store.database.rows(mine))[0][0])


async def test_31_what_is_not_there_is_said_before_that_there_is_nothing_left_to_spend(
    service: Service, world: World
) -> None:
    places = await own_places(world)
    async with (
        open_store(service.database_url) as store,
        store.transactions.write(service.workspace("elsewhere")) as tx,
    ):
        nothing_left = Terms(measure="turns", period="day", amount=0, anchor=None)
        tx.budgets.replace_limits("user", "ann", [nothing_left])
    turn = {"turn_id": str(uuid4()), "input": {"content": "hello"}}
    answers: list[tuple[int, str]] = []
    for conversation in (world.names["conversation"], str(uuid4()), places["own"]):
        for assistant in (world.names["assistant"], str(uuid4())):
            body = {**turn, "assistant_id": assistant}
            refused = await world.clients["neighbour"].post(f"/conversations/{conversation}/turns", json=body)
            answers.append((refused.status_code, refused.json()["code"]))
    assert answers[:4] == [(404, answers[0][1])] * 4
    assert answers[4:] == [(422, "assistant_not_in_conversation")] * 2
    standing = (await world.clients["neighbour"].get("/budgets/me")).json()["standings"]
    assert [each["left"] for each in standing] == [0]


def test_every_name_that_is_filled_in_is_taken_for_an_id_or_is_no_id() -> None:
    """A new kind of id in the table of routes has to be said to be one."""
    named = {field for entry in TABLE for _, field, _, _ in Formatter().parse(entry.path) if field}
    assert named <= {*IDS, *FLOW_NAMES, "fresh"}
