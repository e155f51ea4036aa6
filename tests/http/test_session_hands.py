"""Whose a session is, and how it changes hands. The numbers are those of the specification of sessions (16)."""

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from tests.support.bad_input import field_of
from tests.support.service import Service, running_service
from tests.support.troubleshooting import (
    COMPANY,
    ESCALATION,
    SESSIONS,
    act,
    by_hand,
    done,
    member,
    respond,
    session_in,
    start,
)

from workbench.domain.troubleshooting import escalating
from workbench.domain.troubleshooting.transitions import ACTIONS, STATUSES, TABLE

ACTS = [action for action in ACTIONS if action not in {"chat", "link-ticket"}]
QUEUE = f"{SESSIONS}/escalation-queue"


def is_legal(status: str, action: str) -> bool:
    if action == "delete":
        return status not in {"requesting_escalation", "escalated"}
    return status in TABLE[action].sources  # type: ignore[index]


@pytest.mark.parametrize("status", STATUSES)
async def test_17_each_state_allows_what_the_table_says_and_no_more(service: Service, status: str) -> None:
    wrong: list[str] = []
    for number, action in enumerate(ACTS):
        owner, colleague = f"ann-{number}", f"bob-{number}"
        path, handler = await session_in(service, status, owner, colleague)
        who = {"rate": owner, "delete": owner, "pickup": f"cleo-{number}"}.get(action, handler)
        caller = service.user(who)
        detail = await caller.get(path)
        allowed = detail.json()["allowed_actions"] if detail.is_success else ["pickup"] * is_legal(status, action)
        answer = await act(caller, path, action)
        if answer.is_success != is_legal(status, action) or (action in allowed) != is_legal(status, action):
            wrong.append(f"{action}: {answer.status_code} {answer.text[:100]} {allowed}")
        if not answer.is_success and detail.is_success:
            told = answer.json()
            code = "escalation_open" if action == "delete" else "illegal_transition"
            if (answer.status_code, told["code"], told["extra"]["allowed_actions"]) != (409, code, allowed):
                wrong.append(f"{action}: {answer.status_code} {told}")
    assert wrong == []


async def test_18_a_session_goes_on_in_whose_hands_it_was_put_aside(service: Service) -> None:
    path, handler = await session_in(service, "escalated", "ann", "bob")
    bob = service.user(handler)
    await done(bob, path, "pause", "resume")
    assert (await bob.get(path)).json()["status"] == "escalated"


