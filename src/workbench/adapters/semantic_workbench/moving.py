"""An existing database moved into a workspace of ours: read from one moment, with its ids, as often as it takes."""

from collections.abc import AsyncIterator, Sequence

from sqlalchemy import Connection, bindparam, text

from workbench.adapters.semantic_workbench.files import FileMover
from workbench.adapters.semantic_workbench.rows import Comparing, add_missing
from workbench.adapters.semantic_workbench.source import Row, Source
from workbench.adapters.semantic_workbench.steps import MESSAGES, STEPS, Step
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import MOVE_IN
from workbench.adapters.sql.schema import Id
from workbench.domain.moving.model import Report, Show

_OPEN = text("INSERT INTO workspaces (workspace_id) VALUES (:ws) ON CONFLICT DO NOTHING")
_HEAD = text("UPDATE conversations SET message_head = :head WHERE id = :id AND message_head < :head").bindparams(
    bindparam("id", type_=Id)
)
# The services know these conversations already, by the same ids: they are told of what comes from here on.
_DELIVER = text(
    "INSERT INTO deliveries (workspace_id, assistant_id, conversation_id, state, position)"
    " SELECT c.workspace_id, a.id, c.id, 'live', c.event_head"
    " FROM participants p JOIN assistants a ON a.id = p.assistant_id JOIN conversations c ON c.id = p.conversation_id"
    " WHERE p.workspace_id = :ws AND p.role = 'assistant' AND p.active_participant"
    " ON CONFLICT DO NOTHING"
)


class Mover:
    """Moves what a source has. What is there by key is left as it is, so that a move can begin again anywhere."""

    def __init__(self, source: Source, target: Database, files: FileMover, workspace_id: str) -> None:
        self._source = source
        self._target = target
        self._files = files
        self._workspace_id = workspace_id

    async def rehearse(self, show: Show) -> Report:
        """Read everything as a move does, and change nothing. Raises InvalidError for a row that cannot be taken."""
        report = Report()
        for step in STEPS:
            report.counts[step.name] = 0
            async for page in self._source.pages(step.select(self._source)):
                report.counts[step.name] += len([step.shape(row) for row in page])
                show(f"{step.name}: {len(page)} rows")
        await self._files.rehearse(self._source, report, show)
        return report

    async def move(self, show: Show) -> Report:
        """Move what is missing, then read both ends once more and compare. Raises InvalidError, UnavailableError."""
        report = Report()
        await self._target.transact(
            lambda connection: connection.execute(_OPEN, {"ws": self._workspace_id}), self._workspace_id
        )
        for step in STEPS:
            async for page in self._pages(step):
                await self._target.transact(
                    lambda connection, step=step, page=page: _insert(connection, step, page), MOVE_IN
                )
                show(f"{step.name}: {len(page)} rows")
        await self._files.move(self._source, report, show)
        await self._target.transact(
            lambda connection: connection.execute(_DELIVER, {"ws": self._workspace_id}), self._workspace_id
        )
        for step in STEPS:
            show(f"comparing {step.name}")
            comparing = Comparing(step.target, by_key=step.stays)
            async for page in self._pages(step):
                await comparing.take(self._target, page)
            report.counts[step.name] = comparing.expected.rows
            report.comparisons.append(comparing.expected.compared(step.name, comparing.found))
        await self._files.compare(self._source, report, show)
        return report

    async def _pages(self, step: Step) -> AsyncIterator[list[Row]]:
        async for page in self._source.pages(step.select(self._source)):
            yield [{"workspace_id": self._workspace_id, **step.shape(row)} for row in page]


def _insert(connection: Connection, step: Step, rows: Sequence[Row]) -> None:
    add_missing(connection, step.target, rows)
    if step is MESSAGES:
        heads = {row["conversation_id"]: row["sequence"] for row in rows}
        connection.execute(_HEAD, [{"id": key, "head": head} for key, head in heads.items()])
