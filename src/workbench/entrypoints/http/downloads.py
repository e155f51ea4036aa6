"""What the headers of a download say: name, validators and ranges (RFC 6266, RFC 9110)."""

import re
from datetime import UTC
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Request

from workbench.domain.contents.model import ByteRange
from workbench.domain.files.model import Download
from workbench.entrypoints.http.tags import is_had

_ONE_RANGE = re.compile(r"bytes=\s*(\d*)-(\d*)\s*")
MAX_DIGITS = 18


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What of a download is sent, and how."""

    status: int
    headers: dict[str, str]
    wanted: ByteRange | None = None


def part_of(request: Request[Any, Any, Any], download: Download) -> Part:
    """Find what the request asks for: all of it, a range, or nothing since it has it already."""
    tag = f'"{download.content_hash}"'
    headers = {
        "etag": tag,
        "last-modified": format_datetime(download.created_datetime.astimezone(UTC), usegmt=True),
        "cache-control": "private, no-cache",
    }
    if is_had(request.headers.get("if-none-match", ""), tag):
        return Part(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    headers |= {
        "accept-ranges": "bytes",
        "content-disposition": disposition(download.filename),
        "content-type": _content_type(download.content_type),
        # The bytes are a user's: no browser is to take them for a page of ours.
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
    }
    unchanged = request.headers.get("if-range", tag) == tag
    found = _ONE_RANGE.fullmatch(request.headers.get("range", "")) if unchanged else None
    if found is None or _means_nothing(*found.groups()):
        return Part(status=HTTPStatus.OK, headers={**headers, "content-length": str(download.size)})
    wanted = _range(found[1], found[2], download.size)
    if wanted is None:
        outside = {"content-range": f"bytes */{download.size}"}
        return Part(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=outside)
    headers |= {
        "content-range": f"bytes {wanted.start}-{wanted.end - 1}/{download.size}",
        "content-length": str(wanted.end - wanted.start),
    }
    return Part(status=HTTPStatus.PARTIAL_CONTENT, headers=headers, wanted=wanted)


def disposition(filename: str) -> str:
    """Name the last segment for saving.

    The contract's front end takes all behind `filename=` for the name, so that one comes last; the extended form
    (RFC 8187) is for everybody else.
    """
    name = quote(filename.rsplit("/", 1)[-1], safe="", encoding="utf-8", errors="replace")
    return f"attachment; filename*=UTF-8''{name}; filename=\"{name}\""


def _content_type(stored: str) -> str:
    kind = stored.encode("latin-1", "ignore").decode("latin-1").replace("\r", "").replace("\n", "").strip()
    if kind.startswith("text/") and "charset" not in kind:
        return f"{kind}; charset=utf-8"
    return kind or "application/octet-stream"


def _means_nothing(first: str, last: str) -> bool:
    """Whether a range is none, and so to be passed over (RFC 9110, 14.1.2)."""
    if (not first and not last) or max(len(first), len(last)) > MAX_DIGITS:
        return True
    return bool(first and last) and int(last) < int(first)


def _range(first: str, last: str, size: int) -> ByteRange | None:
    """The bytes meant; None where the file has none of them."""
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    return ByteRange(start=start, end=end) if start < end else None
