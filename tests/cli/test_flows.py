"""`workbench flows`: what operators give to all workspaces, and a process that only serves."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tests.support.processes import WORKBENCH
from tests.support.service import running_service

from workbench.examples.flow_services import BLUEPRINT, PARAMETER_TYPE


def workbench(database_url: str, folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    settings = {"WORKBENCH__DB__URL": database_url, "WORKBENCH__DATA_ROOT": str(folder / "data"), **more}
    environment = {**os.environ, **settings}
    return subprocess.run([WORKBENCH, *words], env=environment, capture_output=True, text=True, check=False, timeout=60)


async def test_what_operators_give_is_there_for_every_workspace(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "type.json").write_text(json.dumps(PARAMETER_TYPE))
    (tmp_path / "blueprint.json").write_text(json.dumps(BLUEPRINT))
    stored = workbench(sqlite_url, tmp_path, "flows", "put-type", "mark", str(tmp_path / "type.json"))
    assert stored.returncode == 0, stored.stderr
    for version in (1, 2):
        put = workbench(sqlite_url, tmp_path, "flows", "put-blueprint", "echoing", str(tmp_path / "blueprint.json"))
        assert put.stdout == f"echoing: version {version}\n", put.stderr
    flows = {"services": ("workbench.examples.flow_services:services",)}
    async with running_service(sqlite_url, tmp_path / "data", flows=flows) as service:
        for workspace in ("default", "elsewhere"):
            ann = service.user("ann", workspace)
            found = (await ann.get("/flow-blueprints/echoing")).json()
            assert (found["system"], found["version"]) == (True, 2)
            assert (await ann.put("/flow-blueprints/echoing", json=BLUEPRINT)).json()["code"] == "blueprint_exists"
            assert (await ann.delete("/flow-blueprints/echoing")).status_code == 409
            new = {"flow_id": "f", "blueprint": "echoing"}
            (await ann.post("/flows?wait=ready", json=new)).raise_for_status()
            assert (await ann.post("/flows/f/services/shout", json="x")).json()["data"] == "X!"
        told = json.loads(workbench(sqlite_url, tmp_path, "flows", "list", "--json").stdout)
        assert [(flow["workspace_id"], flow["state"]) for flow in told["flows"]] == [
            ("default", "running"),
            ("elsewhere", "running"),
        ]
        assert "elsewhere" in workbench(sqlite_url, tmp_path, "flows", "list").stdout


def test_what_is_wrong_is_printed(sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps({"services": [{"service": "s", "topics": {"a": "x:y", "b": "request:wb:{z}"}}]}))
    ran = workbench(sqlite_url, tmp_path, "flows", "put-blueprint", "wrong", str(path))
    assert ran.returncode == 2
    assert "$.services[0].topics.a" in ran.stderr
    assert "$.services[0].topics.b" in ran.stderr
    path.write_text("{")
    assert workbench(sqlite_url, tmp_path, "flows", "put-blueprint", "wrong", str(path)).returncode == 2


def test_a_blueprint_in_another_layout_is_imported(sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "loading.json"
    interfaces = {"load": "persistent://tg/flow/load:{id}"}
    foreign = {"flow": {"loader:{id}": {"input": "persistent://tg/flow/load:{id}"}}, "interfaces": interfaces}
    path.write_text(json.dumps(foreign))
    assert workbench(sqlite_url, tmp_path, "flows", "import-blueprint", str(path)).stdout == "loading: version 1\n"
    again = workbench(sqlite_url, tmp_path, "flows", "import-blueprint", str(path), "--name", "other")
    assert again.stdout == "other: version 1\n"
    path.write_text(json.dumps({**foreign, "parameters": {"model": "no-such-type"}}))
    refused = workbench(sqlite_url, tmp_path, "flows", "import-blueprint", str(path))
    assert (refused.returncode, "$.parameters.model" in refused.stderr) == (2, True)


def test_a_host_alone_on_the_bus_inside_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    ran = workbench(sqlite_url, tmp_path, "flows", "host")
    assert (ran.returncode, "WORKBENCH__BUS__URL" in ran.stderr) == (2, True)


@pytest.mark.parametrize("places", ["nowhere:services", "tests.flows.services:BLUEPRINT"])
def test_services_that_cannot_be_loaded_are_named(sqlite_url: str, tmp_path: Path, places: str) -> None:
    more = {"WORKBENCH__FLOWS__SERVICES": places, "PYTHONPATH": str(Path(__file__).parents[2])}
    ran = workbench(sqlite_url, tmp_path, "flows", "host", **more)
    assert (ran.returncode, "WORKBENCH__FLOWS__SERVICES" in ran.stderr) == (2, True)


async def start_without_a_host(ann: httpx.AsyncClient) -> None:
    (await ann.put("/flow-parameter-types/mark", json=PARAMETER_TYPE)).raise_for_status()
    (await ann.put("/flow-blueprints/echoing", json=BLUEPRINT)).raise_for_status()
    started = (await ann.post("/flows", json={"flow_id": "f", "blueprint": "echoing"})).json()
    assert started["health"] == "degraded"
    assert (await ann.post("/flows/f/services/shout", json="x")).json()["code"] == "no_service"


@pytest.mark.parametrize("asks", ["the database", "the workbench"])
async def test_a_process_of_its_own_serves_over_rabbitmq(
    sqlite_url: str, tmp_path: Path, rabbit_url: str, asks: str
) -> None:
    token = "a-token-that-operators-gave-to-hosts"
    places = "workbench.examples.flow_services:services"
    settings = {"WORKBENCH__BUS__URL": rabbit_url, "WORKBENCH__DATA_ROOT": str(tmp_path / "host")}
    command = [sys.executable, "-m", "workbench.entrypoints.cli.main", "flows", "host"]
    flows = {"host_tokens": (token,)}
    async with running_service(sqlite_url, tmp_path / "data", bus={"url": rabbit_url}, flows=flows) as service:
        if asks == "the database":
            settings |= {"WORKBENCH__DB__URL": sqlite_url, "WORKBENCH__FLOWS__SERVICES": places}
            settings |= {"WORKBENCH__DATA_ROOT": str(tmp_path / "data")}
        else:
            settings |= {"WORKBENCH__FLOWS__HOST_TOKENS": token}
            command += [places, "--url", service.url]
        ann = service.user()
        await start_without_a_host(ann)
        host = await asyncio.create_subprocess_exec(*command, env={**os.environ, **settings}, stdout=subprocess.PIPE)
        try:
            for _ in range(600):
                answer = await ann.post("/flows/f/services/tell?timeout_s=20", json="hello there")
                if answer.status_code == 200:
                    break
                await asyncio.sleep(0.1)
            assert answer.json()["data"] == "HELLO THERE! "
            stopped = (await ann.delete("/flows/f")).json()
            assert (stopped["state"], stopped["cleanup"]["pending"]) == ("stopped", [])
            assert not (tmp_path / "host" / "workbench.db").exists()
        finally:
            host.send_signal(signal.SIGTERM)
            await asyncio.wait_for(host.communicate(), 20)


def test_a_host_outside_needs_a_token(sqlite_url: str, tmp_path: Path, rabbit_url: str) -> None:
    ran = workbench(
        sqlite_url, tmp_path, "flows", "host", "--url", "http://127.0.0.1:9", WORKBENCH__BUS__URL=rabbit_url
    )
    assert (ran.returncode, "WORKBENCH__FLOWS__HOST_TOKENS" in ran.stderr) == (2, True)
    short = {"WORKBENCH__FLOWS__HOST_TOKENS": "short"}
    ran = workbench(sqlite_url, tmp_path, "flows", "list", **short)
    assert (ran.returncode, "32 characters" in ran.stderr) == (2, True)
