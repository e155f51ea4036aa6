"""Users in SQL."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, or_, select

from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.tables import participants, teams, users
from workbench.domain.identity.model import Principal
from workbench.domain.users.model import StoredUser, User
from workbench.domain.users.ports import Users

_PUBLIC = ("id", "name", "image", "service_user", "created_datetime")
_PRIVATE = ("name_is_chosen", "works_on_sessions", "team_ids")
_TEAM = select(teams.c.id).where(here(teams), teams.c.id == bindparam("id"))
_ONE = Query(
    StoredUser,
    select(*columns_of(users, *_PUBLIC, *_PRIVATE)).where(here(users), users.c.id == bindparam("id")),
)

_mine = participants.alias("mine")
_theirs = participants.alias("theirs")
_SHARES_A_CONVERSATION = (
    select(_theirs.c.id)
    .join(_mine, _mine.c.conversation_id == _theirs.c.conversation_id)
    .where(
        _theirs.c.workspace_id == bindparam("ws"),
        _mine.c.workspace_id == bindparam("ws"),
        _mine.c.id == bindparam("me"),
        _mine.c.role == bindparam("my_role"),
        _mine.c.active_participant,
        _theirs.c.role == "user",
        _theirs.c.active_participant,
        _theirs.c.id.in_(bindparam("ids", expanding=True)),
    )
)
_VISIBLE = Query(
    User,
    select(*columns_of(users, *_PUBLIC)).where(
        here(users),
        users.c.id.in_(bindparam("ids", expanding=True)),
        or_(users.c.id == bindparam("myself"), users.c.id.in_(_SHARES_A_CONVERSATION)),
    ),
)


class SqlUsers(Repository, Users):
    """The people of one workspace."""

    async def find(self, user_id: str) -> StoredUser | None:
        """One user."""
        return await self._maybe(_ONE, {"id": user_id})

    async def visible_to(self, principal: Principal, user_ids: Sequence[str]) -> list[User]:
        """Those whom the caller may know of."""
        myself = principal.id if principal.is_user else ""
        return await self._all(
            _VISIBLE, {"ids": list(user_ids), "me": principal.id, "my_role": principal.role, "myself": myself}
        )

    async def has_team(self, team_id: str) -> bool:
        """By the primary key."""
        return bool(await self._rows(_TEAM, {"id": team_id}))

    def put(self, user: StoredUser) -> None:
        """Insert or write over."""
        self._writes.upsert(users, msgspec.structs.asdict(user))
        for team_id in user.team_ids:
            self._writes.upsert(teams, {"id": team_id, "seen_datetime": self._context.clock.now()})
