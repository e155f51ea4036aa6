"""The steps of troubleshooting sessions in SQL, their branches, playbooks and escalations."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import BindParameter, Integer, and_, bindparam, or_, select, tuple_, update

from workbench.adapters.sql.documents import add_answer
from workbench.adapters.sql.repository import IDS, Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id, Moment
from workbench.adapters.sql.session_tables import (
    OPEN_STEP,
    session_branches,
    session_escalations,
    session_playbooks,
    session_steps,
    sessions,
)
from workbench.adapters.sql.sessions import IS_THERE, SESSION_FIELDS
from workbench.domain.troubleshooting.access import Person
from workbench.domain.troubleshooting.model import Branch, Escalation, Followed, SessionStep
from workbench.domain.troubleshooting.ports import Escalations, Queued, QueuePlace, SessionSteps
from workbench.domain.troubleshooting.queueing import RANK

_BRANCH_FIELDS = Branch.__struct_fields__
_STEP_FIELDS = SessionStep.__struct_fields__
_ESCALATION_FIELDS = Escalation.__struct_fields__
_SESSION = bindparam("session_id", type_=Id)

_BRANCHES = Query(
    Branch,
    select(*columns_of(session_branches, *_BRANCH_FIELDS))
    .where(here(session_branches), session_branches.c.session_id == _SESSION)
    .order_by(session_branches.c.created_at, session_branches.c.id),
)
_BRANCHES_OF_EACH = Query(
    Branch,
    select(*columns_of(session_branches, "session_id", *_BRANCH_FIELDS))
    .where(here(session_branches), session_branches.c.session_id.in_(IDS))
    .order_by(session_branches.c.session_id, session_branches.c.created_at, session_branches.c.id),
)
_WAITING = select(session_steps.c.session_id, session_steps.c.branch_id).where(
    here(session_steps), session_steps.c.session_id.in_(IDS), OPEN_STEP
)
_STEPS = Query(
    SessionStep,
    select(*columns_of(session_steps, *_STEP_FIELDS))
    .join(
        session_branches,
        and_(
            session_branches.c.workspace_id == session_steps.c.workspace_id,
            session_branches.c.session_id == session_steps.c.session_id,
            session_branches.c.id == session_steps.c.branch_id,
        ),
    )
    .where(here(session_steps), session_steps.c.session_id == _SESSION)
    .order_by(session_branches.c.created_at, session_branches.c.id, session_steps.c.step_order),
)
_FOLLOWED = Query(
    Followed,
    select(
        *columns_of(session_playbooks, "playbook_id", "match", "document"),
        session_playbooks.c.number.label("version"),
    ).where(here(session_playbooks), session_playbooks.c.session_id == _SESSION),
)
_CHANGED = ("answered_at", "answered_by", "reading", "is_unclear", "note", "answer_message_id", "superseded_by")
_CHANGE_STEP = (
    update(session_steps)
    .where(
        here(session_steps),
        session_steps.c.session_id == bindparam("of_session", type_=Id),
        session_steps.c.id == bindparam("of_id", type_=Id),
        session_steps.c.answered_at.is_(None),
        session_steps.c.superseded_by.is_(None),
    )
    .values({name: bindparam(f"new_{name}", type_=session_steps.c[name].type) for name in _CHANGED})
)


class SqlSessionSteps(Repository, SessionSteps):
    """The steps of one workspace's sessions."""

    async def branches(self, session_id: UUID) -> Sequence[Branch]:
        """By the primary key."""
        return await self._all(_BRANCHES, {"session_id": session_id})

    async def branches_of_each(self, session_ids: Sequence[UUID]) -> dict[UUID, list[Branch]]:
        """By the primary key."""
        return await self._of_each(_BRANCHES_OF_EACH, session_ids)

    async def waiting_of_each(self, session_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
        """Along the index on open steps."""
        if not session_ids:
            return {}
        rows = await self._rows(_WAITING, {"ids": list(session_ids)})
        found: dict[UUID, list[UUID]] = {}
        for session_id, branch_id in msgspec.convert([tuple(row) for row in rows], list[tuple[UUID, UUID]]):
            found.setdefault(session_id, []).append(branch_id)
        return found

    async def of(self, session_id: UUID) -> Sequence[SessionStep]:
        """By the primary key."""
        return await self._all(_STEPS, {"session_id": session_id})

    async def followed(self, session_id: UUID) -> Sequence[Followed]:
        """By the primary key."""
        return await self._all(_FOLLOWED, {"session_id": session_id})

    def branch(self, session_id: UUID, branch: Branch) -> None:
        """Insert or update."""
        self._writes.upsert(session_branches, {"session_id": session_id, **msgspec.structs.asdict(branch)})

    def add(self, session_id: UUID, step: SessionStep) -> None:
        """Insert after the changes of the block, so that the step before is closed by then; and after its branch."""
        row = {name: _written(getattr(step, name)) for name in _STEP_FIELDS}
        self._writes.attach(session_steps, {"session_id": session_id, **row})
        add_answer(self._context, session_id, step)

    def change(self, session_id: UUID, step: SessionStep) -> None:
        """Update where it is still open."""
        new = {f"new_{name}": _written(getattr(step, name)) for name in _CHANGED}
        self._writes.change(_CHANGE_STEP, {"of_session": session_id, "of_id": step.id, **new}, must_hit=True)
        add_answer(self._context, session_id, step)

    def follow(self, session_id: UUID, followed: Followed) -> None:
        """Insert; one that was followed before on another branch stays as it was then."""
        row = {"playbook_id": followed.playbook_id, "number": followed.version, "match": followed.match}
        document = msgspec.to_builtins(followed.document)
        self._writes.insert(
            session_playbooks, {"session_id": session_id, "key": followed.key, "document": document, **row}
        )


_OF_SESSION = Query(
    Escalation,
    select(*columns_of(session_escalations, *_ESCALATION_FIELDS))
    .where(here(session_escalations), session_escalations.c.session_id == _SESSION)
    .order_by(session_escalations.c.requested_at, session_escalations.c.id),
)
_OF_EACH = Query(
    Escalation,
    select(*columns_of(session_escalations, "session_id", *(name for name in _ESCALATION_FIELDS if name != "packet")))
    .where(here(session_escalations), session_escalations.c.session_id.in_(IDS))
    .order_by(session_escalations.c.session_id, session_escalations.c.requested_at, session_escalations.c.id),
)
_PLACE = tuple_(session_escalations.c.rank, session_escalations.c.requested_at, session_escalations.c.id)
_CLOSED = ("state", "picked_up_by", "resume_mode", "additional_context", "closed_at")
_CLOSE = (
    update(session_escalations)
    .where(
        here(session_escalations),
        session_escalations.c.session_id == bindparam("of_session", type_=Id),
        session_escalations.c.id == bindparam("of_id", type_=Id),
        session_escalations.c.state == "open",
    )
    .values({name: bindparam(f"new_{name}", type_=session_escalations.c[name].type) for name in _CLOSED})
)
_ALARM = (
    update(session_escalations)
    .where(
        here(session_escalations),
        session_escalations.c.session_id == bindparam("of_session", type_=Id),
        session_escalations.c.id == bindparam("of_id", type_=Id),
        session_escalations.c.state == "open",
        session_escalations.c.alarmed_at.is_(None),
    )
    .values(alarmed_at=bindparam("at", type_=Moment))
)


def _queued(row: Sequence[Any]) -> dict[str, Any]:
    split = len(SESSION_FIELDS)
    return {
        "session": dict(zip(SESSION_FIELDS, row[:split], strict=True)),
        "escalation": dict(zip(_ESCALATION_FIELDS, row[split:], strict=True)),
    }


@lru_cache(2)
def _queue(*, behind: bool) -> Query[Queued]:
    person: BindParameter[str] = bindparam("person_id")
    statement = (
        select(*columns_of(sessions, *SESSION_FIELDS), *columns_of(session_escalations, *_ESCALATION_FIELDS))
        .join(
            sessions,
            and_(
                sessions.c.workspace_id == session_escalations.c.workspace_id,
                sessions.c.id == session_escalations.c.session_id,
            ),
        )
        .where(
            here(session_escalations),
            IS_THERE,
            session_escalations.c.state == "open",
            session_escalations.c.requested_by != person,
            sessions.c.handler_id != person,
            or_(
                session_escalations.c.target_user_id == person,
                and_(
                    session_escalations.c.target_user_id.is_(None),
                    or_(
                        session_escalations.c.team_id.is_(None),
                        session_escalations.c.team_id.in_(bindparam("team_ids", expanding=True)),
                    ),
                ),
            ),
        )
    )
    if behind:
        place = (bindparam("rank", type_=Integer), bindparam("requested_at", type_=Moment), bindparam("id", type_=Id))
        statement = statement.where(tuple_(*place) < _PLACE)
    in_turn = (session_escalations.c.rank, session_escalations.c.requested_at, session_escalations.c.id)
    return Query(Queued, statement.order_by(*in_turn).limit(bindparam("limit")), _queued)


class SqlEscalations(Repository, Escalations):
    """The escalations of one workspace's sessions."""

    async def of(self, session_id: UUID) -> Sequence[Escalation]:
        """By the primary key."""
        return await self._all(_OF_SESSION, {"session_id": session_id})

    async def of_each(self, session_ids: Sequence[UUID]) -> dict[UUID, list[Escalation]]:
        """By the primary key."""
        return await self._of_each(_OF_EACH, session_ids)

    async def queue(self, person: Person, behind: QueuePlace | None, limit: int) -> Sequence[Queued]:
        """Along the index of the queue."""
        place = {} if behind is None else msgspec.structs.asdict(behind)
        query = _queue(behind=behind is not None)
        who = {"person_id": person.id, "team_ids": sorted(person.team_ids)}
        return await self._all(query, {**who, "limit": limit, **place})

    def add(self, session_id: UUID, escalation: Escalation) -> None:
        """Insert; the partial index tells where one is open."""
        row = {name: _written(getattr(escalation, name)) for name in _ESCALATION_FIELDS}
        self._writes.insert(session_escalations, {"session_id": session_id, "rank": RANK[escalation.urgency], **row})

    def close(self, session_id: UUID, escalation: Escalation) -> None:
        """Update where it is still open."""
        new = {f"new_{name}": getattr(escalation, name) for name in _CLOSED}
        self._writes.change(_CLOSE, {"of_session": session_id, "of_id": escalation.id, **new}, must_hit=True)

    def alarm(self, session_id: UUID, escalation: Escalation) -> None:
        """Update where it is still open, and nobody was told before."""
        place = {"of_session": session_id, "of_id": escalation.id, "at": escalation.alarmed_at}
        self._writes.change(_ALARM, place, must_hit=True)


def _written(value: Any) -> Any:
    """A Struct as what JSON has for it."""
    return msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value
