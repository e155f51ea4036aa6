"""JSON Schemas, by jsonschema-rs: it fetches nothing, its patterns cannot run away, and it takes microseconds."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

import jsonschema_rs

from workbench.adapters.schema_branching import Branching
from workbench.domain.flows.ports import MAX_MISFITS, Misfit, Schemas, Shape

BACKTRACKS = 10_000
"""Steps that a pattern may take back. One that has no need to is matched in linear time anyhow."""
PATTERN_BYTES = 1 << 20
"""Memory that a compiled pattern may take."""
MAX_TOLD = 20_000
"""Branches of which it is still said where a value does not fit."""
HIDDEN = "the value"
MAX_DETAIL = 300

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class JsonSchemas(Schemas):
    """Reads schemas of the drafts 6 to 2020-12, by their `$schema`; the newest without one."""

    def read(self, schema: Mapping[str, Any]) -> Shape:
        """Compile it. Values are never told, since errors go to callers and into logs."""
        try:
            validator = jsonschema_rs.validator_for(
                dict(schema),
                mask=HIDDEN,
                offline=True,
                validate_formats=False,
                pattern_options=jsonschema_rs.FancyRegexOptions(
                    backtrack_limit=BACKTRACKS, size_limit=PATTERN_BYTES, dfa_size_limit=PATTERN_BYTES
                ),
            )
        except jsonschema_rs.ValidationError as error:
            raise ValueError(f"{path_of(error.instance_path)}: {error.message[:MAX_DETAIL]}") from error
        # Behind the library, which has found by now that each reference leads somewhere.
        return CompiledShape(validator, Branching(schema))


class CompiledShape(Shape):
    """A schema, ready."""

    def __init__(self, validator: jsonschema_rs.Validator, branching: Branching) -> None:
        self._validator = validator
        self._branching = branching

    def misfits(self, value: Any) -> list[Misfit]:
        """Ask first whether there are any, which is quick; where they are takes longer to say."""
        if self._validator.is_valid(value):
            return []
        if self._branching.most_branches(value) > MAX_TOLD:
            return [Misfit(path="$", detail="does not fit; it branches too much to say where")]
        found = islice(self._validator.iter_errors(value), MAX_MISFITS)
        return [Misfit(path=path_of(error.instance_path), detail=error.message[:MAX_DETAIL]) for error in found]


def path_of(steps: list[str | int]) -> str:
    """A place in a JSON value, as a JSON path."""
    return "$" + "".join(_step(step) for step in steps)


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    escaped = step.replace("\\", "\\\\").replace("'", "\\'")
    return f".{step}" if _PLAIN.fullmatch(step) else f"['{escaped}']"
