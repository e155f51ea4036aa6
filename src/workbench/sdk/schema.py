"""Typed objects that authors define, as JSON schemas from which the workbench's app draws its forms."""

from typing import Any, TypeVar

import msgspec

from workbench.sdk.errors import RefusedError
from workbench.sdk.model import Json

M = TypeVar("M", bound=msgspec.Struct)


def schema_of(model: type[msgspec.Struct]) -> Json:
    """Describe a model. Its own members stand at the top, where forms look for them; the rest is in `$defs`."""
    (reference,), definitions = msgspec.json.schema_components([model], ref_template="#/$defs/{name}")
    name = reference["$ref"].rpartition("/")[2]
    is_nested = msgspec.json.encode(reference) in msgspec.json.encode(definitions)
    kept = {key: value for key, value in definitions.items() if key != name or is_nested}
    return {**definitions[name], "$defs": kept} if kept else {**definitions[name]}


def read_as(model: type[M], values: Any) -> M:
    """Read what came over the wire as the model. Raises RefusedError that says which member does not fit."""
    try:
        return msgspec.convert(values, model)
    except msgspec.ValidationError as error:
        raise RefusedError(str(error)) from error
