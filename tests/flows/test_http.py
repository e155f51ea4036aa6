"""Flows over HTTP: what is answered, to whom, and what is left afterwards."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from dishka import Provider, Scope
from tests.flows.services import BLUEPRINT as TRIALS
from tests.flows.services import GATES
from tests.support.databases import open_store
from tests.support.service import Service, Stream, running_service

from workbench.adapters.sql.flow_ledger import SqlFlowLedger
from workbench.domain.flows.blueprints import read_document
from workbench.domain.flows.means import StopTimes
from workbench.domain.flows.operating import OperatorBlueprintService
from workbench.domain.ids import new_hex_id
from workbench.examples.flow_services import BLUEPRINT, PARAMETER_TYPE
from workbench.wiring.container import make_container

SSE = {"Accept": "text/event-stream"}
JSON = {"Content-Type": "application/json"}
TRY = "/flows/f1/services/try"
SHARED = "/flows/f1/services/shared"


async def prepare(service: Service, workspace: str = "default") -> httpx.AsyncClient:
    ann = service.user("ann", workspace)
    (await ann.put("/flow-parameter-types/mark", json=PARAMETER_TYPE)).raise_for_status()
    (await ann.put("/flow-blueprints/echoing", json=BLUEPRINT)).raise_for_status()
    (await ann.put("/flow-blueprints/trials", json=TRIALS)).raise_for_status()
    return ann


async def start(ann: httpx.AsyncClient, flow_id: str = "f1", blueprint: str = "trials", **more: Any) -> dict[str, Any]:
    new = {"flow_id": flow_id, "blueprint": blueprint, **more}
    answer = await ann.post("/flows?wait=ready", json=new)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/flows/{flow_id}"
    return answer.json()


@pytest.fixture
async def ann(flow_service: Service) -> httpx.AsyncClient:
    """Whose flow of trials runs."""
    client = await prepare(flow_service)
    await start(client)
    return client


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_flow_is_started_called_and_stopped(flow_service: Service) -> None:
    ann = await prepare(flow_service)
    started = await start(ann, blueprint="echoing")
    assert (started["health"], started["parameters"], started["generation"]) == ("ready", {"mark": "!"}, 1)
    answer = await ann.post("/flows/f1/services/shout", json="hello")
    assert answer.json()["data"] == "HELLO!"
    folded = (await ann.post("/flows/f1/services/tell", json="hello world")).json()
    assert folded["data"] == "HELLO WORLD! "
    assert folded["usage"] == {"model": "shouter", "prompt_tokens": 2, "completion_tokens": 2}
    async with ann.stream("POST", "/flows/f1/services/tell", json="hello world", headers=SSE) as response:
        events = await Stream(response).until_end()
    assert [(event.name, event.id) for event in events] == [("open", ""), ("part", "1"), ("part", "2"), ("final", "3")]
    assert "".join(event.data["data"] for event in events[1:3]) == folded["data"]
    topics = (await ann.get("/flows/f1/topics")).json()["topics"]
    fields = ("scope", "owned", "shared_with", "state")
    assert [tuple(topic[name] for name in fields) for topic in topics] == [("flow", True, 0, "live")] * 4
    assert [topic["class"] for topic in topics] == ["request", "request", "response", "response"]
    services = (await ann.get("/flows/f1/services")).json()["services"]
    assert {each["name"]: each["live_hosts"] for each in services} == {"shout": 1, "tell": 1}
    stopped = (await ann.delete("/flows/f1")).json()
    assert (stopped["state"], len(stopped["cleanup"]["deleted"]), stopped["cleanup"]["pending"]) == ("stopped", 4, [])
    assert code_of(await ann.post("/flows/f1/services/shout", json="x")) == (409, "flow_not_running")
    assert (await ann.delete("/flows/f1")).json() == stopped
    assert (await start(ann, blueprint="echoing"))["generation"] == 2
    assert (await ann.post("/flows/f1/services/shout", json="again")).json()["data"] == "AGAIN!"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"fail": "code"}, (502, "service_error")),
        ({"fail": "code", "category": "invalid_request"}, (422, "service_error")),
        ({"fail": "code", "category": "unavailable"}, (503, "service_error")),
        ({"crash": True}, (502, "internal")),
    ],
)
async def test_what_a_service_says_is_wrong_has_a_status(ann: httpx.AsyncClient, body: Any, expected: Any) -> None:
    answer = await ann.post(TRY, json=body)
    assert code_of(answer) == expected
    assert "secret" not in answer.text
    async with ann.stream("POST", TRY, json=body, headers=SSE) as response:
        events = await Stream(response).until_end()
    assert [event.name for event in events] == ["open", "error"]
    assert events[1].data["code"] == expected[1]


async def test_a_busy_service_says_when_to_come_back(ann: httpx.AsyncClient) -> None:
    answer = await ann.post(f"{TRY}?timeout_s=1", json={"busy": 7})
    assert code_of(answer) == (429, "rate_limited")
    assert answer.headers["retry-after"] == "7"


async def test_time_is_limited(ann: httpx.AsyncClient) -> None:
    answer = await ann.post(f"{TRY}?timeout_s=0.2", json={"sleep": 60})
    assert code_of(answer) == (504, "timeout")
    assert (answer.json()["extra"]["phase"], answer.json()["extra"]["outcome"]) == ("first_reply", "unknown")
    for wrong in ("0", "-1", "nan", "1501"):
        assert code_of(await ann.post(f"{TRY}?timeout_s={wrong}", json={})) == (422, "invalid_timeout")


async def test_who_goes_away_ends_the_work(ann: httpx.AsyncClient, flow_service: Service) -> None:
    async with ann.stream("POST", TRY, json={"sleep": 60}, headers=SSE) as response:
        stream = Stream(response)
        opened = await stream.next()
        under_way = (await ann.get("/flows/f1/requests")).json()["requests"]
        assert [each["id"] for each in under_way] == [opened.data["id"]]
    await ended(ann)
    metrics = (await ann.get("/metrics")).text
    assert 'workbench_flow_requests_total{interface="try",outcome="cancelled"} 1.0' in metrics


async def ended(ann: httpx.AsyncClient) -> None:
    for _ in range(200):
        if not (await ann.get("/flows/f1/requests")).json()["requests"]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("requests are still under way")


async def test_a_request_can_be_cancelled_by_its_id(ann: httpx.AsyncClient, flow_service: Service) -> None:
    async with ann.stream("POST", TRY, json={"sleep": 60}, headers=SSE) as response:
        stream = Stream(response)
        request_id = (await stream.next()).data["id"]
        path = f"/flows/f1/requests/{request_id}"
        assert (await flow_service.user("ann", "elsewhere").delete(path)).status_code == 404
        assert (await ann.delete(path)).status_code == 202
        (event,) = await stream.until_end()
        assert (event.name, event.data["code"]) == ("error", "cancelled")


async def test_stopping_ends_what_is_under_way(ann: httpx.AsyncClient) -> None:
    async def one(seconds: float) -> list[str]:
        async with ann.stream("POST", TRY, json={"sleep": seconds}, headers=SSE) as response:
            events = await Stream(response).until_end()
            return [event.data.get("code", event.name) for event in events[1:]]

    tasks = [asyncio.create_task(one(seconds)) for seconds in (0.4, 60) * 10]
    for _ in range(200):
        if len((await ann.get("/flows/f1/requests")).json()["requests"]) == 20:
            break
        await asyncio.sleep(0.02)
    stopping = asyncio.create_task(ann.delete("/flows/f1?drain_s=1.5"))
    await asyncio.sleep(0.3)
    assert code_of(await ann.post(TRY, json={})) == (409, "flow_stopping")
    assert code_of(await ann.post("/flows", json={"flow_id": "f1", "blueprint": "trials"})) == (409, "flow_stopping")
    assert (await stopping).json()["state"] == "stopped"
    assert await asyncio.gather(*tasks) == [["final"], ["flow_stopped"]] * 10
    await start(ann)
    assert (await ann.post(TRY, json={"say": 1})).json()["data"] == 1


async def test_requests_have_so_long_at_most_when_their_flow_is_stopped(ann: httpx.AsyncClient) -> None:
    for wrong in ("-1", "301", "nan"):
        assert code_of(await ann.delete(f"/flows/f1?drain_s={wrong}")) == (422, "invalid_drain")
    assert (await ann.get("/flows/f1")).json()["state"] == "running"


async def test_work_is_handed_over(ann: httpx.AsyncClient) -> None:
    mark = new_hex_id()
    answer = await ann.post("/flows/f1/services/load", json={"key": mark})
    assert answer.status_code == 202
    assert answer.json()["durable"] is False
    for _ in range(100):
        if (await ann.post(TRY, json={"done": mark})).json()["data"]:
            break
        await asyncio.sleep(0.02)
    else:
        raise AssertionError("the work was not done")
    assert (await ann.post("/flows/f1/services/load", json={"key": mark}, headers=SSE)).status_code == 406


async def test_a_service_hands_work_on_to_another(ann: httpx.AsyncClient) -> None:
    mark = new_hex_id()
    assert (await ann.post(TRY, json={"hand_on": mark})).status_code == 200
    for _ in range(100):
        if (await ann.post(TRY, json={"done": mark})).json()["data"]:
            break
        await asyncio.sleep(0.02)
    else:
        raise AssertionError("the work was not done")
    line = 'workbench_bus_published_total{outcome="ok",output="work",service="trial"} 1.0'
    assert line in (await ann.get("/metrics")).text


STRICT = "/flows/f1/services/strict"


async def test_a_request_is_as_its_interface_wants_it_or_is_not_sent(ann: httpx.AsyncClient) -> None:
    assert (await ann.post(STRICT, json={"say": "short"})).json()["data"] == "short"
    for accept in ({}, SSE):
        refused = await ann.post(STRICT, json={"say": "much too long"}, headers=accept)
        assert code_of(refused) == (422, "schema_violated")
        assert refused.json()["extra"]["field"] == "$.say"
        assert [each["path"] for each in refused.json()["extra"]["findings"]] == ["$.say"]
        assert "much" not in refused.text
    assert code_of(await ann.post("/flows/f1/services/load", json={})) == (422, "schema_violated")
    shown = (await ann.get("/flows/f1/services")).json()["services"]
    (strict,) = [each["interface"] for each in shown if each["name"] == "strict"]
    assert strict["response_schema"] == {"type": "string"}


async def test_a_reply_that_its_interface_does_not_promise_is_none(ann: httpx.AsyncClient) -> None:
    answer = await ann.post(STRICT, json={"say": 42})
    assert code_of(answer) == (502, "bad_reply")
    assert "42" not in answer.json()["detail"]
    async with ann.stream("POST", STRICT, json={"say": None}, headers=SSE) as response:
        events = await Stream(response).until_end()
    assert [event.name for event in events] == ["open", "error"]
    assert events[1].data["code"] == "bad_reply"
    assert (await ann.post(STRICT, json={"say": "after"})).json()["data"] == "after"


async def test_schemas_that_are_none_are_told_when_a_blueprint_is_stored(ann: httpx.AsyncClient) -> None:
    interfaces: dict[str, Any] = TRIALS["interfaces"]
    wrong = {**TRIALS, "interfaces": {"try": {**interfaces["try"], "response_schema": {"type": "strin"}}}}
    answer = await ann.put("/flow-blueprints/wrong", json=wrong)
    assert code_of(answer) == (422, "invalid_schema")
    assert [each["path"] for each in answer.json()["extra"]["findings"]] == ["$.interfaces.try.response_schema"]


async def test_services_know_whose_request_it_is_and_their_parameters(ann: httpx.AsyncClient) -> None:
    body = {"tell": True, "workspace": "globex", "user": "eve"}
    told = (await ann.post(TRY, json=body)).json()["data"]
    assert told == {"workspace": "default", "flow_id": "f1", "service": "trial", "mark": "!", "absent": "none"}


async def test_an_interface_without_a_host_says_so_at_once(ann: httpx.AsyncClient) -> None:
    answer = await ann.post("/flows/f1/services/nobody", json={})
    assert code_of(answer) == (503, "no_service")
    assert answer.headers["retry-after"]
    assert answer.json()["extra"]["outcome"] == "not_sent"
    async with ann.stream("POST", "/flows/f1/services/nobody", json={}, headers=SSE) as response:
        assert response.status_code == 503


async def test_what_is_not_there_is_not_found(ann: httpx.AsyncClient, flow_service: Service) -> None:
    stranger = flow_service.user("ann", "elsewhere")
    absent = await stranger.post("/flows/none/services/try", json={})
    other = await stranger.post(TRY, json={})
    assert code_of(absent) == code_of(other) == (404, "flow_not_found")
    assert absent.json() == other.json()
    assert code_of(await ann.post("/flows/f1/services/none", json={})) == (404, "interface_not_found")
    assert (await stranger.get("/flows/f1")).status_code == 404
    assert (await stranger.delete("/flows/f1")).status_code == 404


async def test_two_workspaces_use_the_same_ids(flow_service: Service) -> None:
    here, there = await prepare(flow_service), await prepare(flow_service, "elsewhere")
    await start(here)
    await start(there)
    told = [(await client.post(TRY, json={"tell": True})).json()["data"]["workspace"] for client in (here, there)]
    assert told == ["default", "elsewhere"]
    assert (await here.delete("/flows/f1")).json()["state"] == "stopped"
    assert (await there.post(TRY, json={"say": 2})).json()["data"] == 2


COMMON = {
    "services": [
        {
            "service": "trial",
            "topics": {
                "request": "request:wb:common:{blueprint}",
                "response": "response:wb:common:{blueprint}",
                "work": "flow:wb:{workspace}:common:{id}",
            },
            "parameters": {"mark": "?"},
        },
    ],
    "interfaces": {"try": {"request": "request:wb:common:{blueprint}", "response": "response:wb:common:{blueprint}"}},
}


async def test_workspaces_that_share_a_topic_are_each_served_as_themselves(flow_service: Service) -> None:
    container = make_container(flow_service.settings)
    await (await container.get(OperatorBlueprintService)).put("common", read_document(COMMON))
    await container.close()
    here, there = flow_service.user("ann"), flow_service.user("ann", "elsewhere")
    await start(here, blueprint="common")
    await start(there, blueprint="common")
    for _ in range(6):
        told = [(await client.post(TRY, json={"tell": True})).json()["data"]["workspace"] for client in (here, there)]
        assert told == ["default", "elsewhere"]
    stopped = (await here.delete("/flows/f1?drain_s=0")).json()
    assert stopped["cleanup"]["deleted"] == ["flow:wb:default:common:f1"]
    assert (await there.post(TRY, json={"say": 1})).json()["data"] == 1


async def test_a_shared_service_answers_each_request_once(ann: httpx.AsyncClient) -> None:
    await start(ann, "f2")
    answers = [await ann.post(f"/flows/{flow}/services/shared", json={"n": 1}) for flow in ("f1", "f2", "f1", "f2")]
    assert [answer.json()["data"]["count"] for answer in answers] == [1, 2, 3, 4]
    assert [answer.json()["data"]["flow_id"] for answer in answers] == ["f1", "f2", "f1", "f2"]
    stopped = (await ann.delete("/flows/f1?drain_s=0")).json()
    assert sorted(stopped["cleanup"]["kept"]) == [
        "request:wb:default:shared:trials",
        "response:wb:default:shared:trials",
    ]
    assert (await ann.post("/flows/f2/services/shared", json={"n": 1})).json()["data"]["count"] == 5


async def test_blueprints_have_versions(flow_service: Service) -> None:
    ann = await prepare(flow_service)
    stored = await ann.get("/flow-blueprints/echoing")
    assert stored.headers["etag"] == '"1"'
    changed = {**BLUEPRINT, "description": "new"}
    assert (await ann.put("/flow-blueprints/echoing", json=changed, headers={"If-Match": '"9"'})).status_code == 412
    again = await ann.put("/flow-blueprints/echoing", json=changed, headers={"If-Match": '"1"'})
    assert (again.status_code, again.json()["version"], again.headers["etag"]) == (200, 2, '"2"')
    page = (await ann.get("/flow-blueprints?limit=1")).json()
    assert [each["name"] for each in page["blueprints"]] == ["echoing"]
    rest = (await ann.get("/flow-blueprints", params={"cursor": page["next_cursor"]})).json()
    assert ([each["name"] for each in rest["blueprints"]], rest["next_cursor"]) == (["trials"], None)


async def test_a_running_flow_minds_no_change_of_its_blueprint(ann: httpx.AsyncClient) -> None:
    assert code_of(await ann.delete("/flow-blueprints/trials")) == (409, "blueprint_in_use")
    (await ann.put("/flow-blueprints/trials", json={"services": []})).raise_for_status()
    assert (await ann.post(TRY, json={"say": 3})).json()["data"] == 3
    assert (await ann.delete("/flow-blueprints/trials?force=true")).status_code == 204
    assert (await ann.post(TRY, json={"say": 4})).json()["data"] == 4
    assert len((await ann.delete("/flows/f1")).json()["cleanup"]["deleted"]) == 7
    assert code_of(await ann.post("/flows", json={"flow_id": "f1", "blueprint": "trials"})) == (
        422,
        "blueprint_not_found",
    )


async def test_what_is_wrong_in_a_blueprint_is_told_with_its_places(flow_service: Service) -> None:
    ann = flow_service.user()
    wrong = {"services": [{"service": "S", "topics": {"request": "request:wb:{tenant}"}}]}
    answer = await ann.put("/flow-blueprints/wrong", json=wrong)
    assert answer.status_code == 422
    assert [each["path"] for each in answer.json()["extra"]["findings"]] == [
        "$.services[0].service",
        "$.services[0].topics.request",
    ]
    checked = (await ann.post("/flow-blueprints/wrong/check", json={"document": wrong})).json()
    assert (checked["valid"], len(checked["findings"])) == (False, 2)
    assert (await ann.get("/flow-blueprints/wrong")).status_code == 404
    assert (await ann.put("/flow-blueprints/Wrong", json={"services": []})).status_code == 422
    assert (await ann.put("/flow-blueprints/wrong", json={"services": [], "extra": 1})).status_code == 422


async def test_a_check_shows_the_topics(flow_service: Service) -> None:
    ann = await prepare(flow_service)
    checked = (await ann.post("/flow-blueprints/trials/check", json={"flow_id": "x"})).json()
    assert checked["valid"]
    shown = {each["template"]: (each["topic"], each["scope"]) for each in checked["topics"]}
    assert shown["request:wb:{workspace}:trial:{id}"] == ("request:wb:default:trial:x", "flow")


async def test_parameters_are_checked_when_a_flow_starts(flow_service: Service) -> None:
    ann = await prepare(flow_service)
    for given, code in (({"mark": "..."}, "parameter_invalid"), ({"other": 1}, "parameter_unknown")):
        new = {"flow_id": "f1", "blueprint": "echoing", "parameters": given}
        assert code_of(await ann.post("/flows", json=new)) == (422, code)
    assert (await ann.post("/flows", json={"flow_id": "F1", "blueprint": "echoing"})).json()["code"] == "invalid_name"
    assert (await start(ann, blueprint="echoing", parameters={"mark": "?"}))["parameters"] == {"mark": "?"}
    assert (await ann.post("/flows/f1/services/shout", json="a")).json()["data"] == "A?"
    assert code_of(await ann.delete("/flow-parameter-types/mark")) == (409, "in_use")


async def test_secret_values_reach_services_only(flow_service: Service) -> None:
    ann = await prepare(flow_service)
    (await ann.put("/flow-parameter-types/mark", json={"secret": True, "pattern": "hun.*"})).raise_for_status()
    started = await start(ann, parameters={"mark": "hunter2"})
    assert started["parameters"] == {"mark": "***"}
    assert (await ann.post(TRY, json={"tell": True})).json()["data"]["mark"] == "hunter2"
    await start(ann, "f2", parameters={"mark": "hunter2"})
    async with open_store(flow_service.database_url) as store:
        held = await SqlFlowLedger(store.database, store.group.announce_all).holding()
        assert "hunter2" not in repr(held)


async def test_bodies_are_bounded(sqlite_url: str, tmp_path: Path) -> None:
    flows = {"services": ("tests.flows.services:services",), "request_bytes": 100}
    async with running_service(sqlite_url, tmp_path / "data", flows=flows) as service:
        ann = await prepare(service)
        await start(ann)
        assert code_of(await ann.post(TRY, json={"say": "x" * 100})) == (413, "payload_too_large")
        assert (await ann.post(TRY, content=b"{", headers={"Content-Type": "application/json"})).status_code == 400
        assert (await ann.post(TRY, json={"say": 1})).json()["data"] == 1


JSON_ROUTES = [
    ("PUT", "/flow-parameter-types/mark"),
    ("PUT", "/flow-blueprints/echoing"),
    ("POST", "/flow-blueprints/echoing/check"),
    ("POST", "/flows"),
    ("PATCH", "/flows/f1"),
    ("POST", TRY),
]


@pytest.mark.parametrize(("method", "path"), JSON_ROUTES)
async def test_a_body_is_json_or_is_not_read(ann: httpx.AsyncClient, method: str, path: str) -> None:
    for text in ("{", "[1,", "nonsense", '"\xff"'):
        broken = await ann.request(method, path, content=text.encode("latin-1"), headers=JSON)
        assert code_of(broken) == (400, "invalid_json"), text
        assert [each["field"] for each in broken.json()["extra"]["errors"]] == ["body"]
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"):
        answer = await ann.request(method, path, content=b"{}", headers={"Content-Type": kind})
        assert code_of(answer) == (415, "unsupported_media_type"), kind
    for kind in ("application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"):
        answer = await ann.request(method, path, content=b"{}", headers={"Content-Type": kind})
        assert answer.status_code in (200, 201, 422), kind
    assert (await ann.request(method, path, content=b"{}")).status_code in (200, 201, 422)


async def test_who_may_not_is_told_so_before_the_body_is_looked_at(flow_service: Service) -> None:
    stranger = flow_service.client()
    for method, path in JSON_ROUTES:
        wrong = {"Content-Type": "text/plain"}
        assert (await stranger.request(method, path, content=b"{", headers=wrong)).status_code == 401


async def test_what_is_stopped_for_long_is_said_to_be_under_way(sqlite_url: str, tmp_path: Path) -> None:
    hurried = Provider(scope=Scope.APP)
    hurried.provide(lambda: StopTimes(answer_seconds=0.1), provides=StopTimes)
    flows = {"services": ("tests.flows.services:services",)}
    async with running_service(sqlite_url, tmp_path / "data", hurried, flows=flows) as service:
        ann = await prepare(service)
        await start(ann)
        async with ann.stream("POST", TRY, json={"sleep": 60}, headers=SSE) as response:
            stream = Stream(response)
            await stream.next()
            began = await ann.delete("/flows/f1?drain_s=1")
            assert (began.status_code, began.json()["state"], began.json()["cleanup"]) == (202, "stopping", None)
            assert (await ann.get("/flows/f1")).json()["state"] == "stopping"
            (event,) = await stream.until_end()
            assert event.data["code"] == "flow_stopped"

        async def ended() -> bool:
            return (await ann.get("/flows/f1")).json()["state"] == "stopped"

        for _ in range(200):
            if await ended():
                break
            await asyncio.sleep(0.05)
        over = await ann.delete("/flows/f1")
        assert (over.status_code, over.json()["state"]) == (200, "stopped")
        assert over.json()["cleanup"]["deleted"]


async def test_a_full_queue_is_said_so_and_what_it_took_is_answered(ann: httpx.AsyncClient) -> None:
    """Its reader is held up by the first; a queue inside the process takes 16 MiB."""
    gate = new_hex_id()
    first = asyncio.create_task(ann.post(SHARED, json={"gate": gate}))
    for _ in range(200):
        if gate in GATES:
            break
        await asyncio.sleep(0.02)
    bulky = {"pad": "x" * 1_000_000}
    tasks = [asyncio.create_task(ann.post(SHARED, json=bulky)) for _ in range(24)]
    for _ in range(500):
        if sum(task.done() for task in tasks) >= 4:
            break
        await asyncio.sleep(0.02)
    GATES[gate].set()
    answers = await asyncio.gather(first, *tasks)
    full = [answer for answer in answers if answer.status_code != 200]
    assert {code_of(answer) for answer in full} == {(503, "bus_full")}
    assert {answer.headers["retry-after"] for answer in full} == {"1"}
    assert {answer.json()["extra"]["outcome"] for answer in full} == {"not_sent"}
    assert len(answers) - len(full) >= 16
    assert (await ann.post(SHARED, json={})).status_code == 200


async def test_where_users_are_not_trusted_only_administrators_change_flows(sqlite_url: str, tmp_path: Path) -> None:
    service_settings = {"assistant_keys": "secured"}
    async with running_service(sqlite_url, tmp_path / "data", service=service_settings) as service:
        bea = service.user("bea")
        assert code_of(await bea.put("/flow-blueprints/b", json={"services": []})) == (403, "not_admin")
        assert code_of(await bea.post("/flows", json={"flow_id": "f", "blueprint": "b"})) == (403, "not_admin")
        assert code_of(await bea.delete("/flows/f")) == (403, "not_admin")
        assert (await bea.get("/flows")).json() == {"flows": [], "next_cursor": None}
        checked = await bea.post(
            "/flow-blueprints/b/check",
            json={"document": {"services": [{"service": "s", "topics": {"t": "request:wb:{id}"}}]}},
        )
        assert [each["code"] for each in checked.json()["findings"]] == ["topic_not_isolated"]


async def test_a_restart_brings_running_flows_back(sqlite_url: str, tmp_path: Path) -> None:
    flows = {"services": ("tests.flows.services:services",)}
    async with running_service(sqlite_url, tmp_path / "data", flows=flows) as service:
        await start(await prepare(service))
    async with running_service(sqlite_url, tmp_path / "data", flows=flows) as service:
        ann = service.user()

        async def answers() -> bool:
            return (await ann.post(TRY, json={"say": 5})).status_code == 200

        for _ in range(200):
            if await answers():
                break
            await asyncio.sleep(0.05)
        assert (await ann.get("/flows/f1")).json()["state"] == "running"
        assert (await ann.post(TRY, json={"say": 5})).json()["data"] == 5


async def test_a_draining_service_lets_requests_end_and_takes_no_more(
    ann: httpx.AsyncClient, flow_service: Service
) -> None:
    task = asyncio.create_task(ann.post(TRY, json={"sleep": 0.5}))
    for _ in range(200):
        if (await ann.get("/flows/f1/requests")).json()["requests"]:
            break
        await asyncio.sleep(0.02)
    draining = asyncio.create_task(flow_service.drain())
    await asyncio.sleep(0.2)
    assert code_of(await ann.post(TRY, json={})) == (503, "draining")
    assert (await task).status_code == 200
    await draining


@pytest.mark.parametrize("by_workspace", [False, True])
async def test_metrics_tell_workspaces_apart_where_that_is_wanted(
    sqlite_url: str, tmp_path: Path, *, by_workspace: bool
) -> None:
    flows = {"services": ("tests.flows.services:services",), "metrics_by_workspace": by_workspace}
    async with running_service(sqlite_url, tmp_path / "data", flows=flows) as service:
        for workspace in ("acme", "globex"):
            client = await prepare(service, workspace)
            await start(client)
            assert (await client.post(TRY, json={"say": 1})).status_code == 200
        assert (await client.post(f"{TRY}?timeout_s=0.2", json={"sleep": 60})).status_code == 504
        text = (await client.get("/metrics")).text
    if not by_workspace:
        assert "acme" not in text
        assert "globex" not in text
        assert 'workbench_flow_requests_total{interface="try",outcome="ok"} 2.0' in text
        return
    for line in (
        'workbench_flow_requests_total{interface="try",outcome="ok",workspace="acme"} 1.0',
        'workbench_flow_requests_total{interface="try",outcome="ok",workspace="globex"} 1.0',
        'workbench_flow_request_seconds_count{interface="try",workspace="acme"} 1.0',
        'workbench_flow_first_reply_seconds_count{interface="try",workspace="acme"} 1.0',
        'workbench_flow_requests_in_flight{interface="try",workspace="globex"} 0.0',
        'workbench_flow_timeouts_total{interface="try",phase="first_reply",workspace="globex"} 1.0',
    ):
        assert line in text


async def test_metrics_say_what_happened(ann: httpx.AsyncClient) -> None:
    await ann.post(TRY, json={"say": 1})
    text = (await ann.get("/metrics")).text
    for line in (
        'workbench_flow_requests_total{interface="try",outcome="ok"} 1.0',
        'workbench_bus_consumed_total{input="request",outcome="ok",service="trial"} 1.0',
        'workbench_flow_transitions_total{from="starting",to="running"} 1.0',
        'workbench_flow_requests_in_flight{interface="try"} 0.0',
        'workbench_bus_consumer_up{input="request",service="trial"} 1.0',
        'workbench_bus_subscriber_up{interface="try"} 1.0',
        'workbench_bus_publish_seconds_count{service="trial"} 1.0',
    ):
        assert line in text
    assert "request:wb" not in text
    await ann.delete("/flows/f1?drain_s=0")
    text = (await ann.get("/metrics")).text
    assert 'workbench_bus_consumer_up{input="request",service="trial"} 0.0' in text
    assert 'workbench_bus_subscriber_up{interface="try"} 0.0' in text
