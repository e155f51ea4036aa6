"""The service with example services of flows in it."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.support.service import Service, running_service

SERVICES = ("workbench.examples.flow_services:services", "tests.flows.services:services")


@pytest.fixture
async def flow_service(sqlite_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    """The whole service over real HTTP, on the bus inside the process."""
    async with running_service(sqlite_url, tmp_path / "data", flows={"services": SERVICES}) as running:
        yield running
