"""/conversation-shares, /conversation-share-redemptions"""

from typing import Annotated, Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody

from workbench.domain.errors import ExhaustedError, InvalidError
from workbench.domain.identity.model import Principal
from workbench.domain.shares.model import NewShare, Redemption, RedemptionList, Share, ShareFilter, ShareList
from workbench.domain.shares.service import ShareService
from workbench.entrypoints.http.errors import failing
from workbench.entrypoints.http.guards import assistants_only, users_only
from workbench.entrypoints.http.repeats import repeatable
from workbench.entrypoints.http.routing import delete, get, post

ShareToken = Annotated[
    str | None, HeaderParameter(name="X-Share-Token", description="The token of a share that needs one.")
]


class ShareController(Controller):
    """Invitations to conversations."""

    tags = ("shares",)

    @post(
        "/conversation-shares",
        operation_id="create_share",
        responses=failing(InvalidError),
        status_code=200,
        guards=[users_only],
        summary="Share",
    )
    @repeatable
    async def create(
        self, request: Request[Principal, Any, Any], data: JSONBody[NewShare], shares: FromDishka[ShareService]
    ) -> Share:
        """Share a conversation. A share with a token lets in only who shows it; it is told here and never again."""
        return await shares.create(request.user, data)

    @post(
        "/conversation-shares/{owner_id:str}",
        operation_id="create_share_for_owner",
        responses=failing(InvalidError),
        status_code=200,
        guards=[assistants_only],
        summary="Share in the name of the owner",
    )
    @repeatable
    async def create_for(
        self,
        request: Request[Principal, Any, Any],
        owner_id: FromPath[str],
        data: JSONBody[NewShare],
        shares: FromDishka[ShareService],
    ) -> Share:
        """Share, as an assistant in a conversation, in the name of whoever owns it."""
        return await shares.create_for(request.user, owner_id, data)

    @get("/conversation-shares", operation_id="list_shares", guards=[users_only], summary="List one's shares")
    async def listed(
        self,
        request: Request[Principal, Any, Any],
        shares: FromDishka[ShareService],
        include_unredeemable: FromQuery[bool] = False,
        conversation_id: FromQuery[UUID | None] = None,
    ) -> ShareList:
        """List the caller's own shares, the oldest first."""
        wanted = ShareFilter(include_unredeemable=include_unredeemable, conversation_id=conversation_id)
        return await shares.list(request.user, wanted)

    @get("/conversation-shares/{share_id:str}", operation_id="get_share", guards=[users_only], summary="Get a share")
    async def one(
        self,
        request: Request[Principal, Any, Any],
        share_id: FromPath[UUID],
        shares: FromDishka[ShareService],
        token: ShareToken = None,
    ) -> Share:
        """Get a share of one's own, or one that may be redeemed."""
        return await shares.get(request.user, share_id, token)

    @delete(
        "/conversation-shares/{share_id:str}", operation_id="delete_share", guards=[users_only], summary="Take back"
    )
    async def remove(
        self, request: Request[Principal, Any, Any], share_id: FromPath[UUID], shares: FromDishka[ShareService]
    ) -> None:
        """Take a share back. Who redeemed it stays in the conversation."""
        await shares.delete(request.user, share_id)

    @post(
        "/conversation-shares/{share_id:str}/redemptions",
        operation_id="redeem_share",
        responses=failing(ExhaustedError),
        status_code=200,
        guards=[users_only],
        summary="Redeem a share",
    )
    async def redeem(
        self,
        request: Request[Principal, Any, Any],
        share_id: FromPath[UUID],
        shares: FromDishka[ShareService],
        token: ShareToken = None,
    ) -> Redemption:
        """Join the conversation. Who is there already may gain permission by it, but loses none."""
        return await shares.redeem(request.user, share_id, token)

    @get(
        "/conversation-shares/{share_id:str}/redemptions",
        operation_id="list_share_redemptions",
        guards=[users_only],
        summary="List who redeemed a share",
    )
    async def redemptions(
        self, request: Request[Principal, Any, Any], share_id: FromPath[UUID], shares: FromDishka[ShareService]
    ) -> RedemptionList:
        """List who took up a share of one's own; of anybody else's nobody is listed."""
        return await shares.redemptions_of(request.user, share_id)

    @get(
        "/conversation-share-redemptions",
        operation_id="list_redemptions",
        guards=[users_only],
        summary="List one's redemptions",
    )
    async def redeemed(self, request: Request[Principal, Any, Any], shares: FromDishka[ShareService]) -> RedemptionList:
        """List what the caller took up."""
        return await shares.redeemed(request.user)
