"""Search and similarity of sessions over HTTP. The numbers are those of the specification (16)."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update
from tests.support.bad_input import field_of
from tests.support.databases import open_store
from tests.support.searching import add_sessions
from tests.support.service import Service, running_service
from tests.support.troubleshooting import (
    ESCALATION,
    REPORT,
    SESSIONS,
    SOLVED,
    act,
    by_hand,
    done,
    respond,
    start,
    start_chat,
)
from tests.support.usage import no_books

from workbench.adapters.clock import SystemClock
from workbench.adapters.embeddings.chosen import ChosenEmbedders
from workbench.adapters.embeddings.hashed import HashedEmbedder
from workbench.adapters.sql.session_tables import sessions
from workbench.domain.troubleshooting.embedding import EmbeddingService
from workbench.domain.troubleshooting.indexing import IndexingService, Pace

ZITHER = "The zither in the music room buzzes on the lowest string"
LIKE_IT = "A zither in the music room buzzes again, on the lowest string"
SOLUTION = {**SOLVED, "resolution_summary": "Tightened the bridge of the zither"}


async def found(who: httpx.AsyncClient, query: str, **more: Any) -> list[dict[str, Any]]:
    answer = await who.get(f"{SESSIONS}/search", params={"q": query, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def similar(who: httpx.AsyncClient, path: str, **more: Any) -> list[dict[str, Any]]:
    answer = await who.get(f"{path}/similar", params=more)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def set_down(service: Service, texts: list[str]) -> list[str]:
    """Sessions of Ann's, more than she may begin in a minute; their ids, the oldest first."""
    async with open_store(service.database_url, SystemClock()) as store:
        return [str(each.id) for each in await add_sessions(store, texts, service.workspace())]


async def compared(service: Service, workspace: str = "default") -> None:
    """Have all vectors made that the service's jobs will make in some seconds."""
    async with open_store(service.database_url, SystemClock()) as store:
        embedding = EmbeddingService(
            store.transactions, ChosenEmbedders(HashedEmbedder()), no_books(store.clock), store.clock
        )
        indexing = IndexingService(store.transactions, embedding, store.clock, Pace())
        async for _ in indexing.rebuild(service.workspace(workspace)):
            pass


async def test_47_what_one_owns_handles_and_handled_is_found_and_nobody_elses(service: Service) -> None:
    ann, bob, cleo = service.user(), service.user("bob"), service.user("cleo")
    owned = await by_hand(ann, ZITHER)
    handled = await by_hand(bob, LIKE_IT)
    await by_hand(cleo, ZITHER)
    await done(bob, handled["path"], "escalate")
    assert [each["id"] for each in await found(ann, "zither buzzes")] == [owned["session_id"]]
    await done(ann, handled["path"], "pickup")
    assert {each["id"] for each in await found(ann, "zither buzzes")} == {owned["session_id"], handled["session_id"]}
    assert [each["id"] for each in await found(bob, "zither buzzes")] == [handled["session_id"]]
    assert await found(service.user("dan"), "zither buzzes") == []
    assert await found(service.admin(), "zither buzzes") == []
    assert await found(service.user("ann", "elsewhere"), "zither buzzes") == []


async def test_47_who_is_named_to_take_it_over_finds_it_until_that_is_withdrawn(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    (await bob.get("/users/me")).raise_for_status()
    session = await by_hand(ann, ZITHER)
    assert (await act(ann, session["path"], "escalate", {**ESCALATION, "target_user_id": "bob"})).is_success
    assert [each["id"] for each in await found(bob, "zither")] == [session["session_id"]]
    await done(ann, session["path"], "withdraw-escalation")
    assert await found(bob, "zither") == []


async def test_47_finds_say_where_the_words_are_in_the_text_as_it_was_written(service: Service) -> None:
    ann = service.user()
    session = await by_hand(ann, f"\U0001f600 Größe: {ZITHER}. DNS_PROBE failed", title="Zithers buzzing")
    step = session["first_step"]
    await respond(ann, session["path"], step, free_text="Changed the strings of the zither")
    (item,) = await found(ann, "zither")
    assert (item["title"], item["status"], item["session_type"]) == ("Zithers buzzing", "active", "guided")
    assert item["score"] > 0
    marked = {
        each["field"]: [each["fragment"][start:end] for start, end in each["ranges"]] for each in item["highlights"]
    }
    assert marked["title"] == ["Zithers"]
    assert all(word.lower().startswith("zither") for words in marked.values() for word in words)
    assert len(item["highlights"]) <= 3
    ((probe,),) = [each["highlights"] for each in await found(ann, "dns_probe")]
    assert [probe["fragment"][start:end] for start, end in probe["ranges"]] == ["DNS_PROBE"]
    ((said,),) = [each["highlights"] for each in await found(ann, "changed")]
    assert said["field"] == "said"


@pytest.mark.parametrize(
    "query", ['"', '""', "AND", "NOT *", "**", "((", "a' OR 1", 'zither"', "(zither*)", "^zither", "-zither"]
)
async def test_47_what_is_a_databases_language_is_only_text(service: Service, query: str) -> None:
    ann = service.user()
    await by_hand(ann, ZITHER)
    answer = await ann.get(f"{SESSIONS}/search", params={"q": query.ljust(2)})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["items"]) == int("zither" in query)


