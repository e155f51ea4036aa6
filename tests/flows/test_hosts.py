"""Hosts that are processes of their own: what they are told to run, when, and whether they are taken for alive."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.flows.test_http import prepare
from tests.support.service import Service, running_service

TOKEN = "a-token-that-operators-gave-to-hosts"
OLD = "a-token-that-some-hosts-may-still-show"
POLL = "/flow-hosts/assignments"
TRIAL = "default/trial/default.f1"


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    """A service that runs nothing itself."""
    async with running_service(database_url, tmp_path / "data", flows={"host_tokens": (OLD, TOKEN)}) as running:
        yield running


@pytest.fixture
def host(service: Service) -> httpx.AsyncClient:
    return service.client(Authorization=f"Bearer {TOKEN}")


async def ask(host: httpx.AsyncClient, version: int = 0, wait: float = 0, **more: Any) -> httpx.Response:
    params = {"host_id": "h1", "service": ["trial", "shared"], "version": version, "wait": wait, **more}
    return await host.get(POLL, params=params)


async def start(ann: httpx.AsyncClient, flow_id: str = "f1", **more: Any) -> None:
    answer = await ann.post("/flows", json={"flow_id": flow_id, "blueprint": "trials", **more})
    assert answer.status_code == 201, answer.text


async def hosts_of(ann: httpx.AsyncClient, flow_id: str = "f1", interface: str = "try") -> int:
    found = (await ann.get(f"/flows/{flow_id}/services")).json()["services"]
    hosts: int = next(each["live_hosts"] for each in found if each["name"] == interface)
    return hosts


async def until_hosts(ann: httpx.AsyncClient, count: int) -> None:
    """What is known of hosts is a second old at most."""
    for _ in range(100):
        if await hosts_of(ann) == count:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"there are not {count} hosts")


async def test_only_hosts_ask_and_they_do_nothing_else(service: Service, host: httpx.AsyncClient) -> None:
    assert (await ask(host)).status_code == 304
    assert (await ask(service.client(Authorization=f"Bearer {OLD}"))).status_code == 304
    for stranger in (
        service.user(),
        service.admin(),
        service.client(),
        service.client(Authorization="Bearer x" + TOKEN),
    ):
        assert (await ask(stranger)).status_code == 401
        assert (await stranger.post("/flow-hosts/h1/released", json={"keys": []})).status_code == 401
    elsewhere = ("/flows", "/users?id=ann", "/assistant-services", "/conversations", "/flow-hosts", "/no-such-path")
    for path in (*elsewhere, "/ai-sessions", "/playbooks", "/psa-connections"):
        assert (await host.get(path)).status_code == 401, path


@pytest.mark.parametrize(
    "wrong",
    [{"host_id": "a b"}, {"host_id": "x" * 65}, {"service": []}, {"service": ["A"]}, {"wait": 26}, {"version": -1}],
)
async def test_what_is_asked_wrongly_is_refused(host: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    assert (await ask(host, **wrong)).status_code == 422


async def test_a_host_is_told_what_to_run_with_values_that_only_services_see(
    service: Service, host: httpx.AsyncClient
) -> None:
    ann = await prepare(service)
    (await ann.put("/flow-parameter-types/mark", json={"secret": True})).raise_for_status()
    await start(ann, parameters={"mark": "hunter2"})
    told = (await ask(host)).json()
    by_key = {each["key"]: each for each in told["assignments"]}
    assert sorted(by_key) == ["default/shared/default.trials", TRIAL]
    trial = by_key[TRIAL]
    assert (trial["workspace_id"], trial["flow_id"], trial["generation"]) == ("default", "f1", 1)
    assert trial["parameters"] == {"mark": "hunter2"}
    assert trial["topics"]["request"] == {"topic": "request:wb:default:trial:f1", "crosses_workspaces": False}
    assert by_key["default/shared/default.trials"]["flow_id"] == ""
    assert (await ask(host, told["version"])).status_code == 304
    await start(ann, "f2")
    more = (await ask(host, told["version"])).json()
    assert more["version"] > told["version"]
    assert {each["key"]: each["hash"] for each in more["assignments"]}[TRIAL] == trial["hash"]
    assert len(more["assignments"]) == 3


async def test_it_is_told_the_moment_that_something_changes(service: Service, host: httpx.AsyncClient) -> None:
    ann = await prepare(service)
    waiting = asyncio.create_task(ask(host, wait=20))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await start(ann)
    # Told when it began, or when it ran: asked again, it says the rest.
    told = (await asyncio.wait_for(waiting, 10)).json()
    while not told["assignments"]:
        told = (await ask(host, told["version"], wait=20)).json()
    waiting = asyncio.create_task(ask(host, told["version"], wait=20))
    await until_hosts(ann, 1)
    stopping = asyncio.create_task(ann.delete("/flows/f1?drain_s=0"))
    while told["assignments"]:
        told = (await asyncio.wait_for(waiting, 10)).json()
        waiting = asyncio.create_task(ask(host, told["version"], wait=20))
    # It came back without them, which is how it says that it has let go: nobody waits for it any longer.
    assert (await asyncio.wait_for(stopping, 8)).json()["state"] == "stopped"
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_who_comes_back_holds_what_was_named_but_for_what_was_released(
    service: Service, host: httpx.AsyncClient
) -> None:
    ann = await prepare(service)
    await start(ann)
    told = (await ask(host)).json()
    assert await hosts_of(ann) == 0, "it was told, and nobody knows yet whether it can"
    await ask(host, told["version"])
    await until_hosts(ann, 1)
    released = await host.post("/flow-hosts/h1/released", json={"keys": [TRIAL]})
    assert released.status_code == 204
    await ask(host, told["version"])
    await until_hosts(ann, 0)
    again = (await ask(host)).json()
    assert again == told
    await ask(host, told["version"])
    await until_hosts(ann, 1)
    assert (await host.post("/flow-hosts/h2/released", json={"keys": []})).status_code == 404


async def test_a_process_that_ends_lets_hosts_go(service: Service, host: httpx.AsyncClient) -> None:
    waiting = asyncio.create_task(ask(host, wait=25))
    await asyncio.sleep(0.2)
    await service.drain()
    assert (await asyncio.wait_for(waiting, 5)).status_code == 304
