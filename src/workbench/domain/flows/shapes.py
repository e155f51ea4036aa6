"""What requests and replies of an interface must look like: its JSON Schemas, read once for each run of a flow."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from workbench.domain.errors import UnprocessableError
from workbench.domain.flows.model import Document, Finding, Interface, StoredFlow
from workbench.domain.flows.ports import Key, Misfit, Schemas, Shape

MAX_SCHEMA_BYTES = 64 << 10
MAX_KEPT = 500
"""Shapes of requests that are kept ready, of however many flows."""

Side = Literal["request_schema", "response_schema"]
SIDES: tuple[Side, ...] = ("request_schema", "response_schema")

logger = logging.getLogger(__name__)


def schema_findings(document: Document, schemas: Schemas) -> list[Finding]:
    """What is wrong with the schemas themselves."""
    found: list[Finding] = []
    for name, interface in document.interfaces.items():
        for side in SIDES:
            fault = _fault_of(getattr(interface, side), schemas)
            if fault is not None:
                found.append(Finding(path=f"$.interfaces.{name}.{side}", code="invalid_schema", detail=fault))
    return found


def _fault_of(schema: dict[str, Any] | None, schemas: Schemas) -> str | None:
    if schema is None:
        return None
    if len(msgspec.json.encode(schema)) > MAX_SCHEMA_BYTES:
        return f"has more than {MAX_SCHEMA_BYTES} bytes"
    try:
        schemas.read(schema)
    except ValueError as error:
        return str(error)
    return None


class Shapes:
    """The shapes of what goes in and out of running flows. A run never changes, and so neither do its shapes."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._requests: OrderedDict[tuple[Key, str], Shape | None] = OrderedDict()

    def require(self, flow: StoredFlow, name: str, interface: Interface, body: Any) -> None:
        """Let a request pass that is as its interface wants it. Raises UnprocessableError with what is not."""
        if interface.request_schema is None:
            return
        shape = self._request_shape(flow, name, interface)
        misfits = [] if shape is None else shape.misfits(body)
        if misfits:
            raise UnprocessableError(
                f"{misfits[0].path}: {misfits[0].detail}",
                code="schema_violated",
                field=misfits[0].path,
                extra={"findings": [msgspec.to_builtins(each) for each in misfits]},
            )

    def _request_shape(self, flow: StoredFlow, name: str, interface: Interface) -> Shape | None:
        place = (flow.key, name)
        if place not in self._requests:
            self._requests[place] = self._read(flow, name, interface, "request_schema")
            while len(self._requests) > MAX_KEPT:
                self._requests.popitem(last=False)
        self._requests.move_to_end(place)
        return self._requests[place]

    def reply_fault(self, flow: StoredFlow, name: str, interface: Interface) -> Callable[[Any], str | None] | None:
        """What says what is wrong with a reply; None where anything may be answered."""
        shape = self._read(flow, name, interface, "response_schema")
        return None if shape is None else lambda data: _told(shape.misfits(data))

    def _read(self, flow: StoredFlow, name: str, interface: Interface, side: Side) -> Shape | None:
        schema: dict[str, Any] | None = getattr(interface, side)
        if schema is None:
            return None
        try:
            return self._schemas.read(schema)
        except ValueError as error:
            # Of a flow that was started when schemas were not looked at yet: it goes on as it did.
            logger.warning("the %s of %s in the flow %s cannot be used: %s", side, name, flow.flow_id, error)
            return None

    def forget(self, key: Key) -> None:
        """Let go of a run that is over."""
        for place in [place for place in self._requests if place[0] == key]:
            del self._requests[place]


def _told(misfits: list[Misfit]) -> str | None:
    return f"{misfits[0].path}: {misfits[0].detail}" if misfits else None
