"""Troubleshooting sessions as what stands on conversations: who deletes a conversation deletes its session, or may not."""

from uuid import UUID

from sqlalchemy import bindparam, select

from workbench.adapters.sql.pushes import SqlPushes
from workbench.adapters.sql.repository import Repository, here
from workbench.adapters.sql.schema import Id
from workbench.adapters.sql.session_tables import sessions
from workbench.adapters.sql.sessions import SqlSessions
from workbench.domain.conversations.ports import Occupants
from workbench.domain.troubleshooting.owning import made_way

_ON_IT = select(sessions.c.id).where(
    here(sessions), sessions.c.conversation_id == bindparam("conversation_id", type_=Id)
)


class SqlOccupants(Repository, Occupants):
    """Most conversations have none."""

    async def make_way(self, conversation_id: UUID) -> None:
        """Set the session down as deleted, over the version that was read: nobody takes it over at the same moment."""
        session_id = await self._scalar(_ON_IT, {"conversation_id": conversation_id})
        if session_id is None:
            return
        kept = SqlSessions(self._context)
        session = await kept.find(UUID(str(session_id)))
        if session is not None:
            kept.change(made_way(session, self._context.clock.now()))
            SqlPushes(self._context).cancel_of(session.id)
