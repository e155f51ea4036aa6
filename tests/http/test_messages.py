"""Messages over HTTP."""

import asyncio
import re
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.support.service import Service, open_stream

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


async def conversation_of(client: httpx.AsyncClient, **body: Any) -> str:
    return f"/conversations/{(await client.post('/conversations', json=body)).json()['id']}"


async def say(client: httpx.AsyncClient, path: str, **body: Any) -> Any:
    response = await client.post(f"{path}/messages", json={"content": "hello", **body})
    assert response.status_code == 200, response.text
    return response.json()


async def contents(client: httpx.AsyncClient, path: str, query: str = "") -> list[str]:
    response = await client.get(f"{path}/messages?{query}")
    assert response.status_code == 200, response.text
    return [message["content"] for message in response.json()["messages"]]


async def test_a_posted_message_reaches_the_stream(service: Service) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    async with open_stream(ann, f"{path}/events") as stream:
        posted = await say(ann, path)
        event = await stream.next()
    assert event.name == "message.created"
    assert event.data["data"]["message"] == posted


async def test_a_message_has_the_contracts_fields_in_order(service: Service) -> None:
    ann = service.user("ann")
    posted = await say(ann, await conversation_of(ann))
    fields = ["id", "sender", "message_type", "timestamp", "content_type", "content", "filenames", "metadata"]
    assert list(posted) == [*fields, "has_debug_data"]
    assert posted["sender"] == {"participant_role": "user", "participant_id": "ann"}
    assert TIME.fullmatch(posted["timestamp"])


async def test_listing_and_getting_agree_with_posting(service: Service) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    posted = await say(ann, path, filenames=["a.txt"], metadata={"z": 1, "a": [None, {"b": "ü"}]})
    listed = (await ann.get(f"{path}/messages")).json()["messages"]
    assert listed == [posted]
    assert (await ann.get(f"{path}/messages/{posted['id']}")).json() == posted


async def test_pages_hold_the_newest_matches_oldest_first(service: Service) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    ids = [(await say(ann, path, content=str(n), message_type="log" if n % 2 else "chat"))["id"] for n in range(6)]
    assert await contents(ann, path) == ["0", "1", "2", "3", "4", "5"]
    assert await contents(ann, path, "limit=1") == ["5"]
    assert await contents(ann, path, f"limit=2&before={ids[4]}") == ["2", "3"]
    assert await contents(ann, path, f"limit=2&after={ids[1]}") == ["4", "5"]
    assert await contents(ann, path, f"limit=2&after={ids[1]}&order=asc") == ["2", "3"]
    assert await contents(ann, path, f"before={ids[4]}&after={ids[1]}") == ["2", "3"]
    assert await contents(ann, path, "message_type=log") == ["1", "3", "5"]
    assert await contents(ann, path, "message_type=log&message_type=chat&limit=3") == ["3", "4", "5"]
    assert await contents(ann, path, "participant_role=assistant") == []
    assert await contents(ann, path, "participant_id=ann&participant_id=bea&limit=1") == ["5"]
    assert await contents(ann, path, "limit=0") == []
    assert await contents(ann, path, "limit=100000") == ["0", "1", "2", "3", "4", "5"]


async def test_a_cursor_that_is_not_of_the_conversation_counts_for_nothing(service: Service) -> None:
    ann = service.user("ann")
    path, other = await conversation_of(ann), await conversation_of(ann)
    elsewhere = await say(ann, other)
    await say(ann, path, content="one")
    assert await contents(ann, path, f"before={uuid4()}") == ["one"]
    assert await contents(ann, path, f"after={elsewhere['id']}") == ["one"]


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "before=x", "message_type=shout", "order=up"])
async def test_a_query_that_means_nothing_is_422_and_named(service: Service, query: str) -> None:
    ann = service.user("ann")
    response = await ann.get(f"{await conversation_of(ann)}/messages?{query}")
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["query", query.partition("=")[0]]


async def test_debug_data_is_split_off_and_merged(service: Service) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    metadata = {"kept": 1, "debug": {"a": [1], "b": {"x": 1}}}
    posted = await say(ann, path, metadata=metadata, debug_data={"a": [2], "b": {"y": 2}})
    assert (posted["metadata"], posted["has_debug_data"]) == ({"kept": 1}, True)
    debug = await ann.get(f"{path}/messages/{posted['id']}/debug_data")
    assert debug.json() == {"message_id": posted["id"], "debug_data": {"a": [1, 2], "b": {"x": 1, "y": 2}}}


