"""Documents and vectors made by jobs, on both databases: what is new, what has to be made anew, and other spaces."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update
from tests.contracts.test_session_words import found
from tests.contracts.test_transactions import message
from tests.support.databases import Store, db_of, open_store
from tests.support.searching import add_sessions, remove_session
from tests.support.usage import no_books

from workbench.adapters.embeddings.chosen import ChosenEmbedders
from workbench.adapters.embeddings.hashed import HASHED, HashedEmbedder
from workbench.adapters.sql.documents import BLANK_DOCUMENT
from workbench.adapters.sql.jobs import SqlJobQueue
from workbench.adapters.sql.retention import SqlAgedMessages
from workbench.adapters.sql.search_tables import embeddings, session_documents
from workbench.adapters.sql.tables import jobs
from workbench.domain.embeddings.model import Descriptor, Space, Vector, active_of, packed
from workbench.domain.errors import UnavailableError
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.jobs.model import Job
from workbench.domain.messages.model import NewMessage, StoredMessage, Titling
from workbench.domain.messages.service import MessageService
from workbench.domain.sizes import SizeLimits
from workbench.domain.troubleshooting.documents import EMBED_JOB, WALK_JOB
from workbench.domain.troubleshooting.embedding import EmbeddingService
from workbench.domain.troubleshooting.indexing import IndexingService, Pace, Walked
from workbench.domain.troubleshooting.model import Session
from workbench.domain.usage.accumulating import note_call
from workbench.domain.usage.model import ReportedCall
from workbench.domain.usage.totals import UsageFilter
from workbench.wiring import migrations
from workbench.wiring.settings import Settings

ANN = Principal(workspace_id="default", role="user", id="ann", name="Ann")


class CountingEmbedder:
    """Makes vectors that say how often it was asked, and fails when told to."""

    is_local = False
    min_cosine = 0.0

    def __init__(self, model: str, dims: int = 2) -> None:
        self.descriptor = Descriptor(provider="test", model=model, dims=dims)
        self.texts: list[str] = []
        self.fails = False

    async def embed(self, texts: Sequence[str]) -> list[Vector | None]:
        note_call(ReportedCall(call_id=new_id().hex, model=self.descriptor.model, prompt_tokens=len(texts)))
        if self.fails:
            raise UnavailableError("away")
        self.texts += texts
        return [packed([1.0, *([0.0] * (self.descriptor.dims - 1))]) for _ in texts]


class Indexer:
    """The services, with what makes vectors."""

    def __init__(
        self, store: Store, model: Any = None, pace: Pace | None = None, workspaces: Collection[str] = ("*",)
    ) -> None:
        self.store = store
        self.embedders = ChosenEmbedders(HashedEmbedder(), model, frozenset(workspaces))
        self.embedding = EmbeddingService(store.transactions, self.embedders, no_books(store.clock), store.clock)
        self.indexing = IndexingService(store.transactions, self.embedding, store.clock, pace or Pace())

    async def work(self) -> list[str]:
        """Do all jobs that wait, and those that follow; says of which kinds they were."""
        queue, kinds = SqlJobQueue(self.store.database), list[str]()
        while claimed := await queue.claim([EMBED_JOB, WALK_JOB], self.store.clock.now(), 1):
            kinds.append(claimed[0].kind)
            await self.do(claimed[0])
        return kinds

    async def do(self, job: Job) -> None:
        await (self.embedding if job.kind == EMBED_JOB else self.indexing).carry_out(job)

    async def rebuild(self) -> Walked:
        done = Walked()
        async for walked in self.indexing.rebuild("default"):
            done = walked
        return done

    async def spaces(self) -> list[Space]:
        async with self.store.transactions.read("default") as tx:
            return [*await tx.spaces.all()]

    async def in_space(self, space: Space, sessions: Sequence[Session]) -> set[Any]:
        async with self.store.transactions.read("default") as tx:
            return set(await tx.vectors.of(space, [session.id for session in sessions]))


async def test_a_new_session_has_a_vector_and_the_first_fills_a_space(store: Store) -> None:
    sessions = await add_sessions(store, ["It does not print", "It does not scan"])
    indexer = Indexer(store)
    kinds = await indexer.work()
    assert (kinds.count(EMBED_JOB), kinds.count(WALK_JOB)) == (2, 1)
    (space,) = await indexer.spaces()
    assert (space.descriptor, space.state) == (HASHED, "active")
    assert await indexer.in_space(space, sessions) == {session.id for session in sessions}
    assert await indexer.work() == []


async def test_6_what_a_model_took_for_vectors_is_booked_for_the_workspace(store: Store) -> None:
    await add_sessions(store, ["It does not print", "It does not scan"])
    model = CountingEmbedder("m")
    indexer = Indexer(store, model)
    await indexer.work()
    await add_sessions(store, ["It does not fax"])
    model.fails = True
    with pytest.raises(UnavailableError):
        await indexer.work()
    async with store.transactions.read("default") as tx:
        rows = await tx.usage.rows(UsageFilter(), None, 100)
    assert {(row.usage_type, row.user_id, row.generations) for row in rows} == {("session_embedding", None, 0)}
    assert sum(row.prompt_tokens for row in rows) == 3
    # What is made here costs nothing, and is in no books.
    await add_sessions(store, ["It does not sing"], "other")
    await Indexer(store).work()
    async with store.transactions.read("other") as tx:
        assert await tx.usage.rows(UsageFilter(), None, 100) == []


async def test_51_a_session_whose_text_says_nothing_has_none(store: Store) -> None:
    sessions = await add_sessions(store, ["the of and", "\U0001f600"])
    indexer = Indexer(store)
    await indexer.work()
    (space,) = await indexer.spaces()
    assert space.state == "active"
    assert await indexer.in_space(space, sessions) == set()


async def test_a_changed_problem_gets_another_vector_and_anything_else_keeps_it(store: Store) -> None:
    (session,) = await add_sessions(store, ["It does not print"])
    model = CountingEmbedder("one")
    indexer = Indexer(store, model)
    await indexer.work()
    for changes, embeds in (({"status": "paused"}, 0), ({"title": "Zither"}, 1), ({"problem_domain": "music"}, 0)):
        async with store.transactions.write("default") as tx:
            read = await tx.sessions.find(session.id)
            assert read is not None
            tx.sessions.change(msgspec.structs.replace(read, **changes))
        assert (await indexer.work()).count(EMBED_JOB) == embeds
    assert [text.partition("\n")[0] for text in model.texts] == ["It does not print", "Zither"]


async def test_52_the_old_space_serves_until_the_new_one_is_whole(store: Store) -> None:
    sessions = await add_sessions(store, [f"It does not print on page {number}" for number in range(5)])
    before = Indexer(store)
    await before.work()
    (old,) = await before.spaces()
    model = CountingEmbedder("better")
    after = Indexer(store, model)
    (late,) = await add_sessions(store, ["It does not scan"])
    model.fails = True
    (job,) = await SqlJobQueue(store.database).claim([EMBED_JOB], store.clock.now(), 1)
    with pytest.raises(UnavailableError):
        await after.do(job)
    states = {space.descriptor.model: space.state for space in await after.spaces()}
    assert states == {"words": "active", "better": "building"}
    assert active_of(await after.spaces()) == old
    model.fails = False
    await after.do(job)
    # What comes meanwhile is in both.
    building = next(space for space in await after.spaces() if space.state == "building")
    assert await after.in_space(old, [late]) == await after.in_space(building, [late]) == {late.id}
    await after.work()
    (new,) = await after.spaces()
    assert (new.descriptor, new.state) == (model.descriptor, "active")
    assert await after.in_space(new, [*sessions, late]) == {session.id for session in [*sessions, late]}
    assert await store.database.rows(select(embeddings.c.session_id).where(embeddings.c.space_id == old.id)) == []


async def test_52_a_space_of_another_length_is_another_space(store: Store) -> None:
    sessions = await add_sessions(store, ["It does not print"])
    for dims in (2, 3):
        indexer = Indexer(store, CountingEmbedder("one", dims))
        await indexer.rebuild()
        (space,) = await indexer.spaces()
        assert (space.descriptor.dims, len(await indexer.in_space(space, sessions))) == (dims, 1)


async def test_a_walk_is_gone_on_with_where_another_one_stopped(store: Store) -> None:
    sessions = await add_sessions(store, [f"It does not print on page {number}" for number in range(5)])
    indexer = Indexer(store, pace=Pace(page=2, spell=timedelta(seconds=-1)))
    kinds = await indexer.work()
    assert kinds.count(WALK_JOB) == 3
    (space,) = await indexer.spaces()
    assert space.state == "active"
    assert len(await indexer.in_space(space, sessions)) == 5


async def test_documents_are_made_anew_of_what_is_there(store: Store) -> None:
    sessions = await add_sessions(store, ["It does not print", "It does not scan"], title="Zither")
    for session in sessions:
        async with store.transactions.write("default") as tx:
            tx.writes.change(BLANK_DOCUMENT, {"of_session": session.id})
    assert await found(store, "zither") == []
    done = await Indexer(store).rebuild()
    assert (done.sessions, done.documents, done.vectors) == (2, 2, 2)
    assert {each.id for each in await found(store, "zither")} == {session.id for session in sessions}
    again = await Indexer(store).rebuild()
    assert (again.sessions, again.documents, again.vectors) == (2, 2, 0)


async def test_a_session_that_goes_meanwhile_is_passed_over(store: Store) -> None:
    kept, gone = await add_sessions(store, ["It does not print", "It does not scan"])

    class Removing(CountingEmbedder):
        async def embed(self, texts: Sequence[str]) -> list[Vector | None]:
            await remove_session(store, gone)
            return await super().embed(texts)

    indexer = Indexer(store, Removing("one"))
    assert (await indexer.rebuild()).vectors == 1
    (space,) = await indexer.spaces()
    assert await indexer.in_space(space, [kept, gone]) == {kept.id}


async def test_two_walks_at_once_end_in_one_space(store: Store) -> None:
    sessions = await add_sessions(store, [f"It does not print on page {number}" for number in range(7)])
    indexer = Indexer(store)
    await asyncio.gather(indexer.rebuild(), indexer.rebuild())
    (space,) = await indexer.spaces()
    assert (space.state, len(await indexer.in_space(space, sessions))) == ("active", 7)


# What people say in a session that is a chat, wherever they say it.


async def chat(store: Store, text: str = "It does not print") -> Session:
    (session,) = await add_sessions(store, [text], session_type="chat")
    return session


def messages_of(store: Store) -> MessageService:
    return MessageService(store.transactions, store.clock, SizeLimits(), Titling(is_on=False))


async def test_what_is_said_in_a_chat_is_found_and_what_is_taken_back_is_not(store: Store) -> None:
    session = await chat(store)
    service = messages_of(store)
    first = await service.post(ANN, session.conversation_id, NewMessage(content="the bassoon"))
    await service.post(ANN, session.conversation_id, NewMessage(content="the kazoo"))
    assert [each.id for each in await found(store, "bassoon kazoo")] == [session.id]
    await service.delete(ANN, session.conversation_id, first.id)
    assert await found(store, "bassoon") == []
    assert [each.id for each in await found(store, "kazoo print")] == [session.id]


async def test_only_what_people_chat_in_chats_is_found(store: Store) -> None:
    session, (guided,) = await chat(store), await add_sessions(store, ["It does not scan"])
    service = messages_of(store)
    await service.post(ANN, session.conversation_id, NewMessage(content="bassoon", message_type="note"))
    await service.post(ANN, guided.conversation_id, NewMessage(content="bassoon"))
    assert await found(store, "bassoon") == []


async def test_a_document_made_anew_has_what_was_said_in_its_order(store: Store) -> None:
    session = await chat(store)
    service = messages_of(store)
    for content in ("the bassoon", "a kazoo"):
        await service.post(ANN, session.conversation_id, NewMessage(content=content))
    said = select(session_documents.c.said, session_documents.c.is_current)
    before = [tuple(row) for row in await store.database.rows(said)]
    await Indexer(store).rebuild()
    after = [tuple(row) for row in await store.database.rows(said)]
    assert after == before == [(" the bassoon a kazoo", True)]


async def test_what_is_said_while_a_document_is_made_anew_is_not_lost(store: Store) -> None:
    session = await chat(store)
    said = message(store, "bassoon")
    async with store.transactions.write("default") as tx:
        tx.messages.add(StoredMessage(conversation_id=session.conversation_id, message=said, debug_data={}))
        await tx.overheard.said(StoredMessage(conversation_id=session.conversation_id, message=said, debug_data={}))
        tx.searches.outdate()

    async def post() -> None:
        service = messages_of(store)
        for number in range(20):
            await service.post(ANN, session.conversation_id, NewMessage(content=f"kazoo{number}"))

    async def rebuild() -> None:
        for _ in range(5):
            await Indexer(store).rebuild()

    await asyncio.gather(post(), rebuild())
    assert [each.id for each in await found(store, "bassoon kazoo0 kazoo19")] == [session.id]
    await Indexer(store).rebuild()
    assert [each.id for each in await found(store, "bassoon kazoo0 kazoo19")] == [session.id]


async def test_jobs_are_bound_to_their_workspace(store: Store) -> None:
    (theirs,) = await add_sessions(store, ["It does not print"], "elsewhere")
    await store.database.transact(lambda connection: connection.execute(update(jobs).values(workspace_id="default")))
    indexer = Indexer(store)
    await indexer.work()
    (space,) = await indexer.spaces()
    assert await indexer.in_space(space, [theirs]) == set()
    assert await store.database.rows(select(embeddings.c.session_id)) == []


async def test_what_was_said_goes_with_messages_that_are_too_old(store: Store) -> None:
    session = await chat(store)
    service = messages_of(store)
    await service.post(ANN, session.conversation_id, NewMessage(content="bassoon"))
    before = store.clock.now() + timedelta(seconds=1)
    removed = await SqlAgedMessages(store.database).remove("default", session.conversation_id, before, 10)
    assert removed == 1
    assert await found(store, "bassoon") == []
    assert WALK_JOB in await Indexer(store).work()
    assert [each.id for each in await found(store, "print")] == [session.id]
    current = await store.database.rows(select(session_documents.c.is_current))
    assert [tuple(row) for row in current] == [(True,)]


def test_sessions_from_before_are_taken_in(database_url: str, tmp_path: Path) -> None:
    settings = Settings.of(data_root=tmp_path, db=db_of(database_url))

    async def begin() -> None:
        async with open_store(database_url) as store:
            await add_sessions(store, ["The zither buzzes", "The zither is out of tune"])

    async def look() -> None:
        async with open_store(database_url) as store:
            assert await found(store, "zither") == []
            assert WALK_JOB in await Indexer(store).work()
            assert len(await found(store, "zither")) == 2

    asyncio.run(begin())
    migrations.downgrade(settings, "0017")
    migrations.upgrade(settings)
    asyncio.run(look())
