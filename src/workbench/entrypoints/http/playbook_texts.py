"""The text of a playbook as it is sent: as the body, or as the one file of a form."""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

import msgspec
from litestar.di import NamedDependency, Provide
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType

from workbench.domain.errors import TooLargeError, UnsupportedError
from workbench.domain.playbooks.model import MAX_BYTES
from workbench.domain.playbooks.ports import WrittenAs
from workbench.entrypoints.http.errors import LIMIT_BYTES
from workbench.entrypoints.http.requests import WorkbenchRequest
from workbench.entrypoints.http.uploads import FORM, sole_file

FILE = "file"
JSON = "application/json"
YAML = "application/yaml"
TEXTS: Mapping[str, WrittenAs] = {
    JSON: "json",
    YAML: "yaml",
    "application/x-yaml": "yaml",
    "text/yaml": "yaml",
    "text/x-yaml": "yaml",
}
PLAIN = frozenset({"", "text/plain"})
UNKNOWN = PLAIN | {"application/octet-stream"}
"""What programs call a file of which they know nothing."""
SUFFIXES: Mapping[str, WrittenAs] = {".json": "json", ".yaml": "yaml", ".yml": "yaml"}
MAX_BODY_BYTES = MAX_BYTES + (32 << 10)
"""A form may have that much around its file."""


class PlaybookText(msgspec.Struct, frozen=True, kw_only=True):
    """The text, and what it is written in."""

    text: bytes
    written_as: WrittenAs


@dataclass
class TextOperation(Operation):
    """A route whose body is the text of a playbook."""

    def __post_init__(self) -> None:
        """Describe the text."""
        text = Schema(type=OpenAPIType.STRING, description="The playbook.")
        whole = Schema(type=OpenAPIType.OBJECT, description="The playbook.")
        file = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY, description="The playbook.")
        form = Schema(type=OpenAPIType.OBJECT, properties={FILE: file}, required=[FILE], additional_properties=False)
        forms = {YAML: text, JSON: whole, FORM: form}
        content = {kind: OpenAPIMediaType(schema=schema) for kind, schema in forms.items()}
        self.request_body = RequestBody(content=content, required=True)


async def playbook_text(request: WorkbenchRequest) -> PlaybookText:
    """Read it. Raises UnsupportedError for what is neither YAML nor JSON, InvalidError for no such form, TooLargeError."""
    kind = _kind(request.headers.get("content-type", ""))
    if kind == FORM:
        return await _of_form(request)
    if kind not in TEXTS and kind not in PLAIN:
        raise UnsupportedError("Send YAML or JSON, or a form with a file", field="body")
    text = await request.text()
    if len(text) > MAX_BYTES:
        raise TooLargeError(f"body is limited to {MAX_BYTES} bytes", extra={LIMIT_BYTES: MAX_BYTES})
    return PlaybookText(text=text, written_as=TEXTS.get(kind, "yaml"))


Sent = NamedDependency[PlaybookText]
SENT = {"sent": Provide(playbook_text)}
"""Read before it is looked whether the request came before: what does not fit is refused first."""


async def _of_form(request: WorkbenchRequest) -> PlaybookText:
    file = await sole_file(request, FILE, MAX_BYTES)
    kind = _kind(file.content_type)
    if kind in TEXTS:
        return PlaybookText(text=file.content, written_as=TEXTS[kind])
    if kind not in UNKNOWN:
        raise UnsupportedError("Send a file in YAML or JSON", field=FILE)
    suffix = PurePath(file.filename).suffix.lower()
    return PlaybookText(text=file.content, written_as=SUFFIXES.get(suffix) or _looks_like(file.content))


def _kind(said: str) -> str:
    return said.partition(";")[0].strip().lower()


def _looks_like(text: bytes) -> WrittenAs:
    """JSON where it can be read as such, since not all of that is YAML."""
    try:
        msgspec.json.decode(text.removeprefix(codecs.BOM_UTF8))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "yaml"
    return "json"
