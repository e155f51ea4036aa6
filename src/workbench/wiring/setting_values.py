"""How the values of settings are read: what all groups of settings share."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
OTEL_PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter")
AZURE_PACKAGES = ("aiohttp", "azure.core", "azure.identity", "azure.keyvault.secrets")


def from_json(value: Any) -> Any:
    """Decode what the environment gives as text; raises ValueError."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("is not JSON") from None


def list_from_text(value: Any) -> Any:
    """Decode a list that is given as JSON or with commas; raises ValueError."""
    if not isinstance(value, str) or value.lstrip().startswith("["):
        return from_json(value)
    return [entry.strip() for entry in value.split(",")]


def folder(path: Path) -> Path:
    """Make a path absolute, so that it stays the same when the working folder changes."""
    return path.expanduser().absolute()


def upper(value: Any) -> Any:
    """Let names in capitals be written in any case."""
    return value.upper() if isinstance(value, str) else value


def with_driver(text: str) -> URL:
    """Parse a database URL and name its async driver.

    Raises ValueError for what is not a URL, for another scheme, for SQLite without a file, and for `?sslmode=`.
    Its text never repeats the URL, which may hold a password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("is not a database URL") from None
    if url.drivername not in DRIVERS:
        raise ValueError(f"the scheme {url.drivername}:// is not supported")
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise ValueError("names no file, and a database in memory would be lost between two connections")
    if "sslmode" in url.query:
        raise ValueError("takes no ?sslmode=; set WORKBENCH__DB__POSTGRESQL_SSL_MODE instead")
    return url.set(drivername=DRIVERS[url.drivername])


def shown(url: URL) -> str:
    """A database's URL for people: no driver, and stars in place of the password."""
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)


def require_azure() -> None:
    """Raises ValueError where the packages of the extra `azure` are not installed."""
    if find_spec("azure") is None or not all(map(find_spec, AZURE_PACKAGES)):
        raise ValueError("needs packages that are not installed; run: pip install 'workbench[azure]'")


def require_otel() -> None:
    """Raises ValueError where the packages of the extra `otel` are not installed."""
    if find_spec("opentelemetry") is None or not all(map(find_spec, OTEL_PACKAGES)):
        raise ValueError("needs packages that are not installed; run: pip install 'workbench[otel]'")


class Group(BaseModel):
    """What all groups share: values stay as read, unknown names are refused, faults never repeat an input."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)
