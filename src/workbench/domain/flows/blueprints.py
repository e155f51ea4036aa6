"""Keeping blueprints, and the types of their parameters."""

import re
from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.clock import Clock
from workbench.domain.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    PreconditionError,
    TooLargeError,
    UnprocessableError,
)
from workbench.domain.flows.checking import Walls, findings_of
from workbench.domain.flows.cursors import NameCursor, read_cursor
from workbench.domain.flows.model import (
    MAX_DOCUMENT_BYTES,
    NAME_PATTERN,
    RESERVED,
    Blueprint,
    BlueprintList,
    Check,
    CheckRequest,
    Document,
    Finding,
    ParameterType,
    StoredType,
    TypeList,
)
from workbench.domain.flows.parameters import resolve, type_fault
from workbench.domain.flows.policy import FlowPolicy
from workbench.domain.flows.ports import FlowTx, Schemas
from workbench.domain.flows.resolving import Place, refuse, topics_of
from workbench.domain.flows.shapes import schema_findings
from workbench.domain.identity.model import Principal
from workbench.domain.transactions import Transactions, retrying

Types = Mapping[str, ParameterType]


class BlueprintService:
    """Acts about blueprints."""

    def __init__(self, transactions: Transactions[FlowTx], clock: Clock, policy: FlowPolicy, schemas: Schemas) -> None:
        self._transactions = transactions
        self._clock = clock
        self._policy = policy
        self._schemas = schemas

    async def get(self, principal: Principal, name: str) -> Blueprint:
        """One. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            return await find_blueprint(tx, name)

    async def page(self, principal: Principal, cursor: str | None, limit: int) -> BlueprintList:
        """Those that the workspace may use, in the order of names."""
        after = read_cursor(cursor)
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await tx.blueprints.page(after.name if after else None, limit + 1)
        more = NameCursor(found[limit - 1].name).encode() if len(found) > limit else None
        return BlueprintList(blueprints=list(found[:limit]), next_cursor=more)

    async def put(
        self, principal: Principal, name: str, document: Document, if_match: int | None
    ) -> tuple[Blueprint, bool]:
        """Store one, new or the next version; whether it is new.

        Raises UnprocessableError with all findings, ConflictError (an operator's has the name, or `if_match` is not
        its version), TooLargeError.
        """
        self._policy.require_writer(principal)
        _check_name(name)
        if len(msgspec.json.encode(document)) > MAX_DOCUMENT_BYTES:
            raise TooLargeError(
                f"a blueprint is limited to {MAX_DOCUMENT_BYTES} bytes",
                code="payload_too_large",
                extra={"limit_bytes": MAX_DOCUMENT_BYTES},
            )
        return await retrying(lambda: self._put(principal, name, document, if_match))

    async def _put(
        self, principal: Principal, name: str, document: Document, if_match: int | None
    ) -> tuple[Blueprint, bool]:
        now, wrong = self._clock.now(), schema_findings(document, self._schemas)
        async with self._transactions.write(principal.workspace_id) as tx:
            before = await tx.blueprints.find(name)
            if before is not None and before.system:
                raise ConflictError("There is a blueprint of that name for all workspaces", code="blueprint_exists")
            if if_match is not None and (before is None or before.version != if_match):
                raise PreconditionError("The blueprint is of another version by now")
            refuse([*findings_of(document, await types_of(tx), self._policy.walls), *wrong])
            after = Blueprint(
                name=name,
                system=False,
                version=1 if before is None else before.version + 1,
                document=document,
                created_by=principal.id if before is None else before.created_by,
                created_at=now if before is None else before.created_at,
                updated_at=now,
            )
            if before is None:
                tx.blueprints.add(after)
            else:
                tx.blueprints.change(after)
            entry = NewAuditEntry(
                actor=Actor.of(principal), act="blueprint.stored", subject=name, detail={"version": after.version}
            )
            tx.audit.record(entry)
        return after, before is None

    async def check(self, principal: Principal, name: str, request: CheckRequest) -> Check:
        """Look at a document, or at the stored one, and store nothing. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            if request.document is UNSET:
                stored = await find_blueprint(tx, name)
                document, walls = stored.document, Walls(is_open=True) if stored.system else self._policy.walls
            else:
                document, walls = request.document, self._policy.walls
            types = await types_of(tx)
        findings = [*findings_of(document, types, walls), *schema_findings(document, self._schemas)]
        if not findings:
            findings = resolve(document.parameters, types, request.parameters)[1]
        if not re.fullmatch(NAME_PATTERN, request.flow_id):
            findings.append(Finding(path="$.flow_id", code="invalid_name", detail="is no name of a flow"))
        place = Place(workspace_id=principal.workspace_id, blueprint=name, flow_id=request.flow_id)
        topics = [] if findings else topics_of(document, place)
        return Check(valid=not findings, findings=findings, topics=topics)

    async def delete(self, principal: Principal, name: str, *, force: bool) -> None:
        """Forget one. Raises NotFoundError, ConflictError where flows are made of it; these do not mind."""
        self._policy.require_writer(principal)
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await find_blueprint(tx, name)
            if found.system:
                raise ConflictError("The blueprint is for all workspaces", code="blueprint_exists")
            flows = await tx.flows.made_of(name)
            if flows and not force:
                raise ConflictError(
                    "Flows are made of this blueprint", code="blueprint_in_use", extra={"flows": list(flows)}
                )
            tx.blueprints.remove(name)
            tx.audit.record(NewAuditEntry(actor=Actor.of(principal), act="blueprint.removed", subject=name))