@pytest.mark.parametrize("query", ["the of and", "\U0001f600\U0001f600", "--"])
async def test_words_that_say_nothing_find_nothing(service: Service, query: str) -> None:
    ann = service.user()
    await by_hand(ann, ZITHER)
    assert await found(ann, query) == []
    assert (await ann.get(SESSIONS, params={"q": query, "include_total": True})).json() == {
        "items": [],
        "next_cursor": None,
        "total": 0,
    }


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/search", {}),
        ("/search", {"q": "a"}),
        ("/search", {"q": "a" * 201}),
        ("/search", {"q": "ab", "limit": 0}),
        ("/search", {"q": "ab", "limit": 21}),
        ("", {"q": "a"}),
        ("", {"q": "a" * 201}),
        ("/{id}/similar", {"limit": 0}),
        ("/{id}/similar", {"limit": 21}),
    ],
)
async def test_bad_input_names_the_field(sqlite_service: Service, path: str, params: dict[str, Any]) -> None:
    ann = sqlite_service.user()
    session = await by_hand(ann, ZITHER)
    answer = await ann.get(SESSIONS + path.format(id=session["session_id"]), params=params)
    wrong = "limit" if "limit" in params else "q"
    assert (answer.status_code, answer.json()["code"], field_of(answer)) == (400, "validation_error", wrong)


async def test_all_words_count_or_where_no_session_has_them_any_of_them(service: Service) -> None:
    ann = service.user()
    both = await by_hand(ann, "zither bassoon broken")
    one = await by_hand(ann, "zither broken")
    assert [each["id"] for each in await found(ann, "zither bassoon")] == [both["session_id"]]
    assert {each["id"] for each in await found(ann, "zither kazoo")} == {both["session_id"], one["session_id"]}


async def test_46_the_list_takes_words_beside_its_other_filters_and_pages_through_them(service: Service) -> None:
    ann = service.user()
    made = await set_down(service, [f"zither number {number}" for number in range(5)])
    await by_hand(ann, "bassoon")
    first = (await ann.get(SESSIONS, params={"q": "zither", "limit": 3, "include_total": True})).json()
    rest = (await ann.get(SESSIONS, params={"q": "zither", "limit": 3, "cursor": first["next_cursor"]})).json()
    assert [each["id"] for each in [*first["items"], *rest["items"]]] == made[::-1]
    assert (first["total"], rest["next_cursor"]) == (5, None)
    await done(ann, f"{SESSIONS}/{made[0]}", "resolve")
    resolved = (await ann.get(SESSIONS, params={"q": "zither", "status": "resolved"})).json()
    assert [each["id"] for each in resolved["items"]] == [made[0]]
    # No session has all of these; those that have one of them are the same ones on every page.
    first = (await ann.get(SESSIONS, params={"q": "zither kazoo", "limit": 3})).json()
    rest = (await ann.get(SESSIONS, params={"q": "zither kazoo", "limit": 3, "skip": 3})).json()
    assert [each["id"] for each in [*first["items"], *rest["items"]]] == made[::-1]
    over = (await ann.get(SESSIONS, params={"q": "number zither", "limit": 3, "skip": 10})).json()
    assert over["items"] == []


