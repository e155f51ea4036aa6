"""What each process tells of the whole installation, and of its own duties."""

import asyncio
from pathlib import Path

from dishka import Provider, Scope
from tests.http.test_metering import measured
from tests.support.service import running_service

from workbench.domain.assistants.presence import PresenceService
from workbench.examples.flow_services import BLUEPRINT, PARAMETER_TYPE

FLOWS_BY_STATE = "workbench_flows{"
FAILED = 'workbench_duty_failures_total{duty="PresenceWorker"}'
FLOWS = {"services": ("workbench.examples.flow_services:services",)}


async def test_every_replica_tells_of_all_flows_whoever_looks_after_them(database_url: str, tmp_path: Path) -> None:
    async with (
        running_service(database_url, tmp_path / "data", flows=FLOWS) as one,
        running_service(database_url, tmp_path / "data", flows=FLOWS) as other,
    ):
        ann = one.user()
        (await ann.put("/flow-parameter-types/mark", json=PARAMETER_TYPE)).raise_for_status()
        (await ann.put("/flow-blueprints/echoing", json=BLUEPRINT)).raise_for_status()
        (await ann.post("/flows", json={"flow_id": "f", "blueprint": "echoing"})).raise_for_status()
        for replica in (one, other):
            told = await measured(replica)
            assert sum(value for name, value in told.items() if name.startswith(FLOWS_BY_STATE)) == 1
            assert told["workbench_flow_topics_pending"] == 0


class Failing:
    """Never notices anything."""

    async def sweep(self) -> None:
        raise RuntimeError("a defect")


async def test_a_duty_that_fails_is_begun_again_and_counted(sqlite_url: str, tmp_path: Path) -> None:
    failing = Provider(scope=Scope.APP)
    failing.provide(Failing, provides=PresenceService)
    async with running_service(sqlite_url, tmp_path / "data", failing) as service:
        async with asyncio.timeout(30):
            while (await measured(service)).get(FAILED, 0) < 2:  # noqa: ASYNC110 - every look is a call
                await asyncio.sleep(0.1)
