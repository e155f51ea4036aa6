"""Requests under way in one replica, seen and ended through another, over RabbitMQ."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.flows.conftest import SERVICES
from tests.flows.services import BLUEPRINT
from tests.flows.test_http import SSE, TRY, code_of, start
from tests.support.buses import rabbit_bench
from tests.support.databases import open_store
from tests.support.service import Service, Stream, running_service

from workbench.adapters.clock import SystemClock
from workbench.adapters.sql.flow_ledger import SqlFlowLedger
from workbench.domain.bus.model import REPLICAS_TOPIC, Message
from workbench.domain.flows.model import Host
from workbench.examples.flow_services import PARAMETER_TYPE

REQUESTS = "/flows/f1/requests"


@asynccontextmanager
async def begun(client: httpx.AsyncClient) -> AsyncGenerator[tuple[str, Stream]]:
    """A request that takes a minute if nobody ends it."""
    async with client.stream("POST", TRY, json={"sleep": 60}, headers=SSE) as response:
        stream = Stream(response)
        yield (await stream.next()).data["id"], stream


@pytest.fixture(params=["local", "secured"])
async def replicas(
    request: pytest.FixtureRequest, database_url: str, rabbit_url: str, tmp_path: Path
) -> AsyncGenerator[list[Service]]:
    """Two on one database and one bus, where a flow runs that everybody may call."""
    options: dict[str, Any] = {
        "flows": {"services": SERVICES},
        "bus": {"url": rabbit_url},
        "service": {"assistant_keys": request.param},
    }
    async with (
        running_service(database_url, tmp_path / "data", **options) as one,
        running_service(database_url, tmp_path / "data", **options) as other,
    ):
        root = one.admin()
        (await root.put("/flow-parameter-types/mark", json=PARAMETER_TYPE)).raise_for_status()
        (await root.put("/flow-blueprints/trials", json=BLUEPRINT)).raise_for_status()
        await start(root)
        yield [one, other]
        assert (await root.delete("/flows/f1?drain_s=0")).status_code == 200


async def seen(client: httpx.AsyncClient) -> list[Any]:
    answer = await client.get(REQUESTS)
    assert answer.status_code == 200, answer.text
    assert answer.json()["silent_replicas"] == 0
    return answer.json()["requests"]


async def test_any_replica_lists_and_ends_what_is_under_way_in_another(replicas: list[Service]) -> None:
    here, there = (replica.user("ann") for replica in replicas)
    async with begun(here) as (request_id, stream):
        (listed,) = await seen(there)
        assert [listed] == await seen(here)
        assert (listed["id"], listed["phase"], listed["parts"]) == (request_id, "first_reply", 0)
        assert (await there.delete(f"{REQUESTS}/{request_id}")).status_code == 202
        (event,) = await stream.until_end()
        assert (event.name, event.data["code"]) == ("error", "cancelled")
    assert code_of(await there.delete(f"{REQUESTS}/{request_id}")) == (404, "request_not_found")
    assert await seen(there) == []


async def test_what_is_not_ones_own_is_not_there_in_any_replica(replicas: list[Service]) -> None:
    there = replicas[1]
    strangers = [there.user("ann", "elsewhere"), there.admin("root", "elsewhere")]
    if there.settings.service.assistant_keys == "secured":
        strangers.append(there.user("bea"))
    async with begun(replicas[0].user("ann")) as (request_id, stream):
        for stranger in strangers:
            assert await seen(stranger) == []
            assert code_of(await stranger.delete(f"{REQUESTS}/{request_id}")) == (404, "request_not_found")
        assert [each["id"] for each in await seen(there.admin())] == [request_id]
        assert (await there.admin().delete(f"{REQUESTS}/{request_id}")).status_code == 202
        assert (await stream.until_end())[-1].data["code"] == "cancelled"


async def test_a_replica_that_does_not_answer_is_told_of(replicas: list[Service], database_url: str) -> None:
    """Its last sign of life says that it has a request to the flow under way, and then it was killed."""
    ann = replicas[0].user("ann")
    generation = (await ann.get("/flows/f1")).json()["generation"]
    async with open_store(database_url, SystemClock()) as store:
        ledger = SqlFlowLedger(store.database, store.group.announce_all)
        calling = [f"default/f1/{generation}"]
        await ledger.heard(Host(host_id="killed", services=[], held=[], calling=calling, seen_at=store.clock.now()))
    answer = (await ann.get(REQUESTS)).json()
    assert answer == {"requests": [], "silent_replicas": 1}
    assert code_of(await ann.delete(f"{REQUESTS}/{uuid4()}")) == (503, "replica_silent")


async def test_what_cannot_be_read_hinders_nothing(replicas: list[Service], rabbit_url: str) -> None:
    async with rabbit_bench(rabbit_url) as bench:
        for kind in ("request", "final", "part"):
            for body in (b"", b"{", b"[]", b'{"question_id":"x","host_id":"y"}'):
                await bench.bus.publish(REPLICAS_TOPIC, Message(body=body, headers={"wb-kind": kind}), 5)
    async with begun(replicas[0].user("ann")) as (request_id, _):
        assert [each["id"] for each in await seen(replicas[1].user("ann"))] == [request_id]
