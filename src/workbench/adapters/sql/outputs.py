"""What resolved sessions leave for those who come after, in SQL."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, bindparam, delete, select, update

from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Id, Json, Moment
from workbench.adapters.sql.ticket_tables import resolution_outputs
from workbench.domain.troubleshooting.outputs import OutputKind, Rephrased, StoredOutput
from workbench.domain.troubleshooting.ports import Outputs

_FIELDS = StoredOutput.__struct_fields__
_OF_SESSION = and_(here(resolution_outputs), resolution_outputs.c.session_id == bindparam("of_session", type_=Id))
# Beside the outputs, so that it goes with the session and with people as they do, and is none of them.
DOCUMENTATION = "documentation"
_IS_OUTPUT = resolution_outputs.c.kind != DOCUMENTATION
_OF_VERSION = and_(_OF_SESSION, resolution_outputs.c.session_version == bindparam("of_version"))
_ALL = Query(
    StoredOutput,
    select(*columns_of(resolution_outputs, *_FIELDS))
    .where(_OF_SESSION, _IS_OUTPUT)
    .order_by(resolution_outputs.c.session_version.desc(), resolution_outputs.c.kind)
    .limit(bindparam("limit")),
)
_SAME = Query(
    StoredOutput,
    select(*columns_of(resolution_outputs, *_FIELDS))
    .where(_OF_VERSION, _IS_OUTPUT)
    .order_by(resolution_outputs.c.kind),
)
_REPHRASED = Query(
    Rephrased,
    select(*columns_of(resolution_outputs, *Rephrased.__struct_fields__))
    .where(_OF_SESSION, ~_IS_OUTPUT)
    .order_by(resolution_outputs.c.session_version.desc())
    .limit(1),
)
_FORGET_OLDER = delete(resolution_outputs).where(
    _OF_SESSION, ~_IS_OUTPUT, resolution_outputs.c.session_version < bindparam("of_version")
)
_CHANGE = (
    update(resolution_outputs)
    .where(_OF_VERSION, resolution_outputs.c.kind == bindparam("of_kind"))
    .values(
        state=bindparam("new_state"),
        content=bindparam("new_content", type_=Json),
        generated_by=bindparam("new_generated_by"),
        error_code=bindparam("new_error_code"),
    )
)
_TELL = (
    update(resolution_outputs)
    .where(_OF_VERSION, resolution_outputs.c.kind == bindparam("of_kind"), resolution_outputs.c.told_at.is_(None))
    .values(told_at=bindparam("at", type_=Moment))
)


class SqlOutputs(Repository, Outputs):
    """The outputs of one workspace."""

    async def of_session(self, session_id: UUID, limit: int) -> Sequence[StoredOutput]:
        """Along the primary key."""
        return await self._all(_ALL, {"of_session": session_id, "limit": limit})

    async def of_version(self, session_id: UUID, session_version: int) -> Sequence[StoredOutput]:
        """Along the primary key."""
        return await self._all(_SAME, {"of_session": session_id, "of_version": session_version})

    def add(self, session_id: UUID, output: StoredOutput, people: Sequence[str]) -> None:
        """Insert."""
        row = {name: getattr(output, name) for name in _FIELDS}
        self._writes.insert(resolution_outputs, {**row, "session_id": session_id, "people": list(people)})

    def change(self, session_id: UUID, output: StoredOutput) -> None:
        """Update."""
        new = {f"new_{name}": getattr(output, name) for name in ("state", "content", "generated_by", "error_code")}
        place = {"of_session": session_id, "of_version": output.session_version, "of_kind": output.kind}
        self._writes.change(_CHANGE, {**place, **new})

    def tell(self, session_id: UUID, session_version: int, kind: OutputKind, at: datetime) -> None:
        """Update where nobody did."""
        place = {"of_session": session_id, "of_version": session_version, "of_kind": kind, "at": at}
        self._writes.change(_TELL, place, must_hit=True)

    async def rephrased(self, session_id: UUID) -> Rephrased | None:
        """Along the primary key."""
        return await self._maybe(_REPHRASED, {"of_session": session_id})

    def keep_rephrased(self, session_id: UUID, text: Rephrased, people: Sequence[str], at: datetime) -> None:
        """Insert, or write over another one of the same version, and delete those of older ones."""
        row = {"session_id": session_id, "session_version": text.session_version, "kind": DOCUMENTATION}
        made = {"state": "ready", "generated_by": "model", "error_code": None, "created_at": at, "told_at": None}
        self._writes.upsert(resolution_outputs, {**row, **made, "content": text.content, "people": list(people)})
        self._writes.change(_FORGET_OLDER, {"of_session": session_id, "of_version": text.session_version})
