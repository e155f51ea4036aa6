"""What people say in conversations that are the chats of sessions, as words by which those are found."""

from typing import Literal
from uuid import UUID

from sqlalchemy import bindparam, select, update

from workbench.adapters.sql.documents import say
from workbench.adapters.sql.messages import SqlMessages
from workbench.adapters.sql.repository import Repository, here
from workbench.adapters.sql.schema import Id
from workbench.adapters.sql.search_tables import session_documents
from workbench.adapters.sql.session_steps import SqlSessionSteps
from workbench.adapters.sql.session_tables import sessions
from workbench.domain.messages.model import MAX_PAGE, MessageQuery, StoredMessage
from workbench.domain.messages.ports import Overheard
from workbench.domain.troubleshooting.documents import MAX_SAID, answer_words, message_words, with_words

_CHAT = select(sessions.c.id).where(
    here(sessions),
    sessions.c.conversation_id == bindparam("conversation_id", type_=Id),
    sessions.c.session_type == "chat",
)
_THE_DOCUMENT = session_documents.c.session_id == bindparam("of_session", type_=Id)
_VERSION = select(session_documents.c.version).where(here(session_documents), _THE_DOCUMENT)
_SAY_ANEW = (
    update(session_documents)
    .where(here(session_documents), _THE_DOCUMENT, session_documents.c.version == bindparam("read_version"))
    .values(said=bindparam("new_said"), version=session_documents.c.version + 1)
)


class SqlOverheard(Repository, Overheard):
    """Most conversations are of no session, which never changes, and so is asked once."""

    async def said(self, stored: StoredMessage) -> None:
        """Set the words down behind those said before."""
        if not stored.message.is_users_chat:
            return
        # Most conversations are of no session: their words are not even looked for.
        session_id = await self._session(stored.conversation_id)
        if session_id is not False and (words := message_words(stored.message)):
            say(self._context, session_id, words)

    async def taken_back(self, stored: StoredMessage) -> None:
        """Say all that is left anew; stale where somebody says more meanwhile."""
        session_id = await self._session(stored.conversation_id) if message_words(stored.message) else False
        if session_id is False:
            return
        version = await self._scalar(_VERSION, {"of_session": session_id})
        if version is not None:
            said = await self._said_without(stored, session_id)
            place = {"of_session": session_id, "read_version": version, "new_said": said}
            self._writes.change(_SAY_ANEW, place, must_hit=True)

    async def _session(self, conversation_id: UUID) -> UUID | Literal[False]:
        memory, place = self._context.remembered.talks, (self._writes.workspace_id, conversation_id)
        known = memory.find(place)
        if known is None:
            found = await self._scalar(_CHAT, {"conversation_id": conversation_id})
            known = False if found is None else UUID(str(found))
            memory.keep(place, known)
        return known

    async def _said_without(self, gone: StoredMessage, session_id: UUID) -> str:
        said = ""
        for step in await SqlSessionSteps(self._context).of(session_id):
            said = with_words(said, answer_words(step))
        after: UUID | None = None
        while len(said) < MAX_SAID:
            query = MessageQuery(
                participant_roles=("user",), message_types=("chat",), after=after, limit=MAX_PAGE, oldest_first=True
            )
            page = await SqlMessages(self._context).page(gone.conversation_id, query)
            for message in page:
                if message.id != gone.message.id:
                    said = with_words(said, message_words(message))
            if len(page) < MAX_PAGE:
                break
            after = page[-1].id
        return said
