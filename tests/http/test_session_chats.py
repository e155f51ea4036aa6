"""Chats of troubleshooting sessions over HTTP. The numbers are those of the specification of sessions (16)."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from dishka import Provider, Scope
from sqlalchemy import update
from tests.support.bad_input import field_of
from tests.support.chat_models import REPLY, ChatModels, service_with
from tests.support.databases import open_store
from tests.support.servers import eventually
from tests.support.service import Service
from tests.support.troubleshooting import (
    FOREIGN,
    REPORT,
    SESSIONS,
    SOLVED,
    act,
    by_hand,
    chat,
    done,
    messages_of,
    start,
    start_chat,
)

from workbench.adapters.clock import SystemClock
from workbench.adapters.sql.turn_tables import turns
from workbench.domain.troubleshooting.transitions import STATUSES, TABLE
from workbench.domain.troubleshooting.writers import ChatResponder, WrittenReply
from workbench.domain.usage.accumulating import Accumulator

SECRET = "sk-planted-by-the-provider-0123456789"
MISSING = UUID(int=7)


def turns_path(session: dict[str, Any]) -> str:
    return f"/conversations/{session['conversation_id']}/turns"


async def usage_of(who: httpx.AsyncClient) -> list[dict[str, Any]]:
    return (await who.get("/usage")).json()["rows"]


# Without a model.


async def test_a_chat_begins_with_what_is_reported_and_has_no_steps(service: Service) -> None:
    ann = service.user()
    session = await start_chat(ann, title="Printing")
    assert (session["session_type"], session["first_step"], session["title"]) == ("chat", None, "Printing")
    assert session["candidates"][0]["key"] == "printer-offline"
    (said,) = await messages_of(ann, session)
    assert (said["content"], said["sender"]["participant_id"]) == (REPORT, "ann")
    detail = (await ann.get(session["path"])).json()
    assert (detail["steps"], detail["generation"]) == ([], "idle")
    assert "chat" in detail["allowed_actions"]
    assert "respond" not in detail["allowed_actions"]


async def test_a_chat_about_what_nothing_fits_begins_only_where_that_is_wished(service: Service) -> None:
    ann = service.user()
    new = {"session_type": "chat", "intake_content": {"text": FOREIGN}}
    refused = await ann.post(SESSIONS, json=new)
    assert (refused.status_code, refused.json()["code"]) == (503, "no_guidance_available")
    assert (await ann.get(SESSIONS)).json()["items"] == []
    assert (await ann.post(SESSIONS, json={**new, "start_mode": "manual"})).status_code == 201


async def test_a_chat_follows_no_playbook(sqlite_service: Service) -> None:
    new = {"session_type": "chat", "intake_content": {"text": REPORT}, "playbook_id": str(MISSING)}
    refused = await sqlite_service.user().post(SESSIONS, json=new)
    assert (refused.status_code, field_of(refused)) == (400, "playbook_id")


async def test_without_a_model_the_reply_names_playbooks(service: Service) -> None:
    ann = service.user()
    session = await start_chat(ann)
    reply = await chat(ann, session["path"])
    flows = reply["suggested_flows"]
    shipped = {each["id"]: each["title"] for each in (await ann.get("/playbooks")).json()["playbooks"]}
    assert shipped[flows[0]["playbook_id"]] == flows[0]["title"]
    assert flows[0]["title"] in reply["content"]
    assert flows[0]["score"] >= 0.35
    assert ("usage" in reply, "fork" in reply, reply["actions"], reply["questions"]) == (False, False, [], [])
    intake, asked, said = await messages_of(ann, session)
    assert [each["content"] for each in (intake, asked, said)] == [REPORT, REPORT, reply["content"]]
    assert said["metadata"]["chat"]["suggested_flows"] == flows
    turn = (await ann.get(f"{turns_path(session)}/{reply['turn_id']}")).json()
    assert (turn["status"], turn["input_message_id"], turn["output_message_id"]) == (
        "finalized",
        asked["id"],
        said["id"],
    )
    assert turn["parts"] == [{"type": "text", "text": reply["content"]}]
    guided = await ann.post(SESSIONS, json={"intake_content": {"text": REPORT}, "playbook_id": flows[0]["playbook_id"]})
    assert guided.status_code == 201
    assert await usage_of(ann) == []


async def test_solved_sessions_are_named_to_who_asks_and_not_in_the_conversation(service: Service) -> None:
    ann = service.user()
    text = "The payroll export hangs at 99 percent with code PX-4711"
    solved = await start(ann, text, start_mode="manual", title="Payroll of Initech")
    (await ann.post(f"{solved['path']}/resolve", json=SOLVED)).raise_for_status()
    session = await start_chat(ann, text, start_mode="manual")
    reply = await chat(ann, session["path"], text)
    assert [(each["session_id"], each["title"], each["resolution"]) for each in reply["similar"]] == [
        (solved["session_id"], "Payroll of Initech", SOLVED["resolution_summary"])
    ]
    said = await messages_of(ann, session)
    assert "look at the similar sessions" in said[-1]["content"]
    assert "Initech" not in str(said)
    assert SOLVED["resolution_summary"] not in str(said)


async def test_what_nothing_matches_is_503_and_nothing_is_kept(service: Service) -> None:
    ann = service.user()
    session = await start_chat(ann)
    before = (await ann.get(session["path"])).json()
    refused = await ann.post(f"{session['path']}/chat", json={"message": FOREIGN})
    assert (refused.status_code, refused.json()["code"]) == (503, "no_guidance_available")
    assert "write in the conversation" in refused.json()["extra"]["hint"]
    assert (await ann.get(session["path"])).json() == before
    assert (await ann.get(turns_path(session))).json()["turns"] == []
    written = await ann.post(f"/conversations/{session['conversation_id']}/messages", json={"content": FOREIGN})
    assert written.status_code == 200


async def test_each_kind_of_session_has_its_own_way_to_go_on(service: Service) -> None:
    ann = service.user()
    guided, talk = await by_hand(ann), await start_chat(ann)
    refused = [
        await ann.post(f"{guided['path']}/chat", json={"message": REPORT}),
        await ann.post(f"{talk['path']}/respond", json={"step_id": guided["first_step"]["step_id"], "free_text": "x"}),
    ]
    assert [(each.status_code, each.json()["code"]) for each in refused] == [(409, "wrong_session_type")] * 2


@pytest.mark.parametrize("status", STATUSES)
async def test_17_a_chat_goes_on_where_the_table_says_so(service: Service, status: str) -> None:
    ann, bob = service.user(), service.user("bob")
    path = (await start_chat(ann))["path"]
    ways: dict[str, tuple[str, ...]] = {
        "active": (),
        "paused": ("pause",),
        "requesting_escalation": ("escalate",),
        "escalated": ("escalate",),
        "resolved": ("resolve",),
        "abandoned": ("abandon",),
    }
    await done(ann, path, *ways[status])
    handler = bob if status == "escalated" else ann
    if status == "escalated":
        await done(bob, path, "pickup")
    detail = (await handler.get(path)).json()
    answer = await act(handler, path, "chat")
    is_legal = status in TABLE["chat"].sources
    assert (answer.is_success, "chat" in detail["allowed_actions"]) == (is_legal, is_legal)
    if not is_legal:
        assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")
        assert answer.json()["extra"]["allowed_actions"] == detail["allowed_actions"]


async def test_29_a_chat_is_its_handlers_alone(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    session = await start_chat(ann)
    absent = await bob.post(f"{SESSIONS}/{MISSING}/chat", json={"message": REPORT})
    refused = await bob.post(f"{session['path']}/chat", json={"message": REPORT})
    assert (refused.status_code, refused.content) == (404, absent.content)
    await done(ann, session["path"], "escalate")
    await done(bob, session["path"], "pickup")
    refused = await ann.post(f"{session['path']}/chat", json={"message": REPORT})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_handler")


async def test_27_who_takes_a_chat_over_is_told_in_it_and_goes_on_in_the_same_conversation(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    session = await start_chat(ann)
    await chat(ann, session["path"])
    await done(ann, session["path"], "escalate")
    taken = await act(
        bob, session["path"], "pickup", {"additional_context": "I know this printer", "resume_mode": "fresh"}
    )
    assert taken.status_code == 200, taken.text
    told = taken.json()
    assert (told["session"]["status"], told["suggested_flows"]) == ("escalated", [])
    assert "I know this printer" in told["content"]
    assert REPORT in told["content"]
    reply = await chat(bob, session["path"])
    said = await messages_of(bob, session)
    assert [each["sender"]["participant_id"] == "bob" for each in said] == [False] * 4 + [True, False]
    assert [said[3]["content"], said[5]["content"]] == [told["content"], reply["content"]]
    turn_ids = [each["turn_id"] for each in (await bob.get(turns_path(session))).json()["turns"]]
    assert turn_ids[:2] == [reply["turn_id"], told["turn_id"]]


# Uploads.


async def test_30_only_files_of_the_sessions_own_conversation_come_with_what_is_said(service: Service) -> None:
    ann = service.user()
    session, other = await start_chat(ann), await start_chat(ann)
    for owner, name in ((session, "a.txt"), (other, "theirs.txt")):
        files = {"files": (name, b"spooler stopped")}
        (await ann.put(f"/conversations/{owner['conversation_id']}/files", files=files)).raise_for_status()
    foreign, absent = [
        await ann.post(f"{session['path']}/chat", json={"message": REPORT, "upload_ids": ["a.txt", name]})
        for name in ("theirs.txt", "none.txt")
    ]
    assert (foreign.status_code, foreign.json()) == (absent.status_code, absent.json())
    assert (absent.status_code, absent.json()["code"], field_of(absent)) == (400, "unknown_upload", "upload_ids")
    assert len(await messages_of(ann, session)) == 1
    reply = await chat(ann, session["path"], upload_ids=["a.txt", "a.txt"])
    assert reply["unread_uploads"] == ["a.txt"]
    assert (await messages_of(ann, session))[1]["filenames"] == ["a.txt"]
    stranger = await service.user("eve").post(
        f"{session['path']}/chat", json={"message": REPORT, "upload_ids": ["none.txt"]}
    )
    assert stranger.status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "message"),
        ({"message": ""}, "message"),
        ({"message": " \n"}, "message"),
        ({"message": "x" * 16_001}, "message"),
        ({"message": "x", "upload_ids": [f"{number}.txt" for number in range(11)]}, "upload_ids"),
        ({"message": "x", "mood": "bad"}, "mood"),
    ],
)
async def test_what_is_amiss_in_a_message_is_refused(sqlite_service: Service, body: dict[str, Any], field: str) -> None:
    ann = sqlite_service.user()
    path = (await start_chat(ann))["path"]
    refused = await ann.post(f"{path}/chat", json=body)
    assert (refused.status_code, refused.json()["code"], field_of(refused)) == (400, "validation_error", field)


async def test_texts_that_no_database_keeps_are_refused(sqlite_service: Service) -> None:
    ann = sqlite_service.user()
    session = await start_chat(ann)
    for field, body in (
        ("message", {"message": "x\0y"}),
        ("upload_ids[0]", {"message": "x", "upload_ids": ["a\0.txt"]}),
    ):
        answer = await ann.post(f"{session['path']}/chat", json=body)
        assert (answer.status_code, field_of(answer)) == (400, field)
    assert len(await messages_of(ann, session)) == 1


async def test_37_ten_messages_a_minute_are_enough(sqlite_service: Service) -> None:
    ann, eve = sqlite_service.user(), sqlite_service.user("eve")
    path = (await start_chat(ann))["path"]
    answers = [await ann.post(f"{path}/chat", json={"message": REPORT}) for _ in range(11)]
    assert [each.status_code for each in answers] == [*[200] * 10, 429]
    assert answers[-1].json()["code"] == "rate_limited"
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert (await ann.get(path)).status_code == 200
    assert (await eve.post(f"{path}/chat", json={"message": REPORT})).status_code == 404


# With a model.


class Talk:
    """Ann's chat with a model."""

    def __init__(self, service: Service, models: ChatModels) -> None:
        self.service = service
        self.models = models
        self.ann = service.user()
        self.session: dict[str, Any] = {}

    @property
    def path(self) -> str:
        return self.session["path"]

    async def begin(self, text: str = FOREIGN) -> "Talk":
        self.session = await start_chat(self.ann, text)
        return self

    async def say(self, message: str = "It is the second time", **more: Any) -> httpx.Response:
        return await self.ann.post(f"{self.path}/chat", json={"message": message, **more})

    async def messages(self) -> list[dict[str, Any]]:
        return await messages_of(self.ann, self.session)


