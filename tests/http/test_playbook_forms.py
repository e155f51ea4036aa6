"""Playbooks that are sent as the file of a form: as good as the same text as a body."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.support.bad_input import documented, field_of
from tests.support.playbooks import EXAMPLE, document
from tests.support.service import Service
from tests.support.troubleshooting import YAML

ROUTES = ("/playbooks/import", "/playbooks/validate")
IMPORT, VALIDATE = ROUTES
LARGEST = 256 << 10
# Half a surrogate pair is an escape in JSON, and none in YAML.
ONLY_JSON = json.dumps(document(title="Printer \N{PRINTER} offline"))
FORM = "multipart/form-data"


def form(text: str | bytes = EXAMPLE, name: str = "printer.yaml", kind: str = "application/octet-stream") -> Any:
    """A form with a file, as curl and httpx send it."""
    return {"files": {"file": (name, text, kind)}}


def unlike(text: str) -> str:
    """The same playbook under a key that nobody has used."""
    return text.replace("printer-offline", f"printer-{uuid4().hex[:8]}")


def written(*parts: bytes, boundary: str = "b") -> dict[str, Any]:
    """A form as it is written, each part with its headers."""
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    end = b"--" + boundary.encode() + b"--\r\n"
    return {"content": body + end, "headers": {"Content-Type": f"{FORM}; boundary={boundary}"}}


def part(name: str, text: bytes = EXAMPLE.encode()) -> bytes:
    return f'Content-Disposition: form-data; name="{name}"; filename="p.yaml"\r\n\r\n'.encode() + text


async def test_a_file_is_taken_as_the_same_text_is(service: Service) -> None:
    ann = service.user()
    tried = await ann.post(IMPORT, **form(), params={"dry_run": True})
    assert (tried.status_code, tried.json()["version"]) == (200, 1)
    first = await ann.post(IMPORT, **form(), params={"publish": True})
    assert (first.status_code, first.json()["status"], first.json()["version"]) == (201, "published", 1)
    again = await ann.post(IMPORT, content=EXAMPLE.encode(), headers=YAML)
    assert (again.status_code, again.json()["status"], again.json()["version"]) == (200, "unchanged", 1)
    stored = (await ann.get("/playbooks/printer-offline/versions/1")).json()
    assert stored["source_text"] == EXAMPLE
    assert (await ann.post(VALIDATE, **form())).json() == {
        "key": "printer-offline",
        "is_valid": True,
        "findings": stored["findings"],
    }


async def test_all_that_is_amiss_in_a_file_is_told(sqlite_service: Service) -> None:
    ann = sqlite_service.user()
    wrong = EXAMPLE.replace("start: scope", "start: nowhere").replace("action: fixed", "action: mended")
    as_file = await ann.post(IMPORT, **form(wrong))
    as_body = await ann.post(IMPORT, content=wrong.encode(), headers=YAML)
    assert (as_file.status_code, as_file.json()["code"]) == (422, "invalid_playbook")
    assert as_file.json() == as_body.json()
    assert (await ann.post(VALIDATE, **form(wrong))).json()["findings"] == as_file.json()["extra"]["findings"]


@pytest.mark.parametrize(
    ("text", "name", "kind", "status"),
    [
        # What the part says of itself comes first, then its name, then what it looks like.
        (EXAMPLE, "p.json", "application/yaml", 201),
        (EXAMPLE, "p.txt", "text/x-yaml; charset=utf-8", 201),
        (ONLY_JSON, "p.yaml", "application/json", 201),
        (ONLY_JSON, "p.yaml", "application/yaml", 422),
        (EXAMPLE, "p.yaml", "application/json", 422),
        (EXAMPLE, "p.yml", "application/octet-stream", 201),
        (EXAMPLE, "p.json", "application/octet-stream", 422),
        (ONLY_JSON, "P.JSON", "application/octet-stream", 201),
        (ONLY_JSON, "p.yaml", "text/plain", 422),
        (EXAMPLE, "p", "application/octet-stream", 201),
        (ONLY_JSON, "p", "text/plain", 201),
        ("\ufeff" + ONLY_JSON, "p.txt", "text/plain", 201),
        ("[" * 100_000, "p", "text/plain", 422),
        ("", "p.yaml", "application/yaml", 422),
    ],
)
async def test_what_a_file_is_written_in_is_seen_from_its_type_its_name_or_its_text(
    sqlite_service: Service, text: str, name: str, kind: str, status: int
) -> None:
    answer = await sqlite_service.user().post(IMPORT, **form(unlike(text), name, kind))
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("route", ROUTES)
async def test_a_file_that_is_no_text_is_415(sqlite_service: Service, route: str) -> None:
    for kind in ("image/png", "application/zip", "text/html"):
        answer = await sqlite_service.user().post(route, **form(kind=kind))
        assert (answer.status_code, answer.json()["extra"]) == (415, {"field": "file"})


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("parts", "fields"),
    [
        ([], ["file"]),
        ([part("other")], ["file", "other"]),
        ([part("file"), part("file")], ["file"]),
        ([part("file"), part("publish", b"true")], ["publish"]),
        ([part("file"), part("ä€", b""), part("", b"")], ["ä€", "body"]),
    ],
)
async def test_a_form_has_one_file_and_nothing_else(
    sqlite_service: Service, route: str, parts: list[bytes], fields: list[str]
) -> None:
    answer = await sqlite_service.user().post(route, **written(*parts))
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")
    assert [fault["field"] for fault in answer.json()["extra"]["errors"]] == fields


@pytest.mark.parametrize("route", ROUTES)
async def test_what_is_no_form_is_400(sqlite_service: Service, route: str) -> None:
    ann = sqlite_service.user()
    whole = written(part("file"))
    headers = {"Content-Type": f"{FORM}; boundary=b"}
    for content, said in (
        (b"", headers),
        (b"x", headers),
        (whole["content"][:-20], headers),
        (whole["content"], {"Content-Type": FORM}),
        (whole["content"], {"Content-Type": f"{FORM}; boundary=other"}),
        (written(*[part("file", b"")] * 40)["content"], headers),
    ):
        answer = await ann.post(route, content=content, headers=said)
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_error"), answer.text
        assert field_of(answer) in ("body", "file")


async def chunked(content: bytes) -> AsyncIterator[bytes]:
    """It comes bit by bit, without saying beforehand how much."""
    for at in range(0, len(content), 65_536):
        yield content[at : at + 65_536]


@pytest.mark.parametrize("route", ROUTES)
async def test_a_file_that_is_too_large_is_413_by_its_own_size(sqlite_service: Service, route: str) -> None:
    ann = sqlite_service.user()
    largest = b"#" * LARGEST
    for size in (LARGEST + 1, LARGEST + 40_000, 20 * LARGEST):
        whole = written(part("file", b"#" * size))
        for content in (whole["content"], chunked(whole["content"])):
            answer = await ann.post(route, content=content, headers=whole["headers"])
            assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
            assert answer.json()["extra"]["limit_bytes"] == LARGEST
    fits = await ann.post(route, **written(part("file", largest)))
    assert fits.status_code == (422 if route == IMPORT else 200)
    empty = json.loads((await ann.post(route, content=largest, headers=YAML)).content)
    assert empty == fits.json()


async def keyed(who: httpx.AsyncClient, key: str, request: dict[str, Any]) -> httpx.Response:
    headers = {**request.get("headers", {}), "Idempotency-Key": key}
    return await who.post(IMPORT, **{**request, "headers": headers})


async def test_a_form_that_is_sent_again_is_answered_again(service: Service) -> None:
    ann, key = service.user(), str(uuid4())
    first = await keyed(ann, key, written(part("file"), boundary="one"))
    assert first.status_code == 201, first.text
    # Whoever sends it again puts other words between its parts.
    again = await keyed(ann, key, written(part("file"), boundary="another"))
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert len((await ann.get("/playbooks/printer-offline")).json()["versions"]) == 2
    changed = EXAMPLE.replace("Who is affected?", "Who cannot print?").encode()
    for other in (
        written(part("file", changed)),
        {"content": EXAMPLE.encode(), "headers": YAML},
        {**written(part("file")), "params": {"publish": True}},
    ):
        mismatch = await keyed(ann, key, other)
        assert (mismatch.status_code, mismatch.json()["code"]) == (409, "idempotency_mismatch")
    # What does not fit is told before it is looked what came before.
    for unfit in (
        written(part("other")),
        written(part("file", b"#" * (LARGEST + 1))),
        {"content": b"x" * (LARGEST + 1)},
    ):
        assert (await keyed(ann, key, unfit)).status_code in (400, 413)
    assert (await keyed(ann, key, form(kind="image/png"))).status_code == 415


@pytest.mark.parametrize("route", ROUTES)
def test_the_document_names_the_three_forms(route: str) -> None:
    content = documented()[f"POST {route}"]["requestBody"]["content"]
    assert content.keys() == {"application/yaml", "application/json", FORM}
    file = content[FORM]["schema"]
    assert (file["required"], file["properties"]["file"]["format"]) == (["file"], "binary")
