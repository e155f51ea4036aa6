"""Shares over HTTP: made, shown, taken up and taken back."""

import asyncio
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select
from tests.support.assistants import RecordingAssistantService
from tests.support.clocks import StoppedClock
from tests.support.databases import open_store
from tests.support.service import Service, running_service

from workbench.adapters.sql.schema import metadata

SHARES = "/conversation-shares"


@pytest.fixture
async def recorder(service: Service) -> AsyncGenerator[RecordingAssistantService]:
    async with service.recorder(announced=False) as running:
        yield running


async def conversation_of(ann: httpx.AsyncClient, title: str = "Plans") -> str:
    return (await ann.post("/conversations", json={"title": title})).json()["id"]


def new(conversation: str, permission: str = "read", **more: Any) -> dict[str, Any]:
    return {"conversation_id": conversation, "label": "a label", "conversation_permission": permission, **more}


async def shared(ann: httpx.AsyncClient, conversation: str, permission: str = "read", **more: Any) -> dict[str, Any]:
    answer = await ann.post(SHARES, json=new(conversation, permission, **more))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def redeem(who: httpx.AsyncClient, share: dict[str, Any], token: str | None = None) -> httpx.Response:
    headers = {} if token is None else {"X-Share-Token": token}
    return await who.post(f"{SHARES}/{share['id']}/redemptions", headers=headers)


async def told(who: httpx.AsyncClient, conversation: str, count: int) -> list[tuple[str, str, str]]:
    """The first events of a conversation behind its making: type, participant and permission."""
    found: list[tuple[str, str, str]] = []
    async with who.stream("GET", f"/conversations/{conversation}/events", headers={"Last-Event-ID": "1"}) as stream:
        kind = ""
        async for line in stream.aiter_lines():
            if line.startswith("event: "):
                kind = line[7:]
            if line.startswith("data: "):
                seat = httpx.Response(200, text=line[6:]).json()["data"]["participant"]
                found.append((kind, seat["id"], seat["conversation_permission"]))
            if len(found) == count:
                break
    return found


async def test_a_share_is_made_shown_and_listed(service: Service) -> None:
    ann = service.user("ann")
    conversation = await conversation_of(ann)
    share = await shared(ann, conversation, metadata={"showDuplicateAction": True})
    assert list(share) == [
        *("id", "owner_id", "label", "created_by_user", "conversation_id", "conversation_title"),
        *("conversation_permission", "is_redeemable", "created_datetime", "metadata"),
    ]
    assert (share["owner_id"], share["label"], share["conversation_title"]) == ("ann", "a label", "Plans")
    assert share["created_by_user"] == (await ann.get("/users/me")).json()
    assert (share["conversation_permission"], share["is_redeemable"]) == ("read", True)
    assert share["metadata"] == {"showDuplicateAction": True}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", share["created_datetime"])
    assert (await ann.get(f"{SHARES}/{share['id']}")).json() == share
    assert (await service.user("bob").get(f"{SHARES}/{share['id']}")).json() == share
    other = await shared(ann, await conversation_of(ann), "read_write")
    assert (await ann.get(SHARES)).json() == {"conversation_shares": [share, other]}
    assert (await ann.get(SHARES, params={"conversation_id": conversation})).json() == {"conversation_shares": [share]}
    assert (await ann.get(SHARES, params={"include_unredeemable": True})).json()["conversation_shares"] == [
        share,
        other,
    ]
    assert (await service.user("bob").get(SHARES)).json() == {"conversation_shares": []}


@pytest.mark.parametrize("permission", ["read", "read_write"])
async def test_whoever_redeems_joins_with_what_the_share_gives(service: Service, permission: str) -> None:
    ann, bob = service.user("ann"), service.user("bob", name="Bob")
    conversation = await conversation_of(ann)
    share = await shared(ann, conversation, permission)
    answer = (await redeem(bob, share)).json()
    assert list(answer) == [
        *("id", "conversation_share_id", "conversation_id", "redeemed_by_user", "conversation_permission"),
        *("new_participant", "created_datetime"),
    ]
    assert (answer["conversation_share_id"], answer["conversation_id"]) == (share["id"], conversation)
    assert (answer["redeemed_by_user"]["id"], answer["redeemed_by_user"]["name"]) == ("bob", "Bob")
    assert (answer["conversation_permission"], answer["new_participant"]) == (permission, True)
    path = f"/conversations/{conversation}"
    assert (await bob.get(path)).json()["conversation_permission"] == permission
    seat = (await bob.get(f"{path}/participants/me")).json()
    assert (seat["name"], seat["conversation_permission"]) == ("Bob", permission)
    may = (await bob.post(f"{path}/messages", json={"content": "x"})).status_code
    assert may == (200 if permission == "read_write" else 404)
    assert (await ann.get(f"{SHARES}/{share['id']}/redemptions")).json() == {"conversation_share_redemptions": [answer]}
    assert (await bob.get("/conversation-share-redemptions")).json() == {"conversation_share_redemptions": [answer]}
    assert (await bob.get(f"{SHARES}/{share['id']}/redemptions")).json() == {"conversation_share_redemptions": []}
    assert (await ann.get("/conversation-share-redemptions")).json() == {"conversation_share_redemptions": []}
    assert (await ann.delete(f"{SHARES}/{share['id']}")).status_code == 204
    assert (await bob.get(path)).status_code == 200
    assert (await redeem(service.user("eve"), share)).status_code == 404
    assert (await bob.get("/conversation-share-redemptions")).json() == {"conversation_share_redemptions": []}


