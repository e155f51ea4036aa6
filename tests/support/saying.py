"""Much said at once: a history that is longer than it is worth posting message by message."""

from uuid import UUID

from tests.support.databases import open_store
from tests.support.service import Service

from workbench.adapters.clock import SystemClock
from workbench.domain.ids import new_id
from workbench.domain.messages.events import message_created
from workbench.domain.messages.model import Message, Sender, StoredMessage


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
