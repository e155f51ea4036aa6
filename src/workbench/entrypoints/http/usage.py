"""/usage and /conversations/{id}/usage"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request, Response
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from workbench.domain.errors import ForbiddenError, InvalidError, NotFoundError
from workbench.domain.identity.model import Principal
from workbench.domain.paging import MAX_PAGE
from workbench.domain.usage.model import MAX_NAME_LENGTH, UsageRow
from workbench.domain.usage.service import UsageService
from workbench.domain.usage.totals import (
    ConversationUsage,
    GroupKey,
    GroupTotals,
    Totals,
    TotalsReport,
    UsageFilter,
    UsagePage,
    day_of,
    group_keys,
)
from workbench.entrypoints.http.csv_lines import CSV, csv_lines, wants_csv
from workbench.entrypoints.http.downloads import disposition
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import users_only
from workbench.entrypoints.http.routing import get

ROW_COLUMNS = (
    *("id", "usage_day", "created_datetime", "usage_type", "user_id", "conversation_id", "workspace_id"),
    *("assistant_id", "assistant_service_id", "turn_pk", "message_id", "prompt_tokens", "completion_tokens"),
    *("total_tokens", "cached_tokens", "reasoning_tokens", "cost_micros", "cost_complete", "truncated", "call_count"),
    *("generations", "provisional", "source", "models"),
)
TOTAL_COLUMNS = Totals.__struct_fields__
PAGE: dict[int, ResponseSpec] = {HTTPStatus.OK: ResponseSpec(UsagePage, generate_examples=False, description="Rows.")}
REPORT: dict[int, ResponseSpec] = {
    HTTPStatus.OK: ResponseSpec(TotalsReport, generate_examples=False, description="Sums.")
}

FirstDay = Annotated[str | None, QueryParameter(name="from", description="First day, in UTC: 2026-01-31.")]
LastDay = Annotated[str | None, QueryParameter(name="to", description="Last day, which is counted in.")]
UserId = Annotated[
    str | None,
    QueryParameter(description="Who paid. Another user's are an admin's to see.", max_length=MAX_NAME_LENGTH),
]
ConversationId = Annotated[UUID | None, QueryParameter(description="In which conversation; one that the caller sees.")]
WorkspaceId = Annotated[
    str | None,
    QueryParameter(description="The caller's workspace: all of it, for an admin.", max_length=MAX_NAME_LENGTH),
]
AssistantId = Annotated[UUID | None, QueryParameter(description="Which assistant answered.")]
Model = Annotated[
    str | None,
    QueryParameter(description="Rows in which this model took part, as reported.", max_length=MAX_NAME_LENGTH),
]
UsageType = Annotated[str | None, QueryParameter(description="Such as `chat`.", max_length=MAX_NAME_LENGTH)]


@dataclass
class TableOperation(Operation):
    """An answer that is JSON or, where the caller accepts it rather, CSV."""

    def __post_init__(self) -> None:
        """Describe the second form."""
        answer: Any = (self.responses or {}).get(str(int(HTTPStatus.OK)))
        if answer is not None:
            answer.content = {**(answer.content or {}), CSV: OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))}


def wanted_usage(
    *,
    first_day: FirstDay = None,
    last_day: LastDay = None,
    user_id: UserId = None,
    conversation_id: ConversationId = None,
    workspace_id: WorkspaceId = None,
    assistant_id: AssistantId = None,
    model: Model = None,
    usage_type: UsageType = None,
) -> UsageFilter:
    """Read the filters, which rows and totals share."""
    return UsageFilter(
        first_day=day_of(first_day, "from"),
        last_day=day_of(last_day, "to"),
        user_id=user_id or None,
        conversation_id=conversation_id,
        workspace_id=workspace_id or None,
        assistant_id=assistant_id,
        model=model or None,
        usage_type=usage_type or None,
    )


Wanted = NamedDependency[UsageFilter]
FILTERS = {"wanted": Provide(wanted_usage, sync_to_thread=False)}


class UsageController(Controller):
    """What models were used for, and what it cost."""

    tags = ("usage",)
    guards = (users_only,)

    @get(
        "/conversations/{conversation_id:str}/usage",
        operation_id="get_conversation_usage",
        responses=failing(ForbiddenError),
        summary="Get what a conversation used",
    )
    async def of_conversation(
        self,
        request: Request[Principal, Any, Any],
        conversation_id: FromPath[UUID],
        usage: FromDishka[UsageService],
    ) -> ConversationUsage:
        """Sum up all that a conversation used, and each model's part. For its owner and for admins; others get 403."""
        return await usage.of_conversation(request.user, conversation_id)

    @get(
        "/usage",
        operation_id="list_usage",
        operation_class=TableOperation,
        summary="List usage",
        dependencies=FILTERS,
        responses=PAGE | failing(InvalidError, ForbiddenError, NotFoundError),
    )
    async def rows(
        self,
        request: Request[Principal, Any, Any],
        wanted: Wanted,
        usage: FromDishka[UsageService],
        limit: Annotated[int, QueryParameter(ge=1, description="Page size, at most 500.")] = MAX_PAGE,
        cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")] = None,
    ) -> Response[Any]:
        """List what the caller used, a row for each turn, newest first; admins see others' as well, by a filter.

        With `Accept: text/csv` all rows come at once, without pages.
        """
        if wants_csv(request):
            return _table(ROW_COLUMNS, _row_lines(await usage.pages(request.user, wanted)), "usage.csv")
        return Response(await usage.page(request.user, wanted, limit=limit, cursor=cursor))

    @get(
        "/usage/totals",
        operation_id="get_usage_totals",
        operation_class=TableOperation,
        summary="Sum usage up",
        dependencies=FILTERS,
        responses=REPORT | failing(InvalidError, ForbiddenError, NotFoundError),
    )
    async def totals(
        self,
        request: Request[Principal, Any, Any],
        wanted: Wanted,
        usage: FromDishka[UsageService],
        group_by: Annotated[
            list[str],
            QueryParameter(
                description=(
                    "1 to 3 of user, conversation, workspace, assistant, service, model, day, usage_type: repeated, or "
                    "with commas between them."
                )
            ),
        ],
    ) -> Response[Any]:
        """Sum up what the caller used, by default in the last 30 days, at most 366; admins see others' by a filter.

        A turn that used two models is in two groups by model, and once in `total`. With `Accept: text/csv` the groups
        come without `total`, however many they are.
        """
        keys = group_keys(group_by)
        if wants_csv(request):
            pages = await usage.group_pages(request.user, wanted, keys)
            return _table((*keys, *TOTAL_COLUMNS), _group_lines(pages, keys), "usage-totals.csv")
        return Response(await usage.totals(request.user, wanted, keys))


def _table(header: Sequence[str], pages: AsyncIterator[Sequence[Sequence[Any]]], name: str) -> Stream:
    headers = {"content-disposition": disposition(name)}
    return Stream(csv_lines(header, pages), headers=headers, media_type=CSV)


async def _row_lines(pages: AsyncIterator[Sequence[UsageRow]]) -> AsyncIterator[Sequence[Sequence[Any]]]:
    async for rows in pages:
        yield [_row_line(row) for row in rows]


def _row_line(row: UsageRow) -> list[Any]:
    known = {name: getattr(row, name) for name in ROW_COLUMNS if name != "models"}
    moment = {"created_datetime": row.created_datetime.isoformat(), "models": " ".join(row.model_breakdown)}
    return [{**known, **moment}[name] for name in ROW_COLUMNS]


async def _group_lines(
    pages: AsyncIterator[Sequence[GroupTotals]], keys: Sequence[GroupKey]
) -> AsyncIterator[Sequence[Sequence[Any]]]:
    async for groups in pages:
        yield [[getattr(group, name) for name in (*keys, *TOTAL_COLUMNS)] for group in groups]
