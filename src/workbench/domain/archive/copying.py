"""One path that means two things: a conversation to be duplicated, or a user to make one for (contract, D2)."""

from uuid import UUID

from workbench.domain.archive.duplicating import DuplicateService
from workbench.domain.archive.model import CopyRequest, ImportResult
from workbench.domain.assistants.founding import FoundingService
from workbench.domain.conversations.model import ConversationDetails, NewConversation
from workbench.domain.errors import NotFoundError
from workbench.domain.identity.model import Principal


class CopyService:
    """Finds out what is meant."""

    def __init__(self, duplicates: DuplicateService, founding: FoundingService) -> None:
        self._duplicates = duplicates
        self._founding = founding

    async def copy(
        self, principal: Principal, named: str, conversation_id: UUID | None, wanted: CopyRequest
    ) -> ImportResult | ConversationDetails:
        """Duplicate the conversation of that id; for an assistant, if there is none, make one for the user named so.

        Raises NotFoundError, TooLargeError, UpstreamError.
        """
        if conversation_id is not None:
            try:
                return await self._duplicates.duplicate(principal, conversation_id, wanted)
            except NotFoundError:
                if principal.is_user:
                    raise
        new = NewConversation(title=wanted.title, metadata=wanted.metadata)
        return await self._founding.create_for(principal, named, new)