@pytest.fixture
def models() -> ChatModels:
    return ChatModels()


@pytest.fixture
async def talk(database_url: str, tmp_path: Path, models: ChatModels) -> AsyncGenerator[Talk]:
    async with service_with(models, database_url, tmp_path) as service:
        yield await Talk(service, models).begin()


async def test_a_model_replies_in_a_turn_and_what_it_took_is_told(talk: Talk) -> None:
    fork = {"label": "Where", "reason": "Two places", "options": ["Here", "There"]}
    talk.models.replies = [
        {
            "content": "Is the spooler running?",
            "playbook_ids": ["printer-offline", "nowhere"],
            "actions": ["Look at the spooler"],
            "questions": ["Since when?"],
            "fork": fork,
        }
    ]
    reply = (await talk.say(f"{REPORT} password: hunter2")).json()
    assert reply["content"] == "Is the spooler running?"
    assert [flow["title"] for flow in reply["suggested_flows"]] == ["Printer offline or not printing"]
    assert [(each["text"], each["status"]) for each in reply["actions"]] == [("Look at the spooler", "todo")]
    assert [(each["text"], each["status"]) for each in reply["questions"]] == [("Since when?", "open")]
    assert reply["fork"] == fork
    assert reply["usage"]["total_tokens"] > 0
    (row,) = await usage_of(talk.ann)
    taken = (await talk.ann.get(f"{turns_path(talk.session)}/{reply['turn_id']}/usage")).json()
    assert (taken["usage_state"], taken["usage"]) == ("recorded", reply["usage"])
    said = (await talk.messages())[-1]
    assert (row["usage_type"], row["message_id"], row["total_tokens"]) == (
        "chat_message",
        said["id"],
        reply["usage"]["total_tokens"],
    )
    assert said["metadata"]["turn"]["turn_id"] == reply["turn_id"]
    (shown,) = talk.models.shown
    assert shown["report"] == FOREIGN
    assert shown["lines"][-1]["text"].endswith("password: [masked]")
    assert "printer-offline" in [source["id"] for source in shown["sources"]]
    lane = {"actions": reply["actions"], "questions": reply["questions"]}
    assert (await talk.ann.put(f"{talk.path}/task-lane", json=lane)).status_code == 204


