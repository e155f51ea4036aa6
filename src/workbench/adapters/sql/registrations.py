"""Registrations of assistant services in SQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import BindParameter, and_, bindparam, delete, func, not_, or_, select, update

from workbench.adapters.sql.repository import Query, Repository, columns_of, here
from workbench.adapters.sql.schema import Moment
from workbench.adapters.sql.tables import assistant_services, assistants, deliveries
from workbench.domain.assistant_services.model import Registration, RegistrationFilter, ServiceAddress, Sign
from workbench.domain.assistant_services.ports import Registrations
from workbench.domain.identity.model import EVERYWHERE

NOW = bindparam("now", type_=Moment)
IS_ONLINE = func.coalesce(assistant_services.c.online_expires > NOW, False)

# Services that live in this process are there for every workspace to see, and for none to change.
SEEN = or_(here(assistant_services), assistant_services.c.workspace_id == EVERYWHERE)
_THIS_ONE = and_(here(assistant_services), assistant_services.c.assistant_service_id == bindparam("of_id"))
_SHOWN = select(
    *columns_of(
        assistant_services,
        "assistant_service_id",
        "created_by_user_id",
        "created_by_user_name",
        "created_datetime",
        "name",
        "description",
        "include_in_listing",
        "api_key_name",
    ),
    assistant_services.c.url.label("assistant_service_url"),
    IS_ONLINE.label("assistant_service_online"),
    assistant_services.c.online_expires.label("assistant_service_online_expiration_datetime"),
    assistant_services.c.key_last_used.label("api_key_last_used_datetime"),
    assistant_services.c.api_key_expires.label("api_key_expiration_datetime"),
).where(SEEN)
_REGISTRATION = Query(Registration, _SHOWN.where(assistant_services.c.assistant_service_id == bindparam("id")))
_ADDRESSES = select(
    assistant_services.c.assistant_service_id, assistant_services.c.url, assistant_services.c.key_last_used
).where(
    SEEN,
    assistant_services.c.assistant_service_id.in_(bindparam("ids", expanding=True)),
    assistant_services.c.url != "",
)
_ADDRESS = select(assistant_services.c.url, assistant_services.c.key_last_used).where(
    SEEN,
    assistant_services.c.assistant_service_id == bindparam("id"),
    assistant_services.c.url != "",
)
_TOLD = select(assistant_services.c.told_online).where(
    here(assistant_services), assistant_services.c.assistant_service_id == bindparam("id")
)
_REMOVE = delete(assistant_services).where(_THIS_ONE)
_HEARD = (
    update(assistant_services)
    .where(_THIS_ONE)
    .values(url=bindparam("url"), online_expires=bindparam("expires", type_=Moment))
)
_KEY_USED = update(assistant_services).where(_THIS_ONE).values(key_last_used=bindparam("at", type_=Moment))
_KEY_REPLACED = (
    update(assistant_services)
    .where(_THIS_ONE)
    .values(key_last_used=None, api_key_expires=bindparam("expires", type_=Moment))
)
# Only where it is so now and was not told: of many that would tell the same, one does.
_TELL = {
    True: update(assistant_services)
    .where(_THIS_ONE, not_(assistant_services.c.told_online), assistant_services.c.online_expires > NOW)
    .values(told_online=True),
    False: update(assistant_services)
    .where(_THIS_ONE, assistant_services.c.told_online, assistant_services.c.online_expires <= NOW)
    .values(told_online=False),
}
# What failed while the service was away is worth a try now.
_TRY_NOW = (
    update(deliveries)
    .where(
        here(deliveries),
        deliveries.c.retry_at.is_not(None),
        deliveries.c.assistant_id.in_(
            select(assistants.c.id).where(here(assistants), assistants.c.assistant_service_id == bindparam("of_id"))
        ),
    )
    .values(retry_at=None)
)


@lru_cache(8)
def _listing(*, by_creators: bool, online: bool | None) -> Query[Registration]:
    """Build the list statement of one form; there are six."""
    statement = _SHOWN.order_by(assistant_services.c.created_datetime, assistant_services.c.assistant_service_id)
    if by_creators:
        creators: BindParameter[Any] = bindparam("created_by", expanding=True)
        statement = statement.where(assistant_services.c.created_by_user_id.in_(creators))
    else:
        statement = statement.where(assistant_services.c.include_in_listing)
    if online is not None:
        statement = statement.where(IS_ONLINE if online else not_(IS_ONLINE))
    return Query(Registration, statement)


class SqlRegistrations(Repository, Registrations):
    """The registered services of one workspace."""

    async def find(self, assistant_service_id: str) -> Registration | None:
        """One registration."""
        return await self._maybe(_REGISTRATION, {"id": assistant_service_id, "now": self._context.clock.now()})

    async def all_of(self, wanted: RegistrationFilter) -> Sequence[Registration]:
        """Those that the filter wants."""
        parameters: dict[str, Any] = {"now": self._context.clock.now()}
        if wanted.created_by:
            parameters["created_by"] = list(wanted.created_by)
        return await self._all(_listing(by_creators=bool(wanted.created_by), online=wanted.online), parameters)

    async def address(self, assistant_service_id: str) -> ServiceAddress | None:
        """Where it is."""
        rows = await self._rows(_ADDRESS, {"id": assistant_service_id})
        return _address(assistant_service_id, *rows[0]) if rows else None

    async def addresses(self, assistant_service_ids: Sequence[str]) -> Sequence[ServiceAddress]:
        """Where they are."""
        if not assistant_service_ids:
            return []
        rows = await self._rows(_ADDRESSES, {"ids": list(assistant_service_ids)})
        return [_address(*row) for row in rows]

    def add(self, registration: Registration) -> None:
        """Insert."""
        row = msgspec.structs.asdict(registration)
        for shown, column in (("assistant_service_url", "url"), ("api_key_expiration_datetime", "api_key_expires")):
            row[column] = row.pop(shown)
        for derived in (
            "assistant_service_online",
            "assistant_service_online_expiration_datetime",
            "api_key",
            "api_key_last_used_datetime",
        ):
            del row[derived]
        self._writes.insert(assistant_services, row)

    def change(self, assistant_service_id: str, values: Mapping[str, Any]) -> None:
        """Update."""
        self._writes.change(
            update(assistant_services).where(_THIS_ONE).values(**values), {"of_id": assistant_service_id}
        )

    def remove(self, assistant_service_id: str) -> None:
        """Delete; its assistants go with it."""
        self._writes.remove(_REMOVE, {"of_id": assistant_service_id})

    def heard(self, sign: Sign) -> None:
        """Update URL, expiry and the use of the key."""
        place = {"of_id": sign.assistant_service_id}
        self._writes.change(_HEARD, {**place, "url": sign.url, "expires": sign.expires})
        if sign.with_current_key:
            self._writes.change(_KEY_USED, {**place, "at": sign.at})
        self._writes.change(_TRY_NOW, place)

    def key_replaced(self, assistant_service_id: str, expires: datetime | None) -> None:
        """Forget when the key was used."""
        self._writes.change(_KEY_REPLACED, {"of_id": assistant_service_id, "expires": expires})

    async def told_online(self, assistant_service_id: str) -> bool:
        """What was last told."""
        return bool(await self._scalar(_TOLD, {"id": assistant_service_id}))

    def tell(self, assistant_service_id: str, *, online: bool) -> None:
        """Note what is told."""
        place = {"of_id": assistant_service_id, "now": self._context.clock.now()}
        self._writes.change(_TELL[online], place, must_hit=True)


def _address(assistant_service_id: str, url: str, key_last_used: Any) -> ServiceAddress:
    return ServiceAddress(assistant_service_id=assistant_service_id, url=url, knows_its_key=key_last_used is not None)
