"""The conversations that sessions stand on: who deletes them, who is in them, what copies of them are."""

import asyncio
from typing import Any

import httpx
from sqlalchemy import select
from tests.support.databases import Observed, open_store
from tests.support.service import Service
from tests.support.troubleshooting import act, by_hand, done, session_in, start

from workbench.adapters.sql.tables import deliveries
from workbench.domain.troubleshooting.known import GUIDE_ID


async def conversation_of(who: httpx.AsyncClient, path: str) -> str:
    return f"/conversations/{(await who.get(path)).json()['conversation_id']}"


async def refused(who: httpx.AsyncClient, path: str) -> None:
    """See that the conversation of a session cannot be deleted either, and that nothing of it is gone."""
    conversation = await conversation_of(who, path)
    for answer in (await who.delete(path), await who.delete(conversation)):
        assert (answer.status_code, answer.json()["code"]) == (409, "escalation_open")
    assert (await who.get(path)).status_code == (await who.get(conversation)).status_code == 200


async def test_45_a_conversation_is_no_way_round_a_session_that_a_colleague_works_on(service: Service) -> None:
    ann, bob = service.user(), service.user("bob")
    path, _ = await session_in(service, "requesting_escalation", "ann", "bob")
    await refused(ann, path)
    await done(bob, path, "pickup")
    await refused(ann, path)
    await done(bob, path, "pause")
    await refused(ann, path)
    await done(bob, path, "resume", "resolve")
    assert (await ann.delete(await conversation_of(ann, path))).status_code == 204
    assert (await bob.get(path)).status_code == 404


async def test_45_ones_own_session_goes_with_its_conversation(service: Service) -> None:
    ann = service.user()
    session = await start(ann)
    assert (await ann.delete(f"/conversations/{session['conversation_id']}")).status_code == 204
    assert (await ann.get(session["path"])).status_code == 404
    assert (await ann.get("/ai-sessions")).json()["items"] == []
    plain = (await ann.post("/conversations", json={"title": "T"})).json()["id"]
    assert (await ann.delete(f"/conversations/{plain}")).status_code == 204


async def test_45_of_taking_over_and_deleting_at_once_one_counts(service: Service) -> None:
    for number in range(10):
        ann, bob = service.user(f"ann-{number}"), service.user(f"bob-{number}")
        path = (await by_hand(ann))["path"]
        conversation = await conversation_of(ann, path)
        asked, gone = await asyncio.gather(act(ann, path, "escalate"), ann.delete(conversation))
        assert (asked.status_code, gone.status_code) in {(200, 409), (404, 204), (409, 204)}
        assert (await act(bob, path, "pickup")).status_code == (200 if asked.status_code == 200 else 404)


async def guide_in(who: httpx.AsyncClient, conversation: str) -> dict[str, Any]:
    seats = (await who.get(f"{conversation}/participants")).json()["participants"]
    (guide,) = (seat for seat in seats if seat["id"] == str(GUIDE_ID))
    return guide


async def test_the_guide_is_there_whenever_the_service_is(service: Service) -> None:
    ann = service.user()
    conversation = f"/conversations/{(await start(ann))['conversation_id']}"
    guide = await guide_in(ann, conversation)
    assert (guide["role"], guide["name"], guide["online"]) == ("assistant", "Guide", True)
    assert (await ann.get(conversation)).json()["participants"][-1] == guide
    (listed,) = (await ann.get("/conversations")).json()["conversations"]
    assert listed["participants"][-1] == guide


async def test_a_copy_of_the_conversation_has_nothing_to_be_brought_to_the_guide(service: Service) -> None:
    ann = service.user()
    conversation = f"/conversations/{(await start(ann))['conversation_id']}"
    copied = await ann.post(conversation, json={"title": "Copy"})
    assert copied.status_code == 200, copied.text
    (copy_id,) = copied.json()["conversation_ids"]
    assert (await guide_in(ann, f"/conversations/{copy_id}"))["online"] is True
    waiting = select(deliveries.c.state).where(
        deliveries.c.workspace_id == service.workspace(), deliveries.c.assistant_id == GUIDE_ID
    )
    async with open_store(service.database_url) as store:
        assert await Observed(store.database).rows(waiting) == []
