"""Sessions as they are shown, on both databases: lists tell what details tell, and take as many statements for many as for one."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
from tests.contracts.test_generating import ANN, service_on
from tests.support.databases import Store
from tests.support.playbooks import playbook
from tests.support.searching import add_sessions
from tests.support.session_rows import a_connection, a_push, a_step, an_escalation

from workbench.adapters.embeddings.chosen import ChosenEmbedders
from workbench.adapters.embeddings.hashed import HashedEmbedder
from workbench.domain.identity.model import Principal
from workbench.domain.ids import new_id
from workbench.domain.playbooks.answers import Reading
from workbench.domain.playbooks.confidence import Thresholds
from workbench.domain.playbooks.ports import Starters
from workbench.domain.playbooks.shelf import Shelves
from workbench.domain.troubleshooting.by_hand import ByHandService
from workbench.domain.troubleshooting.guides import Guides
from workbench.domain.troubleshooting.lanes import Lane
from workbench.domain.troubleshooting.likening import LikeningService, SharingPolicy
from workbench.domain.troubleshooting.model import Branch, Session
from workbench.domain.troubleshooting.ports import SessionFilter, StoredLane
from workbench.domain.troubleshooting.prose import ProseService
from workbench.domain.troubleshooting.sourcing import SupplyService
from workbench.domain.troubleshooting.telling import TellingPolicy, TellingService
from workbench.domain.troubleshooting.views import ListedSession, SessionDetail

BOB = msgspec.structs.replace(ANN, id="bob")
ONLY_IN_DETAIL = {"steps", "conversation_messages", "pending_task_lane"}
PAGE = 8
"""Statements that a page takes: the sessions, their escalations, who takes part, branches, open steps, lanes, notes to
tickets, and their versions once more."""


class NoPolisher:
    """Nothing is rephrased here."""

    async def polished(self, *asked: Any) -> str:
        raise AssertionError(asked)


def by_hand_on(store: Store, *, shares: bool = False) -> ByHandService:
    likening = LikeningService(
        store.transactions, ChosenEmbedders(HashedEmbedder()), SharingPolicy(everywhere=shares), store.clock
    )
    starters = Starters(texts={}, documents={"printer-offline": playbook()})
    guides = Guides(Shelves(starters), Thresholds())
    contents: Any = None  # no file is read here
    return ByHandService(store.transactions, guides, SupplyService(likening, contents), likening)


def telling(store: Store, *, shares: bool = False) -> TellingService:
    polisher: Any = NoPolisher()
    prose = ProseService(store.transactions, service_on(store), polisher, store.clock)
    return TellingService(store.transactions, store.clock, TellingPolicy(), prose, by_hand_on(store, shares=shares))


async def page(store: Store, who: Principal = ANN, **more: Any) -> list[ListedSession]:
    return (await telling(store).page(who, SessionFilter(person_id=who.id), **{"limit": 100, **more})).items


async def with_all(store: Store, sessions: Sequence[Session]) -> None:
    """Give each all that may belong to a session."""
    now = store.clock.now()
    async with store.transactions.write("default") as tx:
        for each in sessions:
            root = each.active_branch_id or new_id()
            for number, state in enumerate(("withdrawn", "open")):
                asked = {"id": new_id(), "requested_by": "ann", "state": state, "reason": f"Reason {number}"}
                tx.escalations.add(each.id, an_escalation(now + timedelta(seconds=number), **asked))
            tx.session_steps.add(each.id, a_step(now, id=new_id(), branch_id=root))
            tx.lanes.put(each.id, StoredLane(rev=1, lane=Lane()), 0)
            for number, status in enumerate(("failed", "pending")):
                at = {"id": new_id(), "session_id": each.id, "created_at": now + timedelta(seconds=number)}
                tx.pushes.add(a_push(now, **at, status=status, dedupe_key=f"{each.id} {number}"), ["ann"])


async def connected(store: Store) -> None:
    async with store.transactions.write("default") as tx:
        tx.ticket_systems.add(a_connection(store.clock.now()), "1:sealed")


async def test_a_page_of_a_hundred_takes_as_many_statements_as_a_page_of_one(store: Store) -> None:
    await connected(store)
    await with_all(store, await add_sessions(store, ["It is slow"] * 100))
    database, taken = store.database, {}
    for limit in (1, 100):
        before = database.written.reads
        assert len(await page(store, limit=limit)) == limit
        taken[limit] = database.written.reads - before
    assert taken == {1: PAGE, 100: PAGE}
    before = database.written.reads
    assert await page(store, msgspec.structs.replace(ANN, id="nobody")) == []
    assert database.written.reads - before == 1


async def test_a_list_tells_of_each_session_what_its_detail_tells(store: Store) -> None:
    await connected(store)
    now = store.clock.now()
    leased = {"lease_key": "k", "lease_until": now + timedelta(minutes=1)}
    plain, whole, left, written = [
        (await add_sessions(store, ["It is slow"], **members))[0]
        for members in ({}, {"status": "requesting_escalation", "handler_id": "bob"}, {}, leased)
    ]
    (chat,) = await add_sessions(store, ["It is slow"], session_type="chat")
    await with_all(store, [whole])
    other, root = new_id(), new_id()
    (forked,) = await add_sessions(store, ["It is slow"], active_branch_id=other)
    async with store.transactions.write("default") as tx:
        tx.session_steps.add(plain.id, a_step(now, branch_id=plain.active_branch_id))
        done = {"answered_at": now, "answered_by": "ann", "reading": Reading(kind="free_text", text="Tried it")}
        tx.session_steps.add(left.id, a_step(now, branch_id=left.active_branch_id, **done))
        # What waits on a way that is not followed any more is not waited for.
        tx.session_steps.branch(forked.id, Branch(id=root, label="Root", created_at=now - timedelta(days=1)))
        tx.session_steps.add(forked.id, a_step(now, branch_id=root))
    told = {item.id: item for item in await page(store)}
    assert {each.id for each in (plain, whole, left, written, chat, forked)} == set(told)
    for session_id, item in told.items():
        detail = await telling(store).detail(ANN, session_id)
        assert same(item) == same(detail)
        assert not any(each.packet for each in item.escalations)
    states = [told[each.id].generation for each in (plain, left, written, chat, forked)]
    assert states == ["idle", "failed", "running", "idle", "failed"]
    assert [each.reason for each in told[whole.id].escalations] == ["Reason 0", "Reason 1"]
    shown = told[whole.id]
    assert (shown.escalation_reason, shown.psa_push_status, shown.task_lane_rev) == ("Reason 1", "pending", 1)
    assert [branch.label for branch in told[forked.id].branches] == ["Root", "Start"]
    assert (told[plain.id].psa_push_status, told[plain.id].task_lane_rev) == ("not_linked", 0)
    assert told[plain.id].allowed_actions[:2] == ["respond", "pause"]
    assert told[whole.id].allowed_actions == []
    (bobs,) = await page(store, BOB)
    assert bobs.allowed_actions == ["withdraw-escalation", "abandon", "link-ticket", "task-lane"]


def same(shown: ListedSession) -> dict[str, Any]:
    """A session as far as lists show it."""
    sent = msgspec.json.decode(msgspec.json.encode(shown))
    told = {name: value for name, value in sent.items() if name not in ONLY_IN_DETAIL}
    escalations = [{**each, "packet": {}} for each in told["escalations"]]
    return {**told, "escalations": escalations, "intake_content": {**told["intake_content"], "text": None}}


def test_a_detail_has_nothing_that_a_list_has_not_but_what_is_named_here() -> None:
    assert {*SessionDetail.__struct_fields__} - {*ListedSession.__struct_fields__} == ONLY_IN_DETAIL


async def test_a_session_that_changes_while_the_page_is_read_is_told_as_it_is_then(store: Store) -> None:
    (session,) = await add_sessions(store, ["It is slow"])
    changes = [msgspec.structs.replace(session, title="Changed", problem_domain="printing")]

    class Changing:
        """A database in which somebody changes the session once, after the sessions of the page were read."""

        def __init__(self, database: Any) -> None:
            self._database = database

        async def rows(self, *asked: Any, **more: Any) -> Any:
            found = await self._database.rows(*asked, **more)
            if changes:
                changed = changes.pop()
                async with store.transactions.write("default") as tx:
                    await tx.sessions.find(session.id)
                    tx.sessions.change(changed)
            return found

        def __getattr__(self, name: str) -> Any:
            return getattr(self._database, name)

    database: Any = Changing(store.database.unobserved)
    other = Store(database, store.clock)
    (item,) = await page(other)
    await other.group.close()
    assert (item.title, item.version) == ("Changed", 1)
