"""/flow-blueprints, /flow-parameter-types"""

from typing import Annotated, Any

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request, Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from workbench.domain.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    PreconditionError,
    UnprocessableError,
    UnsupportedError,
)
from workbench.domain.flows.blueprints import BlueprintService, ParameterTypeService
from workbench.domain.flows.cursors import MAX_LIMIT
from workbench.domain.flows.model import (
    Blueprint,
    BlueprintList,
    Check,
    CheckRequest,
    Document,
    ParameterType,
    StoredType,
    TypeList,
)
from workbench.domain.identity.model import Principal
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.flow_bodies import UNREADABLE, json_only
from workbench.entrypoints.http.guards import users_only
from workbench.entrypoints.http.routing import delete, get, post, put

Cursor = Annotated[str | None, QueryParameter(description="Where the page before this one ended.")]
Limit = Annotated[int, QueryParameter(description="How many at most.", ge=1, le=MAX_LIMIT)]
IfMatch = Annotated[
    str | None, HeaderParameter(name="If-Match", description="The version that is to be replaced, as its ETag has it.")
]


def _made(kind: Any) -> dict[int, ResponseSpec]:
    return {201: ResponseSpec(kind, generate_examples=False, description="It is new.")}


class BlueprintController(Controller):
    """What flows are made of."""

    path = "/flow-blueprints"
    tags = ("flows",)
    guards = (users_only, json_only)
    exception_handlers = UNREADABLE

    @get(operation_id="list_flow_blueprints", responses=failing(InvalidError), summary="List blueprints")
    async def listed(
        self,
        request: Request[Principal, Any, Any],
        blueprints: FromDishka[BlueprintService],
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> BlueprintList:
        """List the blueprints that the workspace may use, by name."""
        return await blueprints.page(request.user, cursor, limit)

    @get("/{name:str}", operation_id="get_flow_blueprint", summary="Get a blueprint")
    async def one(
        self, request: Request[Principal, Any, Any], name: FromPath[str], blueprints: FromDishka[BlueprintService]
    ) -> Response[Blueprint]:
        """Get a blueprint; its ETag is its version."""
        found = await blueprints.get(request.user, name)
        return Response(found, headers={"ETag": _tag(found)})

    @put(
        "/{name:str}",
        operation_id="put_flow_blueprint",
        responses={
            **failing(
                InvalidError, UnsupportedError, ForbiddenError, ConflictError, PreconditionError, UnprocessableError
            ),
            **_made(Blueprint),
        },
        summary="Store a blueprint",
    )
    async def stored(
        self,
        request: Request[Principal, Any, Any],
        name: FromPath[str],
        data: JSONBody[Document],
        blueprints: FromDishka[BlueprintService],
        if_match: IfMatch = None,
    ) -> Response[Blueprint]:
        """Store a blueprint, new or as the next version. Everything that is wrong in it is told at once, as `findings`.

        Flows that run are not touched by it.
        """
        stored, is_new = await blueprints.put(request.user, name, data, _version(if_match))
        return Response(stored, status_code=201 if is_new else 200, headers={"ETag": _tag(stored)})

    @post(
        "/{name:str}/check",
        operation_id="check_flow_blueprint",
        status_code=200,
        responses=failing(InvalidError, UnsupportedError, UnprocessableError),
        summary="Check a blueprint",
    )
    async def checked(
        self,
        request: Request[Principal, Any, Any],
        name: FromPath[str],
        data: JSONBody[CheckRequest],
        blueprints: FromDishka[BlueprintService],
    ) -> Check:
        """Say what is wrong with a document, or with the stored one, and which topics a flow of it would have."""
        return await blueprints.check(request.user, name, data)

    @delete(
        "/{name:str}",
        operation_id="delete_flow_blueprint",
        responses=failing(ForbiddenError, ConflictError),
        summary="Delete a blueprint",
    )
    async def removed(
        self,
        request: Request[Principal, Any, Any],
        name: FromPath[str],
        blueprints: FromDishka[BlueprintService],
        force: Annotated[bool, QueryParameter(description="Even if flows are made of it; they go on.")] = False,
    ) -> None:
        """Delete a blueprint of the workspace's own."""
        await blueprints.delete(request.user, name, force=force)


class ParameterTypeController(Controller):
    """What values the parameters of blueprints may have."""

    path = "/flow-parameter-types"
    tags = ("flows",)
    guards = (users_only, json_only)
    exception_handlers = UNREADABLE

    @get(operation_id="list_flow_parameter_types", responses=failing(InvalidError), summary="List parameter types")
    async def listed(
        self,
        request: Request[Principal, Any, Any],
        types: FromDishka[ParameterTypeService],
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> TypeList:
        """List the types that the workspace's blueprints may name."""
        return await types.page(request.user, cursor, limit)

    @get("/{name:str}", operation_id="get_flow_parameter_type", summary="Get a parameter type")
    async def one(
        self, request: Request[Principal, Any, Any], name: FromPath[str], types: FromDishka[ParameterTypeService]
    ) -> StoredType:
        """Get a type."""
        return await types.get(request.user, name)

    @put(
        "/{name:str}",
        operation_id="put_flow_parameter_type",
        responses={
            **failing(InvalidError, UnsupportedError, ForbiddenError, ConflictError, UnprocessableError),
            **_made(StoredType),
        },
        summary="Store a parameter type",
    )
    async def stored(
        self,
        request: Request[Principal, Any, Any],
        name: FromPath[str],
        data: JSONBody[ParameterType],
        types: FromDishka[ParameterTypeService],
    ) -> Response[StoredType]:
        """Store a type, new or over what there was."""
        stored, is_new = await types.put(request.user, name, data)
        return Response(stored, status_code=201 if is_new else 200)

    @delete(
        "/{name:str}",
        operation_id="delete_flow_parameter_type",
        responses=failing(ForbiddenError, ConflictError),
        summary="Delete a parameter type",
    )
    async def removed(
        self, request: Request[Principal, Any, Any], name: FromPath[str], types: FromDishka[ParameterTypeService]
    ) -> None:
        """Delete a type of the workspace's own that no blueprint of it uses."""
        await types.delete(request.user, name)


def _tag(blueprint: Blueprint) -> str:
    return f'"{blueprint.version}"'


def _version(if_match: str | None) -> int | None:
    """The version that an ETag names; any other is that of no blueprint."""
    if if_match is None:
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004 - a 32-bit number
