"""/playbooks"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromPath, JSONBody, QueryParameter

from workbench.domain.errors import ExhaustedError, ForbiddenError, InvalidError, UnprocessableError, UnsupportedError
from workbench.domain.identity.model import Principal
from workbench.domain.playbooks.model import MAX_BYTES
from workbench.domain.playbooks.ports import WrittenAs
from workbench.domain.playbooks.service import PlaybookService
from workbench.domain.playbooks.views import (
    ImportedPlaybook,
    PlaybookList,
    PlaybookView,
    Publication,
    Trial,
    TrialResult,
    Validation,
    VersionView,
)
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import authors_only, users_only
from workbench.entrypoints.http.pace import PACE, paced
from workbench.entrypoints.http.repeats import repeatable
from workbench.entrypoints.http.requests import WorkbenchRequest

YAML = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain", "")
JSON = "application/json"
UNCHANGED: dict[int, ResponseSpec] = {
    HTTPStatus.OK: ResponseSpec(
        ImportedPlaybook, generate_examples=False, description="Nothing is kept: it is there already, or only tried."
    )
}


@dataclass
class TextOperation(Operation):
    """A route whose body is the text of a playbook."""

    def __post_init__(self) -> None:
        """Describe the text."""
        text = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, description="The playbook."))
        whole = OpenAPIMediaType(schema=Schema(type=OpenAPIType.OBJECT, description="The playbook."))
        self.request_body = RequestBody(content={YAML[0]: text, JSON: whole}, required=True)


class PlaybookController(Controller):
    """Playbooks: what is asked and done about a kind of problem, and what follows upon which answer."""

    path = "/playbooks"
    tags = ("playbooks",)
    opt = {PACE: 30}  # noqa: RUF012 - the framework's

    @post(
        "/import",
        operation_id="import_playbook",
        name="import_playbook",
        operation_class=TextOperation,
        guards=[users_only, paced, authors_only],
        request_max_body_size=MAX_BYTES,
        status_code=HTTPStatus.CREATED,
        responses=UNCHANGED
        | failing(ForbiddenError, ExhaustedError, UnprocessableError, InvalidError, UnsupportedError),
        summary="Import a playbook",
    )
    @repeatable
    async def take_in(
        self,
        request: WorkbenchRequest,
        playbooks: FromDishka[PlaybookService],
        publish: Annotated[bool, QueryParameter(description="Have new sessions follow it at once.")] = False,
        dry_run: Annotated[bool, QueryParameter(description="Only tell what would come of it.")] = False,
    ) -> Response[ImportedPlaybook]:
        """Keep a text as the next version of its playbook; what means the same as a version that is there changes nothing.

        The body is the text, YAML unless the content type says JSON. Everything that is amiss is told at once.
        """
        text, written_as = await request.text(), _written_as(request)
        imported = await playbooks.import_text(request.user, text, written_as, publish=publish, dry_run=dry_run)
        is_new = imported.status != "unchanged" and not dry_run
        return Response(imported, status_code=HTTPStatus.CREATED if is_new else HTTPStatus.OK)

    @post(
        "/validate",
        operation_id="validate_playbook",
        name="validate_playbook",
        operation_class=TextOperation,
        guards=[users_only, paced],
        request_max_body_size=MAX_BYTES,
        status_code=HTTPStatus.OK,
        responses=failing(ExhaustedError, UnsupportedError),
        summary="Check a playbook",
    )
    @repeatable
    async def validate(self, request: WorkbenchRequest, playbooks: FromDishka[PlaybookService]) -> Validation:
        """Tell everything that is amiss in a text, and keep nothing."""
        return await playbooks.validate(await request.text(), _written_as(request))

    @post(
        "/match",
        operation_id="match_playbooks",
        name="match_playbooks",
        guards=[users_only, paced],
        status_code=HTTPStatus.OK,
        responses=failing(ExhaustedError, InvalidError),
        summary="Try which playbooks fit",
    )
    @repeatable
    async def match(
        self, request: Request[Principal, Any, Any], data: JSONBody[Trial], playbooks: FromDishka[PlaybookService]
    ) -> TrialResult:
        """Say which playbooks a report would find, with what their scores are made of; no session is begun."""
        return await playbooks.match(request.user, data)

    @get(
        operation_id="list_playbooks",
        name="list_playbooks",
        guards=[users_only, paced],
        responses=failing(ExhaustedError),
        summary="List playbooks",
    )
    async def all(self, request: Request[Principal, Any, Any], playbooks: FromDishka[PlaybookService]) -> PlaybookList:
        """List the playbooks of the workspace; drafts and what was put aside are shown to who writes playbooks."""
        return await playbooks.all(request.user)

    @get(
        "/{key:str}",
        operation_id="get_playbook",
        name="get_playbook",
        guards=[users_only, paced],
        responses=failing(ExhaustedError),
        summary="Get a playbook",
    )
    async def one(
        self, request: Request[Principal, Any, Any], key: FromPath[str], playbooks: FromDishka[PlaybookService]
    ) -> PlaybookView:
        """Get a playbook with its versions."""
        return await playbooks.get(request.user, key)

    @get(
        "/{key:str}/versions/{version:int}",
        operation_id="get_playbook_version",
        name="get_playbook_version",
        guards=[users_only, paced],
        responses=failing(ExhaustedError),
        summary="Get a version of a playbook",
    )
    async def version(
        self,
        request: Request[Principal, Any, Any],
        key: FromPath[str],
        version: FromPath[int],
        playbooks: FromDishka[PlaybookService],
    ) -> VersionView:
        """Get one version, with its text as it was imported; 0 is the one that comes with the package."""
        return await playbooks.version(request.user, key, version)

    @post(
        "/{key:str}/publish",
        operation_id="publish_playbook",
        name="publish_playbook",
        guards=[users_only, paced, authors_only],
        status_code=HTTPStatus.OK,
        responses=failing(ForbiddenError, ExhaustedError),
        summary="Publish a playbook",
    )
    @repeatable
    async def publish(
        self,
        request: Request[Principal, Any, Any],
        key: FromPath[str],
        data: JSONBody[Publication],
        playbooks: FromDishka[PlaybookService],
    ) -> PlaybookView:
        """Have new sessions follow a version; an older one goes back to it. Sessions under way stay with theirs."""
        return await playbooks.publish(request.user, key, data)

    @post(
        "/{key:str}/archive",
        operation_id="archive_playbook",
        name="archive_playbook",
        guards=[users_only, paced, authors_only],
        status_code=HTTPStatus.OK,
        responses=failing(ForbiddenError, ExhaustedError),
        summary="Put a playbook aside",
    )
    @repeatable
    async def archive(
        self, request: Request[Principal, Any, Any], key: FromPath[str], playbooks: FromDishka[PlaybookService]
    ) -> PlaybookView:
        """Offer a playbook to new sessions no more; those that follow it go on."""
        return await playbooks.archive(request.user, key)


def _written_as(request: Request[Any, Any, Any]) -> WrittenAs:
    """Raises UnsupportedError for what is neither YAML nor JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == JSON:
        return "json"
    if kind not in YAML:
        raise UnsupportedError("Send YAML or JSON", field="body")
    return "yaml"
