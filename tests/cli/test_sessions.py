"""`workbench sessions`: what sessions are found and compared by is made anew."""

import asyncio
import json
from pathlib import Path

from tests.cli.test_cli import run
from tests.support.databases import open_store
from tests.support.searching import add_sessions

from workbench.adapters.sql.documents import BLANK_DOCUMENT
from workbench.domain.troubleshooting.searching import Term, Wanted

ZITHER = Wanted(terms=(Term(("zither",)),))


async def test_reindex_makes_everything_anew_in_one_workspace(database_url: str, tmp_path: Path) -> None:
    settings = {"WORKBENCH__DB__URL": database_url, "WORKBENCH__DB__POSTGRESQL_SSL_MODE": "disable"}
    async with open_store(database_url) as store:
        for workspace in ("default", "elsewhere"):
            for session in await add_sessions(store, ["The zither buzzes", "The zither is out of tune"], workspace):
                async with store.transactions.write(workspace) as tx:
                    tx.writes.change(BLANK_DOCUMENT, {"of_session": session.id})
        arguments = ("sessions", "reindex", "--workspace", "elsewhere", "--json")
        result = await asyncio.to_thread(run, tmp_path, *arguments, **settings)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout) == {"sessions": 2, "documents": 2, "vectors": 2}
        for workspace, count in (("default", 0), ("elsewhere", 2)):
            async with store.transactions.read(workspace) as tx:
                assert len(await tx.searches.find("ann", ZITHER, 9)) == count
    told = await asyncio.to_thread(run, tmp_path, "sessions", "reindex", "--workspace", "nowhere", **settings)
    assert "0 sessions: 0 made anew, 0 vectors made" in told.stdout
