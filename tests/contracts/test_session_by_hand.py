"""What is beside a step by hand, on both databases: found once for who is asked it, and looked up for whoever reads it."""

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from tests.contracts.test_generating import ANN
from tests.contracts.test_session_telling import BOB, by_hand_on, telling
from tests.support.databases import Store
from tests.support.searching import add_sessions, remove_session
from tests.support.session_rows import a_step, an_escalation

from workbench.adapters.sql.session_tables import session_steps
from workbench.domain.ids import new_id
from workbench.domain.playbooks.steps import AtHand, LikeSession, NearPlaybook, manual_step
from workbench.domain.troubleshooting.by_hand import SOLVED_KEPT, equipped
from workbench.domain.troubleshooting.model import Resolution, Session

ZITHER = "The zither in the printer offline room hums and the print spooler is stuck"
SOLVED = {"status": "resolved", "resolution": Resolution(summary="Tuned it", action="fixed")}
DETAIL = 9
"""Statements that a detail takes: the session, its escalations, who takes part, branches, steps, messages, the lane, its
newest note to the ticket, and its version once more."""
BESIDE = 3
"""Whether solutions are shared, the sessions that were found, and the playbooks."""


async def asked_by_hand(store: Store, **members: Any) -> Session:
    """A session of Ann's whose open step is by hand."""
    (session,) = await add_sessions(store, [ZITHER], **members)
    step = equipped(manual_step(), session, await by_hand_on(store).look(ANN, session))
    async with store.transactions.write("default") as tx:
        tx.session_steps.add(session.id, a_step(store.clock.now(), branch_id=session.active_branch_id, step=step))
    return session


async def beside(store: Store, session: Session, who: Any = ANN, *, shares: bool = False) -> Any:
    """What is shown beside its open step."""
    detail = await telling(store, shares=shares).detail(who, session.id)
    return detail.steps[-1].content.context


def ids(context: Any) -> list[str]:
    return [each["session_id"] for each in context["similar"]]


async def test_what_was_found_is_looked_up_in_a_statement_each(store: Store) -> None:
    likes = [(await add_sessions(store, [ZITHER], title=f"Number {n}", **SOLVED))[0] for n in range(2)]
    session = await asked_by_hand(store)
    database = store.database
    before = database.written.reads
    shown = await beside(store, session)
    assert database.written.reads - before == DETAIL + BESIDE
    assert sorted(ids(shown)) == sorted(str(each.id) for each in likes)
    (candidate,) = shown["candidates"]
    assert (candidate["key"], candidate["title"]) == ("printer-offline", "Printer offline or not printing")
    named = shown["similar"][0]
    assert (named["redacted"], named["title"][:6], named["resolution_summary"]) == (False, "Number", "Tuned it")
    assert {"rare_word", "resolved"} <= {*named["why"]}
    assert named["score"] > 0
    assert list(shown) == ["candidates", "similar"]


async def test_a_session_is_shown_without_the_similar_ones_that_are_gone_or_begun_again(store: Store) -> None:
    gone, hidden, again, *kept = await add_sessions(store, [ZITHER] * 7, **SOLVED)
    (session,) = await add_sessions(store, [ZITHER])
    found = AtHand(sessions=tuple(LikeSession(session_id=each.id, score=1.0) for each in (gone, hidden, again, *kept)))
    async with store.transactions.write("default") as tx:
        step = msgspec.structs.replace(manual_step(), at_hand=found)
        tx.session_steps.add(session.id, a_step(store.clock.now(), branch_id=session.active_branch_id, step=step))
    await remove_session(store, gone)
    for each, changed in ((hidden, {"deleted_at": store.clock.now()}), (again, {"status": "active"})):
        async with store.transactions.write("default") as tx:
            await tx.sessions.find(each.id)
            tx.sessions.change(msgspec.structs.replace(each, **changed))
    assert ids(await beside(store, session)) == [str(each.id) for each in kept[:3]]


async def test_who_reads_it_is_told_what_they_may_know(store: Store) -> None:
    (like,) = await add_sessions(store, [ZITHER], title="Mine", **SOLVED)
    session = await asked_by_hand(store, status="requesting_escalation")
    async with store.transactions.write("default") as tx:
        tx.escalations.add(session.id, an_escalation(store.clock.now(), requested_by="ann", target_user_id="bob"))
    assert ids(await beside(store, session)) == [str(like.id)]
    assert (await beside(store, session, BOB))["similar"] == []
    (told,) = (await beside(store, session, BOB, shares=True))["similar"]
    assert (told["redacted"], told["resolution_summary"], told["problem_summary"]) == (True, "Tuned it", None)
    assert not {"session_id", "title"} & {*told}


async def test_a_step_of_before_has_nothing_beside_it(store: Store) -> None:
    await add_sessions(store, [ZITHER], **SOLVED)
    session = await asked_by_hand(store)
    of_it = session_steps.c.session_id == session.id
    ((stored,),) = await store.database.rows(select(session_steps.c.step).where(of_it))
    # As steps were stored when nothing was kept with them.
    older = {name: value for name, value in as_json(stored).items() if name != "at_hand"}
    change = update(session_steps).where(of_it).values(step=older)
    await store.database.transact(lambda connection: connection.execute(change))
    assert await beside(store, session) == {"candidates": [], "similar": []}


def as_json(stored: Any) -> dict[str, Any]:
    return msgspec.json.decode(stored) if isinstance(stored, str | bytes) else stored


def test_what_was_found_before_stays_behind_what_is_found_now() -> None:
    made: Any = None
    old, new, both = (LikeSession(session_id=UUID(int=n), score=0.1) for n in range(3))
    before = AtHand(playbooks=(NearPlaybook(key="old", score=1),), sessions=(both, old))
    step = msgspec.structs.replace(manual_step(), at_hand=before)
    now = AtHand(playbooks=(NearPlaybook(key="new", score=1),), sessions=(new, both))
    again = equipped(step, made, now)
    assert again.at_hand == AtHand(playbooks=now.playbooks, sessions=(new, both, old))
    many = AtHand(sessions=tuple(LikeSession(session_id=new_id(), score=1) for _ in range(SOLVED_KEPT)))
    assert equipped(step, made, many).at_hand == many
