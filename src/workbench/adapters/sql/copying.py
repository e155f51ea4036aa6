"""All rows of one of our databases into another, and the proof that they are the same."""

from sqlalchemy import Connection, bindparam, func, select, text

from workbench.adapters.sql.database import Database
from workbench.adapters.sql.flow_tables import flow_hosts
from workbench.adapters.sql.leases import span
from workbench.adapters.sql.schema import Moment, metadata
from workbench.adapters.sql.tables import leases
from workbench.adapters.sql.whole_tables import Tally, WholeTable
from workbench.domain.errors import ConflictError
from workbench.domain.moving.model import Report, Show

OF_PROCESSES = (leases, flow_hosts)

_HELD = select(func.count()).select_from(leases).where(leases.c.expires_at > bindparam("now", type_=Moment))


class DatabaseCopier:
    """Copies from `source` to `target`, which both have the newest schema; what was begun is gone on with.

    Where it stopped shows in the rows that are there: each table is filled in the order of the source's keys, a page
    in a commit, so that what a copy left behind is a beginning of the source. Anything else is not touched.
    """

    def __init__(self, source: Database, target: Database) -> None:
        self._source = source
        self._target = target

    async def copy(self, show: Show) -> Report:
        """Copy what is missing, then read both again and compare. Leases and hosts are not copied: they are of processes.

        Raises ConflictError where a service is at work on either, or the target has rows of its own.
        """
        for database, name in ((self._source, "source"), (self._target, "target")):
            if await _is_in_use(database):
                raise ConflictError(f"A service is at work on the {name}. Stop it first.", code="in_use")
        report = Report()
        tables = [WholeTable(table) for table in metadata.sorted_tables if table not in OF_PROCESSES]
        for table in tables:
            await self._fill(table, show)
        if self._target.dialect_name == "postgresql":
            # Without statistics its first plans would walk whole tables.
            await self._target.transact(_analyse)
        for table in tables:
            show(f"comparing {table.name}")
            source, target = await table.tally(self._source), await table.tally(self._target)
            report.counts[table.name] = source.rows
            report.comparisons.append(source.compared(table.name, target))
        return report

    async def _fill(self, table: WholeTable, show: Show) -> None:
        """Insert what comes behind the rows that are there, if those are what the source begins with."""
        there, begun = await table.tally(self._target), Tally()
        async for page in table.pages(self._source):
            missing = there.rows - begun.rows
            begun.take(page[:missing])
            if rest := page[missing:]:
                _require_same(table, begun, there)
                await table.add(self._target, rest)
                show(f"{table.name}: {len(rest)} rows")
        _require_same(table, begun, there)


def _require_same(table: WholeTable, begun: Tally, there: Tally) -> None:
    if (begun.rows, begun.sum) != (there.rows, there.sum):
        raise ConflictError(
            f"The target has rows in {table.name} that the source does not begin with. Copy to an empty database.",
            code="not_empty",
        )


async def _is_in_use(database: Database) -> bool:
    def work(connection: Connection) -> int:
        return connection.execute(_HELD, {"now": span(connection, 0)["now"]}).scalar_one()

    return await database.read_at_once(work) > 0


def _analyse(connection: Connection) -> None:
    connection.execute(text("ANALYZE"))
