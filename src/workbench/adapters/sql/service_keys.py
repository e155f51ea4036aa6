"""Services' keys in the database, encrypted under the service's own key."""

import msgspec
from sqlalchemy import bindparam, select, update

from workbench.adapters.keys.cipher import KeyCipher
from workbench.adapters.sql.database import Database
from workbench.adapters.sql.duties import KEEP_KEYS
from workbench.adapters.sql.schema import Moment
from workbench.adapters.sql.tables import assistant_services
from workbench.domain.identity.model import ServiceKeys
from workbench.domain.identity.ports import ApiKeyStore

_FIND = select(
    assistant_services.c.api_key_encrypted,
    assistant_services.c.api_key_expires,
    assistant_services.c.previous_key_encrypted,
    assistant_services.c.previous_key_expires,
).where(assistant_services.c.assistant_service_id == bindparam("id"))
_PUT = (
    update(assistant_services)
    .where(assistant_services.c.assistant_service_id == bindparam("of_id"))
    .values(
        api_key_encrypted=bindparam("current"),
        api_key_expires=bindparam("expires", type_=Moment),
        previous_key_encrypted=bindparam("previous"),
        previous_key_expires=bindparam("previous_expires", type_=Moment),
    )
)
_NOTHING = dict.fromkeys(("current", "expires", "previous", "previous_expires"))


class SqlServiceKeys(ApiKeyStore):
    """Keys as columns of their service's row; asked before a workspace is known, since ids are unique over all."""

    def __init__(self, database: Database, cipher: KeyCipher) -> None:
        self._database = database
        self._cipher = cipher

    async def find(self, assistant_service_id: str) -> ServiceKeys | None:
        """Decrypt."""
        rows = await self._database.rows(_FIND, {"id": assistant_service_id}, KEEP_KEYS)
        if not rows or not rows[0][0]:
            return None
        current, expires, previous, previous_expires = rows[0]
        return msgspec.convert(
            {
                "current": self._cipher.open(current),
                "expires": expires,
                "previous": self._cipher.open(previous) or None,
                "previous_expires": previous_expires,
            },
            ServiceKeys,
        )

    async def put(self, assistant_service_id: str, keys: ServiceKeys) -> None:
        """Encrypt."""
        sealed = {"current": self._cipher.seal(keys.current), "previous": self._cipher.seal(keys.previous)}
        times = {"expires": keys.expires, "previous_expires": keys.previous_expires}
        await self._write({"of_id": assistant_service_id, **sealed, **times})

    async def remove(self, assistant_service_id: str) -> None:
        """Clear."""
        await self._write({"of_id": assistant_service_id, **_NOTHING})

    async def _write(self, values: dict[str, object]) -> None:
        await self._database.transact(lambda connection: connection.execute(_PUT, values), KEEP_KEYS)
