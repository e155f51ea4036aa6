"""The time of a message: what is read is what was written, to the microsecond."""

from datetime import UTC, datetime

import msgspec
from tests.contracts.test_transactions import message, new_conversation
from tests.support.databases import Store

from workbench.domain.messages.model import MessageQuery, StoredMessage

TIMES = [
    datetime(year, 3, 28, 1, 59, second, microsecond, UTC)
    for year in (1969, 1970, 2001, 2026, 2038, 2241)
    for second, microsecond in ((0, 0), (0, 1), (7, 123_457), (59, 999_999))
]


async def test_times_are_read_as_they_were_written(store: Store) -> None:
    conversation = await new_conversation(store)
    said = [msgspec.structs.replace(message(store), timestamp=time) for time in TIMES]
    async with store.transactions.write("default") as tx:
        for each in said:
            tx.messages.add(StoredMessage(conversation_id=conversation, message=each, debug_data={}))
    async with store.transactions.read("default") as tx:
        assert await tx.messages.page(conversation, MessageQuery(limit=len(TIMES))) == said
        assert await tx.messages.containing(conversation, ["hello"], len(TIMES)) == said[::-1]
        for each in said:
            found = await tx.messages.find(each.id)
            assert found is not None
            assert found.message == each
            assert found.message.timestamp.tzinfo == UTC