async def test_46_each_filter_counts_alone_and_beside_others(service: Service) -> None:
    ann = service.user()
    plain, guided, talk = await by_hand(ann, "It is slow"), await start(ann), await start_chat(ann)
    await done(ann, plain["path"], "pause")
    ids = {each["session_id"]: name for each, name in ((plain, "plain"), (guided, "guided"), (talk, "talk"))}
    began = {name: (await ann.get(f"{SESSIONS}/{each}")).json()["created_at"] for each, name in ids.items()}

    async def listed(**params: Any) -> list[str]:
        answer = await ann.get(SESSIONS, params={**params, "include_total": True})
        assert answer.json()["total"] == len(answer.json()["items"]), answer.text
        return [ids[each["id"]] for each in answer.json()["items"]]

    assert await listed() == ["talk", "guided", "plain"]
    assert await listed(session_type="chat") == ["talk"]
    assert await listed(session_type="guided") == ["guided", "plain"]
    assert await listed(status="paused") == ["plain"]
    assert await listed(confidence_tier="guided") == ["guided"]
    assert await listed(matched_flow_id=guided["matched_flow_id"]) == ["guided"]
    assert await listed(matched_flow_id=str(uuid4())) == []
    assert await listed(problem_domain="printing", session_type="guided") == ["guided"]
    assert await listed(date_from=began["guided"]) == ["talk", "guided"]
    assert await listed(date_to=began["guided"]) == ["guided", "plain"]
    assert await listed(date_from=began["guided"], date_to=began["guided"]) == ["guided"]
    assert await listed(q="slow") == ["plain"]
    assert await listed(q="slow", status="paused", session_type="guided", role="owner") == ["plain"]
    assert await listed(q="slow", status="active") == []
    assert await listed(confidence_tier="guided", status="paused") == []
    assert await listed(role="handler", date_to=began["plain"]) == ["plain"]


async def test_46_what_began_at_the_same_moment_is_paged_without_gap_or_repeat(service: Service) -> None:
    async with open_store(service.database_url) as store:
        made = await add_sessions(store, [f"zither {number}" for number in range(250)], service.workspace())
    assert len({each.created_at for each in made}) == 1
    ann, cursor, found = service.user(), {}, []
    while True:
        answer = await ann.get(SESSIONS, params={"limit": 33, "include_total": True, **cursor})
        page = answer.json()
        assert page["total"] == 250
        found += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == sorted((str(each.id) for each in made), reverse=True)


async def test_49_static_paths_never_lead_to_a_session(service: Service) -> None:
    ann = service.user()
    assert "items" in (await ann.get(f"{SESSIONS}/search", params={"q": "ab"})).json()
    assert "items" in (await ann.get(f"{SESSIONS}/escalation-queue")).json()
    assert (await ann.delete(f"{SESSIONS}/search")).status_code == 405
    assert (await ann.get(f"{SESSIONS}/not-a-uuid")).status_code == 404
    assert (await ann.get(f"{SESSIONS}/not-a-uuid/similar")).status_code == 404