@pytest.mark.parametrize(
    ("debug", "kept"), [("text", {"debug": "text"}), ([1], {"debug": [1]}), (None, None), ("", None)]
)
async def test_debug_that_is_no_object_is_wrapped_or_dropped(service: Service, debug: Any, kept: Any) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    posted = await say(ann, path, metadata={"debug": debug})
    response = await ann.get(f"{path}/messages/{posted['id']}/debug_data")
    assert posted["metadata"] == {}
    assert (response.status_code, response.json().get("debug_data")) == ((200, kept) if kept else (404, None))


async def test_repeating_a_message_with_its_id_answers_with_the_stored_one(service: Service) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    body = {"id": str(uuid4()), "content": "once", "debug_data": {"d": 1}}
    first = await ann.post(f"{path}/messages", json=body)
    again = await ann.post(f"{path}/messages", json=body)
    assert (again.status_code, again.content) == (200, first.content)
    other = await ann.post(f"{path}/messages", json={**body, "content": "twice"})
    assert other.status_code == 409
    assert other.json()["detail"] == f"message with id {body['id']} already exists"
    elsewhere = await ann.post(f"{await conversation_of(ann)}/messages", json=body)
    assert elsewhere.status_code == 409
    assert await contents(ann, path) == ["once"]


async def test_the_same_message_sent_many_times_at_once_is_stored_once(service: Service) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    body = {"id": str(uuid4()), "content": "once"}
    answers = await asyncio.gather(*(ann.post(f"{path}/messages", json=body) for _ in range(12)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert await contents(ann, path) == ["once"]


async def test_the_id_of_another_workspaces_message_is_free(service: Service) -> None:
    ann, other = service.user("ann"), service.user("ann", "elsewhere")
    body = {"id": str(uuid4()), "content": "mine"}
    mine, theirs = await conversation_of(ann), await conversation_of(other)
    assert (await ann.post(f"{mine}/messages", json=body)).status_code == 200
    assert (await other.post(f"{theirs}/messages", json=body)).status_code == 200


async def test_a_user_cannot_speak_for_another(service: Service) -> None:
    ann = service.user("ann")
    posted = await say(ann, await conversation_of(ann), sender={"participant_role": "user", "participant_id": "bea"})
    assert posted["sender"]["participant_id"] == "ann"


async def test_a_deleted_message_is_gone_and_told_without_debug(service: Service) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    posted = await say(ann, path, debug_data={"d": 1})
    async with open_stream(ann, f"{path}/events") as stream:
        assert (await ann.delete(f"{path}/messages/{posted['id']}")).status_code == 204
        event = await stream.next()
    assert event.name == "message.deleted"
    assert event.data["data"]["message"] == {**posted, "has_debug_data": False}
    assert (await ann.get(f"{path}/messages/{posted['id']}")).status_code == 404
    assert (await ann.delete(f"{path}/messages/{posted['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("body", "field", "limit"),
    [
        ({"content": "x" * ((1 << 20) + 1)}, "content", 1 << 20),
        ({"content": "é" * (1 << 19) + "x"}, "content", 1 << 20),
        ({"content": "", "metadata": {"m": "x" * (256 << 10)}}, "metadata", 256 << 10),
        ({"content": "", "debug_data": {"m": "x" * (256 << 10)}}, "debug_data", 256 << 10),
    ],
)
async def test_what_is_too_large_is_413_and_names_the_limit(
    service: Service, body: Any, field: str, limit: int
) -> None:
    ann = service.user("ann")
    response = await ann.post(f"{await conversation_of(ann)}/messages", json=body)
    assert (response.status_code, response.json()["field"], response.json()["limit_bytes"]) == (413, field, limit)
    assert str(limit) in response.json()["detail"]


async def test_a_message_of_exactly_the_limit_is_taken(service: Service) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    posted = await say(ann, path, content="x" * (1 << 20))
    assert (await ann.get(f"{path}/messages/{posted['id']}")).json() == posted


async def test_nul_is_left_out_and_all_else_is_kept(service: Service) -> None:
    ann = service.user("ann")
    path = await conversation_of(ann)
    raw = '{"content": "a\\u0000b\\\\u0000c\\u2028\\ud83d\\ude00", "metadata": {"k": "\\u0000v"}, "unknown": 1}'
    response = await ann.post(f"{path}/messages", content=raw.encode())
    assert response.json()["content"] == "ab\\u0000c\u2028😀"
    assert response.json()["metadata"] == {"k": "v"}
    assert (await ann.get(f"{path}/messages")).json()["messages"] == [response.json()]
