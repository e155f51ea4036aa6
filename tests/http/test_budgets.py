"""Budgets over HTTP: set by admins, asked before each turn, told in headers, and given back with what was not spent."""

import asyncio
from typing import Any

import httpx
import pytest
from tests.http.test_turns import BREAKS, CALL, Scene, picture, reap, run, set_up
from tests.support.service import Service, running_service

TURNS_A_DAY = {"measure": "turns", "period": "day"}


@pytest.fixture
async def scene(service: Service) -> Any:
    async with set_up(service) as made:
        yield made


@pytest.fixture
async def own_scene(own_service: Service) -> Any:
    """For what touches the turns of everybody."""
    async with set_up(own_service) as made:
        yield made


async def limit(scene: Scene, amount: int | None, whose: str = "user/ann", **terms: Any) -> dict[str, Any]:
    """Let an admin set the one limit of a subject."""
    body = {"limits": [{**TURNS_A_DAY, "amount": amount, **terms}]}
    answer = await scene.service.admin().put(f"/budgets/{whose}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def left(scene: Scene, name: str = "user/turns/day") -> tuple[int, int, int]:
    """What the caller sees used, reserved and left."""
    standings = (await scene.ann.get("/budgets/me")).json()["standings"]
    (mine,) = [standing for standing in standings if standing["name"] == name]
    return mine["used"], mine["reserved"], mine["left"]


async def ask(scene: Scene, turn_id: str = "t1", who: httpx.AsyncClient | None = None, **fields: Any) -> httpx.Response:
    body = {"turn_id": turn_id, "assistant_id": scene.assistant, "input": {"content": "hello"}, **fields}
    return await (who or scene.ann).post(f"{scene.path}/turns", json=body)


async def answer(scene: Scene, turn_id: str = "t1", **fields: Any) -> None:
    await scene.lease(turn_id)
    await scene.finalize(turn_id, parts=[{"type": "text", "text": "hi"}], **fields)


# Turns


async def test_without_limits_nothing_is_said_of_them(scene: Scene) -> None:
    opened = await ask(scene)
    assert opened.status_code == 201
    assert "budgets" not in opened.json()
    assert not {"ratelimit", "ratelimit-policy"} & opened.headers.keys()
    assert (await scene.ann.get("/budgets/me")).json() == {"standings": []}


async def test_a_turn_says_what_is_left_and_the_next_is_refused_before_anything_is_stored(scene: Scene) -> None:
    await limit(scene, 1)
    opened = await ask(scene)
    assert opened.status_code == 201
    (standing,) = opened.json()["budgets"]
    assert (standing["used"], standing["reserved"], standing["left"]) == (0, 1, 0)
    seconds = standing["resets_in_seconds"]
    assert opened.headers["ratelimit-policy"] == '"user/turns/day";q=1;qu="turns";w=86400'
    assert opened.headers["ratelimit"] == f'"user/turns/day";r=0;t={seconds}'
    await answer(scene, usage={"calls": [CALL]})
    assert await left(scene) == (1, 0, 0)
    before = await scene.messages()
    refused = await ask(scene, "t2", input={"content": "more", "images": [picture(200_000)]})
    body = refused.json()
    assert (refused.status_code, body["code"], body["deny_reason"]) == (429, "budget_exceeded", "user/turns/day")
    until = body["reset_at"].replace("T", " ").replace(":00Z", " UTC")
    assert body["detail"] == f"The budget of the user is used up until {until}: 1 turns a day"
    assert body["reset_at"] == standing["resets_at"]
    assert [(each["name"], each["left"]) for each in body["limits"]] == [("user/turns/day", 0)]
    assert 0 < int(refused.headers["retry-after"]) <= seconds
    assert refused.headers["ratelimit"].startswith('"user/turns/day";r=0;t=')
    assert refused.headers["ratelimit-policy"] == opened.headers["ratelimit-policy"]
    assert await scene.messages() == before
    assert (await scene.ann.get(f"{scene.path}/turns/t2")).status_code == 404
    assert (await scene.ann.get(f"{scene.path}/files")).json()["files"] == []


async def test_the_same_request_again_is_no_second_spend(scene: Scene) -> None:
    await limit(scene, 1)
    for status in (201, 200, 200):
        opened = await ask(scene)
        assert opened.status_code == status, opened.text
    assert "ratelimit" not in opened.headers
    assert await left(scene) == (0, 1, 0)
    await answer(scene, usage={"calls": [CALL]})
    assert (await ask(scene)).status_code == 200


async def test_a_streamed_answer_says_what_is_left_in_the_same_headers(scene: Scene) -> None:
    await limit(scene, 5)
    body = {"turn_id": "t1", "assistant_id": scene.assistant, "input": {"content": "hello"}}
    accept = {"Accept": "text/event-stream"}
    async with scene.ann.stream("POST", f"{scene.path}/turns", json=body, headers=accept) as response:
        assert response.status_code == 200
        assert response.headers["ratelimit"].startswith('"user/turns/day";r=4;t=')
    refused = await limit(scene, 0)
    assert refused["standings"][0]["left"] == 0
    await scene.ann.post(f"{scene.path}/turns/t1/cancel", json={})
    async with scene.ann.stream("POST", f"{scene.path}/turns", json={**body, "turn_id": "t2"}, headers=accept) as two:
        assert two.status_code == 429
        assert two.headers["content-type"] == "application/json"


@pytest.mark.parametrize("whose", ["user/*", "assistant/{assistant}", "assistant/*", "workspace/{workspace}"])
async def test_limits_of_every_scope_refuse(scene: Scene, whose: str) -> None:
    names = {"assistant": scene.assistant, "workspace": scene.service.workspace()}
    await limit(scene, 0, whose.format(**names))
    refused = await ask(scene)
    assert (refused.status_code, refused.json()["deny_reason"]) == (429, f"{whose.partition('/')[0]}/turns/day")


async def test_an_assistant_that_opens_a_turn_spends_what_the_asker_has(scene: Scene) -> None:
    await limit(scene, 1)
    first, second = [
        (await scene.ann.post(f"{scene.path}/messages", json={"content": text})).json()["id"] for text in ("a", "b")
    ]
    opened = await ask(scene, "t1", scene.robot, input={"message_id": first}, producer={"producer_id": "p"})
    assert opened.status_code == 201, opened.text
    await scene.finalize(parts=[{"type": "text", "text": "hi"}], usage={"calls": [CALL]})
    refused = await ask(scene, "t2", scene.robot, input={"message_id": second}, producer={"producer_id": "p"})
    assert (refused.status_code, refused.json()["code"]) == (429, "budget_exceeded")


async def test_what_was_not_spent_is_given_back_with_the_end(scene: Scene) -> None:
    await limit(scene, 1)
    for turn_id in ("t1", "t2"):
        assert (await ask(scene, turn_id)).status_code == 201
        assert await left(scene) == (0, 1, 0)
        await answer(scene, turn_id)
        assert await left(scene) == (0, 0, 1)
    assert (await ask(scene, "t3")).status_code == 201
    await scene.ann.post(f"{scene.path}/turns/t3/cancel", json={})
    assert await left(scene) == (0, 0, 1)


async def test_tokens_are_reserved_as_far_as_they_are_foreseen_and_settled_as_they_were(scene: Scene) -> None:
    await limit(scene, 1000, measure="tokens", period="month")
    opened = await ask(scene, options={"max_output_tokens": 900})
    assert opened.status_code == 201
    assert await left(scene, "user/tokens/month") == (0, 900, 100)
    await answer(scene, usage={"calls": [CALL]})
    assert await left(scene, "user/tokens/month") == (150, 0, 850)
    assert (await ask(scene, "t2", options={"max_output_tokens": 851})).status_code == 429
    assert (await ask(scene, "t2", options={"max_output_tokens": 850})).status_code == 201


async def test_what_is_only_held_is_soon_worth_asking_for_again(scene: Scene) -> None:
    await limit(scene, 1)
    assert (await ask(scene)).status_code == 201
    other = {"assistant_service_id": scene.recorder.service_id, "name": "Other"}
    second = (await scene.ann.post("/assistants", json=other)).json()["id"]
    await scene.ann.put(f"{scene.path}/participants/{second}", json={})
    refused = await ask(scene, "t2", assistant_id=second)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")


async def test_of_many_at_once_the_budget_admits_what_it_has_room_for(scene: Scene) -> None:
    await limit(scene, 3)
    paths = [f"/conversations/{(await scene.ann.post('/conversations', json={})).json()['id']}" for _ in range(10)]
    for path in paths:
        (await scene.ann.put(f"{path}/participants/{scene.assistant}", json={})).raise_for_status()
    body = {"turn_id": "t1", "assistant_id": scene.assistant, "input": {"content": "hello"}}
    answers = await asyncio.gather(*(scene.ann.post(f"{path}/turns", json=body) for path in paths))
    assert sorted(each.status_code for each in answers) == [201] * 3 + [429] * 7
    assert await left(scene) == (0, 3, 0)


async def test_admins_are_never_refused_and_always_counted(scene: Scene) -> None:
    conversation = scene.path.rpartition("/")[2]
    await scene.service.seat_user(conversation, "root")
    await limit(scene, 0, "user/*")
    root = scene.service.admin()
    opened = await ask(scene, who=root)
    assert opened.status_code == 201
    assert [(each["used"], each["reserved"]) for each in opened.json()["budgets"]] == [(0, 1)]
    await answer(scene, usage={"calls": [CALL]})
    (standing,) = (await root.get("/budgets/me")).json()["standings"]
    assert (standing["used"], standing["reserved"], standing["left"]) == (1, 0, 0)


async def test_a_lost_producers_turn_gives_back_and_its_retry_asks_again(own_scene: Scene) -> None:
    await limit(own_scene, 1)
    assert (await ask(own_scene)).status_code == 201
    await own_scene.lease()
    assert await reap(own_scene, "lease_expires_at") == 1
    assert await left(own_scene) == (0, 0, 1)
    path = f"{own_scene.path}/turns/t1"
    await limit(own_scene, 0)
    refused = await own_scene.ann.post(f"{path}/retry")
    assert (refused.status_code, refused.json()["code"]) == (429, "budget_exceeded")
    assert (await own_scene.turn())["status"] == "failed"
    await limit(own_scene, 1)
    assert (await own_scene.ann.post(f"{path}/retry")).status_code == 202
    assert await left(own_scene) == (0, 1, 0)
    await own_scene.lease()
    await own_scene.finalize(epoch=2, usage={"calls": [CALL]})
    assert await left(own_scene) == (1, 0, 0)


async def test_what_was_reserved_is_held_until_the_bill_can_be_written(own_scene: Scene) -> None:
    await limit(own_scene, 2)
    assert (await ask(own_scene)).status_code == 201
    breaks, mends = BREAKS["sqlite" if "sqlite" in own_scene.service.database_url else "postgresql"]
    await run(own_scene, *breaks)
    await answer(own_scene, usage={"calls": [CALL]})
    assert await left(own_scene) == (0, 1, 1)
    await run(own_scene, *mends)
    await reap(own_scene)
    assert await left(own_scene) == (1, 0, 1)


async def test_limits_of_the_settings_hold_for_everybody(sqlite_url: str, tmp_path: Any) -> None:
    given = [{"scope": "user", **TURNS_A_DAY, "amount": 1}]
    async with running_service(sqlite_url, tmp_path, budgets={"limits": given}) as service, set_up(service) as scene:
        assert (await ask(scene)).status_code == 201
        await answer(scene, usage={"calls": [CALL]})
        assert (await ask(scene, "t2")).status_code == 429
        found = (await service.admin().get("/budgets")).json()
        assert found["limits"] == []
        assert found["defaults"] == [{"subject": "*", "anchor": None, **given[0]}]
        await limit(scene, None)
        assert (await ask(scene, "t2")).status_code == 201


# Limits


async def test_admins_set_see_and_remove_limits(service: Service) -> None:
    root = service.admin()
    wanted = [
        {"measure": "cost_micros", "period": "month", "amount": 5_000_000, "anchor": "2026-01-31"},
        {**TURNS_A_DAY, "amount": 20, "anchor": None},
    ]
    put = await root.put("/budgets/user/ann", json={"limits": wanted})
    stored = [{**terms, "scope": "user", "subject": "ann"} for terms in wanted]
    assert put.json()["limits"] == stored
    assert [each["name"] for each in put.json()["standings"]] == ["user/cost_micros/month", "user/turns/day"]
    assert (await root.get("/budgets/user/ann")).json()["limits"] == stored
    page = (await root.get("/budgets", params={"limit": 1})).json()
    assert page["limits"] == stored[:1]
    rest = (await root.get("/budgets", params={"cursor": page["next_cursor"]})).json()
    assert (rest["limits"], rest["next_cursor"]) == (stored[1:], None)
    mine = (await service.user("ann").get("/budgets/me")).json()["standings"]
    assert [(each["name"], each["left"]) for each in mine] == [
        ("user/cost_micros/month", 5_000_000),
        ("user/turns/day", 20),
    ]
    assert (await root.delete("/budgets/user/ann")).status_code == 204
    assert (await root.get("/budgets/user/ann")).json()["limits"] == []
    assert (await service.user("ann").get("/budgets/me")).json()["standings"] == []


async def test_each_workspace_has_its_own(service: Service) -> None:
    body = {"limits": [{**TURNS_A_DAY, "amount": 0}]}
    assert (await service.admin().put("/budgets/user/ann", json=body)).status_code == 200
    elsewhere = service.admin(workspace="elsewhere")
    assert (await elsewhere.get("/budgets")).json()["limits"] == []
    assert (await service.user("ann", "elsewhere").get("/budgets/me")).json()["standings"] == []


@pytest.mark.parametrize(
    ("path", "limits", "status"),
    [
        ("user/ann", [{**TURNS_A_DAY, "amount": -1}], 422),
        ("user/ann", [{**TURNS_A_DAY, "amount": 10**15}], 422),
        ("user/ann", [{**TURNS_A_DAY, "amount": 1.5}], 422),
        ("user/ann", [{**TURNS_A_DAY}], 422),
        ("user/ann", [{**TURNS_A_DAY, "amount": 1, "measure": "calls"}], 422),
        ("user/ann", [{**TURNS_A_DAY, "amount": 1, "period": "week"}], 422),
        ("user/ann", [{**TURNS_A_DAY, "amount": 1, "anchor": "2026-01-31"}], 422),
        ("user/ann", [{**TURNS_A_DAY, "amount": 1}] * 2, 400),
        ("user/ann", [{**TURNS_A_DAY, "amount": 1}] * 9, 422),
        (f"user/{'u' * 256}", [], 400),
        ("assistant/robot", [], 400),
        ("workspace/other", [], 403),
        ("group/ann", [], 422),
    ],
)
async def test_what_cannot_be_a_limit_is_refused(service: Service, path: str, limits: list[Any], status: int) -> None:
    refused = await service.admin().put(f"/budgets/{path}", json={"limits": limits})
    assert refused.status_code == status, refused.text
    if status in (400, 403):
        assert refused.json()["field"] == ("limits" if path == "user/ann" else "subject")


async def test_only_admins_look_after_limits(service: Service) -> None:
    ann = service.user("ann")
    for method, path in (("GET", "/budgets"), ("GET", "/budgets/user/ann"), ("DELETE", "/budgets/user/ann")):
        refused = await ann.request(method, path)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await ann.put("/budgets/user/ann", json={"limits": []})).status_code == 403
    assert (await service.admin().get("/budgets", params={"cursor": "x"})).json()["field"] == "cursor"
