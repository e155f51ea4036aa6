"""Several applications in one process: a further one costs no more than the one before it, and knows nothing of it."""

from pathlib import Path
from typing import Any

import httpx
from tests.support.databases import copy_of_template
from tests.support.service import Service, running_service

from workbench.entrypoints.http.app import CONTROLLERS, create_app
from workbench.entrypoints.http.routing import RouteHandler
from workbench.examples.flow_services import BLUEPRINT, PARAMETER_TYPE
from workbench.wiring.settings import Settings


def functions() -> set[Any]:
    """The functions of the controllers' handlers."""
    return {value.fn for controller in CONTROLLERS for value in vars(controller).values() if is_handler(value)}


def is_handler(value: object) -> bool:
    return isinstance(value, RouteHandler)


def test_a_further_application_weaves_nothing_in_anew(tmp_path: Path) -> None:
    before = functions()
    served = [
        {
            handler.fn.__func__
            for route in create_app(Settings.of(data_root=tmp_path / name)).routes
            for handler in getattr(route, "route_handlers", ())
            if is_handler(handler) and hasattr(handler.fn, "__func__")
        }
        for name in ("first", "second")
    ]
    assert served == [before, before]


FLOWS = {"services": ("workbench.examples.flow_services:services",)}
COUNTED = 'workbench_flow_requests_total{interface="shout",outcome="ok"}'


async def begin(service: Service) -> httpx.AsyncClient:
    ann = service.user("ann")
    (await ann.put("/flow-parameter-types/mark", json=PARAMETER_TYPE)).raise_for_status()
    (await ann.put("/flow-blueprints/echoing", json=BLUEPRINT)).raise_for_status()
    (await ann.post("/flows?wait=ready", json={"flow_id": "f1", "blueprint": "echoing"})).raise_for_status()
    return ann


async def counted(client: httpx.AsyncClient) -> list[str]:
    lines = (await client.get("/metrics")).text.splitlines()
    return [line.rpartition(" ")[2] for line in lines if line.startswith(COUNTED)]


async def test_flows_of_two_applications_have_nothing_in_common(sqlite_template: Path, tmp_path: Path) -> None:
    """Not a bus, not a topic, not a metric, though both run the very services and flows of the same names."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    urls = [copy_of_template(sqlite_template, tmp_path / name) for name in ("one", "two")]
    async with (
        running_service(urls[0], tmp_path / "one" / "data", flows=FLOWS) as first,
        running_service(urls[1], tmp_path / "two" / "data", flows=FLOWS) as second,
    ):
        one, two = await begin(first), await begin(second)
        for _ in range(3):
            assert (await one.post("/flows/f1/services/shout", json="hello")).json()["data"] == "HELLO!"
        assert (await counted(one), await counted(two)) == (["3.0"], [])
        assert (await one.delete("/flows/f1?drain_s=0")).json()["cleanup"]["pending"] == []
        assert (await two.post("/flows/f1/services/shout", json="still")).json()["data"] == "STILL!"
        assert (await counted(one), await counted(two)) == (["3.0"], ["1.0"])
    async with running_service(urls[1], tmp_path / "two" / "data", flows=FLOWS) as third:
        assert await counted(third.user("ann")) == []
