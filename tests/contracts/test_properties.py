"""Properties: whatever the interleaving, readers lose nothing and repeat nothing, and pages equal the model's."""

import asyncio
import tempfile
from pathlib import Path
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contracts.test_transactions import message, new_conversation, post
from tests.support.databases import Store, copy_of_template, open_store

from workbench.domain.events.hub import EventHub
from workbench.domain.events.model import Event
from workbench.domain.events.service import EventService, Gap, ReaderPolicy
from workbench.domain.identity.model import Principal
from workbench.domain.messages.model import Message, MessageQuery, StoredMessage

ANN = Principal(workspace_id="default", role="user", id="ann", name="Ann")
FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Watcher:
    """A client of one stream that connects, reads, drops out and comes back behind the last event that it saw."""

    def __init__(self, service: EventService, conversation: UUID | None) -> None:
        self._service = service
        self._conversation = conversation
        self.seen: list[Event] = []
        self.reader = None

    async def connect(self) -> None:
        if self._conversation is None:
            self.reader = await self._service.read_feed(ANN, lambda: None)
        else:
            self.reader = await self._service.read_conversation(ANN, self._conversation, lambda: None)
        async for item in self._service.replay(self.reader, self.last()):
            assert not isinstance(item, Gap)
            self.seen.extend(item)

    def last(self) -> int:
        if not self.seen:
            return 0
        return self.seen[-1].feed_position if self._conversation is None else self.seen[-1].position

    def drain(self) -> None:
        if self.reader is None:
            return
        fresh = [event for event in self.reader.take() if self.reader.place(event) > self.last()]
        self.seen.extend(fresh)
        if self.reader.ended:
            self.drop()

    def drop(self) -> None:
        if self.reader is not None:
            self._service.close(self.reader)
        self.reader = None


steps = st.lists(
    st.one_of(
        st.tuples(st.just("post"), st.integers(0, 2)),
        st.tuples(st.just("burst"), st.integers(0, 2)),
        st.tuples(st.just("connect"), st.integers(0, 3)),
        st.tuples(st.just("read"), st.integers(0, 3)),
        st.tuples(st.just("drop"), st.integers(0, 3)),
        st.tuples(st.just("away"), st.integers(0, 2)),
    ),
    max_size=40,
)


@FEW
@given(steps=steps, buffer=st.integers(1, 8))
async def test_readers_lose_nothing_and_repeat_nothing(
    sqlite_template: Path, steps: list[tuple[str, int]], buffer: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = copy_of_template(sqlite_template, Path(folder))
        async with open_store(url) as store, open_store(url) as replica:
            await _play(store, replica, steps, buffer)


async def _play(store: Store, replica: Store, steps: list[tuple[str, int]], buffer: int) -> None:  # noqa: C901
    hub = EventHub(store.transactions)  # type: ignore[arg-type]
    store.listeners.append(hub.announce)
    service = EventService(store.transactions, hub, ReaderPolicy(buffer=buffer))  # type: ignore[arg-type]
    conversations = [await new_conversation(store) for _ in range(3)]
    watchers = [Watcher(service, conversation) for conversation in (*conversations, None)]
    for act, which in steps:
        if act == "post":
            await post(store, conversations[which], message(store))
        elif act == "burst":
            await asyncio.gather(*(post(store, conversations[(which + n) % 3], message(store)) for n in range(5)))
        elif act == "away":
            # Another replica commits; this one is told of it after the fact.
            await post(replica, conversations[which], message(store))
            hub.notice("default", None)
        elif act == "connect" and watchers[which].reader is None:
            await watchers[which].connect()
        elif act == "read":
            watchers[which].drain()
        elif act == "drop":
            watchers[which].drop()
    for watcher in watchers:
        await _finish(hub, watcher)
    async with store.transactions.read("default") as tx:
        for watcher, conversation in zip(watchers, conversations, strict=False):
            assert watcher.seen == await tx.events.of_conversation(conversation, 0, 1000)
        assert watchers[-1].seen == await tx.events.of_user("ann", 0, 1000)


async def _finish(hub: EventHub, watcher: Watcher) -> None:
    watcher.drain()
    watcher.drop()
    await watcher.connect()
    watcher.drain()
    watcher.drop()
    assert hub.reader_count == 0 or watcher.reader is None


TYPES = ("chat", "log", "note")


@FEW
@given(data=st.data())
async def test_pages_equal_the_model(sqlite_template: Path, data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(TYPES), max_size=30))
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(copy_of_template(sqlite_template, Path(folder))) as store:
            conversation = await new_conversation(store)
            said: list[Message] = []
            for kind in kinds:
                values = {name: getattr(message(store), name) for name in Message.__struct_fields__}
                said.append(Message(**{**values, "message_type": kind}))
            async with store.transactions.write("default") as tx:
                for one in said:
                    tx.messages.add(StoredMessage(conversation_id=conversation, message=one, debug_data={}))
            for _ in range(8):
                cursor = st.one_of(st.none(), st.sampled_from(said)) if said else st.none()
                before, after = data.draw(cursor), data.draw(cursor)
                query = MessageQuery(
                    message_types=tuple(data.draw(st.sets(st.sampled_from(TYPES)))),  # type: ignore[arg-type]
                    before=before.id if before else None,
                    after=after.id if after else None,
                    limit=data.draw(st.integers(0, 35)),
                    oldest_first=data.draw(st.booleans()),
                )
                async with store.transactions.read("default") as tx:
                    found = await tx.messages.page(conversation, query)
                assert found == _model(said, query)


def _model(said: list[Message], query: MessageQuery) -> list[Message]:
    ids = [one.id for one in said]
    first = ids.index(query.after) + 1 if query.after else 0
    last = ids.index(query.before) if query.before else len(said)
    matching = [one for one in said[first:last] if not query.message_types or one.message_type in query.message_types]
    if query.oldest_first:
        return matching[: query.limit]
    return matching[len(matching) - query.limit :] if query.limit < len(matching) else matching
