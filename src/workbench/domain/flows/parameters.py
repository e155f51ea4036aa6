"""The values of a flow's parameters: given, followed, or by default, each as its type allows."""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from workbench.domain.flows.model import Finding, ParameterType, ParameterUse

MAX_MATCHED = 4096
"""No longer text is held against a pattern, which is a workspace's own."""


def resolve(
    uses: Mapping[str, ParameterUse], types: Mapping[str, ParameterType], given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Finding]]:
    """Every declared parameter's value, and all that is wrong with what was given."""
    findings = [
        Finding(path=f"$.parameters.{name}", code="parameter_unknown", detail=f"there is no parameter {name!r}")
        for name in given
        if name not in uses
    ]
    values: dict[str, Any] = {}
    for name, use in uses.items():
        found = types.get(use.type)
        if found is None:
            detail = f"there is no parameter type {use.type!r}"
            findings.append(Finding(path=f"$.parameters.{name}", code="parameter_type_not_found", detail=detail))
            continue
        value = _value_of(name, uses, types, given)
        if value is UNSET:
            if found.required:
                detail = f"{name} needs a value"
                findings.append(Finding(path=f"$.parameters.{name}", code="parameter_missing", detail=detail))
            else:
                values[name] = None
            continue
        fault = fault_of(value, found)
        if fault is not None:
            findings.append(Finding(path=f"$.parameters.{name}", code="parameter_invalid", detail=f"{name} {fault}"))
        values[name] = value
    return values, findings


def _value_of(
    name: str, uses: Mapping[str, ParameterUse], types: Mapping[str, ParameterType], given: Mapping[str, Any]
) -> Any:
    """The first that there is: given, the value of what controls it, its default, its type's."""
    seen: list[str] = []
    while name not in seen and name in uses:
        seen.append(name)
        if name in given:
            return given[name]
        controller = uses[name].controlled_by
        if controller is None:
            break
        name = controller
    # From the far end of the chain: a controller's value counts before one's own default.
    for each in reversed(seen):
        if uses[each].default is not UNSET:
            return uses[each].default
        its_type = types.get(uses[each].type)
        if its_type is not None and its_type.default is not UNSET:
            return its_type.default
    return UNSET


def controller_cycles(uses: Mapping[str, ParameterUse]) -> list[str]:
    """The parameters that in the end control themselves."""
    return [name for name in uses if _comes_round(name, uses)]


def _comes_round(name: str, uses: Mapping[str, ParameterUse]) -> bool:
    seen: set[str] = set()
    at: str | None = uses[name].controlled_by
    while at is not None and at in uses and at not in seen:
        if at == name:
            return True
        seen.add(at)
        at = uses[at].controlled_by
    return False


def fault_of(value: Any, its_type: ParameterType) -> str | None:
    """What is wrong with a value; None where nothing is."""
    if not _is_of(value, its_type.type):
        return f"is not of type {its_type.type}"
    if its_type.enum is not None and value not in allowed_of(its_type.enum):
        return "is not one of the values that are allowed"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if its_type.minimum is not None and value < its_type.minimum:
            return f"is less than {its_type.minimum:g}"
        if its_type.maximum is not None and value > its_type.maximum:
            return f"is more than {its_type.maximum:g}"
    if isinstance(value, str) and its_type.pattern is not None:
        return (
            None if len(value) <= MAX_MATCHED and re.fullmatch(its_type.pattern, value) else "does not fit its pattern"
        )
    return None


def allowed_of(enum: list[Any]) -> list[Any]:
    """The values themselves; some come with a description."""
    return [entry["id"] if isinstance(entry, dict) and "id" in entry else entry for entry in enum]


def _is_of(value: Any, kind: str) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "string":
        return isinstance(value, str)
    if isinstance(value, bool):
        return False
    return isinstance(value, int) if kind == "integer" else isinstance(value, int | float)


def type_fault(its_type: ParameterType) -> str | None:
    """What is wrong with a type itself."""
    if its_type.pattern is not None:
        try:
            re.compile(its_type.pattern)
        except re.error:
            return "its pattern is no regular expression"
    if its_type.minimum is not None and its_type.maximum is not None and its_type.minimum > its_type.maximum:
        return "its minimum is above its maximum"
    if its_type.default is not UNSET and (fault := fault_of(its_type.default, its_type)) is not None:
        return f"its default {fault}"
    return None
