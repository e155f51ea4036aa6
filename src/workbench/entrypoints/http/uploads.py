"""Reading a multipart form as it arrives, without ever holding a file."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple, cast

from litestar import Request
from litestar.exceptions import ValidationException
from multipart import (  # pyright: ignore[reportMissingTypeStubs] - it is typed, but not marked so
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,  # pyright: ignore[reportUnknownVariableType]
)

from workbench.domain.errors import InvalidError, TooLargeError
from workbench.domain.files.model import IncomingFile
from workbench.entrypoints.http.error_bodies import BAD_FORM
from workbench.entrypoints.http.gate import UNREAD
from workbench.entrypoints.http.requests import WorkbenchRequest
from workbench.entrypoints.http.strict import FieldFault, misfit

FORM = "multipart/form-data"
MAX_PARTS = 32
MAX_PART_HEADER_BYTES = 16 << 10
FILES = "files"
METADATA = "metadata"

_Options = tuple[str, dict[str, str]]


class SentFile(NamedTuple):
    """A file as a form has it, all of it."""

    filename: str
    content_type: str
    content: bytes


class MultipartUpload:
    """A form of `files` and, before or after them, a text `metadata`; other parts are passed over."""

    def __init__(self, request: Request[Any, Any, Any], metadata_bytes: int) -> None:
        """`metadata_bytes` is how long that text may be."""
        self._metadata_bytes = metadata_bytes
        self._metadata: bytearray | None = None
        self._parts = _parts(request)
        # An answer that comes before the end of the body closes the connection, so that the rest is not sent for nothing.
        request.scope[UNREAD] = True  # type: ignore[literal-required]

    def metadata(self) -> str | None:
        """The text, once the files are read. Raises InvalidError where it is no text."""
        if self._metadata is None:
            return None
        try:
            return self._metadata.decode()
        except UnicodeDecodeError as error:
            raise InvalidError(str(error), field=METADATA) from None

    async def files(self) -> AsyncIterator[IncomingFile]:
        """The files, in their order."""
        count = 0
        segment: MultipartSegment | None = None
        async for part in self._parts:
            if not isinstance(part, MultipartSegment):
                if segment is not None and segment.name == METADATA:
                    self._keep(part)
                continue
            segment = part
            if part.name == FILES:
                count += 1
                if part.filename is None:
                    raise _misfit("files", "Expected a file with a filename")
                content_type = dict(part.headerlist).get("Content-Type", "")
                yield IncomingFile(filename=part.filename, content_type=content_type, chunks=self._chunks())
            elif part.name == METADATA:
                self._metadata = bytearray()
        if not count:
            raise _misfit("files", "Field required")

    async def _chunks(self) -> AsyncIterator[bytes]:
        """The bytes of the file that was yielded last."""
        async for part in self._parts:
            if isinstance(part, MultipartSegment):
                raise AssertionError("a part begins inside another")  # noqa: TRY004 - a defect, not a wrong type
            if not part:
                return
            yield part

    def _keep(self, text: bytes) -> None:
        if self._metadata is not None:
            self._metadata += text
            if len(self._metadata) > self._metadata_bytes:
                limit = self._metadata_bytes
                raise TooLargeError(
                    f"metadata is limited to {limit} bytes", field=METADATA, extra={"limit_bytes": limit}
                )


async def one_file(request: Request[Any, Any, Any], name: str) -> AsyncIterator[bytes]:
    """The bytes of the file of that name in a form; other parts are passed over."""
    request.scope[UNREAD] = True  # type: ignore[literal-required]
    found = False
    wanted = False
    async for part in _parts(request):
        if isinstance(part, MultipartSegment):
            wanted = part.name == name and not found
            found = found or wanted
        elif wanted and part:
            yield part
    if not found:
        raise _misfit(name, "Field required")


async def sole_file(request: WorkbenchRequest, name: str, limit_bytes: int) -> SentFile:
    """The one part of a small form, on a strict route.

    Raises InvalidError where there is no part of that name, more than one, or another as well; TooLargeError.
    """
    # Kept by the request: whether it came before is seen from its whole body.
    await request.text()
    heads: list[MultipartSegment] = []
    content = bytearray()
    async for part in _parts(request):
        if isinstance(part, MultipartSegment):
            heads.append(part)
        elif heads[-1].name == name:
            content += part
    found = [head for head in heads if head.name == name]
    faults = [] if len(found) == 1 else [FieldFault(field=name, message=f"Expected one file, got {len(found)}")]
    faults += [FieldFault(field=head.name or "body", message="unknown field") for head in heads if head.name != name]
    if faults:
        raise misfit(faults)
    if len(content) > limit_bytes:
        raise TooLargeError(f"{name} is limited to {limit_bytes} bytes", field=name, extra={"limit_bytes": limit_bytes})
    kind = dict(found[0].headerlist).get("Content-Type", "")
    return SentFile(filename=found[0].filename or "", content_type=kind, content=bytes(content))


def boundary_of(request: Request[Any, Any, Any]) -> str | None:
    """What stands between the parts of a form; None where the body is none."""
    kind, options = cast("_Options", parse_options_header(request.headers.get("content-type", "")))
    return options.get("boundary", "") if kind == FORM else None


async def _parts(request: Request[Any, Any, Any]) -> AsyncIterator[MultipartSegment | bytes]:
    """The form as its parser has it: a segment, its bytes, an empty one at its end."""
    boundary = boundary_of(request)
    if boundary is None:
        raise _misfit("files", "Field required")
    try:
        # Leaving the parser before its form has ended is an error, too.
        with PushMultipartParser(
            boundary, max_segment_count=MAX_PARTS, max_header_size=MAX_PART_HEADER_BYTES
        ) as parser:
            async for chunk in request.stream():
                for part in parser.parse(chunk):
                    yield b"" if part is None else part if isinstance(part, MultipartSegment) else bytes(part)
                if parser.closed:
                    request.scope[UNREAD] = False  # type: ignore[literal-required]
                    return
    except MultipartError as error:
        raise InvalidError(f"the form cannot be read: {error}", code=BAD_FORM) from None


def _misfit(field: str, message: str) -> ValidationException:
    return ValidationException(extra=[{"message": message, "key": field, "source": "body"}])