FORK = {"label": "Where", "reason": "Two places", "options": ["Here", "There"]}


async def branches(talk: Talk) -> dict[str, str]:
    """The status of each way by its label, and that of the one that is followed."""
    detail = (await talk.ann.get(talk.path)).json()
    active = next(each["label"] for each in detail["branches"] if each["id"] == detail["active_branch_id"])
    return {**{each["label"]: each["status"] for each in detail["branches"]}, "active": active}


async def test_74_a_way_that_a_reply_proposes_becomes_a_branch_once_somebody_picks_it(talk: Talk) -> None:
    talk.models.replies = [{"content": "Here or there?", "fork": FORK}, {"content": "Look here"}, {"content": "There"}]
    turn_id = (await talk.say("Where?")).json()["turn_id"]
    assert await branches(talk) == {"Start": "open", "active": "Start"}
    here = (await talk.say("I look here", fork={"turn_id": turn_id, "option": "Here"})).json()
    assert here["content"] == "Look here"
    assert await branches(talk) == {"Start": "open", "Here": "chosen", "active": "Here"}
    assert (here["session"]["is_branching"], talk.models.shown[-1]["picked"]) == (True, ["Here"])
    await talk.say("Nothing here", fork={"turn_id": turn_id, "option": "There"})
    assert await branches(talk) == {"Start": "open", "Here": "dead_end", "There": "chosen", "active": "There"}
    shown = talk.models.shown[-1]
    assert shown["picked"] == ["There"]
    assert [line["text"] for line in shown["lines"] if line.get("left")] == ["I look here", "Look here"]
    told = (await talk.ann.get(f"{talk.path}/documentation?format=markdown")).text
    sections = dict(part.split("\n\n", 1) for part in told.split("\n## ")[1:])
    assert sections["Steps taken"].split("\n")[:2] == ["1. Where?", "2. Nothing here"]
    assert sections["Ruled out"].strip() == "- I look here"
    await talk.say("Here after all", fork={"turn_id": turn_id, "option": "Here"})
    assert await branches(talk) == {"Start": "open", "Here": "chosen", "There": "dead_end", "active": "Here"}


