"""Whether the parts that requests need are there."""

import asyncio

import structlog
from sqlalchemy import text

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.vector_memory import VectorMemory
from workbench.adapters.sql.vectors import serving
from workbench.domain.bus.ports import MessageBus
from workbench.domain.contents.ports import ContentStore
from workbench.domain.errors import UnavailableError

PATIENCE_SECONDS = 2.0
DISPENSABLE = frozenset({"bus"})
"""Parts that most requests do without: where one is away on all replicas, none would be left to answer those."""

logger = structlog.get_logger(__name__)


class Readiness:
    """Checks the parts one by one."""

    def __init__(self, database: Database, store: ContentStore, bus: MessageBus, vectors: VectorMemory) -> None:
        self._bus = bus
        self._vectors = vectors
        self._database = database
        self._store = store

    async def check(self) -> dict[str, str]:
        """Say of each part `ok`, or in a word what is wrong."""
        database, storage = await asyncio.gather(self._check_database(), self._check_storage())
        parts = {"database": database, "storage": storage}
        # Told only where it is not as it should be.
        if (state := self._bus.state()) != "up":
            parts["bus"] = state
        return parts

    async def indexes(self) -> dict[str, str]:
        """Say what looks words up, and what compares vectors, which is found out once."""
        words = "fts5" if self._database.dialect_name == "sqlite" else "tsvector"
        return {"words": words, "vectors": await serving(self._database, self._vectors)}

    async def _check_storage(self) -> str:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._store.check()
        except TimeoutError:
            return "slow"
        except UnavailableError:
            return "away"
        return "ok"

    async def _check_database(self) -> str:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._database.rows(text("SELECT 1"))
        except TimeoutError:
            return "slow"
        except UnavailableError:
            return "away"
        except Exception:
            logger.warning("database not ready", exc_info=True)
            return "away"
        return "ok"