async def test_permission_rises_but_does_not_fall_while_one_is_there(service: Service) -> None:
    ann, bob = service.user("ann"), service.user("bob")
    conversation = await conversation_of(ann)
    reading, writing = await shared(ann, conversation, "read"), await shared(ann, conversation, "read_write")
    outcomes = [(await redeem(bob, share)).json() for share in (reading, reading, writing, reading)]
    assert [(one["conversation_permission"], one["new_participant"]) for one in outcomes] == [
        ("read", True),
        ("read", False),
        ("read_write", False),
        ("read_write", False),
    ]
    (
        await bob.put(f"/conversations/{conversation}/participants/me", json={"active_participant": False})
    ).raise_for_status()
    back = (await redeem(bob, reading)).json()
    assert (back["conversation_permission"], back["new_participant"]) == ("read", True)
    assert await told(ann, conversation, 4) == [
        ("participant.created", "bob", "read"),
        ("participant.updated", "bob", "read_write"),
        ("participant.updated", "bob", "read_write"),
        ("participant.updated", "bob", "read"),
    ]
    assert len((await ann.get(f"{SHARES}/{reading['id']}/redemptions")).json()["conversation_share_redemptions"]) == 4


async def test_redemptions_at_once_are_one_seat(service: Service) -> None:
    ann, bob = service.user("ann"), service.user("bob")
    conversation = await conversation_of(ann)
    shares = [await shared(ann, conversation, permission) for permission in ("read", "read_write", "read")]
    answers = await asyncio.gather(*(redeem(bob, share) for share in shares * 2))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert [answer.json()["new_participant"] for answer in answers].count(True) == 1
    assert (await bob.get(f"/conversations/{conversation}/participants/me")).json()[
        "conversation_permission"
    ] == "read_write"
    people = (await ann.get(f"/conversations/{conversation}/participants")).json()["participants"]
    assert [one["id"] for one in people] == ["ann", "bob"]


async def test_an_owner_may_redeem_and_stays_what_they_are(service: Service) -> None:
    ann = service.user("ann")
    conversation = await conversation_of(ann)
    answer = (await redeem(ann, await shared(ann, conversation, "read"))).json()
    assert (answer["conversation_permission"], answer["new_participant"]) == ("read_write", False)


async def test_only_who_administers_a_conversation_shares_it(service: Service) -> None:
    ann, bob, cay = (service.user(name) for name in ("ann", "bob", "cay"))
    conversation = await conversation_of(ann)
    await redeem(bob, await shared(ann, conversation, "read"))
    await redeem(cay, await shared(ann, conversation, "read_write"))
    assert (await cay.post(SHARES, json=new(conversation))).status_code == 200
    refused = {"detail": "Conversation not found", "code": "conversation_not_found", "field": "conversation_id"}
    for who, where in ((bob, conversation), (service.user("eve"), conversation), (ann, str(uuid4()))):
        answer = await who.post(SHARES, json=new(where))
        assert (answer.status_code, answer.json()) == (400, refused)
    neighbour = service.user("ann", "elsewhere")
    assert (await neighbour.post(SHARES, json=new(conversation))).status_code == 400
    share = await shared(ann, conversation)
    assert (await neighbour.get(f"{SHARES}/{share['id']}")).status_code == 404
    assert (await redeem(neighbour, share)).status_code == 404
    assert (await cay.delete(f"{SHARES}/{share['id']}")).status_code == 404


WRONG = [
    {"conversation_permission": "all"},
    {"label": None},
    {"label": "x" * 4097},
    {"metadata": None},
    {"conversation_id": "none"},
    {"expires_datetime": "tomorrow"},
]


async def test_what_is_no_share_is_refused(service: Service) -> None:
    for wrong in WRONG:
        ann = service.user("ann")
        answer = await ann.post(SHARES, json={**new(await conversation_of(ann)), **wrong})
        assert answer.status_code == 422, answer.text


async def test_a_conversation_that_goes_takes_its_shares_along(service: Service) -> None:
    ann, bob = service.user("ann"), service.user("bob")
    conversation = await conversation_of(ann)
    share = await shared(ann, conversation)
    await redeem(bob, share)
    assert (await ann.delete(f"/conversations/{conversation}")).status_code == 204
    assert (await ann.get(SHARES)).json() == {"conversation_shares": []}
    assert (await redeem(bob, share)).status_code == 404
    assert (await bob.get("/conversation-share-redemptions")).json() == {"conversation_share_redemptions": []}


