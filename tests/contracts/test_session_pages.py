"""Lists of sessions, page by page, on both databases. The numbers are those of the specification of sessions (16)."""

from uuid import UUID

from tests.support.databases import Store
from tests.support.searching import add_sessions

from workbench.domain.paging import Cursor
from workbench.domain.troubleshooting.ports import SessionFilter, SessionPage

MINE = SessionFilter(person_id="ann")


async def test_46_sessions_of_one_moment_are_paged_without_a_gap_or_a_repeat(store: Store) -> None:
    now = store.clock.now()
    made = await add_sessions(store, ["It is slow"] * 250, created_at=now)
    await add_sessions(store, ["It is slow"] * 3, owner="bob", created_at=now)
    found: list[UUID] = []
    behind: Cursor | None = None
    async with store.transactions.read("default") as tx:
        assert await tx.sessions.count(MINE) == 250
        while page := await tx.sessions.page(MINE, SessionPage(limit=40, behind=behind)):
            found += [each.id for each in page]
            behind = Cursor(created_datetime=page[-1].created_at, id=page[-1].id)
        skipped = await tx.sessions.page(MINE, SessionPage(limit=40, skip=230))
    assert found == sorted((each.id for each in made), reverse=True)
    assert [each.id for each in skipped] == found[230:]
