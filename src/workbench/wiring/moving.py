"""Moves between databases, as the command line asks for them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from workbench.adapters.clock import SystemClock
from workbench.adapters.semantic_workbench.files import FileMover
from workbench.adapters.semantic_workbench.moving import Mover
from workbench.adapters.semantic_workbench.source import open_source
from workbench.adapters.sql.copying import DatabaseCopier
from workbench.adapters.sql.database import Database, open_database
from workbench.adapters.tokens.issuers import require_workspace_id
from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.audit.ports import AuditTx
from workbench.domain.contents.ports import ContentStore
from workbench.domain.errors import ConflictError, InvalidError, NotFoundError
from workbench.domain.moving.model import Report, Show
from workbench.domain.transactions import Transactions
from workbench.wiring import migrations
from workbench.wiring.container import make_container
from workbench.wiring.setting_values import with_driver
from workbench.wiring.settings import Settings


def prepare_copy(source: Settings, target: Settings) -> None:
    """Require the newest schema of the source, and bring the target to it.

    Raises ConflictError, NotFoundError.
    """
    if source.database_url == target.database_url:
        raise ConflictError("Source and target are the same database.", code="same_database")
    if differences := migrations.check(source):
        raise NotFoundError(f"The source cannot be copied: {'; '.join(differences)}", code="no_database")
    migrations.upgrade(target)


async def copy_database(source: Settings, target: Settings, show: Show) -> Report:
    """Copy all rows of one database into another; see DatabaseCopier.copy."""
    from_database, to_database = _opened(source), _opened(target)
    try:
        return await DatabaseCopier(from_database, to_database).copy(show)
    finally:
        await from_database.close()
        await to_database.close()


async def rehearse_move(settings: Settings, url: str, files: Path, workspace_id: str, show: Show) -> Report:
    """Read what `move_in` would move, and change nothing."""
    async with _mover(settings, url, files, workspace_id) as (mover, _):
        return await mover.rehearse(show)


async def move_in(settings: Settings, url: str, files: Path, workspace_id: str, operator: Actor, show: Show) -> Report:
    """Move the data of a Semantic Workbench service into a workspace, and write down that it was; see Mover.

    `files` is the folder that service keeps the bytes of files in. Raises InvalidError, NotFoundError,
    UnavailableError.
    """
    async with _mover(settings, url, files, workspace_id) as (mover, transactions):
        report = await mover.move(show)
        detail = {**report.counts, "flaws": len(report.flaws)}
        async with transactions.write(workspace_id) as tx:
            tx.audit.record(NewAuditEntry(actor=operator, act="data.moved_in", subject=workspace_id, detail=detail))
        return report


@asynccontextmanager
async def _mover(
    settings: Settings, url: str, files: Path, workspace_id: str
) -> AsyncGenerator[tuple[Mover, Transactions[AuditTx]]]:
    require_workspace_id(workspace_id)
    try:
        source_url = with_driver(url)
    except ValueError as error:
        raise InvalidError(f"The address of the database {error}", field="url") from None
    container = make_container(settings)
    try:
        target, store = await container.get(Database), await container.get(ContentStore)
        transactions = await container.get(Transactions[AuditTx])
        async with open_source(source_url, settings.db.postgresql_ssl_mode) as source:
            file_mover = FileMover(target, store, files, workspace_id, SystemClock())
            yield Mover(source, target, file_mover, workspace_id), transactions
    finally:
        await container.close()


def _opened(settings: Settings) -> Database:
    return open_database(settings.sqlalchemy_url, ssl_mode=settings.db.postgresql_ssl_mode)
