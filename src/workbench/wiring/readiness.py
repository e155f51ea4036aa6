"""Whether the parts that requests need are there."""

import asyncio

import structlog
from sqlalchemy import text

from workbench.adapters.sql.database import Database

PATIENCE_SECONDS = 2.0

logger = structlog.get_logger(__name__)


class Readiness:
    """Checks the parts one by one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self) -> dict[str, str]:
        """Say of each part `ok`, or in a word what is wrong."""
        return {"database": await self._check_database()}

    async def _check_database(self) -> str:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._database.rows(text("SELECT 1"))
        except TimeoutError:
            return "slow"
        except Exception:
            logger.warning("database not ready", exc_info=True)
            return "away"
        return "ok"
