"""The newest message of each of many conversations: what a list of conversations shows."""

from collections.abc import Callable
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import asyncpg
from tests.contracts.test_transactions import message, new_conversation
from tests.support.databases import Store, open_store, owner_of

from workbench.adapters.sql.chosen import Alone
from workbench.adapters.sql.duties import MIGRATE
from workbench.adapters.sql.messages import _latest
from workbench.adapters.sql.prepared import Prepared
from workbench.domain.messages.model import Message, MessageType, StoredMessage

MANY = 20_000
FILL = Prepared(
    text("""
        INSERT INTO messages (workspace_id, conversation_id, sequence, id, sender_role, sender_id, message_type,
                              timestamp, content_type, content, filenames, metadata, has_debug_data)
        SELECT :ws, :conversation_id, number, gen_random_uuid(), 'user', 'ann', 'chat', now(), 'text/plain',
               repeat('x', 200), '[]', '{}', false
        FROM generate_series(2, CAST(:many AS bigint)) AS number
    """)
)


async def say(store: Store, conversation_id: UUID, content: str, kind: MessageType = "chat") -> Message:
    said = msgspec.structs.replace(message(store, content), message_type=kind)
    async with store.transactions.write("default") as tx:
        tx.messages.add(StoredMessage(conversation_id=conversation_id, message=said, debug_data={}))
    return said


def explain(statement: str) -> Callable[[Connection], list[str]]:
    return lambda connection: [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}")]


async def test_each_conversation_has_its_newest_of_the_kinds_that_are_asked_for(store: Store) -> None:
    first, second, silent = [await new_conversation(store) for _ in range(3)]
    await say(store, first, "before")
    chat = await say(store, first, "after")
    notice = await say(store, first, "somebody came", "notice")
    other = await say(store, second, "elsewhere")
    asked = [first, second, silent]
    async with store.transactions.read("default") as tx:
        assert await tx.messages.latest_of_each(asked, ["chat"]) == {first: chat, second: other}
        assert await tx.messages.latest_of_each(asked, ["notice"]) == {first: notice}
        assert await tx.messages.latest_of_each(asked, ["chat", "notice"]) == {first: notice, second: other}
        assert await tx.messages.latest_of_each([second], ["chat"]) == {second: other}
        assert await tx.messages.latest_of_each([], ["chat"]) == {}


async def test_postgresql_reads_none_of_the_messages_before(postgres_url: str) -> None:
    """With statistics, on which its plan depends: of those it once concluded that it had best read them all."""
    async with open_store(owner_of(postgres_url)) as store:
        conversations = [await new_conversation(store) for _ in range(20)]
        for each in conversations:
            await say(store, each, "hello")
        place = {"ws": "default", "conversation_id": conversations[0], "many": MANY}
        await store.database.write(lambda: Alone(FILL, place, "default", len))
        await store.database.transact(lambda connection: connection.execute(text("ANALYZE")), "default")
        for kinds in (["chat"], ["chat", "notice"]):
            statement = _latest(one_type=len(kinds) == 1, dialect="postgresql")
            wanted = {"ws": "default", "conversation_ids": conversations, "type": kinds[0], "types": kinds}
            given = statement.params({name: wanted[name] for name in statement.compile().params if name in wanted})
            written = given.compile(dialect=asyncpg.dialect(), compile_kwargs={"literal_binds": True})
            plan = await store.database.transact(explain(str(written)), MIGRATE)
            assert any("Index" in step and "on messages" in step for step in plan), plan
            assert not any("Seq Scan on messages" in step for step in plan), plan