async def test_74_only_what_a_reply_of_the_session_proposed_can_be_picked(talk: Talk) -> None:
    talk.models.replies = [{"content": "Here or there?", "fork": FORK}, REPLY]
    other = await start_chat(talk.ann, FOREIGN)
    foreign = (await chat(talk.ann, other["path"]))["turn_id"]
    plain = (await talk.say("Where?")).json()["turn_id"]
    before = (await talk.ann.get(talk.path)).json()
    picks = [(foreign, "Here"), ("no-such-turn", "Here"), (plain, "Here")]
    refused = [await talk.say(fork={"turn_id": turn_id, "option": option}) for turn_id, option in picks]
    assert {(each.status_code, each.json()["code"], field_of(each)) for each in refused} == {
        (400, "unknown_fork", "fork.turn_id")
    }
    assert refused[0].json() == refused[1].json()
    at_other = {"message": "x", "fork": {"turn_id": foreign, "option": "Nowhere"}}
    answer = await talk.ann.post(f"{other['path']}/chat", json=at_other)
    assert (answer.status_code, answer.json()["code"], field_of(answer)) == (400, "unknown_option", "fork.option")
    assert (await talk.ann.get(talk.path)).json() == before


async def test_74_what_was_picked_stays_picked_where_the_model_fails(talk: Talk) -> None:
    from pydantic_ai.exceptions import ModelServerError  # noqa: PLC0415 - takes seconds to load

    talk.models.replies = [{"content": "Here or there?", "fork": FORK}, ModelServerError(503, "m"), REPLY]
    turn_id = (await talk.say("Where?")).json()["turn_id"]
    pick = {"turn_id": turn_id, "option": "There"}
    assert (await talk.say("I look there", fork=pick)).status_code == 502
    assert (await talk.say("I look there", fork=pick)).status_code == 200
    assert await branches(talk) == {"Start": "open", "There": "chosen", "active": "There"}
    said = [each["content"] for each in await talk.messages() if each["sender"]["participant_id"] == "ann"]
    assert said == [FOREIGN, "Where?", "I look there"]


