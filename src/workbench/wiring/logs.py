"""Logging: every entry, ours or a library's, leaves through one pipeline that keeps secrets back."""

import logging
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

from workbench.domain.ids import correlation_id, trace_parent
from workbench.wiring.settings import Settings

REDACTED = "[redacted]"
SECRET_NAMES = frozenset(
    {
        "api_key",
        "apikey",
        "authorization",
        "cookie",
        "passwd",
        "password",
        "private_key",
        "proxy_authorization",
        "secret",
        "set_cookie",
        "token",
        "x_api_key",
    }
)
SECRET_ENDINGS = ("_api_key", "_password", "_secret", "_token")
# They log every request's whole address at INFO, which may carry a token in its query, or what it holds at DEBUG.
TALKATIVE = (
    *("httpx", "httpx2", "httpcore", "httpcore2", "asyncio", "aiosqlite", "azure"),
    *("openai", "anthropic", "google_genai", "mcp", "fastmcp"),
)


def configure_logging(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's entries to `stream`, by default standard error.

    Replaces the handlers of the root logger. Call it once in each process.
    """
    level = logging.getLevelNamesMapping()[settings.logging.log_level]
    output = stream or sys.stderr
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(_formatter(json_format=settings.logging.json_format, colors=output.isatty()))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(capture=True)
    _quieten(level)


def redact(_logger: WrappedLogger, _method: str, entry: EventDict) -> EventDict:
    """Replace every value whose name says that it is secret, at any depth."""
    return {name: REDACTED if _is_secret(name) else _without_secrets(value) for name, value in entry.items()}


def _is_secret(name: object) -> bool:
    plain = str(name).lower().replace("-", "_")
    return plain in SECRET_NAMES or plain.endswith(SECRET_ENDINGS)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        items: list[tuple[Any, Any]] = list(value.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return {name: REDACTED if _is_secret(name) else _without_secrets(inner) for name, inner in items}
    if isinstance(value, list | tuple):
        entries: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return [_without_secrets(entry) for entry in entries]
    return value


def _with_cause(_logger: WrappedLogger, _method: str, entry: EventDict) -> EventDict:
    """Say which request an entry comes from, and where in which trace."""
    if cause := correlation_id.get():
        entry.setdefault("correlation_id", cause)
    if parent := trace_parent.get():
        _, entry["trace_id"], entry["span_id"], _ = parent.split("-")
    return entry


def _without_decoration(_logger: WrappedLogger, _method: str, entry: EventDict) -> EventDict:
    entry.pop("color_message", None)
    return entry


def _shared() -> list[Processor]:
    return [
        _with_cause,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        redact,
    ]


def _formatter(*, json_format: bool, colors: bool) -> logging.Formatter:
    # Local variables stay out of tracebacks: they hold tokens and messages.
    last: list[Processor]
    if json_format:
        exceptions = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
        last = [exceptions, structlog.processors.JSONRenderer(ensure_ascii=False, default=str)]
    else:
        last = [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), _without_decoration, *_shared()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )


def _quieten(level: int) -> None:
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    access = logging.getLogger("uvicorn.access")
    access.handlers = []
    access.propagate = False