async def test_50_similar_sessions_say_why_and_those_one_may_not_see_are_left_out(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    asked = await by_hand(ann, ZITHER)
    like = await by_hand(ann, LIKE_IT)
    assert (await act(ann, like["path"], "resolve", SOLUTION)).is_success
    theirs = await by_hand(bob, LIKE_IT)
    await by_hand(ann, "Nobody can sign in to the payroll since Monday morning")
    await compared(service)
    (item,) = await similar(ann, asked["path"])
    assert (item["session_id"], item["redacted"]) == (like["session_id"], False)
    assert item["resolution_summary"] == SOLUTION["resolution_summary"]
    assert {"similar_text", "common_words", "rare_word", "resolved"} <= set(item["why"])
    assert [each["session_id"] for each in await similar(bob, theirs["path"])] == []
    for stranger in (bob, service.admin(), service.user("ann", "elsewhere")):
        refused = await stranger.get(f"{asked['path']}/similar")
        unknown = await stranger.get(f"{SESSIONS}/{uuid4()}/similar")
        assert refused.status_code == unknown.status_code == 404
        assert refused.json()["code"] == unknown.json()["code"] == "session_not_found"


async def test_50_a_session_is_compared_before_it_has_a_vector_of_its_own(service: Service) -> None:
    ann = service.user()
    like = await by_hand(ann, LIKE_IT)
    await compared(service)
    asked = await by_hand(ann, ZITHER)
    (item,) = await similar(ann, asked["path"])
    assert item["session_id"] == like["session_id"]
    assert "similar_text" in item["why"]


async def test_45_a_deleted_session_is_neither_found_nor_similar(service: Service) -> None:
    ann = service.user()
    asked, like = await by_hand(ann, ZITHER), await by_hand(ann, LIKE_IT)
    await compared(service)
    assert len(await similar(ann, asked["path"])) == 1
    await done(ann, like["path"], "delete")
    assert await similar(ann, asked["path"]) == []
    assert [each["id"] for each in await found(ann, "zither")] == [asked["session_id"]]
    assert (await ann.get(f"{like['path']}/similar")).status_code == 404


async def test_a_step_by_hand_names_resolved_sessions_that_are_like_this_one(service: Service) -> None:
    ann = service.user()
    like = await by_hand(ann, LIKE_IT)
    assert (await act(ann, like["path"], "resolve", SOLUTION)).is_success
    await by_hand(ann, LIKE_IT)
    await compared(service)
    asked = await by_hand(ann, ZITHER)
    (named,) = asked["first_step"]["content"]["context"]["similar"]
    assert (named["session_id"], named["resolution_summary"]) == (like["session_id"], SOLUTION["resolution_summary"])
    answered = await respond(ann, asked["path"], asked["first_step"], free_text="Looked at the bridge")
    assert [each["session_id"] for each in answered["next_step"]["content"]["context"]["similar"]] == [
        like["session_id"]
    ]
    done_before, waiting = [step["content"]["context"] for step in (await ann.get(asked["path"])).json()["steps"]]
    assert (done_before, waiting) == ({}, answered["next_step"]["content"]["context"])


async def test_whoever_is_told_of_a_step_by_hand_is_told_what_is_beside_it(service: Service) -> None:
    ann = service.user()
    like = await by_hand(ann, LIKE_IT)
    assert (await act(ann, like["path"], "resolve", SOLUTION)).is_success
    await compared(service)
    asked = await by_hand(ann, f"{ZITHER}. {REPORT}")
    expected = asked["first_step"]["content"]["context"]
    assert [each["session_id"] for each in expected["similar"]] == [like["session_id"]]
    assert [each["key"] for each in expected["candidates"]][:1] == ["printer-offline"]
    first = asked["first_step"]
    answered = await respond(ann, asked["path"], first, free_text="Looked at the bridge")
    again = await respond(ann, asked["path"], first, free_text="Looked at the bridge")
    stale = await ann.post(
        f"{asked['path']}/respond", json={"step_id": first["step_id"], "free_text": "Something else"}
    )
    next_id = answered["next_step"]["step_id"]
    fork = {"step_id": next_id, "fork_from_step_id": first["step_id"], "free_text": "Looked at the strings"}
    forked = await respond(ann, asked["path"], answered["next_step"], **fork)
    told = [answered["next_step"], again["next_step"], stale.json()["extra"]["current_step"], forked["next_step"]]
    assert [each["content"]["context"] for each in told] == [expected] * 4
    steps = (await ann.get(asked["path"])).json()["steps"]
    assert [step["content"]["context"] for step in steps if step["step_id"] == forked["next_step"]["step_id"]] == [
        expected
    ]
    await done(ann, like["path"], "delete")
    *_, shown = (await ann.get(asked["path"])).json()["steps"]
    assert shown["content"]["context"] == {**expected, "similar": []}


async def test_a_step_by_hand_names_what_who_reads_it_may_see(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    like = await by_hand(ann, LIKE_IT)
    assert (await act(ann, like["path"], "resolve", SOLUTION)).is_success
    await compared(service)
    bobs = await by_hand(bob, LIKE_IT)
    assert (await act(bob, bobs["path"], "resolve", SOLUTION)).is_success
    asked = await by_hand(ann, f"{ZITHER}. {REPORT}")
    named = asked["first_step"]["content"]["context"]
    assert [each["session_id"] for each in named["similar"]] == [like["session_id"]]
    assert [each["key"] for each in named["candidates"]][:1] == ["printer-offline"]
    await done(ann, asked["path"], "escalate")
    taken = (await act(bob, asked["path"], "pickup")).json()
    assert taken["next_step"]["step_type"] == "manual"
    shown = taken["next_step"]["content"]["context"]
    assert shown["candidates"] == named["candidates"]
    assert [each["session_id"] for each in shown["similar"]] == [bobs["session_id"]]
    for who, expected in ((bob, [bobs["session_id"]]), (ann, [like["session_id"]])):
        *_, waiting = (await who.get(asked["path"])).json()["steps"]
        context = waiting["content"]["context"]
        assert (context["candidates"], [each["session_id"] for each in context["similar"]]) == (
            named["candidates"],
            expected,
        )
    await done(bob, asked["path"], "resolve")
    assert all(
        step["content"]["context"].get("similar") is None for step in (await bob.get(asked["path"])).json()["steps"]
    )


async def test_what_is_said_in_a_chat_by_the_ordinary_routes_is_found(service: Service) -> None:
    ann = service.user()
    session = await by_hand(ann, ZITHER)
    # Before anybody has said anything there: afterwards it is known what it is.
    async with open_store(service.database_url, SystemClock()) as store:
        chat = update(sessions).where(sessions.c.id == UUID(session["session_id"])).values(session_type="chat")
        await store.database.transact(lambda connection: connection.execute(chat))
    path = f"/conversations/{session['conversation_id']}/messages"
    said = (await ann.post(path, json={"content": "There is a bassoon beside it"})).json()
    (item,) = await found(ann, "bassoon")
    assert [each["field"] for each in item["highlights"]] == ["said"]
    (await ann.delete(f"{path}/{said['id']}")).raise_for_status()
    assert await found(ann, "bassoon") == []


async def test_50_resolved_sessions_of_others_are_redacted_where_the_workspace_shares_them(
    database_url: str, tmp_path: Path
) -> None:
    async with running_service(database_url, tmp_path, sessions={"share_resolutions": ["default"]}) as service:
        ann, bob = service.user(), service.user("bob")
        solved, still_open = await by_hand(bob, LIKE_IT), await by_hand(bob, LIKE_IT)
        assert (await act(bob, solved["path"], "resolve", SOLUTION)).is_success
        asked = await by_hand(ann, ZITHER)
        await compared(service)
        answer = await ann.get(f"{asked['path']}/similar")
        (item,) = answer.json()["items"]
        assert item["redacted"] is True
        assert item["resolution_summary"] == SOLUTION["resolution_summary"]
        assert {"session_id", "title"}.isdisjoint(item)
        assert item["problem_summary"] is None
        for secret in (solved["session_id"], still_open["session_id"], "bob", "music room"):
            assert secret not in answer.text
        assert await found(ann, "bridge") == []


async def test_it_is_said_what_serves(own_service: Service) -> None:
    indexes = (await own_service.client().get("/readyz")).json()["indexes"]
    is_sqlite = own_service.database_url.startswith("sqlite")
    assert indexes == (
        {"words": "fts5", "vectors": "scan"} if is_sqlite else {"words": "tsvector", "vectors": "pgvector"}
    )


def ids_of(items: list[dict[str, Any]]) -> list[str]:
    return [item["session_id"] for item in items]


async def test_50_without_the_extension_there_are_the_same(postgres_url: str, tmp_path: Path) -> None:
    texts = [f"The zither number {number} buzzes on string {number % 7} in room {number % 11}" for number in range(40)]
    async with running_service(postgres_url, tmp_path / "with", limits={"pace": 10}) as service:
        ann = service.user()
        paths = [f"{SESSIONS}/{session_id}" for session_id in await set_down(service, texts)]
        await compared(service)
        with_it = [ids_of(await similar(ann, path, limit=20)) for path in paths[:10]]
        assert all(len(ids) == 20 for ids in with_it)
        assert (await service.client().get("/readyz")).json()["indexes"]["vectors"] == "pgvector"
    async with running_service(
        postgres_url, tmp_path / "without", embeddings={"index": "scan"}, limits={"pace": 10}
    ) as service:
        ann = service.user()
        assert [ids_of(await similar(ann, path, limit=20)) for path in paths[:10]] == with_it
        assert (await service.client().get("/readyz")).json()["indexes"]["vectors"] == "scan"
