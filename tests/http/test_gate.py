"""What happens before and around every route: credentials, correlation ids, cross-origin rules, bodies, errors."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.support.service import Service, running_service

HEX_ID = re.compile(r"[0-9a-f]{32}")


@pytest.fixture
def service(sqlite_service: Service) -> Service:
    """One database is enough for what never reaches it."""
    return sqlite_service


async def test_without_credentials_even_an_unknown_path_is_401(service: Service) -> None:
    nobody = service.client()
    for path in ("/users/me", "/nowhere", "/conversations/x"):
        response = await nobody.get(path)
        assert (response.status_code, response.json()["detail"]) == (401, "Not authenticated")
    assert (await service.user().get("/nowhere")).status_code == 404


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer  ", "token"])
async def test_other_schemes_and_empty_tokens_count_as_none(service: Service, header: str) -> None:
    response = await service.client(Authorization=header.strip() or "x").get("/users/me")
    assert response.json()["detail"] == "Not authenticated"


async def test_a_services_headers_win_over_a_token(service: Service) -> None:
    both = service.client(
        **{"Authorization": f"Bearer {service.token()}", "X-Assistant-Service-ID": "some.example", "X-API-Key": "wrong"}
    )
    response = await both.get("/users/me")
    assert (response.status_code, response.json()["detail"]) == (401, "Invalid credentials")
    empty = service.client(**{"Authorization": f"Bearer {service.token()}", "X-Assistant-Service-ID": ""})
    assert (await empty.get("/users/me")).status_code == 200


async def test_a_correlation_id_is_echoed_or_made(service: Service) -> None:
    ann = service.user()
    sent = str(uuid4()).upper()
    assert (await ann.get("/users/me", headers={"X-Request-ID": sent})).headers["x-request-id"] == sent
    made = (await ann.get("/nowhere", headers={"X-Request-ID": "not an id"})).headers["x-request-id"]
    assert HEX_ID.fullmatch(made)
    assert HEX_ID.fullmatch((await service.client().get("/users/me")).headers["x-request-id"])


async def test_any_origin_may_read_answers_and_errors(service: Service) -> None:
    for client in (service.user(), service.client()):
        answer = await client.get("/users/me", headers={"Origin": "https://app.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["access-control-expose-headers"] == "*"
    with_cookie = await service.user().get("/users/me", headers={"Origin": "https://a.example", "Cookie": "a=b"})
    assert with_cookie.headers["access-control-allow-origin"] == "https://a.example"
    assert with_cookie.headers["vary"] == "Origin"


async def test_a_preflight_is_answered_without_credentials(service: Service) -> None:
    asked = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization, last-event-id",
    }
    answer = await service.client().options("/conversations", headers=asked)
    assert (answer.status_code, answer.text) == (200, "OK")
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-allow-methods"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    assert answer.headers["access-control-allow-headers"] == "authorization, last-event-id"
    assert answer.headers["access-control-max-age"] == "600"
    assert (await service.client().options("/conversations")).status_code == 405


async def test_wrong_methods_and_slashes(service: Service) -> None:
    ann = service.user()
    wrong = await ann.put("/conversations", json={})
    assert (wrong.status_code, wrong.json()["detail"]) == (405, "Method Not Allowed")
    assert {"GET", "POST"} <= set(wrong.headers["allow"].split(", "))
    assert (await ann.head("/users/me")).status_code == 405
    moved = await ann.get("/conversations/?limit=1")
    assert (moved.status_code, moved.headers["location"]) == (307, "/conversations?limit=1")


@pytest.mark.parametrize(
    ("content", "headers", "place"),
    [
        (b"{", {}, ["body"]),
        (b"", {}, ["body"]),
        (b"[]", {}, ["body"]),
        (b'{"content": 5}', {}, ["body", "content"]),
        (b"{}", {}, ["body", "content"]),
        (b'{"content": "\\ud800"}', {}, ["body"]),
        (b"content=x", {"Content-Type": "application/x-www-form-urlencoded"}, ["body"]),
        (b'{"content": "x"}', {"Content-Type": "text/plain"}, ["body"]),
    ],
)
async def test_a_body_that_does_not_fit_is_422_and_says_where(
    service: Service, content: bytes, headers: dict[str, str], place: list[str]
) -> None:
    ann = service.user()
    conversation = (await ann.post("/conversations", json={})).json()["id"]
    answer = await ann.post(f"/conversations/{conversation}/messages", content=content, headers=headers)
    assert answer.status_code == 422, answer.text
    (fault,) = answer.json()["detail"]
    assert (fault["loc"][: len(place)], bool(fault["msg"])) == (place, True)


async def test_a_uuid_that_is_none_is_422(service: Service) -> None:
    answer = await service.user().get("/conversations/not-a-uuid")
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["path", "conversation_id"])


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_413_and_names_it(sqlite_url: str, tmp_path: Path, chunked: bool) -> None:
    limits = {"body_bytes": 4096, "message_bytes": 2048, "metadata_bytes": 2048}
    async with running_service(sqlite_url, tmp_path / "data", limits=limits) as service:

        async def chunks() -> Any:
            for _ in range(80):
                yield b"x" * 64

        content = chunks() if chunked else b"x" * 5000
        answer = await service.user().post("/conversations", content=content)
    assert (answer.status_code, answer.json()["limit_bytes"]) == (413, 4096)
    assert "4096" in answer.json()["detail"]


async def test_what_is_anonymous_is_so_exactly(service: Service) -> None:
    nobody = service.client()
    root = await nobody.get("/")
    assert (root.status_code, root.content) == (200, b"")
    assert (await nobody.get("/livez")).json() == {"status": "ok"}
    assert (await nobody.get("/readyz")).json()["parts"] == {"database": "ok", "storage": "ok"}
    assert (await nobody.get("/docs")).status_code == 200
    assert (await nobody.get("/redoc")).status_code == 401


async def test_the_interface_describes_itself(service: Service) -> None:
    document = (await service.client().get("/openapi.json")).json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) > 20
    assert all(operation["summary"] and operation["operationId"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)