async def test_74_a_fork_without_two_ways_is_none(talk: Talk) -> None:
    same, odd = {**FORK, "options": ["Here", " Here "]}, {**FORK, "label": "Wh\x00ere"}
    talk.models.replies = [{"content": "Here", "fork": same}, {"content": "Where?", "fork": odd}]
    assert "fork" not in (await talk.say("One")).json()
    reply = await talk.say("Two")
    assert reply.status_code == 200, reply.text
    assert reply.json()["fork"]["label"] == "Wh\ufffdere"


async def test_a_model_is_shown_what_was_said_and_files_that_are_texts(talk: Talk) -> None:
    files = [("files", ("log.txt", b"spooler stopped")), ("files", ("pixel.png", b"\x89PNG\r\n", "image/png"))]
    (await talk.ann.put(f"/conversations/{talk.session['conversation_id']}/files", files=files)).raise_for_status()
    await talk.say("First")
    reply = (await talk.say("Second", upload_ids=["log.txt", "pixel.png"])).json()
    assert reply["unread_uploads"] == ["pixel.png"]
    shown = talk.models.shown[-1]
    assert [(line["role"], line["text"]) for line in shown["lines"]] == [
        ("person", FOREIGN),
        ("person", "First"),
        ("assistant", REPLY["content"]),
        ("person", "Second"),
    ]
    assert ("upload", "spooler stopped") in [(source["kind"], source["text"]) for source in shown["sources"]]