async def test_21_who_may_take_it_over_sees_the_row_and_no_more(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    session = await by_hand(ann)
    await done(ann, session["path"], "escalate")
    (row,) = (await bob.get(QUEUE)).json()["items"]
    assert (row["session_id"], row["reason"], row["urgency"]) == (session["session_id"], ESCALATION["reason"], "normal")
    assert row["packet"]["open_step"] == session["first_step"]["content"]["prompt"]
    assert row["waiting_seconds"] >= 0
    assert (await bob.get(session["path"])).status_code == 404
    assert (await service.user("bob", "elsewhere").get(QUEUE)).json()["items"] == []


async def test_who_takes_it_over_knows_how_many_files_there_are(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    session = await by_hand(ann)
    files = [("files", (name, b"x")) for name in ("a.log", "b.log")]
    (await ann.put(f"/conversations/{session['conversation_id']}/files", files=files)).raise_for_status()
    await done(ann, session["path"], "escalate")
    (row,) = (await bob.get(QUEUE)).json()["items"]
    assert row["packet"]["attachments_count"] == 2
    assert "upload_count" not in (await ann.get(session["path"])).json()["intake_content"]


async def test_reading_a_briefing_is_no_work_that_others_are_told_of(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    session = await by_hand(ann)
    said = {"step_id": session["first_step"]["step_id"], "free_text": "Rebooted it"}
    (await ann.post(f"{session['path']}/respond", json=said)).raise_for_status()
    await done(ann, session["path"], "escalate")
    await done(bob, session["path"], "pickup")
    asked = (await act(bob, session["path"], "escalate")).json()
    assert [step["answer"] for step in asked["packet"]["steps_tried"]] == ["Rebooted it"]
    assert asked["packet"]["steps_tried_count"] == 1
    assert "Done so far (1 step): " in asked["ticket_notes"]
    assert asked["ticket_notes"].count("—") == 1


async def test_long_words_are_cut_for_who_takes_it_over_and_left_whole_in_the_session(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    session = await by_hand(ann)
    said = {"step_id": session["first_step"]["step_id"], "free_text": "It whirrs. " * 700}
    (await ann.post(f"{session['path']}/respond", json=said)).raise_for_status()
    await done(ann, session["path"], "escalate")
    (row,) = (await bob.get(QUEUE)).json()["items"]
    (tried,) = row["packet"]["steps_tried"]
    assert (len(tried["answer"]), tried["answer"][-1]) == (300, "…")
    detail = (await ann.get(session["path"])).json()
    assert detail["steps"][0]["answer"]["text"] == said["free_text"].strip()
    assert detail["escalations"][0]["packet"] == row["packet"]


async def test_a_session_asks_for_colleagues_so_often_and_not_more(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(escalating, "MAX_ESCALATIONS", 2)
    ann = service.user()
    path = (await by_hand(ann))["path"]
    await done(ann, path, "escalate", "withdraw-escalation", "escalate", "withdraw-escalation")
    refused = await act(ann, path, "escalate")
    assert (refused.status_code, refused.json()["code"]) == (409, "escalation_limit")
    assert refused.json()["extra"] == {"limit_escalations": 2}
    assert len((await ann.get(path)).json()["escalations"]) == 2


async def test_22_the_one_who_is_named_reads_it_and_nobody_else_takes_it(service: Service) -> None:
    ann, bob, cleo = (service.user(name) for name in ("ann", "bob", "cleo"))
    assert (await bob.get("/users/me")).status_code == 200
    path = (await by_hand(ann))["path"]
    assert (await act(ann, path, "escalate", {**ESCALATION, "target_user_id": "bob"})).status_code == 200
    detail = (await bob.get(path)).json()
    assert (detail["access"], detail["allowed_actions"]) == ("read", ["pickup"])
    refused = await act(bob, path, "respond")
    assert (refused.status_code, refused.json()["code"]) == (403, "pickup_required")
    assert (await act(cleo, path, "pickup")).status_code == 404
    assert (await cleo.get(QUEUE)).json()["items"] == []
    assert (await bob.get(QUEUE)).json()["items"][0]["is_for_you"] is True
    assert (await act(bob, path, "pickup")).status_code == 200


async def test_23_of_twenty_who_take_it_at_once_one_gets_it(service: Service) -> None:
    ann = service.user()
    session = await by_hand(ann)
    await done(ann, session["path"], "escalate")
    callers = [service.user(f"bob-{number}") for number in range(20)]
    answers = await asyncio.gather(*(act(caller, session["path"], "pickup") for caller in callers))
    assert sorted(each.status_code for each in answers) == [200, *[409] * 19]
    assert {each.json()["code"] for each in answers if each.status_code == 409} == {"already_picked_up"}
    seats = (await ann.get(f"/conversations/{session['conversation_id']}/participants")).json()["participants"]
    people = [seat for seat in seats if seat["role"] == "user"]
    assert len(people) == 2
    winner = people[1]["name"]
    assert {each.json()["extra"]["handler"] for each in answers if each.status_code == 409} == {winner}


async def test_24_after_it_changed_hands_its_owner_reads_and_the_handler_acts(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    session = await by_hand(ann)
    path = session["path"]
    await done(ann, path, "escalate")
    taken = (await act(bob, path, "pickup", {"additional_context": "Seen this before"})).json()
    assert taken["briefing"]["content"]["context"]["additional_context"] == "Seen this before"
    assert taken["next_step"]["content"] == session["first_step"]["content"]
    refused = await act(ann, path, "respond")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_handler")
    detail = (await ann.get(path)).json()
    assert (detail["handler"]["id"], detail["access"]) == ("bob", "read")
    assert (await bob.get(f"{path}/documentation")).status_code == 404
    assert (await ann.get(f"{path}/documentation")).status_code == 200
    stale = await bob.post(
        f"{path}/respond", json={"step_id": session["first_step"]["step_id"], "free_text": "Tried it"}
    )
    assert stale.json()["extra"]["current_step"]["step_id"] == taken["next_step"]["step_id"]
    await respond(bob, path, taken["next_step"], free_text="Replaced the cable")
    messages = (await ann.get(f"/conversations/{session['conversation_id']}/messages")).json()["messages"]
    assert [each["sender"]["participant_id"] for each in messages][-2] == "bob"


@pytest.mark.parametrize("mode", ["review", "fresh"])
async def test_a_colleague_reads_the_briefing_first_or_begins_anew(service: Service, mode: str) -> None:
    ann, bob = service.user(), service.user("bob")
    session = await start(ann)
    path = session["path"]
    second = (await respond(ann, path, session["first_step"]))["next_step"]
    await done(ann, path, "escalate")
    taken = (await act(bob, path, "pickup", {"resume_mode": mode})).json()
    assert taken["briefing"] == taken["next_step"]
    assert taken["session"]["is_branching"] is (mode == "fresh")
    goes_on = (await respond(bob, path, taken["briefing"]))["next_step"]
    expected = second if mode == "review" else session["first_step"]
    assert goes_on["content"] == expected["content"]
    after = await respond(bob, path, goes_on)
    assert after["next_step"]["source"] == "playbook"


async def test_what_was_open_is_kept_for_the_last_of_several_who_take_it_over(service: Service) -> None:
    ann, bob, cleo = (service.user(name) for name in ("ann", "bob", "cleo"))
    session = await start(ann)
    path = session["path"]
    second = (await respond(ann, path, session["first_step"]))["next_step"]
    for who, next_one in ((ann, bob), (bob, cleo)):
        await done(who, path, "escalate")
        taken = (await act(next_one, path, "pickup", {"resume_mode": "review"})).json()
    read = await respond(cleo, path, taken["briefing"])
    assert read["next_step"]["content"] == second["content"]


async def test_25_each_time_it_changes_hands_is_kept(service: Service) -> None:
    ann, bob, cleo = (service.user(name) for name in ("ann", "bob", "cleo"))
    path = (await by_hand(ann))["path"]
    await done(ann, path, "escalate")
    await done(bob, path, "pickup", "escalate")
    await done(cleo, path, "pickup")
    detail = (await bob.get(path)).json()
    assert [each["picked_up_by"] for each in detail["escalations"]] == ["bob", "cleo"]
    assert (await act(bob, path, "pause")).json()["code"] == "not_handler"
    assert (await bob.get(SESSIONS)).json()["items"][0]["handler_id"] == "cleo"
    assert (await bob.get(SESSIONS, params={"role": "handler"})).json()["items"] == []


async def test_26_the_most_urgent_comes_first_then_what_waits_longest(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    order = ["normal", "low", "normal", "critical"]
    paths = [(await by_hand(ann))["path"] for _ in order]
    for path, urgency in zip(paths, order, strict=True):
        assert (await act(ann, path, "escalate", {**ESCALATION, "urgency": urgency})).status_code == 200
    wanted = [f"{SESSIONS}/{row['session_id']}" for row in (await bob.get(QUEUE)).json()["items"]]
    assert wanted == [paths[3], paths[0], paths[2], paths[1]]
    first = (await bob.get(QUEUE, params={"limit": 3})).json()
    rest = (await bob.get(QUEUE, params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [f"{SESSIONS}/{row['session_id']}" for row in [*first["items"], *rest["items"]]] == wanted
    assert rest["next_cursor"] is None
    assert (await ann.get(QUEUE)).json()["items"] == []
    too_much = base64.urlsafe_b64encode(
        b'[99999999999, "2026-01-01T00:00:00Z", "f0000000-0000-4000-8000-000000000001"]'
    )
    for wrong in ("x", too_much.decode()):
        assert field_of(await bob.get(QUEUE, params={"cursor": wrong})) == "cursor"


async def test_of_taking_over_and_going_on_after_all_at_once_one_counts(service: Service) -> None:
    for number in range(10):
        ann, bob = service.user(f"ann-{number}"), service.user(f"bob-{number}")
        path = (await by_hand(ann))["path"]
        await done(ann, path, "escalate")
        kept, taken = await asyncio.gather(act(ann, path, "withdraw-escalation"), act(bob, path, "pickup"))
        assert (kept.status_code, taken.status_code) in {(204, 404), (204, 409), (403, 200), (409, 200)}
        detail = (await ann.get(path)).json()
        assert detail["status"] == ("active" if kept.status_code == 204 else "escalated")


ROUTES: dict[str, Callable[[httpx.AsyncClient, str], Any]] = {
    "detail": lambda who, path: who.get(path),
    "documentation": lambda who, path: who.get(f"{path}/documentation"),
    "status-update": lambda who, path: who.post(f"{path}/status-update", json={"audience": "client"}),
    "respond": lambda who, path: who.post(f"{path}/respond", json={"step_id": str(uuid4()), "free_text": "x"}),
    **{name: lambda who, path, name=name: act(who, path, name) for name in ACTS if name not in {"respond", "delete"}},
    "delete": lambda who, path: who.delete(path),
}


@pytest.mark.parametrize("workspace", ["default", "elsewhere"])
async def test_28_and_29_to_strangers_it_is_as_if_it_were_not_there(service: Service, workspace: str) -> None:
    session = await by_hand(service.user())
    stranger = service.user("dan", workspace)
    for name, ask in ROUTES.items():
        theirs, none = [await ask(stranger, path) for path in (session["path"], f"{SESSIONS}/{uuid4()}")]
        assert (theirs.status_code, theirs.content) == (404, none.content), name
    assert (await service.user().get(session["path"])).json()["status"] == "active"


async def test_30_ids_of_another_workspace_are_as_unknown_as_any(service: Service) -> None:
    ann, neighbour = service.user(), service.user("nell", "elsewhere")
    assert (await neighbour.get("/users/me")).status_code == 200
    path = (await by_hand(ann))["path"]
    answers = [await act(ann, path, "escalate", {**ESCALATION, "target_user_id": who}) for who in ("nell", "nobody")]
    assert [each.json()["code"] for each in answers] == ["invalid_target"] * 2
    assert answers[0].content == answers[1].content
    own = await act(ann, path, "escalate", {**ESCALATION, "target_user_id": "ann"})
    assert (own.status_code, field_of(own)) == (400, "target_user_id")


@pytest.fixture
async def desk(database_url: str, tmp_path: Path) -> AsyncGenerator[Service]:
    """A service whose users are in teams."""
    async with running_service(database_url, tmp_path / "data", auth={"issuers": [COMPANY]}) as service:
        yield service


async def test_21_who_is_not_in_the_team_sees_nothing_of_it(desk: Service) -> None:
    ann, bob, cleo = member(desk, "ann"), member(desk, "bob", "desk", "network"), member(desk, "cleo", "desk")
    session = await by_hand(ann)
    unknown = await act(ann, session["path"], "escalate", {**ESCALATION, "team_id": "network"})
    assert (unknown.status_code, unknown.json()["code"], field_of(unknown)) == (400, "unknown_team", "team_id")
    assert (await bob.get("/users/me")).status_code == 200
    asked = await act(ann, session["path"], "escalate", {**ESCALATION, "team_id": "network"})
    assert asked.status_code == 200
    (row,) = (await bob.get(QUEUE)).json()["items"]
    assert (row["session_id"], row["team_id"], row["is_for_you"]) == (session["session_id"], "network", False)
    for outsider in (cleo, member(desk, "dan"), member(desk, "eve", "network", roles=())):
        queue = await outsider.get(QUEUE)
        assert queue.status_code == 403 or queue.json()["items"] == []
        assert (await act(outsider, session["path"], "pickup")).status_code in (403, 404)
    assert (await act(cleo, session["path"], "pickup")).status_code == 404
    assert (await act(bob, session["path"], "pickup")).status_code == 200
    told = (await ann.get(session["path"])).json()["escalations"]
    assert [(each["team_id"], each["state"]) for each in told] == [("network", "picked_up")]


async def test_a_named_colleague_takes_it_whatever_team_they_are_in(desk: Service) -> None:
    ann, bob, cleo = member(desk, "ann"), member(desk, "bob", "desk"), member(desk, "cleo", "network")
    for each in (bob, cleo):
        assert (await each.get("/users/me")).status_code == 200
    path = (await by_hand(ann))["path"]
    asked = {**ESCALATION, "target_user_id": "bob", "team_id": "network"}
    assert (await act(ann, path, "escalate", asked)).status_code == 200
    assert (await cleo.get(QUEUE)).json()["items"] == []
    assert (await bob.get(QUEUE)).json()["items"][0]["is_for_you"] is True
    assert (await act(bob, path, "pickup")).status_code == 200


async def test_who_did_not_work_on_sessions_when_they_were_last_here_is_not_asked_for(desk: Service) -> None:
    ann = member(desk, "ann")
    assert (await member(desk, "eve", roles=()).get("/users/me")).status_code == 200
    path = (await by_hand(ann))["path"]
    asked = {**ESCALATION, "target_user_id": "eve"}
    refused = await act(ann, path, "escalate", asked)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_target")
    assert (await member(desk, "eve").get("/users/me")).json()["name"] == "Eve"
    assert (await act(ann, path, "escalate", asked)).status_code == 200


async def test_45_what_is_deleted_is_gone_for_everybody_at_once(service: Service) -> None:
    ann, bob, dan = service.user(), service.user("bob"), service.user("dan")
    session, kept = await start(ann), await start(ann)
    conversation = f"/conversations/{session['conversation_id']}"
    share = {"conversation_id": session["conversation_id"], "label": "", "conversation_permission": "read"}
    shared = (await ann.post("/conversation-shares", json=share)).json()["id"]
    assert (await service.user("eli").post(f"/conversation-shares/{shared}/redemptions")).status_code == 200
    await done(ann, session["path"], "escalate")
    await done(bob, session["path"], "pickup", "resolve")
    await done(ann, session["path"], "delete")
    for who in (ann, bob):
        found = [
            (await who.get(path)).status_code for path in (session["path"], conversation, f"{conversation}/messages")
        ]
        assert found == [404, 404, 404]
    assert (await act(ann, session["path"], "delete")).status_code == 404
    assert (await act(bob, session["path"], "reopen")).status_code == 404
    assert [each["id"] for each in (await ann.get(SESSIONS)).json()["items"]] == [kept["session_id"]]
    assert (await bob.get(SESSIONS)).json()["items"] == []
    listed = (await ann.get("/conversations")).json()["conversations"]
    assert [each["id"] for each in listed] == [kept["conversation_id"]]
    assert (await dan.post(f"/conversation-shares/{shared}/redemptions")).status_code == 404


async def test_32_who_does_not_work_on_sessions_begins_none(sqlite_url: str, tmp_path: Any) -> None:
    secret = "s" * 32
    issuer = {"name": "company", "secret": secret, "engineer_role": "Engineer", "author_role": "Author"}
    async with running_service(sqlite_url, tmp_path / "data", auth={"issuers": [issuer]}) as service:

        def user(*roles: str) -> httpx.AsyncClient:
            claims = {"sub": "eve", "name": "Eve", "exp": 4_000_000_000, "roles": list(roles)}
            token = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret))
            return service.client(Authorization=f"Bearer {token}")

        path = (await by_hand(user("Engineer")))["path"]
        refused = await user().post(SESSIONS, json={"intake_content": {"text": "It is slow"}})
        assert (refused.status_code, refused.json()["code"]) == (403, "role_required")
        assert (await user().get(path)).json()["allowed_actions"] == ["delete"]
        assert (await user().post("/playbooks/printer-offline/archive")).json()["code"] == "role_required"
        assert (await user("Author").post("/playbooks/printer-offline/archive")).status_code == 200
        assert (await user().get("/playbooks/printer-offline")).status_code == 404


async def test_37_the_sixth_start_in_a_minute_is_too_many_for_one_person_and_route(service: Service) -> None:
    ann = service.user()
    for _ in range(5):
        await by_hand(ann)
    refused = await ann.post(SESSIONS, json={"intake_content": {"text": "It is slow"}})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert len((await ann.get(SESSIONS)).json()["items"]) == 5
    await by_hand(service.user("bob"))


async def paged(who: httpx.AsyncClient) -> list[str]:
    """The ids of all sessions, a few at a time."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await who.get(SESSIONS, params={"limit": 4, **cursor})).json()
        found += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def test_46_lists_are_filtered_and_paged(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    mine = [(await by_hand(ann, f"Number {number} is slow"))["session_id"] for number in range(4)]
    guided = await start(ann)
    await done(ann, f"{SESSIONS}/{mine[0]}", "pause")
    theirs = (await by_hand(bob))["path"]
    await done(bob, theirs, "escalate")
    await done(ann, theirs, "pickup")

    async def found(**params: Any) -> list[str]:
        answer = await ann.get(SESSIONS, params=params)
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["items"]]

    everything = [theirs.rpartition("/")[2], guided["session_id"], *reversed(mine)]
    assert await found() == everything
    assert await found(role="owner") == everything[1:]
    assert await found(role="handler") == everything
    assert await found(status=["paused", "escalated"]) == [everything[0], mine[0]]
    assert await found(problem_domain="printing") == [guided["session_id"]]
    assert await found(matched_flow_id=guided["matched_flow_id"], confidence_tier="guided") == [guided["session_id"]]
    assert await found(date_from="2100-01-01T00:00:00") == []
    assert await found(date_to="2100-01-01T00:00:00", session_type="guided") == everything
    assert await found(skip=2, limit=2) == everything[2:4]
    assert (await ann.get(SESSIONS, params={"include_total": True, "limit": 1})).json()["total"] == 6
    assert await paged(ann) == everything
    for wrong in ({"limit": 0}, {"status": "open"}, {"cursor": "x"}):
        assert (await ann.get(SESSIONS, params=wrong)).status_code == 400
    backwards = {"date_from": "2026-01-02T00:00:00", "date_to": "2026-01-01T00:00:00"}
    assert field_of(await ann.get(SESSIONS, params=backwards)) == "date_from"


async def test_49_names_of_routes_are_no_sessions(sqlite_service: Service) -> None:
    ann = sqlite_service.user()
    assert (await ann.get(QUEUE)).json() == {"items": [], "next_cursor": None}
    assert (await ann.get(f"{SESSIONS}/not-a-uuid")).status_code == 404
