"""Tables as CSV (RFC 4180), line by line, so that no answer is held in memory."""

import csv
import io
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Any

from litestar import Request

CSV = "text/csv"
JSON = "application/json"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def wants_csv(request: Request[Any, Any, Any]) -> bool:
    """Whether the caller would rather have CSV than JSON."""
    return request.accept.best_match([JSON, CSV], default=JSON) == CSV


async def csv_lines(header: Sequence[str], pages: AsyncIterable[Sequence[Sequence[Any]]]) -> AsyncIterator[bytes]:
    """Write a header, and each page as it comes."""
    yield _lines([header])
    async for page in pages:
        if page:
            yield _lines([[_cell(value) for value in row] for row in page])


def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    """Say truth values as JSON does, and keep a text from being taken for a formula (OWASP, CSV injection)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
