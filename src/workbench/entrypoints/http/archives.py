"""Archives: conversations and assistants, to be taken elsewhere."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request
from litestar.exceptions import ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from workbench.domain.archive.exporting import ExportService
from workbench.domain.archive.importing import ImportService
from workbench.domain.archive.making import Export
from workbench.domain.archive.model import ImportResult
from workbench.domain.errors import InvalidError, UpstreamError
from workbench.domain.identity.model import Principal
from workbench.entrypoints.http.downloads import disposition
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import users_only
from workbench.entrypoints.http.routing import get, post
from workbench.entrypoints.http.uploads import one_file

MAX_IDS = 500
ZIP = "application/zip"
ARCHIVE: dict[int, ResponseSpec] = {
    HTTPStatus.OK: ResponseSpec(bytes, generate_examples=False, media_type=ZIP, description="The archive."),
    **failing(UpstreamError),
}


@dataclass
class ImportOperation(Operation):
    """The import, whose body no parameter describes since it is read as it arrives."""

    def __post_init__(self) -> None:
        """Describe the form."""
        archive = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        form = Schema(type=OpenAPIType.OBJECT, properties={"from_export": archive}, required=["from_export"])
        self.request_body = RequestBody(content={"multipart/form-data": OpenAPIMediaType(schema=form)}, required=True)


class ArchiveController(Controller):
    """Exports and imports."""

    tags = ("archives",)
    guards = (users_only,)

    @get(
        "/conversations/export", operation_id="export_conversations", summary="Export conversations", responses=ARCHIVE
    )
    async def conversations(
        self,
        request: Request[Principal, Any, Any],
        exports: FromDishka[ExportService],
        ids: Annotated[
            list[str], QueryParameter(name="id", description="Which ones: repeated, or with commas between them.")
        ],
    ) -> Stream:
        """Archive conversations with their messages, files and assistants. Those that the caller does not see are left out."""
        return _answer(await exports.conversations(request.user, _uuids(ids)))

    @post(
        "/conversations/import",
        operation_id="import_conversations",
        responses=failing(InvalidError, UpstreamError),
        operation_class=ImportOperation,
        status_code=200,
        summary="Import an archive",
        # The archive's own limits hold while it arrives.
        request_max_body_size=None,
    )
    async def take_in(self, request: Request[Principal, Any, Any], imports: FromDishka[ImportService]) -> ImportResult:
        """Import an archive, all of it or nothing: under new ids, owned by the caller, with the assistants it needs."""
        return (await imports.run(request.user, one_file(request, "from_export"))).result

    @get(
        "/assistants/{assistant_id:str}/export",
        operation_id="export_assistant",
        summary="Export an assistant",
        responses=ARCHIVE,
    )
    async def assistant(
        self, request: Request[Principal, Any, Any], assistant_id: FromPath[UUID], exports: FromDishka[ExportService]
    ) -> Stream:
        """Archive the caller's own assistant with the conversations that both are in."""
        return _answer(await exports.assistant(request.user, assistant_id))


def _uuids(given: list[str]) -> list[UUID]:
    """Read ids with commas between them, too: the contract's front end sends them so."""
    texts = [part for text in given for part in text.split(",")]
    try:
        found = list(dict.fromkeys(UUID(text) for text in texts))
    except ValueError:
        raise ValidationException(extra=[{"message": "Expected UUIDs", "key": "id", "source": "query"}]) from None
    if len(found) > MAX_IDS:
        fault = {"message": f"Expected at most {MAX_IDS} ids", "key": "id", "source": "query"}
        raise ValidationException(extra=[fault])
    return found


def _answer(export: Export) -> Stream:
    headers = {"content-length": str(export.size), "content-disposition": disposition(export.name)}
    return Stream(export.package.read(), headers=headers, media_type=ZIP)