class ParameterTypeService:
    """Acts about the types of parameters."""

    def __init__(self, transactions: Transactions[FlowTx], policy: FlowPolicy) -> None:
        self._transactions = transactions
        self._policy = policy

    async def get(self, principal: Principal, name: str) -> StoredType:
        """One. Raises NotFoundError."""
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await tx.parameter_types.find(name)
        if found is None:
            raise NotFoundError(code="parameter_type_not_found")
        return found

    async def page(self, principal: Principal, cursor: str | None, limit: int) -> TypeList:
        """Those that the workspace may use, in the order of names."""
        after = read_cursor(cursor)
        async with self._transactions.read(principal.workspace_id) as tx:
            found = await tx.parameter_types.page(after.name if after else None, limit + 1)
        more = NameCursor(found[limit - 1].name).encode() if len(found) > limit else None
        return TypeList(parameter_types=list(found[:limit]), next_cursor=more)

    async def put(self, principal: Principal, name: str, schema: ParameterType) -> tuple[StoredType, bool]:
        """Store one; whether it is new. Raises UnprocessableError, ConflictError (an operator's has the name)."""
        self._policy.require_writer(principal)
        _check_name(name)
        if fault := type_fault(schema):
            raise UnprocessableError(fault, code="parameter_type_invalid", field="schema")
        after = StoredType(name=name, system=False, schema=schema)
        async with self._transactions.write(principal.workspace_id) as tx:
            before = await tx.parameter_types.find(name)
            if before is not None and before.system:
                raise ConflictError("There is a type of that name for all workspaces", code="parameter_type_exists")
            tx.parameter_types.put(after)
        return after, before is None

    async def delete(self, principal: Principal, name: str) -> None:
        """Forget one. Raises NotFoundError, ConflictError where a blueprint of the workspace uses it."""
        self._policy.require_writer(principal)
        async with self._transactions.write(principal.workspace_id) as tx:
            found = await tx.parameter_types.find(name)
            if found is None:
                raise NotFoundError(code="parameter_type_not_found")
            if found.system:
                raise ConflictError("The type is for all workspaces", code="parameter_type_exists")
            users = await _blueprints_using(tx, name)
            if users:
                raise ConflictError("Blueprints use this type", code="in_use", extra={"blueprints": users})
            tx.parameter_types.remove(name)


async def _blueprints_using(tx: FlowTx, type_name: str) -> list[str]:
    users: list[str] = []
    after: str | None = None
    while page := await tx.blueprints.page(after, 100):
        users += [one.name for one in page if any(use.type == type_name for use in one.document.parameters.values())]
        after = page[-1].name
    return users


async def find_blueprint(tx: FlowTx, name: str) -> Blueprint:
    """Raises NotFoundError."""
    found = await tx.blueprints.find(name)
    if found is None:
        raise NotFoundError(code="blueprint_not_found")
    return found


async def types_of(tx: FlowTx) -> Types:
    """The schemas of all types, by name."""
    return {stored.name: stored.schema for stored in await tx.parameter_types.all()}


def _check_name(name: str) -> None:
    if not re.fullmatch(NAME_PATTERN, name) or name in RESERVED:
        raise UnprocessableError(
            "a name has up to 40 lower-case letters, digits, _ and -", code="invalid_name", field="name"
        )


def read_document(value: object) -> Document:
    """A document from JSON. Raises UnprocessableError, InvalidError."""
    if not isinstance(value, dict):
        raise InvalidError("a blueprint is a JSON object", field="document")
    try:
        return msgspec.convert(value, Document)
    except msgspec.ValidationError as error:
        raise UnprocessableError(str(error), code="invalid_document", field="document") from None
