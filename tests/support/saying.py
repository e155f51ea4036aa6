"""Much at once: more messages or conversations than are worth making request by request."""

from uuid import UUID

from tests.support.databases import open_store
from tests.support.service import Service

from workbench.adapters.clock import SystemClock
from workbench.domain.conversations.events import conversation_created
from workbench.domain.conversations.model import Conversation, ConversationDetails, NewConversation
from workbench.domain.ids import new_id
from workbench.domain.messages.events import message_created
from workbench.domain.messages.model import Message, Sender, StoredMessage
from workbench.domain.participants.model import Participant


async def say_much(service: Service, conversation: str, count: int) -> None:
    """Let Ann say as many numbers, in order, every hundredth with debug data."""
    sender, clock = Sender(participant_role="user", participant_id="ann"), SystemClock()
    async with (
        open_store(service.database_url, clock) as store,
        store.transactions.write(service.workspace()) as tx,
    ):
        for number in range(count):
            debug = {"n": number} if number % 100 == 0 else {}
            said = Message(
                id=new_id(),
                sender=sender,
                message_type="chat",
                timestamp=clock.now(),
                content_type="text/plain",
                content=str(number),
                filenames=[],
                metadata={},
                has_debug_data=bool(debug),
            )
            tx.messages.add(StoredMessage(conversation_id=UUID(conversation), message=said, debug_data=debug))
            tx.events.record(message_created(UUID(conversation), said))


async def begin_many(service: Service, count: int) -> None:
    """Let Ann, who is known already, begin as many conversations."""
    clock = SystemClock()
    async with (
        open_store(service.database_url, clock) as store,
        store.transactions.write(service.workspace()) as tx,
    ):
        for number in range(count):
            conversation = Conversation.created(new_id(), NewConversation(title=str(number)), "ann", clock.now())
            owner = Participant.of_user(conversation.id, "ann", "Ann", None, clock.now())
            tx.conversations.add(conversation)
            tx.participants.add(owner)
            tx.events.record(conversation_created(ConversationDetails.of(conversation, "read_write", [owner])))
