"""The short form of `make faults`: some rounds on each installation find nothing."""

import random
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.faults.cluster import Cluster, running
from tests.faults.faults import DISK_BY_LIMIT, Fault, kill_at
from tests.faults.points import COMMITTED, INSERTED, NOT_REMEMBERED
from tests.faults.rounds import play
from tests.support.assistants import RecordingAssistantService

KILLS = {label: Fault(label, kill_at(label)) for label in (INSERTED, COMMITTED, NOT_REMEMBERED)}
ON_SQLITE = [KILLS[INSERTED], DISK_BY_LIMIT]
ON_POSTGRESQL = [KILLS[COMMITTED], KILLS[NOT_REMEMBERED]]


@pytest.fixture
async def cluster(database_url: str, tmp_path: Path) -> AsyncGenerator[Cluster]:
    replicas = 1 if database_url.startswith("sqlite") else 2
    async with running(Cluster("short", tmp_path, database_url, replicas, None)) as opened:
        yield opened


@pytest.mark.timeout(240)
async def test_rounds_find_nothing(cluster: Cluster) -> None:
    async with RecordingAssistantService() as recorder:
        for number, fault in enumerate(ON_SQLITE if len(cluster.servers) == 1 else ON_POSTGRESQL):
            done = await play(cluster, recorder, number, fault, random.Random(number))
            assert done.findings == []
            assert done.acknowledged > 0
            assert done.seen > 0
            assert done.kills == (fault in KILLS.values())
