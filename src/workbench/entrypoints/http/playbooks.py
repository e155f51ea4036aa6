"""/playbooks"""

from http import HTTPStatus
from typing import Annotated, Any

from dishka.integrations.litestar import FromDishka
from litestar import Request, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter

from workbench.domain.errors import ExhaustedError, ForbiddenError, InvalidError, UnprocessableError, UnsupportedError
from workbench.domain.identity.model import Principal
from workbench.domain.playbooks.model import MAX_BYTES
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
from workbench.entrypoints.http.errors import LIMIT_BYTES, failing
from workbench.entrypoints.http.guards import authors_only, users_only
from workbench.entrypoints.http.pace import PACE, paced
from workbench.entrypoints.http.playbook_texts import MAX_BODY_BYTES, SENT, Sent, TextOperation
from workbench.entrypoints.http.repeats import repeatable
from workbench.entrypoints.http.routing import get, post
from workbench.entrypoints.http.strict import StrictController

UNCHANGED: dict[int, ResponseSpec] = {
    HTTPStatus.OK: ResponseSpec(
        ImportedPlaybook, generate_examples=False, description="Nothing is kept: it is there already, or only tried."
    )
}


class PlaybookController(StrictController):
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
        dependencies=SENT,
        opt={LIMIT_BYTES: MAX_BYTES},
        request_max_body_size=MAX_BODY_BYTES,
        status_code=HTTPStatus.CREATED,
        responses=UNCHANGED
        | failing(ForbiddenError, ExhaustedError, UnprocessableError, InvalidError, UnsupportedError),
        summary="Import a playbook",
    )
    @repeatable
    async def take_in(
        self,
        request: Request[Principal, Any, Any],
        sent: Sent,
        playbooks: FromDishka[PlaybookService],
        publish: Annotated[bool, QueryParameter(description="Have new sessions follow it at once.")] = False,
        dry_run: Annotated[bool, QueryParameter(description="Only tell what would come of it.")] = False,
    ) -> Response[ImportedPlaybook]:
        """Keep a text as the next version of its playbook; what means the same as a version that is there changes nothing.

        The body is the text, YAML unless the content type says JSON, or a form with one `file`. Everything that is amiss is
        told at once.
        """
        imported = await playbooks.import_text(
            request.user, sent.text, sent.written_as, publish=publish, dry_run=dry_run
        )
        is_new = imported.status != "unchanged" and not dry_run
        return Response(imported, status_code=HTTPStatus.CREATED if is_new else HTTPStatus.OK)

    @post(
        "/validate",
        operation_id="validate_playbook",
        name="validate_playbook",
        operation_class=TextOperation,
        guards=[users_only, paced],
        dependencies=SENT,
        opt={LIMIT_BYTES: MAX_BYTES},
        request_max_body_size=MAX_BODY_BYTES,
        status_code=HTTPStatus.OK,
        responses=failing(ExhaustedError, UnsupportedError),
        summary="Check a playbook",
    )
    @repeatable
    async def validate(
        self,
        request: Request[Principal, Any, Any],  # noqa: ARG002 - what makes it repeatable looks at it
        sent: Sent,
        playbooks: FromDishka[PlaybookService],
    ) -> Validation:
        """Tell everything that is amiss in a text, and keep nothing. It is sent as for an import."""
        return await playbooks.validate(sent.text, sent.written_as)

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
