"""Finding values in JSON by paths such as `message.content` or `history.0.name`."""

from typing import Any, cast


def at_path(value: Any, path: str) -> Any:
    """What stands at a path; null where there is nothing."""
    for step in path.split("."):
        if isinstance(value, dict):
            value = cast("dict[str, Any]", value).get(step)
        elif isinstance(value, list) and step.isdigit():
            items = cast("list[Any]", value)
            value = items[int(step)] if int(step) < len(items) else None
        else:
            return None
    return value
