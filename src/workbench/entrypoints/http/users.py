"""/users"""

from typing import Any

from dishka.integrations.litestar import FromDishka
from litestar import Controller, Request
from litestar.params import FromQuery, JSONBody

from workbench.domain.identity.model import Principal
from workbench.domain.users.model import User, UserChange, UserList
from workbench.domain.users.service import UserService
from workbench.entrypoints.http.guards import users_only
from workbench.entrypoints.http.routing import get, put


class UserController(Controller):
    """People."""

    path = "/users"
    tags = ("users",)

    @get(operation_id="list_users", summary="Look users up")
    async def all(
        self,
        request: Request[Principal, Any, Any],
        users: FromDishka[UserService],
        id: FromQuery[list[str]],  # noqa: A002 - the contract's name
    ) -> UserList:
        """Look users up by id: the caller, and those who share a conversation with them; others are left out."""
        return UserList(users=await users.find_all(request.user, id))

    @get("/me", operation_id="get_user_me", guards=[users_only], summary="Get the calling user")
    async def me(self, request: Request[Principal, Any, Any], users: FromDishka[UserService]) -> User:
        """Get the caller's own record, made from the token on the first call."""
        return await users.me(request.user)

    @put("/me", operation_id="update_user_me", guards=[users_only], summary="Update the calling user")
    async def change_me(
        self, request: Request[Principal, Any, Any], data: JSONBody[UserChange], users: FromDishka[UserService]
    ) -> User:
        """Set name or image. A name set here stays, whatever later tokens say."""
        return await users.change_me(request.user, data)
