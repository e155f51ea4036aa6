"""Sessions found by words, the same ones on both databases: the sets that are expected here are one list for both."""

import sqlite3

import msgspec
from sqlalchemy import text
from sqlalchemy.engine import make_url
from tests.support.databases import Store, open_store
from tests.support.searching import add_sessions, remove_session
from tests.support.sessions import escalation

from workbench.domain.ids import new_id
from workbench.domain.playbooks.answers import Answer, read_answer
from workbench.domain.playbooks.steps import manual_step
from workbench.domain.troubleshooting.model import Intake, Resolution, Session, SessionStep
from workbench.domain.troubleshooting.searching import Wanted, search_terms

CORPUS = {
    "printer": "The printer on floor 2 shows offline, and jobs are stuck in the queue.",
    "dns": "DNS_PROBE_FINISHED_NXDOMAIN when opening intranet.corp.example",
    "dns-words": "The probe of the dns server finished late",
    "vpn": "VPN drops every 10 minutes since the update; error 0x80070005 on SRV-01.corp",
    "mail": "Outlook asks for the password again and again, mails are not sent",
    "account": "Ana's account is locked out after the password was changed",
    "cjk": "打印机无法打印, VPN连接失败",
    "accents": "Café Größe: résumé cannot be opened in STRASSE.docx",
    "plain": "The resume cannot be opened",
    "odd": "1e5 0x1F e2e ½ ² ١٢٣ naïve \U0001f600 AND OR NOT NEAR",
    "lone": "quotes \" and * and ( and ' and : and -",
    "repeat": "slow slow slow network network",
}
QUERIES: dict[str, set[str]] = {
    "printer": {"printer"},
    "printers offline": {"printer"},
    "print": {"printer"},
    "DNS_PROBE": {"dns"},
    "probe dns": {"dns", "dns-words"},
    "srv-01.corp": {"vpn"},
    "0x80070005": {"vpn"},
    "password": {"mail", "account"},
    "password chang": {"account"},
    "打印机": {"cjk"},
    "VPN连接": {"cjk"},
    "café": {"accents"},
    "cafe": set(),
    "GRÖSSE strasse": {"accents"},
    "resume": {"plain"},
    "résumé": {"accents"},
    "1e5": {"odd"},
    '"AND" near': {"odd"},
    "١٢": {"odd"},
    "slow net": {"repeat"},
}
"""Each with what it finds where all of its words are there."""


async def filled(store: Store, owner: str = "ann") -> dict[str, Session]:
    sessions = await add_sessions(store, list(CORPUS.values()), owner=owner)
    return dict(zip(CORPUS, sessions, strict=True))


async def found(
    store: Store, query: str, person: str = "ann", *, any_of: bool = False, limit: int = 50
) -> list[Session]:
    wanted = Wanted(terms=tuple(search_terms(query)), any_of=any_of)
    async with store.transactions.read("default") as tx:
        return [each.session for each in await tx.searches.find(person, wanted, limit)]


async def test_48_the_same_queries_find_the_same_sessions_on_both(store: Store) -> None:
    names = {session.id: name for name, session in (await filled(store)).items()}
    assert len(QUERIES) == 20
    answers = {query: {names[each.id] for each in await found(store, query)} for query in QUERIES}
    assert answers == QUERIES


async def test_48_any_of_the_words_is_the_same_on_both(store: Store) -> None:
    names = {session.id: name for name, session in (await filled(store)).items()}
    assert {names[each.id] for each in await found(store, "printer password zither", any_of=True)} == {
        *("printer", "mail", "account")
    }


async def test_47_a_title_counts_more_than_a_solution_and_that_more_than_a_report(store: Store) -> None:
    text_of = "The toner is empty, and it said so on Monday"
    (report,) = await add_sessions(store, [text_of])
    (solved,) = await add_sessions(
        store, ["It prints grey pages only"], resolution=Resolution(summary="Changed the toner", action="fixed")
    )
    (titled,) = await add_sessions(store, ["It prints grey pages only"], title="Toner", problem_summary="Grey pages")
    assert [each.id for each in await found(store, "toner")] == [titled.id, solved.id, report.id]


async def test_47_who_may_see_it_is_asked_before_the_best_are_taken(store: Store) -> None:
    await add_sessions(store, ["printer printer printer"] * 30, owner="bob", title="Printer")
    (mine,) = await add_sessions(store, ["Something about a printer and a long story of other things beside it"])
    assert [each.id for each in await found(store, "printer", limit=5)] == [mine.id]
    assert await found(store, "printer", person="cleo") == []


