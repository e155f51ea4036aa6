"""Conversations, participants and users over HTTP."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
from tests.support.service import Service


async def make(client: httpx.AsyncClient, **body: Any) -> Any:
    response = await client.post("/conversations", json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def listed(client: httpx.AsyncClient, query: str = "") -> Any:
    response = await client.get(f"/conversations?{query}")
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_created_conversation_has_the_contracts_fields(service: Service) -> None:
    ann = service.user("ann")
    made = await make(ann)
    fields = ["id", "title", "owner_id", "imported_from_conversation_id", "metadata", "created_datetime"]
    assert list(made) == [*fields, "conversation_permission", "latest_message", "participants"]
    assert (made["title"], made["owner_id"], made["metadata"]) == ("New Conversation", "ann", {})
    (owner,) = made["participants"]
    assert (owner["role"], owner["id"], owner["name"], owner["online"]) == ("user", "ann", "Ann", None)
    assert (await ann.get(f"/conversations/{made['id']}")).json() == made


async def test_a_title_of_ones_own_is_marked(service: Service) -> None:
    ann = service.user("ann")
    assert (await make(ann, title="", metadata={"__k": 1}))["metadata"] == {"__k": 1}
    assert (await make(ann, title="Mine"))["metadata"] == {"__user_set_title": True}
    made = await make(ann)
    path = f"/conversations/{made['id']}"
    same = (await ann.patch(path, json={"title": "New Conversation"})).json()
    assert "__user_set_title" not in same["metadata"]
    assert (await ann.patch(path, json={"title": None})).json()["title"] == "New Conversation"
    assert (await ann.patch(path, json={"title": "Other"})).json()["metadata"]["__user_set_title"] is True


async def test_metadata_is_merged_and_system_keys_keep_their_value(service: Service) -> None:
    ann = service.user("ann")
    made = await make(ann, metadata={"__system": 1, "a": {"x": 1}, "b": 2})
    change = {"metadata": {"__system": 2, "__new": 3, "a": {"y": 2}, "c": None}}
    changed = (await ann.patch(f"/conversations/{made['id']}", json=change)).json()
    assert changed["metadata"] == {"__system": 1, "a": {"y": 2}, "b": 2, "__new": 3, "c": None}
    assert changed["latest_message"] is None


async def test_changes_made_at_once_are_all_kept(service: Service) -> None:
    ann = service.user("ann")
    path = f"/conversations/{(await make(ann))['id']}"
    answers = await asyncio.gather(*(ann.patch(path, json={"metadata": {f"k{n}": n}}) for n in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert (await ann.get(path)).json()["metadata"] == {f"k{n}": n for n in range(6)}


async def test_the_latest_message_is_of_the_types_asked_for(service: Service) -> None:
    ann = service.user("ann")
    path = f"/conversations/{(await make(ann))['id']}"
    for kind in ("chat", "log", "note"):
        await ann.post(f"{path}/messages", json={"content": kind, "message_type": kind})
    assert (await ann.get(path)).json()["latest_message"]["content"] == "chat"
    assert (await ann.get(f"{path}?latest_message_type=log")).json()["latest_message"]["content"] == "log"
    found = await listed(ann, "latest_message_type=log&latest_message_type=chat")
    assert found["conversations"][0]["latest_message"]["content"] == "log"


async def test_conversations_are_listed_newest_first_and_page_by_cursor(service: Service) -> None:
    ann = service.user("ann")
    made = [(await make(ann, title=str(n)))["id"] for n in range(5)]
    whole = await listed(ann)
    assert list(whole) == ["conversations"]
    assert [c["id"] for c in whole["conversations"]] == made[::-1]
    first = await listed(ann, "limit=2")
    second = await listed(ann, f"limit=2&cursor={first['next_cursor']}")
    third = await listed(ann, f"limit=2&cursor={second['next_cursor']}")
    pages = [[c["id"] for c in page["conversations"]] for page in (first, second, third)]
    assert pages == [made[:2:-1], made[2:0:-1], made[:1]]
    assert third["next_cursor"] is None


async def test_a_cursor_of_somebody_elses_making_is_refused_by_name(service: Service) -> None:
    response = await service.user("ann").get("/conversations?cursor=bm9uc2Vuc2U")
    assert (response.status_code, response.json()["field"]) == (400, "cursor")


async def test_an_owner_who_left_still_reaches_the_conversation(service: Service) -> None:
    ann = service.user("ann")
    path = f"/conversations/{(await make(ann))['id']}"
    await ann.put(f"{path}/participants/me", json={"active_participant": False})
    assert (await listed(ann))["conversations"] == []
    assert len((await listed(ann, "include_inactive=YES"))["conversations"]) == 1
    assert (await ann.get(path)).status_code == 200
    assert (await ann.get(f"{path}/messages")).status_code == 404
    assert (await ann.patch(path, json={})).status_code == 200
    assert (await ann.put(f"{path}/participants/me", json={"active_participant": True})).status_code == 200
    assert (await ann.get(f"{path}/messages")).status_code == 200


async def test_a_deleted_conversation_is_gone(service: Service) -> None:
    ann = service.user("ann")
    path = f"/conversations/{(await make(ann))['id']}"
    await ann.post(f"{path}/messages", json={"content": "x", "debug_data": {"a": 1}})
    assert (await ann.delete(path)).status_code == 204
    assert (await ann.get(path)).status_code == 404
    assert (await ann.delete(path)).status_code == 404
    assert (await listed(ann, "include_inactive=true"))["conversations"] == []


async def test_status_is_cleared_by_leaving_it_out(service: Service) -> None:
    ann = service.user("ann")
    path = f"/conversations/{(await make(ann))['id']}/participants/me"
    thinking = (await ann.put(path, json={"status": "thinking"})).json()
    same = (await ann.put(path, json={"status": "thinking", "metadata": {"a": [1]}})).json()
    cleared = (await ann.patch(path, json={"metadata": {"a": [2], "b": 1}})).json()
    assert same["status_updated_timestamp"] == thinking["status_updated_timestamp"]
    assert cleared["status"] is None
    assert cleared["status_updated_timestamp"] > same["status_updated_timestamp"]
    assert cleared["metadata"] == {"a": [1, 2], "b": 1}
    assert (await ann.get(path)).json() == cleared


async def test_nobody_changes_another_users_seat(service: Service) -> None:
    ann = service.user("ann")
    path = f"/conversations/{(await make(ann))['id']}/participants"
    assert (await ann.put(f"{path}/bea", json={})).status_code == 403
    assert (await ann.put(f"{path}/{uuid4()}", json={})).status_code == 404


async def test_participants_who_left_are_listed_on_request(service: Service) -> None:
    ann, bea = service.user("ann"), service.user("bea")
    conversation = (await make(ann))["id"]
    path = f"/conversations/{conversation}/participants"
    await service.seat_user(conversation, "bea")
    await bea.put(f"{path}/me", json={"active_participant": False})
    ids = [p["id"] for p in (await ann.get(path)).json()["participants"]]
    everyone = [p["id"] for p in (await ann.get(f"{path}?include_inactive=1")).json()["participants"]]
    assert (ids, everyone) == (["ann"], ["ann", "bea"])
    assert (await bea.put(f"{path}/me", json={"active_participant": True})).status_code == 404
    assert (await ann.get(f"{path}?include_inactive=maybe")).status_code == 422


async def test_a_name_follows_the_token_until_one_is_chosen(service: Service) -> None:
    ann = service.user("ann", name="Ann")
    conversation = (await make(ann))["id"]
    seat = f"/conversations/{conversation}/participants/me"
    renamed = service.user("ann", name="Anna")
    assert (await renamed.get("/users/me")).json()["name"] == "Anna"
    assert (await ann.get(seat)).json()["name"] == "Anna"
    chosen = (await ann.put("/users/me", json={"name": "Countess", "image": "data:,x"})).json()
    assert (chosen["name"], chosen["image"]) == ("Countess", "data:,x")
    assert (await renamed.get("/users/me")).json()["name"] == "Countess"
    assert (await ann.get(seat)).json()["image"] == "data:,x"
    cleared = (await ann.put("/users/me", json={"name": None, "image": None})).json()
    assert (cleared["name"], cleared["image"]) == ("Countess", None)


async def test_users_see_those_they_share_a_conversation_with(service: Service) -> None:
    ann, bea, sam = service.user("ann"), service.user("bea"), service.user("sam")
    conversation = (await make(ann))["id"]
    await make(sam)
    await bea.get("/users/me")
    await service.seat_user(conversation, "bea")
    found = (await ann.get("/users?id=ann&id=bea&id=sam&id=nobody")).json()["users"]
    assert sorted(user["id"] for user in found) == ["ann", "bea"]
    assert (await ann.get("/users")).status_code == 422
