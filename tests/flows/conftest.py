"""The service with example services of flows in it."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.support.service import Service, running_service

EXAMPLES = "workbench.examples.flow_services:services"


@pytest.fixture
async def flow_service(sqlite_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    """The whole service over real HTTP, on the bus inside the process."""
    async with running_service(sqlite_url, tmp_path / "data", flows={"services": (EXAMPLES,)}) as running:
        yield running