async def test_a_share_with_a_token_opens_with_it_alone(service: Service) -> None:
    ann, bob = service.user("ann"), service.user("bob")
    share = await shared(ann, await conversation_of(ann), with_token=True)
    token = share["token"]
    assert share["needs_token"]
    assert re.fullmatch(r"[\w-]{22}", token)
    listed = (await ann.get(SHARES)).json()["conversation_shares"][0]
    assert listed == {name: value for name, value in share.items() if name != "token"}
    path = f"{SHARES}/{share['id']}"
    for wrong in (None, "", token[:-1], f"{token}x"):
        assert (await redeem(bob, share, wrong)).status_code == 404
        assert (await bob.get(path, headers={} if wrong is None else {"X-Share-Token": wrong})).status_code == 404
    assert (await ann.get(path)).json() == listed
    assert (await bob.get(path, headers={"X-Share-Token": token})).json() == listed
    assert (await redeem(bob, share, token)).status_code == 200
    assert token not in str(await every_row(service))


async def every_row(service: Service) -> list[Any]:
    async with open_store(service.database_url) as store:
        return [await store.database.rows(select(table)) for table in metadata.sorted_tables]


async def test_a_share_ends_when_it_was_to(database_url: str, tmp_path: Path) -> None:
    clock = StoppedClock()
    clock.clock.move(seconds=(datetime.now(UTC) - clock.clock.now()).total_seconds())
    async with running_service(database_url, tmp_path / "data", clock) as service:
        ann, bob = service.user("ann"), service.user("bob")
        conversation = await conversation_of(ann)
        ends = clock.clock.now() + timedelta(minutes=5)
        share = await shared(ann, conversation, expires_datetime=ends.isoformat())
        assert datetime.fromisoformat(share["expires_datetime"]) == ends
        assert (await bob.get(f"{SHARES}/{share['id']}")).status_code == 200
        clock.clock.move(minutes=5)
        assert (await bob.get(f"{SHARES}/{share['id']}")).status_code == 404
        assert (await redeem(bob, share)).status_code == 404
        assert (await ann.get(f"{SHARES}/{share['id']}")).status_code == 200
        for wrong, said in ((clock.clock.now().isoformat(), "is past"), ("2030-01-01T00:00:00", "needs a time zone")):
            answer = await ann.post(SHARES, json=new(conversation, expires_datetime=wrong))
            assert answer.status_code == 400
            assert said in answer.json()["detail"]


async def test_redeeming_is_limited_for_each_user(sqlite_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data", limits={"redemptions_per_minute": 3}) as service:
        ann, bob = service.user("ann"), service.user("bob")
        share = await shared(ann, await conversation_of(ann), with_token=True)
        tries = [await redeem(bob, share, "wrong") for _ in range(4)]
        assert [answer.status_code for answer in tries] == [404, 404, 404, 429]
        assert tries[-1].json() == {"detail": "at most 3 times in 60 seconds", "code": "rate_limited"}
        assert 1 <= int(tries[-1].headers["retry-after"]) <= 60
        assert (await redeem(bob, share, share["token"])).status_code == 429
        assert (await redeem(service.user("cay"), share, share["token"])).status_code == 200
        assert (await redeem(service.user("bob", "elsewhere"), share)).status_code == 404


async def test_an_assistant_shares_in_the_name_of_the_owner(
    service: Service, recorder: RecordingAssistantService
) -> None:
    ann, bob = service.user("ann"), service.user("bob")
    await recorder.announce(service.url)
    made = {"assistant_service_id": recorder.service_id, "name": "Robot"}
    robot_id, other_id = [(await ann.post("/assistants", json=made)).json()["id"] for _ in range(2)]
    conversation = await conversation_of(ann)
    await redeem(bob, await shared(ann, conversation, "read_write"))
    (await ann.put(f"/conversations/{conversation}/participants/{robot_id}", json={})).raise_for_status()
    robot = service.assistant(robot_id, recorder.service_id)
    answer = await robot.post(f"{SHARES}/ann", json=new(conversation, "read_write"))
    assert answer.status_code == 200
    share = answer.json()
    assert (share["owner_id"], share["created_by_user"]["id"]) == ("ann", "ann")
    assert share in (await ann.get(SHARES)).json()["conversation_shares"]
    assert (await redeem(service.user("cay"), share)).status_code == 200
    other = service.assistant(other_id, recorder.service_id)
    for who, owner, where in (
        (robot, "bob", conversation),
        (robot, "nobody", conversation),
        (robot, "ann", str(uuid4())),
        (robot, "ann", await conversation_of(ann)),
        (other, "ann", conversation),
    ):
        refused = await who.post(f"{SHARES}/{owner}", json=new(where))
        assert (refused.status_code, refused.json()["detail"]) == (400, "Conversation not found")
    assert (await ann.post(f"{SHARES}/ann", json=new(conversation))).status_code == 401
    service_itself = service.assistant_service(recorder.service_id)
    assert (await service_itself.post(f"{SHARES}/ann", json=new(conversation))).status_code == 401
    assert (await robot.post(f"{SHARES}/redeem")).status_code == 422