async def test_47_who_may_see_a_session_is_the_same_for_finding_it(store: Store) -> None:
    """Bob asked for help, and Cleo took over; Dora may take over what lies open for her, and Eve may no longer."""
    taken, lying, withdrawn = await add_sessions(store, ["kazoo"] * 3, owner="bob")
    (handled,) = await add_sessions(store, ["kazoo"], owner="bob", handler_id="cleo")
    async with store.transactions.write("default") as tx:
        for session, members in (
            (taken, {"requested_by": "ann", "state": "picked_up", "picked_up_by": "cleo", "target_user_id": "eve"}),
            (lying, {"requested_by": "bob", "target_user_id": "dora"}),
            (withdrawn, {"requested_by": "bob", "state": "withdrawn", "target_user_id": "eve"}),
        ):
            tx.escalations.add(session.id, escalation(id=new_id(), **members))
    names = {taken.id: "taken", lying.id: "lying", withdrawn.id: "withdrawn", handled.id: "handled"}
    visible = {
        person: {names[each.id] for each in await found(store, "kazoo", person)}
        for person in ("ann", "bob", "cleo", "dora", "eve")
    }
    assert visible == {
        "ann": {"taken"},
        "bob": set(names.values()),
        "cleo": {"taken", "handled"},
        "dora": {"lying"},
        "eve": set(),
    }


async def test_the_words_follow_what_is_changed(store: Store) -> None:
    (session,) = await add_sessions(store, ["It does not print"])
    async with store.transactions.write("default") as tx:
        read = await tx.sessions.find(session.id)
        assert read is not None
        tx.sessions.change(msgspec.structs.replace(read, title="Zither", problem_domain="music"))
    assert [each.id for each in await found(store, "zither music print")] == [session.id]
    async with store.transactions.write("default") as tx:
        read = await tx.sessions.find(session.id)
        assert read is not None
        tx.sessions.change(msgspec.structs.replace(read, title=None, problem_domain=None))
    assert await found(store, "zither") == []
    step = SessionStep(
        id=new_id(),
        branch_id=session.active_branch_id or new_id(),
        step_order=1,
        step=manual_step(),
        asked_at=store.clock.now(),
    )
    async with store.transactions.write("default") as tx:
        tx.session_steps.add(session.id, step)
    answered = msgspec.structs.replace(
        step,
        answered_at=store.clock.now(),
        answered_by="ann",
        reading=read_answer(step.step, Answer(free_text="Tuned the bassoon")),
        note="and the kazoo",
    )
    async with store.transactions.write("default") as tx:
        tx.session_steps.change(session.id, answered)
    assert [each.id for each in await found(store, "bassoon kazoo")] == [session.id]


async def test_45_the_words_go_with_the_session(store: Store) -> None:
    sessions = await filled(store)
    await remove_session(store, sessions["printer"])
    assert await found(store, "printer") == []
    left = await store.database.rows(text("SELECT count(*) FROM session_documents"))
    assert left[0][0] == len(CORPUS) - 1


async def test_the_index_of_sqlite_is_whole_after_all_kinds_of_changes(sqlite_url: str) -> None:
    async with open_store(sqlite_url) as store:
        await test_the_words_follow_what_is_changed(store)
        sessions = await filled(store)
        await remove_session(store, sessions["printer"])
    connection = sqlite3.connect(make_url(sqlite_url).database or "")
    connection.execute("INSERT INTO session_words(session_words, rank) VALUES ('integrity-check', 1)")
    connection.close()


async def test_a_long_report_has_an_end(store: Store) -> None:
    words = " ".join(f"w{number}" for number in range(9000))
    (session,) = await add_sessions(store, [f"{words} zither"])
    assert [each.id for each in await found(store, "w5000")] == [session.id]
    assert await found(store, "zither") == []


async def test_words_of_another_workspace_are_not_counted(store: Store) -> None:
    await add_sessions(store, ["zither"] * 3, "elsewhere")
    await add_sessions(store, ["zither bassoon", "bassoon"])
    async with store.transactions.read("default") as tx:
        assert await tx.searches.frequencies(["zither", "bassoon", "kazoo"], 9) == {
            "zither": 1,
            "bassoon": 2,
            "kazoo": 0,
        }
        assert await tx.searches.frequencies(["bassoon"], 1) == {"bassoon": 1}
        assert await tx.searches.count(9) == 2
        assert await tx.searches.count(1) == 1


async def test_fields_of_a_form_are_words_too(store: Store) -> None:
    intake = Intake(text="It does not print", subject="Kazoo", fields={"room": "B-17", "floor": 2, "empty": None})
    (session,) = await add_sessions(store, ["x"], intake=intake)
    for query in ("kazoo", "B-17", "floor B-17"):
        assert ([each.id for each in await found(store, query)] == [session.id]) is (query != "floor B-17")