async def test_55_where_the_model_fails_the_message_stays_and_is_answered_once_it_is_sent_again(
    talk: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    from pydantic_ai.exceptions import ModelServerError  # noqa: PLC0415 - takes seconds to load

    talk.models.replies = [ModelServerError(503, "m", body={"message": SECRET}), REPLY]
    with caplog.at_level(logging.INFO):
        failed = await talk.say()
    assert (failed.status_code, failed.json()["code"], failed.json()["extra"]["kind"]) == (
        502,
        "provider_error",
        "overloaded",
    )
    assert failed.json()["extra"]["retryable"] is True
    assert SECRET not in failed.text + caplog.text
    assert [each["content"] for each in (await talk.messages())][1] == "It is the second time"
    reply = await talk.say()
    assert reply.status_code == 200, reply.text
    said = await talk.messages()
    assert [each["content"] for each in said if each["sender"]["participant_role"] == "user"] == [
        FOREIGN,
        "It is the second time",
    ]
    assert SECRET not in str(said)
    assert [line["text"] for line in talk.models.shown[-1]["lines"]] == [FOREIGN, "It is the second time"]
    rows = await usage_of(talk.ann)
    assert [row["usage_type"] for row in rows][:1] == ["chat_message"]


async def test_an_answer_that_cannot_be_used_is_paid_for_and_told_so(talk: Talk) -> None:
    talk.models.replies = [{"contents": "?"}]
    failed = await talk.say()
    assert (failed.status_code, failed.json()["extra"]["kind"]) == (502, "bad_output")
    assert len(talk.models.shown) == 3
    (row,) = await usage_of(talk.ann)
    assert row["total_tokens"] > 0
    assert row["metadata"]["succeeded"] is False
    (turn,) = (await talk.ann.get(turns_path(talk.session))).json()["turns"]
    taken = (await talk.ann.get(f"{turns_path(talk.session)}/{turn['turn_id']}/usage")).json()["usage"]
    assert (turn["status"], taken["total_tokens"]) == ("failed", row["total_tokens"])


class Broken(ChatResponder):
    """Has a defect."""

    async def reply(self, model: str, talk: Any, spent: Accumulator) -> WrittenReply:
        raise LookupError("planted")


async def test_a_defect_of_ours_is_no_failure_of_the_provider(
    database_url: str, tmp_path: Path, models: ChatModels
) -> None:
    broken = Provider(scope=Scope.APP)
    broken.provide(Broken, provides=ChatResponder)
    models.more = (broken,)
    async with service_with(models, database_url, tmp_path) as service:
        talk = await Talk(service, models).begin()
        with pytest.raises(AssertionError, match="answered 500"):
            await talk.say()  # which no document promises
        (turn,) = (await talk.ann.get(turns_path(talk.session))).json()["turns"]
        assert (turn["status"], turn["error"]["code"]) == ("failed", "server_error")
        assert [each["content"] for each in await talk.messages()][1] == "It is the second time"
        assert (await talk.ann.get(talk.path)).json()["generation"] == "idle"


async def test_31_who_has_used_up_their_allowance_is_told_so_where_they_may_know_of_the_session(
    database_url: str, tmp_path: Path, models: ChatModels
) -> None:
    limit = {"scope": "user", "measure": "generations", "period": "day", "amount": 1}
    async with service_with(models, database_url, tmp_path, budgets={"limits": [limit]}) as service:
        talk = await Talk(service, models).begin()
        assert (await talk.say("One")).status_code == 200
        refused = await talk.say("Two")
        assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
        assert refused.json()["extra"]["quota"]["deny_reason"] == "daily"
        assert int(refused.headers["Retry-After"]) > 0
        assert [each["content"] for each in await talk.messages()][1:] == ["One", REPLY["content"]]
        assert len(models.shown) == 1
        absent = await talk.ann.post(f"{SESSIONS}/{MISSING}/chat", json={"message": "x"})
        assert absent.status_code == 404


class Held:
    """A model that replies when the test lets it."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_go_on = asyncio.Event()

    async def asked_so_often(self, count: int) -> None:
        await eventually(lambda: self.asked >= count)

    async def __call__(self, *_: Any) -> Any:
        from pydantic_ai.messages import ModelResponse, TextPart  # noqa: PLC0415 - takes seconds to load

        self.asked += 1
        await self.may_go_on.wait()
        return ModelResponse(parts=[TextPart('{"content": "Late"}')])


class HeldModels(ChatModels):
    """One that is held up."""

    def __init__(self) -> None:
        super().__init__()
        self.held = Held()

    async def _reply(self, messages: list[Any], info: Any) -> Any:
        return await self.held(messages, info)


@pytest.fixture
def held() -> HeldModels:
    return HeldModels()


async def test_10_while_a_reply_is_made_nothing_else_is_said(
    database_url: str, tmp_path: Path, held: HeldModels
) -> None:
    async with service_with(held, database_url, tmp_path) as service:
        talk = await Talk(service, held).begin()
        first = asyncio.create_task(talk.say("One"))
        await held.held.asked_so_often(1)
        refused = await talk.say("Two")
        assert (refused.status_code, refused.json()["code"]) == (409, "generation_in_progress")
        held.held.may_go_on.set()
        assert (await first).json()["content"] == "Late"
        assert [each["content"] for each in await talk.messages()][1:] == ["One", "Late"]


async def test_45_a_session_that_is_deleted_meanwhile_is_gone_for_the_reply_too(
    database_url: str, tmp_path: Path, held: HeldModels
) -> None:
    async with service_with(held, database_url, tmp_path) as service:
        talk = await Talk(service, held).begin()
        first = asyncio.create_task(talk.say("One"))
        await held.held.asked_so_often(1)
        await done(talk.ann, talk.path, "delete")
        held.held.may_go_on.set()
        gone = await first
        assert (gone.status_code, gone.json().get("code")) == (404, "session_not_found"), gone.text


async def test_a_reply_whose_process_is_gone_holds_nobody_up(
    database_url: str, tmp_path: Path, held: HeldModels
) -> None:
    async with service_with(held, database_url, tmp_path) as service:
        talk = await Talk(service, held).begin()
        first = asyncio.create_task(talk.say("One"))
        await held.held.asked_so_often(1)
        # Not so long ago that whoever looks after turns would see to it.
        expired = datetime.now(UTC) - timedelta(seconds=2)
        async with open_store(database_url, SystemClock()) as store:
            await store.database.transact(
                lambda connection: connection.execute(update(turns).values(lease_expires_at=expired))
            )
        second = asyncio.create_task(talk.say("One"))
        await held.held.asked_so_often(2)
        held.held.may_go_on.set()
        assert ((await second).status_code, (await first).status_code) == (200, 409)
        said = [each["content"] for each in await talk.messages() if each["sender"]["participant_id"] == "ann"]
        assert said == [FOREIGN, "One"]
