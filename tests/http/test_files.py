"""Files over HTTP: uploaded, listed, read whole and in parts, described, deleted."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select
from tests.support.databases import open_store
from tests.support.service import Service, running_service

from workbench.adapters.sql.tables import contents, conversations, file_versions, files, workspaces

Ann = httpx.AsyncClient


@pytest.fixture
async def talk(service: Service) -> Ann:
    """Ann's client, whose paths begin at a conversation of hers."""
    return await begin(service)


@pytest.fixture
async def lone(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    """The service on one database, for what is about HTTP alone."""
    async with running_service(sqlite_url, tmp_path / "data") as running:
        yield running


@pytest.fixture
async def lone_talk(lone: Service) -> Ann:
    """Ann's client there."""
    return await begin(lone)


async def begin(service: Service) -> Ann:
    ann = service.user("ann")
    conversation = (await ann.post("/conversations", json={})).json()["id"]
    ann.base_url = ann.base_url.join(f"/conversations/{conversation}/")
    return ann


async def upload(ann: Ann, *named: tuple[str, bytes], metadata: str | None = None) -> httpx.Response:
    form = [("files", (name, content, "text/plain")) for name, content in named]
    return await ann.put("files", files=form, data={} if metadata is None else {"metadata": metadata})


async def stored(service: Service) -> dict[str, Any]:
    """How much is written down, and how much is stored."""
    async with open_store(service.database_url) as store:
        rows = {table.name: len(await store.database.rows(select(table))) for table in (files, file_versions, contents)}
        (counted,) = await store.database.rows(select(conversations.c.file_bytes, workspaces.c.file_bytes))
    return {**rows, "bytes": tuple(counted), "objects": len(on_disk(service))}


def on_disk(service: Service) -> list[Path]:
    return [path for path in service.settings.storage_root.rglob("*") if path.is_file()]


NOTHING = {"files": 0, "file_versions": 0, "contents": 0, "bytes": (0, 0), "objects": 0}


async def test_files_are_answered_in_the_order_in_which_they_came(talk: Ann) -> None:
    answer = await upload(talk, ("b/two.txt", b"two"), ("a.txt", b"a"), metadata='{"a.txt": {"k": [1]}, "other": {}}')
    assert answer.status_code == 200
    first, second = answer.json()["files"]
    assert list(first) == [
        *("conversation_id", "created_datetime", "updated_datetime", "filename", "current_version", "content_type"),
        *("file_size", "participant_id", "participant_role", "metadata"),
    ]
    assert (first["filename"], first["current_version"], first["file_size"], first["metadata"]) == (
        "b/two.txt",
        1,
        3,
        {},
    )
    assert (first["participant_id"], first["participant_role"], first["content_type"]) == ("ann", "user", "text/plain")
    assert (second["filename"], second["metadata"]) == ("a.txt", {"k": [1]})
    assert [one["filename"] for one in (await talk.get("files")).json()["files"]] == ["a.txt", "b/two.txt"]


async def test_a_name_that_is_there_gets_a_further_version(talk: Ann) -> None:
    (first,) = (await upload(talk, ("a.txt", b"one"), metadata='{"a.txt": {"k": 1}}')).json()["files"]
    (second,) = (await upload(talk, ("a.txt", b"second"))).json()["files"]
    assert (second["current_version"], second["file_size"], second["metadata"]) == (2, 6, {})
    assert second["created_datetime"] == first["created_datetime"] < second["updated_datetime"]
    versions = (await talk.get("files/a.txt/versions")).json()
    assert list(versions) == ["conversation_id", "created_datetime", "filename", "current_version", "versions"]
    assert versions["versions"] == [
        {"version": 1, "content_type": "text/plain", "file_size": 3, "metadata": {"k": 1}},
        {"version": 2, "content_type": "text/plain", "file_size": 6, "metadata": {}},
    ]
    only = (await talk.get("files/a.txt/versions?version=1")).json()
    assert [one["version"] for one in only["versions"]] == [1]
    assert (await talk.get("files/a.txt")).content == b"second"
    assert (await talk.get("files/a.txt?version=1")).content == b"one"
    for path in ("files/a.txt?version=3", "files/a.txt/versions?version=3", "files/b.txt", "files/b.txt/versions"):
        assert (await talk.get(path)).status_code == 404, path


NAMES = [
    *(
        "plain",
        "with space.txt",
        "a/b/c.txt",
        "ünï/çödé 漢字.txt",
        "100%.txt",
        "%41.txt",
        "a+b&c=d.txt",
        "q?.txt",
        "#.txt",
    ),
    *("versions", "x/versions", "...", ".hidden", 'quo"te.txt', "semi;colon.txt", "line\u2028.txt"),
]


async def test_whatever_its_name_a_file_is_read_described_and_deleted(lone_talk: Ann) -> None:
    for name in NAMES:
        await live_through(lone_talk, name)


async def live_through(lone_talk: Ann, name: str) -> None:
    """Upload a file of that name, read, describe and delete it."""
    sent = name.replace('"', "%22")
    body = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{sent}"\r\n\r\nbytes of {name}\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await lone_talk.put("files", content=body.encode(), headers=headers)
    (file,) = answer.json()["files"]
    assert (file["filename"], file["content_type"]) == (name, "")
    path = f"{lone_talk.base_url}files/{quote(name, safe='')}"
    answer = await lone_talk.get(path)
    assert answer.content == f"bytes of {name}".encode()
    saved = quote(name.rsplit("/", 1)[-1], safe="")
    shown = answer.headers["content-disposition"]
    assert shown.split("filename=")[1] == f'"{saved}"'
    assert shown.startswith(f"attachment; filename*=UTF-8''{saved}; ")
    assert (await lone_talk.get(f"{path}/versions")).json()["filename"] == name
    assert (await lone_talk.patch(path, json={"metadata": {"a": 1}})).json()["filename"] == name
    assert (await lone_talk.delete(path)).status_code == 204
    assert (await lone_talk.get(path)).status_code == 404


async def test_a_file_called_versions_of_a_file_gives_way_to_the_list(talk: Ann) -> None:
    await upload(talk, ("x/versions", b"mine"))
    assert (await talk.get("files/x/versions")).content == b"mine"
    await upload(talk, ("x", b"x"))
    assert (await talk.get("files/x/versions")).json()["filename"] == "x"
    assert (await talk.get("files/x/versions?version=7")).status_code == 404
    assert (await talk.get("files/x/versions/versions")).json()["filename"] == "x/versions"


async def test_a_prefix_is_taken_as_it_is(talk: Ann) -> None:
    await upload(talk, *((name, b"") for name in ("a%b", "a_b", "aXb", "Axb", "a", "ä", "b")))

    async def listed(prefix: str) -> list[str]:
        return [one["filename"] for one in (await talk.get("files", params={"prefix": prefix})).json()["files"]]

    assert await listed("") == ["Axb", "a", "a%b", "aXb", "a_b", "b", "ä"]
    assert await listed("a") == ["a", "a%b", "aXb", "a_b"]
    assert await listed("a%") == ["a%b"]
    assert await listed("a_") == ["a_b"]
    assert await listed("A") == ["Axb"]
    assert await listed("ä") == ["ä"]
    assert await listed("nothing") == []


async def test_the_newest_version_is_described(talk: Ann) -> None:
    await upload(talk, ("a", b"1"), metadata='{"a": {"kept": 1, "over": 1}}')
    await upload(talk, ("a", b"2"), metadata='{"a": {"kept": {"x": 1}, "over": 1}}')
    answer = (await talk.patch("files/a", json={"metadata": {"over": {"y": 2}, "new": None}})).json()
    assert (answer["current_version"], [one["version"] for one in answer["versions"]]) == (2, [2])
    assert answer["versions"][0]["metadata"] == {"kept": {"x": 1}, "over": {"y": 2}, "new": None}
    versions = (await talk.get("files/a/versions")).json()["versions"]
    assert versions[0]["metadata"] == {"kept": 1, "over": 1}
    assert (await talk.patch("files/none", json={"metadata": {}})).status_code == 404
    assert (await talk.patch("files/a", json={})).status_code == 422
    huge = (await talk.patch("files/a", json={"metadata": {"x": "y" * 300_000}})).json()
    assert (huge["field"], huge["limit_bytes"]) == ("metadata", 256 << 10)


async def test_descriptions_at_once_are_all_kept(talk: Ann) -> None:
    await upload(talk, ("a", b"1"))
    await asyncio.gather(*(talk.patch("files/a", json={"metadata": {str(number): number}}) for number in range(6)))
    (file,) = (await talk.get("files")).json()["files"]
    assert file["metadata"] == {str(number): number for number in range(6)}


async def test_uploads_of_one_name_at_once_are_all_versions(own_service: Service) -> None:
    talk = await begin(own_service)
    answers = await asyncio.gather(*(upload(talk, ("a", str(number).encode())) for number in range(6)))
    assert sorted(answer.json()["files"][0]["current_version"] for answer in answers) == [1, 2, 3, 4, 5, 6]
    found = {(await talk.get(f"files/a?version={version}")).content for version in range(1, 7)}
    assert found == {b"0", b"1", b"2", b"3", b"4", b"5"}
    assert await stored(own_service) == {"files": 1, "file_versions": 6, "contents": 6, "bytes": (6, 6), "objects": 6}


async def test_the_same_bytes_are_kept_once(own_service: Service) -> None:
    talk = await begin(own_service)
    await asyncio.gather(*(upload(talk, (f"{number}.txt", b"same")) for number in range(5)))
    await upload(talk, ("x.txt", b"same"), ("y.txt", b"same"))
    assert await stored(own_service) == {"files": 7, "file_versions": 7, "contents": 1, "bytes": (28, 28), "objects": 1}
    assert (await talk.get("files/3.txt")).content == (await talk.get("files/y.txt")).content == b"same"


RANGES = [
    ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
    ("bytes=8-", 206, b"89", "bytes 8-9/10"),
    ("bytes=-3", 206, b"789", "bytes 7-9/10"),
    ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
    ("bytes=4-99", 206, b"456789", "bytes 4-9/10"),
    ("bytes=9-9", 206, b"9", "bytes 9-9/10"),
    ("bytes=10-", 416, None, "bytes */10"),
    ("bytes=-0", 416, None, "bytes */10"),
    ("bytes=5-4", 200, b"0123456789", None),
    ("bytes=0-1,4-5", 200, b"0123456789", None),
    ("lines=0-1", 200, b"0123456789", None),
    ("bytes=-", 200, b"0123456789", None),
    (f"bytes={'9' * 5000}-", 200, b"0123456789", None),
]


async def test_a_part_is_read(lone_talk: Ann) -> None:
    for asked, status, content, told in RANGES:
        await upload(lone_talk, ("a", b"0123456789"))
        answer = await lone_talk.get("files/a", headers={"Range": asked})
        assert (answer.status_code, answer.headers.get("content-range")) == (status, told)
        assert answer.headers["x-request-id"]
        if content is not None:
            assert answer.content == content
            assert answer.headers["content-length"] == str(len(content))
            assert answer.headers["accept-ranges"] == "bytes"
        else:
            assert answer.json() == {"detail": "the file has 10 bytes", "code": "range_outside"}


async def test_what_the_caller_has_is_not_sent_again(lone_talk: Ann) -> None:
    await upload(lone_talk, ("a", b"0123456789"))
    tag = (await lone_talk.get("files/a")).headers["etag"]
    assert tag == f'"{hashlib.sha256(b"0123456789").hexdigest()}"'
    for known in (tag, f'"other", W/{tag}', "*"):
        answer = await lone_talk.get("files/a", headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert (await lone_talk.get("files/a", headers={"If-None-Match": '"other"'})).status_code == 200
    part = {"Range": "bytes=0-1"}
    assert (await lone_talk.get("files/a", headers={**part, "If-Range": tag})).status_code == 206
    await upload(lone_talk, ("a", b"other bytes"))
    answer = await lone_talk.get("files/a", headers={**part, "If-Range": tag})
    assert (answer.status_code, answer.content) == (200, b"other bytes")


async def test_no_bytes_are_a_file_too(lone_talk: Ann) -> None:
    await upload(lone_talk, ("empty", b""))
    answer = await lone_talk.get("files/empty")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert (await lone_talk.get("files/empty", headers={"Range": "bytes=0-"})).status_code == 416


TYPES = [
    ("text/html", "text/html; charset=utf-8"),
    ("text/plain; charset=latin-1", "text/plain; charset=latin-1"),
    ("application/pdf", "application/pdf"),
]


async def test_a_file_is_of_the_type_it_came_with_and_no_page_of_ours(lone_talk: Ann) -> None:
    for sent, shown in TYPES:
        await lone_talk.put("files", files={"files": ("a", b"<script>", sent)})
        headers = (await lone_talk.get("files/a")).headers
        assert headers["content-type"] == shown
        assert (headers["x-content-type-options"], headers["content-security-policy"]) == ("nosniff", "sandbox")


REFUSED = [
    (
        {"files": [("files", (str(number), b"x")) for number in range(11)]},
        400,
        "file uploads limited to 10 at a time",
    ),
    ({"files": [("files", ("a", b"x")), ("files", ("a", b"y"))]}, 400, "filenames are required to be unique"),
    ({"files": [("files", ("", b"x"))]}, 422, "a file with a filename"),
    ({"files": [("files", ("..", b"x"))]}, 400, "no part of a filename"),
    ({"files": [("files", ("/lead", b"x"))]}, 400, "no part of a filename"),
    ({"files": [("files", ("a//b", b"x"))]}, 400, "no part of a filename"),
    ({"files": [("files", ("a" * 1025, b"x"))]}, 400, "a filename is limited to 1024 characters"),
    ({"files": [("files", ("a", b"x", "t" * 256))]}, 400, "a content type is limited to 255 characters"),
    ({"files": [("other", ("a", b"x"))]}, 422, "Field required"),
    ({"data": {"metadata": "{}"}}, 422, "Field required"),
    ({"json": {}}, 422, "Field required"),
    ({}, 422, "Field required"),
    ({"files": {"files": b"x"}, "data": {"metadata": "[]"}}, 400, "metadata must be a JSON object as a string"),
    (
        {"files": {"files": b"x"}, "data": {"metadata": '{"a": 1}'}},
        400,
        "metadata must be a JSON object as a string",
    ),
    ({"files": {"files": b"x"}, "data": {"metadata": "{"}}, 400, "truncated"),
    ({"files": {"files": b"x"}, "data": {"metadata": b"\xff"}}, 400, "decode"),
    (
        {"files": {"files": b"x"}, "data": {"metadata": "x" * (3 << 20)}},
        413,
        "metadata is limited to 2621440 bytes",
    ),
    (
        {"files": {"files": b"x"}, "data": {"metadata": '{"upload": {"x": "' + "y" * 300_000 + '"}}'}},
        413,
        "metadata is limited to 262144 bytes",
    ),
]


async def test_what_cannot_be_taken_is_refused_whole(lone: Service, lone_talk: Ann) -> None:
    for form, status, said in REFUSED:
        answer = await lone_talk.put("files", **form)
        assert answer.status_code == status, answer.text
        assert said in answer.text
        assert await stored(lone) == NOTHING


BROKEN = [
    b"nothing of the kind",
    b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nsome bytes',
    b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nsome bytes\r\n--y--\r\n',
    b"--x\r\nContent-Disposition: form-data; name=" + b"a" * 40_000,
]


async def test_a_form_that_is_cut_or_broken_leaves_nothing(lone: Service, lone_talk: Ann) -> None:
    for body in BROKEN:
        answer = await lone_talk.put("files", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_form")
        assert await stored(lone) == NOTHING


async def test_a_sender_that_goes_away_leaves_nothing(lone: Service, lone_talk: Ann) -> None:
    begun = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="first"\r\n\r\nall of it\r\n'
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="second"\r\n\r\n'
        for _ in range(40):
            yield b"x" * 65_536
        begun.set()
        await asyncio.Event().wait()

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    sending = asyncio.create_task(lone_talk.put("files", content=body(), headers=headers))
    await begun.wait()
    async with asyncio.timeout(5):
        while len(on_disk(lone)) < 2:  # noqa: ASYNC110 - a disk has no event
            await asyncio.sleep(0.01)
    sending.cancel()
    async with asyncio.timeout(5):
        while on_disk(lone):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await stored(lone) == NOTHING


async def test_limits_are_named_and_hold_while_bytes_arrive(database_url: str, tmp_path: Path) -> None:
    limits = {"file_bytes": 100_000, "conversation_file_bytes": 150_000, "workspace_file_bytes": 200_000}
    async with running_service(database_url, tmp_path / "data", limits=limits) as service:
        first, second = await begin(service), await begin(service)

        async def endless() -> AsyncIterator[bytes]:
            yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
            while True:
                yield b"x" * 10_000
                await asyncio.sleep(0)

        answer = await upload(first, ("a", b"x" * 100_001))
        assert answer.status_code == 413
        assert answer.json() == {
            "detail": "a is over the limit of a file, 100000 bytes",
            "code": "file_limit",
            "field": "files",
            "limit": "file_bytes",
            "limit_bytes": 100_000,
        }
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        with contextlib.suppress(httpx.TransportError):
            # The connection may be closed before the answer is read.
            assert (await second.put("files", content=endless(), headers=headers)).status_code == 413
        assert (await upload(first, ("a", b"x" * 90_000))).status_code == 200
        assert (await upload(first, ("a", b"y" * 60_001))).json()["limit"] == "conversation_bytes"
        assert (await upload(second, ("a", b"x" * 90_000))).status_code == 200
        assert (await upload(second, ("b", b"z" * 20_001))).json()["limit"] == "workspace_bytes"
        assert (await upload(second, ("b", b"z" * 20_000))).status_code == 200
        assert len(on_disk(service)) == 2
        assert (await second.delete("files/b")).status_code == 204
        assert (await upload(second, ("c", b"c" * 20_000))).status_code == 200
        assert (await first.delete(str(first.base_url).rstrip("/"))).status_code == 204
        assert (await upload(second, ("d", b"d" * 30_000))).status_code == 200


async def test_uploads_at_once_do_not_share_the_last_room(database_url: str, tmp_path: Path) -> None:
    async with running_service(database_url, tmp_path / "data", limits={"conversation_file_bytes": 50}) as service:
        ann = await begin(service)
        answers = await asyncio.gather(*(upload(ann, (str(number), b"0123456789")) for number in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] * 5 + [413] * 3
        (counts,) = [(await ann.get("files")).json()["files"]]
        assert len(counts) == 5


async def test_a_large_body_of_any_other_request_is_still_refused(lone: Service, lone_talk: Ann) -> None:
    answer = await lone_talk.post("messages", content=b'{"content":"' + b"x" * (9 << 20) + b'"}')
    assert answer.status_code == 413


async def test_bytes_that_are_lost_are_no_200(own_service: Service) -> None:
    talk = await begin(own_service)
    await upload(talk, ("a", b"text"))
    (path,) = on_disk(own_service)
    path.unlink()
    answer = await talk.get("files/a")
    assert (answer.status_code, answer.json()["code"]) == (503, "content_missing")


async def test_metadata_keeps_what_only_looks_like_a_nul(lone_talk: Ann) -> None:
    metadata = r'{"a": {"plain": "x\\u0000y", "nul": "x\u0000y"}}'
    (file,) = (await upload(lone_talk, ("a", b"x"), metadata=metadata)).json()["files"]
    assert file["metadata"] == {"plain": r"x\u0000y", "nul": "xy"}


async def test_an_upload_to_nowhere_takes_no_byte(lone: Service) -> None:
    stranger = lone.user("eve")
    answer = await stranger.put(f"/conversations/{uuid4()}/files", files={"files": ("a", b"x")})
    assert answer.status_code == 404
    assert on_disk(lone) == []


async def test_a_store_without_links_says_so(lone_talk: Ann) -> None:
    await upload(lone_talk, ("a", b"text"))
    answer = await lone_talk.get("files/a?link=true")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_links")
