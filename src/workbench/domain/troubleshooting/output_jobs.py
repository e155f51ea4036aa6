"""Making what a resolved session leaves, each kind by a job of its own (8.4)."""

from datetime import datetime
from uuid import UUID

import msgspec

from workbench.domain.clock import Clock
from workbench.domain.identity.model import Principal
from workbench.domain.jobs.model import Job, NewJob
from workbench.domain.jobs.ports import JobHandler
from workbench.domain.transactions import Transactions, retrying
from workbench.domain.troubleshooting.cases import Case
from workbench.domain.troubleshooting.chat_turns import with_talk
from workbench.domain.troubleshooting.events import outputs_ready
from workbench.domain.troubleshooting.generations import Generation
from workbench.domain.troubleshooting.known import case_of, seen
from workbench.domain.troubleshooting.model import Session
from workbench.domain.troubleshooting.outcomes import OutputInProgress, OutputList, OutputView
from workbench.domain.troubleshooting.outputs import (
    PROSE,
    OutputKind,
    StoredOutput,
    has_left_playbook,
    output_of,
    wanted_outputs,
)
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.troubleshooting.prose import ProseService
from workbench.domain.troubleshooting.ticket_notes import people_of
from workbench.domain.troubleshooting.wishes import output_prose

OUTPUT_JOB = "session_output"
OUTPUT_TRIES = 3
MODEL_SECONDS = 45.0
"""How long a model may take, which is less than a job may."""
MAX_SHOWN = 100


class OutputTask(msgspec.Struct, frozen=True, kw_only=True):
    """Which output is to be made."""

    session_id: UUID
    session_version: int
    kind: OutputKind


def order_outputs(tx: SessionTx, case: Case, now: datetime) -> list[OutputInProgress]:
    """Set down what is to be made of a session that is resolved; the case is as it will be stored."""
    session = case.session
    kinds = wanted_outputs(session, left_playbook=has_left_playbook(case))
    for kind in kinds:
        tx.outputs.add(
            session.id, StoredOutput(kind=kind, session_version=session.version, created_at=now), people_of(case)
        )
        task = OutputTask(session_id=session.id, session_version=session.version, kind=kind)
        key = f"{session.id}:{session.version}:{kind}"
        tx.jobs.enqueue(NewJob(kind=OUTPUT_JOB, key=key, payload=msgspec.to_builtins(task), run_at=now))
    return [OutputInProgress(kind=kind, state="pending") for kind in kinds]


class OutputService(JobHandler):
    """Makes outputs, and shows them."""

    def __init__(self, transactions: Transactions[SessionTx], prose: ProseService, clock: Clock) -> None:
        self._transactions = transactions
        self._prose = prose
        self._clock = clock

    async def of_session(self, principal: Principal, session_id: UUID) -> OutputList:
        """What was made of a session: for its owner. Raises NotFoundError, ForbiddenError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await seen(tx, principal, session_id)
            found.standing.require_owner()
            outputs = await tx.outputs.of_session(session_id, MAX_SHOWN)
        shown = OutputView.__struct_fields__
        return OutputList(items=[OutputView(**{name: getattr(each, name) for name in shown}) for each in outputs])

    async def carry_out(self, job: Job) -> None:
        """Make one, unless that was done before, and tell of all of them with the last."""
        task = msgspec.convert(job.payload, OutputTask)
        await self._make(job, task)
        await retrying(lambda: self._finish(job, task))

    async def _make(self, job: Job, task: OutputTask) -> None:
        """Make it of what is stored, have a model put it into better words, and store it, if it is still wanted."""
        async with self._transactions.read(job.workspace_id) as tx:
            output, session = await _wanted(tx, task)
            if output is None or session is None:
                return
            case = await case_of(tx, session, tuple(await tx.escalations.of(session.id)))
            case = await with_talk(tx, case)
        made = _made(case, output) if job.attempts <= OUTPUT_TRIES else _failed(output, "generation_failed")
        made = await self._rephrased(job.workspace_id, case, made)
        await retrying(lambda: self._keep(job.workspace_id, task, made))

    async def _rephrased(self, workspace_id: str, case: Case, made: StoredOutput) -> StoredOutput:
        """The same by a model, at the workspace's expense; where it is not to be had, what the house wrote stands."""
        place, content = PROSE.get(made.kind), made.content
        if place is None or content is None:
            return made
        generation = Generation.of_job(workspace_id, "flowpilot_output", case.session)
        prose = output_prose(made.kind, content[place])
        told = await self._prose.told(generation, prose, MODEL_SECONDS)
        return msgspec.structs.replace(made, content={**content, place: told.text}, generated_by=told.generated_by)

    async def _keep(self, workspace_id: str, task: OutputTask, made: StoredOutput) -> None:
        async with self._transactions.write(workspace_id) as tx:
            output, session = await _wanted(tx, task)
            if output is None or session is None:
                return
            # Reopened meanwhile, there is no resolution to tell of; the next one has outputs of its own.
            kept = made if session.resolution or made.state == "failed" else _failed(output, "session_reopened")
            tx.outputs.change(task.session_id, kept)

    async def _finish(self, job: Job, task: OutputTask) -> None:
        """Whoever comes last sees all of them made; where two do, one of them is stale, and looks again."""
        async with self._transactions.write(job.workspace_id) as tx:
            outputs = await tx.outputs.of_version(task.session_id, task.session_version)
            session = await tx.sessions.find(task.session_id)
            is_over = bool(outputs) and all(each.state != "pending" for each in outputs)
            if session is not None and is_over and outputs[0].told_at is None:
                tx.outputs.tell(task.session_id, task.session_version, outputs[0].kind, self._clock.now())
                ready = [each.kind for each in outputs if each.state == "ready"]
                tx.events.record(outputs_ready(session, task.session_version, ready))
            tx.jobs.finish(job)


async def _wanted(tx: SessionTx, task: OutputTask) -> tuple[StoredOutput | None, Session | None]:
    """The output, if it is still to be made, and its session, if that is still there."""
    outputs = await tx.outputs.of_version(task.session_id, task.session_version)
    pending = (each for each in outputs if each.kind == task.kind and each.state == "pending")
    return next(pending, None), await tx.sessions.find(task.session_id)


def _made(case: Case, output: StoredOutput) -> StoredOutput:
    resolution = case.session.resolution
    if resolution is None:
        return _failed(output, "session_reopened")
    made = output_of(case, resolution, output.kind)
    return msgspec.structs.replace(output, state="ready", content=made.content, generated_by=made.generated_by)


def _failed(output: StoredOutput, code: str) -> StoredOutput:
    return msgspec.structs.replace(output, state="failed", error_code=code)
