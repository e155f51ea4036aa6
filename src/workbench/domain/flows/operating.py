"""What operators give to all workspaces: blueprints, which may reach everywhere, and types of parameters."""

import re

from workbench.domain.clock import Clock
from workbench.domain.errors import UnprocessableError
from workbench.domain.flows.blueprints import types_of
from workbench.domain.flows.checking import Walls, findings_of
from workbench.domain.flows.model import NAME_PATTERN, SYSTEM, Blueprint, Document, ParameterType, StoredType
from workbench.domain.flows.parameters import type_fault
from workbench.domain.flows.ports import FlowTx, Schemas
from workbench.domain.flows.resolving import refuse
from workbench.domain.flows.shapes import schema_findings
from workbench.domain.transactions import Transactions, retrying

OPERATOR = "operator"


class OperatorBlueprintService:
    """Acts of operators about blueprints. A workspace's own of the same name wins there."""

    def __init__(self, transactions: Transactions[FlowTx], clock: Clock, schemas: Schemas) -> None:
        self._transactions = transactions
        self._clock = clock
        self._schemas = schemas

    async def put(self, name: str, document: Document) -> Blueprint:
        """Store one, new or the next version. Raises UnprocessableError with all findings."""
        _check_name(name)
        return await retrying(lambda: self._put(name, document))

    async def _put(self, name: str, document: Document) -> Blueprint:
        now, wrong = self._clock.now(), schema_findings(document, self._schemas)
        async with self._transactions.write(SYSTEM) as tx:
            before = await tx.blueprints.find(name)
            refuse([*findings_of(document, await types_of(tx), Walls(is_open=True)), *wrong])
            after = Blueprint(
                name=name,
                system=True,
                version=1 if before is None else before.version + 1,
                document=document,
                created_by=OPERATOR,
                created_at=now if before is None else before.created_at,
                updated_at=now,
            )
            if before is None:
                tx.blueprints.add(after)
            else:
                tx.blueprints.change(after)
        return after

    async def put_type(self, name: str, schema: ParameterType) -> StoredType:
        """Store a type, new or over what there was. Raises UnprocessableError."""
        _check_name(name)
        if fault := type_fault(schema):
            raise UnprocessableError(fault, code="parameter_type_invalid", field="schema")
        stored = StoredType(name=name, system=True, schema=schema)
        async with self._transactions.write(SYSTEM) as tx:
            tx.parameter_types.put(stored)
        return stored


def _check_name(name: str) -> None:
    if not re.fullmatch(NAME_PATTERN, name):
        raise UnprocessableError(f"{name!r} is no name", code="invalid_name", field="name")
