"""What a workspace decides for itself about its sessions, on both databases: who makes its vectors, and what is told."""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.contracts.test_indexing import CountingEmbedder, Indexer
from tests.support.databases import Store
from tests.support.searching import add_sessions

from workbench.adapters.embeddings.hashed import HASHED
from workbench.adapters.sql.jobs import SqlJobQueue
from workbench.domain.audit.model import Actor
from workbench.domain.embeddings.model import Vector, active_of
from workbench.domain.errors import InvalidError
from workbench.domain.troubleshooting.choices import Choices
from workbench.domain.troubleshooting.choosing import ChoosingService, Effective
from workbench.domain.troubleshooting.documents import EMBED_JOB, WALK_JOB
from workbench.domain.troubleshooting.indexing import Pace
from workbench.domain.troubleshooting.likening import SharingPolicy

OPERATOR = Actor(kind="operator", id="root")
TEXTS = [f"It does not print on page {number}" for number in range(5)]


def choosing(indexer: Indexer, sharing: SharingPolicy | None = None) -> ChoosingService:
    store = indexer.store
    return ChoosingService(store.transactions, indexer.embedders, sharing or SharingPolicy(), store.clock)


def opt_in(store: Store, model: CountingEmbedder, pace: Pace | None = None) -> Indexer:
    """One with a model, which by the settings nobody's texts are sent to."""
    return Indexer(store, model, pace, workspaces=())


async def states(indexer: Indexer) -> dict[str, str]:
    return {space.descriptor.model: space.state for space in await indexer.spaces()}


async def test_texts_are_sent_where_the_workspace_decides_so_and_only_there(store: Store) -> None:
    sessions = await add_sessions(store, TEXTS)
    await add_sessions(store, TEXTS, "elsewhere")
    model = CountingEmbedder("better")
    indexer = opt_in(store, model)
    await indexer.work()
    assert (model.texts, await states(indexer)) == ([], {"words": "active"})
    chosen = await choosing(indexer).choose("default", {"embed_by_model": True}, OPERATOR)
    assert (chosen.own, chosen.embeds) == (Choices(embed_by_model=True), model.descriptor)
    # The old ones serve until the new ones are there.
    assert await states(indexer) == {"words": "active", "better": "building"}
    assert await indexer.work() == [WALK_JOB]
    (space,) = await indexer.spaces()
    assert (space.descriptor, space.state) == (model.descriptor, "active")
    assert await indexer.in_space(space, sessions) == {session.id for session in sessions}
    assert len(model.texts) == len(TEXTS)


async def test_what_is_switched_off_is_off_at_once_even_for_what_waits(store: Store) -> None:
    sessions = await add_sessions(store, TEXTS)
    model = CountingEmbedder("better")
    indexer = opt_in(store, model)
    await choosing(indexer).choose("default", {"embed_by_model": True}, OPERATOR)
    await indexer.work()
    model.texts.clear()
    (late,) = await add_sessions(store, ["It does not scan"])
    await choosing(indexer).choose("default", {"embed_by_model": False}, OPERATOR)
    assert await states(indexer) == {"better": "active", "words": "building"}
    await indexer.work()
    (space,) = await indexer.spaces()
    assert (space.descriptor, space.state) == (HASHED, "active")
    assert await indexer.in_space(space, [*sessions, late]) == {session.id for session in [*sessions, late]}
    assert model.texts == []


@pytest.mark.parametrize("first", [True, False])
async def test_a_walk_during_which_it_is_decided_otherwise_ends_with_whole_spaces(store: Store, *, first: bool) -> None:
    sessions = await add_sessions(store, TEXTS)

    class Deciding(CountingEmbedder):
        calls = 0

        async def embed(self, texts: Sequence[str]) -> list[Vector | None]:
            self.calls += 1
            if self.calls == 1:
                await choosing(indexer).choose("default", {"embed_by_model": False}, OPERATOR)
            return await super().embed(texts)

    model = Deciding("better")
    indexer = opt_in(store, model, Pace(page=2))
    if not first:
        await indexer.work()
    await choosing(indexer).choose("default", {"embed_by_model": True}, OPERATOR)
    await indexer.work()
    (space,) = await indexer.spaces()
    assert (space.descriptor, space.state) == (HASHED, "active")
    assert await indexer.in_space(space, sessions) == {session.id for session in sessions}
    # What was under way when it was decided cannot be called back; nothing follows it.
    assert model.calls == 1


async def test_what_came_while_it_was_off_is_there_when_it_is_on_again(store: Store) -> None:
    sessions = await add_sessions(store, TEXTS)
    model = CountingEmbedder("better")
    indexer = opt_in(store, model)
    await choosing(indexer).choose("default", {"embed_by_model": True}, OPERATOR)
    await indexer.work()
    await choosing(indexer).choose("default", {"embed_by_model": False}, OPERATOR)
    (late,) = await add_sessions(store, ["It does not scan"])
    for job in await SqlJobQueue(store.database).claim([EMBED_JOB], store.clock.now(), 10):
        await indexer.do(job)
    await choosing(indexer).choose("default", {"embed_by_model": True}, OPERATOR)
    await indexer.work()
    space = active_of(await indexer.spaces())
    assert space is not None
    assert space.descriptor == model.descriptor
    assert await indexer.in_space(space, [*sessions, late]) == {session.id for session in [*sessions, late]}


async def test_nobody_opts_in_to_a_model_that_is_not_there(store: Store) -> None:
    service = choosing(Indexer(store))
    with pytest.raises(InvalidError) as refused:
        await service.choose("default", {"embed_by_model": True, "share_resolutions": True}, OPERATOR)
    assert (refused.value.error_code, refused.value.field) == ("no_embedding_model", "embed_by_model")
    assert (await service.of_workspace("default")).own == Choices()
    await service.choose("default", {"embed_by_model": False}, OPERATOR)
    assert (await service.of_workspace("default")).own == Choices(embed_by_model=False)


async def test_each_workspace_decides_for_itself_and_the_settings_for_the_rest(store: Store) -> None:
    indexer = opt_in(store, CountingEmbedder("better"))
    service = choosing(indexer, SharingPolicy(workspaces=frozenset({"acme"})))

    async def holds(workspace: str) -> tuple[Any, Any, Effective]:
        found = await service.of_workspace(workspace)
        return found.own.share_resolutions, found.own.embed_by_model, found.effective

    shares, keeps = (
        Effective(share_resolutions=True, embed_by_model=False),
        Effective(share_resolutions=False, embed_by_model=False),
    )
    assert [await holds(each) for each in ("acme", "default")] == [(None, None, shares), (None, None, keeps)]
    await service.choose("acme", {"share_resolutions": False}, OPERATOR)
    await service.choose("default", {"share_resolutions": True}, OPERATOR)
    assert [await holds(each) for each in ("acme", "default")] == [(False, None, keeps), (True, None, shares)]
    await service.choose("acme", {"share_resolutions": None, "embed_by_model": True}, OPERATOR)
    assert await holds("acme") == (None, True, Effective(share_resolutions=True, embed_by_model=True))
    assert await holds("elsewhere") == (None, None, keeps)
