"""/conversations/{id}/files"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from workbench.domain.errors import ConflictError, InvalidError
from workbench.domain.files.model import Download, FileList, FileVersions, MetadataPatch
from workbench.domain.files.service import FileService
from workbench.domain.files.uploading import UploadService
from workbench.domain.identity.model import Principal
from workbench.domain.sizes import SizeLimits
from workbench.entrypoints.http.downloads import part_of
from workbench.entrypoints.http.error_bodies import ErrorBody
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import actors_only
from workbench.entrypoints.http.routing import delete, get, patch, put
from workbench.entrypoints.http.uploads import MultipartUpload

MARK = "/files/"
ANY_TYPE = "*/*"


@dataclass
class UploadOperation(Operation):
    """The upload, whose body no parameter describes since it is read as it arrives."""

    def __post_init__(self) -> None:
        """Describe the form."""
        file = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        form = Schema(
            type=OpenAPIType.OBJECT,
            properties={
                "files": Schema(type=OpenAPIType.ARRAY, items=file, min_items=1, max_items=10),
                "metadata": Schema(
                    type=OpenAPIType.STRING, description="A JSON object of objects: metadata by file name."
                ),
            },
            required=["files"],
        )
        self.request_body = RequestBody(content={"multipart/form-data": OpenAPIMediaType(schema=form)}, required=True)


class FileController(Controller):
    """Files of a conversation, in versions."""

    path = "/conversations/{conversation_id:str}/files"
    tags = ("files",)
    guards = (actors_only,)

    @put(
        operation_id="upload_files",
        responses=failing(InvalidError),
        operation_class=UploadOperation,
        summary="Upload files",
        # The limits of files hold while they arrive; that of a body would cut them off.
        request_max_body_size=None,
    )
    async def upload(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        files: FromDishka[UploadService],
        sizes: FromDishka[SizeLimits],
    ) -> FileList:
        """Upload 1 to 10 files, all or none; a file of a name that is there becomes its next version."""
        form = MultipartUpload(request, sizes.metadata_bytes * 10)
        return await files.upload(request.user, conversation_id, form)

    @get(operation_id="list_files", summary="List files")
    async def listed(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        files: FromDishka[FileService],
        prefix: Annotated[
            str, QueryParameter(description="How the names begin: taken as it is, upper and lower case apart.")
        ] = "",
    ) -> FileList:
        """List the files by name, each at its newest version."""
        return await files.list(request.user, conversation_id, prefix)

    @get(
        "/{filename:path}",
        operation_id="get_file",
        summary="Download a file, or list its versions",
        responses={
            HTTPStatus.OK: ResponseSpec(
                bytes,
                generate_examples=False,
                media_type=ANY_TYPE,
                description="The bytes, of the type they came with; with `link`: `url` and `expires_datetime`, in JSON.",
            ),
            HTTPStatus.PARTIAL_CONTENT: ResponseSpec(
                bytes, generate_examples=False, media_type=ANY_TYPE, description="The bytes asked for by `Range`."
            ),
            HTTPStatus.NOT_MODIFIED: ResponseSpec(None, description="The caller has it already."),
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: ResponseSpec(
                ErrorBody, generate_examples=False, description="The file ends before."
            ),
            **failing(ConflictError),
        },
    )
    async def download(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        files: FromDishka[FileService],
        version: FromQuery[int | None] = None,
        link: Annotated[
            bool, QueryParameter(description="Answer with a URL to the bytes, good for a while without credentials.")
        ] = False,
    ) -> Response[Any]:
        """Download the newest version or the one asked for, whole or by a range.

        `.../{name}/versions` lists the versions, unless there is only a file of just that name.
        """
        found = await files.find(request.user, conversation_id, _filename(request), version)
        if isinstance(found, FileVersions):
            return Response(found)
        if link:
            return Response(await files.link(found))
        return await _answer(request, found, files)

    @patch("/{filename:path}", operation_id="change_file", summary="Describe a file")
    async def describe(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        data: JSONBody[MetadataPatch],
        files: FromDishka[FileService],
    ) -> FileVersions:
        """Lay metadata over that of the newest version, key by key."""
        return await files.describe(request.user, conversation_id, _filename(request), data)

    @delete("/{filename:path}", operation_id="delete_file", summary="Delete a file")
    async def remove(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        files: FromDishka[FileService],
    ) -> None:
        """Delete a file with all its versions."""
        await files.delete(request.user, conversation_id, _filename(request))


def _filename(request: Request[Any, Any, Any]) -> str:
    """The name as it was sent: the framework's own reading would add a slash and fold doubled ones."""
    return str(request.scope["path"]).partition(MARK)[2]


async def _answer(request: Request[Any, Any, Any], download: Download, files: FileService) -> Response[Any]:
    part = part_of(request, download)
    if part.status == HTTPStatus.NOT_MODIFIED:
        return Response(None, status_code=part.status, headers=part.headers)
    if part.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        outside = {"detail": f"the file has {download.size} bytes", "code": "range_outside"}
        return Response(outside, status_code=part.status, headers=part.headers)
    return Stream(
        await files.read(download, part.wanted),
        status_code=part.status,
        headers=part.headers,
        media_type=part.headers["content-type"],
    )
