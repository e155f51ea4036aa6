"""A service whose notes are in the hands of the test, and ticket systems to push them to."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.support.ticket_desk import Desk, ticket_desk
from tests.support.ticket_systems import ConnectWiseServer, WebhookServer, connectwise, listener


@pytest.fixture
async def desk(database_url: str, tmp_path: Path) -> AsyncGenerator[Desk]:
    async with ticket_desk(database_url, tmp_path / "data") as opened:
        yield opened


@pytest.fixture
async def sqlite_desk(sqlite_url: str, tmp_path: Path) -> AsyncGenerator[Desk]:
    async with ticket_desk(sqlite_url, tmp_path / "data") as opened:
        yield opened


@pytest.fixture
async def company() -> AsyncGenerator[ConnectWiseServer]:
    async with connectwise() as server:
        yield server


@pytest.fixture
async def hook() -> AsyncGenerator[WebhookServer]:
    async with listener() as server:
        yield server
