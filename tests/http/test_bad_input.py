"""Bad input on routes of sessions, playbooks and ticket systems, line by line of its table in the specification (13)."""

import copy
import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from tests.support.bad_input import CHAT, CONNECTIONS, HOOK, PLAYBOOK, ROUTES, SESSION, documented, field_of, plain
from tests.support.databases import copy_of_template
from tests.support.playbooks import EXAMPLE
from tests.support.service import Service, running_service
from tests.support.troubleshooting import SESSIONS, YAML, by_hand, respond, start_chat


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service]:
    """A service where one may ask as often as a table has lines."""
    folder = tmp_path_factory.mktemp("bad-input")
    url = copy_of_template(sqlite_template, folder)
    async with running_service(url, folder / "data", limits={"pace": 100_000}) as running:
        yield running


class Desk:
    """Somebody who may do everything, with a session of each kind and a connection."""

    def __init__(self, service: Service, who: httpx.AsyncClient, names: dict[str, str]) -> None:
        self.service = service
        self.who = who
        self.names = names

    def path(self, path: str) -> str:
        return path.format(**self.names)

    async def ask(self, route: str, **request: Any) -> httpx.Response:
        method, _, path = route.partition(" ")
        return await self.who.request(method, self.path(path), **request)

    async def send(self, route: str, body: Any, kind: str | None = "application/json") -> httpx.Response:
        """Send bytes, or what is written as JSON; a lone surrogate as it is escaped."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.ask(route, content=content, headers={} if kind is None else {"Content-Type": kind})

    def body(self, route: str) -> dict[str, Any]:
        """What the route takes."""
        filled = json.dumps(ROUTES[route][0])
        for name, value in self.names.items():
            filled = filled.replace(f"{{{name}}}", value)
        return json.loads(filled)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def names(shared: Service) -> dict[str, str]:
    """What there is, by what the tables call it."""
    admin = shared.admin()
    session, talk = await by_hand(admin), await start_chat(admin)
    connection = (await admin.post(CONNECTIONS, json=HOOK)).json()["id"]
    made = {"session": session["session_id"], "chat": talk["session_id"], "connection": connection}
    return {**made, "step": session["first_step"]["step_id"]}


@pytest.fixture
async def desk(shared: Service, names: dict[str, str]) -> AsyncGenerator[Desk]:
    # Each test closes what it opened, in the loop in which it opened it.
    part = shared.part("")
    yield Desk(part, part.admin(), names)
    await part.close()


def with_value(body: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    """The body with another value at a place."""
    changed = copy.deepcopy(body)
    *above, last = field.split(".")
    inner = changed
    for name in above:
        inner = inner[name]
    inner[last] = value
    return changed


def refused(answer: httpx.Response, field: str) -> None:
    """Fail unless the answer says that this field, or an item of it, does not fit."""
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error"), answer.text
    told = answer.json()
    (fault,) = told["extra"]["errors"]
    assert fault["field"].partition("[")[0] == field, told
    assert fault["message"]


def test_each_route_that_takes_json_is_in_the_table() -> None:
    takes_json = {
        route
        for route, operation in documented().items()
        if [*operation.get("requestBody", {}).get("content", ())] == ["application/json"]
    }
    assert takes_json == {plain(route) for route in ROUTES}


@pytest.mark.parametrize("route", ROUTES)
async def test_wrong_values_are_400_by_the_name_of_their_field(desk: Desk, route: str) -> None:
    _, _, wrong = ROUTES[route]
    for field, value in wrong:
        answer = await desk.send(route, with_value(desk.body(route), field, value))
        refused(answer, field)
        if value == "none of them":
            assert "must be one of" in answer.json()["extra"]["errors"][0]["message"], field


@pytest.mark.parametrize("route", ROUTES)
async def test_what_is_no_json_object_or_has_unknown_fields_is_400(desk: Desk, route: str) -> None:
    good = desk.body(route)
    for broken in (b"{", b"\xff", b"{'a': 1}", b"[]", b"null", b"7", b'"text"', b"", b"[" * 200 + b"]" * 200):
        refused(await desk.send(route, broken), "body")
    refused(await desk.send(route, {**good, "mood": "bad"}), "mood")


@pytest.mark.parametrize("route", [route for route, (_, text, _) in ROUTES.items() if text])
async def test_nul_and_lone_surrogates_in_texts_are_400(desk: Desk, route: str) -> None:
    field = str(ROUTES[route][1])
    refused(await desk.send(route, with_value(desk.body(route), field, "a\0b")), field)
    refused(await desk.send(route, with_value(desk.body(route), field, "a\ud800b")), "body")


@pytest.mark.parametrize("route", ROUTES)
async def test_another_content_type_than_json_is_415(desk: Desk, route: str) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/yaml", "text/json5", "jsonp"):
        answer = await desk.send(route, desk.body(route), kind)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type"), kind
    missing = with_value(desk.body(route), "mood", "bad")
    for kind in (None, "application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.api+json"):
        refused(await desk.send(route, missing, kind), "mood")


async def chunked(size: int) -> AsyncIterator[bytes]:
    """So many bytes, without saying beforehand how many."""
    yield b'{"mood": "'
    for _ in range(size // 65_536):
        yield b"x" * 65_536
    yield b"x" * (size % 65_536)


LARGEST = 1 << 20


@pytest.mark.parametrize("route", ROUTES)
async def test_a_body_that_is_too_large_is_413_before_it_is_read(desk: Desk, route: str) -> None:
    limit = LARGEST // 2 if route.endswith("task-lane") else LARGEST
    answers = [await desk.send(route, b"x" * (limit + 1))]
    answers.append(await desk.ask(route, content=chunked(limit), headers={"Content-Type": "application/json"}))
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert answer.json()["extra"]["limit_bytes"] == limit
    refused(await desk.send(route, b"x" * limit), "body")


async def test_a_playbook_that_is_too_large_is_413(desk: Desk) -> None:
    for path in ("import", "validate"):
        largest = b"#" * (256 << 10)
        for content in (largest + b"#", chunked(256 << 10)):
            answer = await desk.ask(f"POST /playbooks/{path}", content=content, headers=YAML)
            assert (answer.status_code, answer.json()["extra"]["limit_bytes"]) == (413, 256 << 10)
        assert (await desk.ask(f"POST /playbooks/{path}", content=largest, headers=YAML)).status_code in (200, 422)
        answer = await desk.ask(f"POST /playbooks/{path}", content=b"x", headers={"Content-Type": "image/png"})
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_ids_in_paths_that_are_none_are_404(desk: Desk) -> None:
    seen = 0
    for route in documented():
        if "_id}" in route:
            seen += 1
            for wrong in ("not-a-uuid", "7", "00000000-0000-0000-0000-00000000000"):
                answer = await desk.ask(route.replace("{session_id}", wrong).replace("{connection_id}", wrong), json={})
                # A static path of the same length has other methods.
                assert answer.status_code == 404, (route, wrong, answer.text)
    assert seen > 25
    for wrong in ("x", "-1", "1.5"):
        assert (await desk.ask(f"GET {PLAYBOOK}/versions/{wrong}")).status_code == 404


LIST, SEARCH, QUEUE = f"GET {SESSIONS}", f"GET {SESSIONS}/search", f"GET {SESSIONS}/escalation-queue"
SIMILAR, DOCUMENTATION = f"GET {SESSION}/similar", f"GET {SESSION}/documentation"
IMPORT = "POST /playbooks/import"
WORDS: dict[str, Any] = {"q": "slow"}
QUERIES: list[tuple[str, dict[str, Any], str]] = [
    *[(LIST, {"q": wrong}, "q") for wrong in ("x", "x" * 201, "", "  ")],
    *[(SEARCH, {"q": wrong}, "q") for wrong in ("x", "x" * 201, "", "  ")],
    (SEARCH, {}, "q"),
    *[(route, {"limit": wrong}, "limit") for route in (LIST, QUEUE) for wrong in (0, 101, -1, "x", "")],
    *[(SEARCH, {**WORDS, "limit": wrong}, "limit") for wrong in (0, 21, -1, "x")],
    *[(SIMILAR, {"limit": wrong}, "limit") for wrong in (0, 21, -1, "x")],
    *[(LIST, {"skip": wrong}, "skip") for wrong in (-1, 10_001, "x")],
    *[(route, {"cursor": wrong}, "cursor") for route in (LIST, QUEUE) for wrong in ("x", "ey", "é", "W10")],
    *[(LIST, {"date_from": wrong}, "date_from") for wrong in ("yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00")],
    *[(LIST, {"date_to": wrong}, "date_to") for wrong in ("tomorrow", "9999-12-31T23:59:59-14:00")],
    (LIST, {"date_from": "2026-03-02T00:00:00", "date_to": "2026-03-01T00:00:00"}, "date_from"),
    (LIST, {"matched_flow_id": "x"}, "matched_flow_id"),
    (LIST, {"include_total": "maybe"}, "include_total"),
    (LIST, {"problem_domain": "x" * 61}, "problem_domain"),
    (LIST, {"ticket_id": "x" * 65}, "ticket_id"),
    *[(IMPORT, {name: "maybe"}, name) for name in ("publish", "dry_run")],
]


@pytest.mark.parametrize(("route", "params", "field"), QUERIES)
async def test_queries_that_mean_nothing_are_400(desk: Desk, route: str, params: dict[str, Any], field: str) -> None:
    refused(await desk.ask(route, params=params, content=b"x", headers=YAML), field)


@pytest.mark.parametrize(
    ("route", "params", "allowed"),
    [
        (LIST, {"status": "open"}, ["active", "paused", "requesting_escalation", "escalated", "resolved", "abandoned"]),
        (LIST, {"status": ["active", "open"]}, ["active", "abandoned"]),
        (LIST, {"confidence_tier": "high"}, ["guided", "exploring", "discovery"]),
        (LIST, {"session_type": "talk"}, ["guided", "chat"]),
        (LIST, {"role": "boss"}, ["owner", "handler", "any"]),
        (DOCUMENTATION, {"format": "pdf"}, ["json", "markdown", "text"]),
    ],
)
async def test_words_that_are_not_allowed_are_400_with_those_that_are(
    desk: Desk, route: str, params: dict[str, Any], allowed: list[str]
) -> None:
    answer = await desk.ask(route, params=params)
    (field,) = params
    refused(answer, field)
    assert all(word in answer.json()["extra"]["errors"][0]["message"] for word in allowed), answer.text


async def test_more_than_one_fault_in_a_query_is_told_at_once(desk: Desk) -> None:
    answer = await desk.ask(LIST, params={"limit": 0, "skip": -1, "status": "open"})
    assert (answer.status_code, {each["field"] for each in answer.json()["extra"]["errors"]}) == (
        400,
        {"limit", "skip", "status"},
    )


async def test_a_cursor_goes_with_no_skip_and_with_no_other_list(desk: Desk) -> None:
    first = (await desk.ask(LIST, params={"limit": 1})).json()
    cursor = first["next_cursor"]
    assert (await desk.ask(LIST, params={"cursor": cursor})).status_code == 200
    refused(await desk.ask(LIST, params={"cursor": cursor, "skip": 1}), "skip")
    refused(await desk.ask(QUEUE, params={"cursor": cursor}), "cursor")
    for stranger in (desk.service.user("bob"), desk.service.admin("root", "elsewhere")):
        refused(await stranger.get(SESSIONS, params={"cursor": cursor}), "cursor")


@pytest.mark.parametrize("words", ['"', "''", "AND", "a OR b", "NEAR(a b)", "***", "-x:(y", "\\' --", "🖨🖨", "%_%"])
async def test_signs_and_operators_are_words_or_nothing(desk: Desk, words: str) -> None:
    for route in (LIST, SEARCH):
        found = await desk.ask(route, params={"q": words if len(words) > 1 else words * 2})
        assert found.status_code == 200, found.text


@pytest.mark.parametrize("words", ["the", "and the of", "is it"])
async def test_words_that_say_nothing_find_nothing(desk: Desk, words: str) -> None:
    for route in (LIST, SEARCH):
        found = await desk.ask(route, params={"q": words})
        assert (found.status_code, found.json()["items"]) == (200, []), found.text


async def test_a_date_without_a_zone_is_taken_as_utc(desk: Desk) -> None:
    created = (await desk.ask(f"GET {SESSION}")).json()["created_at"]
    assert created.endswith("Z")
    inclusive = {"date_from": created.removesuffix("Z"), "date_to": created.removesuffix("Z")}
    listed = (await desk.ask(LIST, params=inclusive)).json()["items"]
    assert [each["id"] for each in listed] == [desk.names["session"]]


@pytest.mark.parametrize(
    "kinds",
    [
        {},
        {"free_text": "x", "skip": True},
        {"option_value": "a", "option_values": ["a"]},
        {"outcome": "done", "free_text": "x"},
        {"skip": False},
    ],
)
async def test_an_answer_has_one_kind(desk: Desk, kinds: dict[str, Any]) -> None:
    answer = await desk.send(f"POST {SESSION}/respond", {"step_id": desk.names["step"], **kinds})
    assert (answer.status_code, answer.json()["code"]) == (400, "answer_required")


async def test_a_report_is_measured_without_the_blanks_around_it(desk: Desk) -> None:
    longest = "x" * 20_000
    session = await by_hand(desk.who, f" \n{longest}\t")
    assert (await desk.who.get(session["path"])).json()["intake_content"]["text"] == longest


async def test_an_answer_to_an_older_step_is_409_and_to_another_sessions_404(desk: Desk) -> None:
    session, other = await by_hand(desk.who), await by_hand(desk.who)
    await respond(desk.who, session["path"], session["first_step"], free_text="This")
    late = {"step_id": session["first_step"]["step_id"], "free_text": "That"}
    stale = await desk.who.post(f"{session['path']}/respond", json=late)
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_step")
    for step in (other["first_step"]["step_id"], str(uuid4())):
        foreign = await desk.who.post(f"{session['path']}/respond", json={**late, "step_id": step})
        assert (foreign.status_code, foreign.json()["code"]) == (404, "step_not_found")


async def test_what_a_step_does_not_offer_is_400(desk: Desk) -> None:
    answer = {"step_id": desk.names["step"], "option_value": "nothing"}
    wrong = await desk.send(f"POST {SESSION}/respond", answer)
    assert (wrong.status_code, wrong.json()["code"], field_of(wrong)) == (
        400,
        "unknown_option",
        "option_value",
    )


async def test_uploads_that_are_not_ones_own_are_400(desk: Desk) -> None:
    conversation = (await desk.ask(f"GET {CHAT}")).json()["conversation_id"]
    files = {"files": ("log.txt", b"of the chat")}
    (await desk.who.put(f"/conversations/{conversation}/files", files=files)).raise_for_status()
    answer = {"step_id": desk.names["step"], "free_text": "See the log"}
    start = {"intake_content": {"text": "It is slow", "upload_ids": ["log.txt"]}, "start_mode": "manual"}
    for route, body in (
        (f"POST {SESSION}/respond", {**answer, "upload_ids": ["log.txt"]}),
        (f"POST {CHAT}/chat", {"message": "See", "upload_ids": ["other.txt"]}),
        (f"POST {SESSIONS}", start),
    ):
        wrong = await desk.send(route, body)
        assert (wrong.status_code, wrong.json()["code"]) == (400, "unknown_upload"), route


@pytest.mark.parametrize(
    ("route", "body", "code"),
    [
        (f"POST {SESSIONS}", {"intake_content": {"text": "It"}, "playbook_id": "{id}"}, "unknown_playbook"),
        (
            f"POST {SESSIONS}",
            {
                "intake_content": {"text": "It"},
                "start_mode": "manual",
                "psa_ticket_id": "1",
                "psa_connection_id": "{id}",
            },
            "unknown_connection",
        ),
        (f"POST {SESSION}/link-ticket", {"psa_ticket_id": "1", "psa_connection_id": "{id}"}, "unknown_connection"),
        (f"POST {SESSION}/escalate", {"reason": "Why", "target_user_id": "{id}"}, "invalid_target"),
        (f"POST {SESSION}/escalate", {"reason": "Why", "team_id": "{id}"}, "unknown_team"),
        (f"POST {CHAT}/chat", {"message": "See", "upload_ids": ["{id}"]}, "unknown_upload"),
    ],
)
async def test_what_another_workspace_has_is_as_unknown_as_any(
    desk: Desk, route: str, body: dict[str, Any], code: str
) -> None:
    theirs = await others(desk.service)
    bodies = [json.loads(json.dumps(body).replace("{id}", each)) for each in (theirs[code], str(uuid4()))]
    answers = [await desk.send(route, each) for each in bodies]
    assert [(each.status_code, each.json()["code"]) for each in answers] == [(400, code)] * 2
    assert answers[0].content == answers[1].content


async def others(service: Service) -> dict[str, str]:
    """What there is in another workspace, by what one is told of it."""
    neighbour = service.admin("nell", "elsewhere")
    text = EXAMPLE.replace("key: printer-offline", "key: theirs-alone")
    await neighbour.post("/playbooks/import", params={"publish": True}, content=text.encode(), headers=YAML)
    connection = (await neighbour.post(CONNECTIONS, json=HOOK)).json()["id"]
    talk = await start_chat(neighbour)
    files = {"files": ("theirs.txt", b"theirs")}
    (await neighbour.put(f"/conversations/{talk['conversation_id']}/files", files=files)).raise_for_status()
    return {
        "unknown_playbook": (await neighbour.get("/playbooks/theirs-alone")).json()["id"],
        "unknown_connection": connection,
        "invalid_target": "nell",
        "unknown_team": "theirs",
        "unknown_upload": "theirs.txt",
    }


async def test_nobody_is_asked_who_cannot_come(desk: Desk) -> None:
    for whom in ("root", "nobody-of-this-name"):
        answer = await desk.send(f"POST {SESSION}/escalate", {"reason": "No idea", "target_user_id": whom})
        assert (answer.status_code, answer.json()["code"], field_of(answer)) == (
            400,
            "invalid_target",
            "target_user_id",
        )


async def test_a_connection_that_is_off_is_409(desk: Desk) -> None:
    connection = (await desk.who.post(CONNECTIONS, json={**HOOK, "enabled": False})).json()["id"]
    link = {"psa_ticket_id": "4711", "psa_connection_id": connection}
    answer = await desk.send(f"POST {SESSION}/link-ticket", link)
    assert (answer.status_code, answer.json()["code"]) == (409, "connection_disabled")


BOMB = "a: &a [x, x, x, x]\n" + "\n".join(f"b{n}: &b{n} [*a, *a, *a, *a, *a, *a]" for n in range(9))
UNFIT = {
    "bomb": BOMB,
    "tag": EXAMPLE.replace("domain: printing", "domain: !!python/name:os.system printing"),
    "duplicate key": EXAMPLE.replace("domain: printing", "domain: printing\ndomain: network"),
    "unbounded cycle": EXAMPLE.replace("max_visits: 2, on_loop: up", ""),
    "missing target": EXAMPLE.replace("no: spooler", "no: nowhere"),
    "unknown field": EXAMPLE.replace("domain: printing", "mood: bad"),
    "several documents": f"{EXAMPLE}---\n{EXAMPLE}",
    "nul": EXAMPLE.replace("domain: printing", 'domain: "a\\0b"'),
    "no yaml": "key: [",
    "nothing": "",
}


@pytest.mark.parametrize("kind", UNFIT)
async def test_playbooks_that_are_none_are_422_with_findings(desk: Desk, kind: str) -> None:
    answer = await desk.ask("POST /playbooks/import", content=UNFIT[kind].encode(), headers=YAML)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_playbook"), answer.text
    findings = answer.json()["extra"]["findings"]
    assert findings
    assert all({"level", "path", "code", "message"} <= each.keys() for each in findings)
    checked = await desk.ask("POST /playbooks/validate", content=UNFIT[kind].encode(), headers=YAML)
    assert (checked.status_code, checked.json()["is_valid"]) == (200, False)


async def test_a_key_that_is_none_is_400_on_every_post(desk: Desk) -> None:
    posts = [route for route in documented() if route.startswith("POST ")]
    examples = {plain(route): desk.body(route) for route in ROUTES}
    for route in posts:
        path = route.partition(" ")[2].format(session_id=uuid4(), connection_id=uuid4(), key="printer-offline")
        for key in ("x" * 129, "a b", "", "é"):
            headers = [(b"Idempotency-Key", key.encode("latin-1")), (b"Content-Type", b"application/json")]
            answer = await desk.who.post(path, content=json.dumps(examples.get(route, {})).encode(), headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key"), route
            assert field_of(answer) == "Idempotency-Key"


async def test_nothing_came_of_any_of_it(desk: Desk) -> None:
    for path in (SESSION, CHAT):
        detail = (await desk.ask(f"GET {path}")).json()
        assert (detail["status"], detail["step_count"], detail["psa_ticket_id"]) == ("active", 0, None)
