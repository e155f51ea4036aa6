"""Playbooks over HTTP: imported, published, put aside, tried. The numbers are those of the specification (16)."""

import json
import time

from tests.support.bad_input import field_of
from tests.support.playbooks import EXAMPLE, document
from tests.support.service import Service
from tests.support.troubleshooting import YAML, import_playbook, respond, start

IMPORT = "/playbooks/import"
SPOOLER = "Jobs stuck in the queue, the print spooler hangs"
CHANGED = EXAMPLE.replace('prompt: "Who is affected?"', 'prompt: "Who cannot print?"')
BOMB = "a: &a [x, x, x, x]\n" + "\n".join(f"b{n}: &b{n} [*a, *a, *a, *a, *a, *a]" for n in range(9))


async def test_every_workspace_has_those_that_come_with_the_package(service: Service) -> None:
    ann = service.user()
    listed = (await ann.get("/playbooks")).json()["playbooks"]
    assert len(listed) == 13
    assert {(each["status"], each["current_version"]) for each in listed} == {("published", 0)}
    assert [each["key"] for each in listed] == sorted(each["key"] for each in listed)
    one = (await ann.get("/playbooks/vpn-connection")).json()
    assert [each["version"] for each in one["versions"]] == [0]
    text = (await ann.get("/playbooks/vpn-connection/versions/0")).json()["source_text"]
    assert text.startswith("schema: workbench.playbook/1")
    assert (await ann.get("/playbooks/nothing")).json()["code"] == "playbook_not_found"
    assert (await ann.get("/playbooks/vpn-connection/versions/7")).json()["code"] == "version_not_found"


async def test_65_a_text_is_imported_once_and_told_of_wholly_where_it_is_wrong(service: Service) -> None:
    ann = service.user()
    first = await ann.post(IMPORT, content=EXAMPLE.encode(), headers=YAML)
    assert (first.status_code, first.json()["status"], first.json()["version"]) == (201, "draft", 1)
    again = await ann.post(IMPORT, json=document())
    assert (again.status_code, again.json()["status"], again.json()["version"]) == (200, "unchanged", 1)
    dry = await ann.post(IMPORT, content=CHANGED.encode(), headers=YAML, params={"dry_run": True})
    assert (dry.status_code, dry.json()["version"]) == (200, 2)
    assert len((await ann.get("/playbooks/printer-offline")).json()["versions"]) == 2
    wrong = EXAMPLE.replace("start: scope", "start: nowhere").replace("action: fixed", "action: mended")
    refused = await ann.post(IMPORT, content=wrong.encode(), headers=YAML)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_playbook")
    assert {"start", "nodes.fixed.action"} <= {each["path"] for each in refused.json()["extra"]["findings"]}
    checked = (await ann.post("/playbooks/validate", content=wrong.encode(), headers=YAML)).json()
    assert checked == {"key": None, "is_valid": False, "findings": refused.json()["extra"]["findings"]}
    begun = time.perf_counter()
    bomb = await ann.post("/playbooks/validate", content=BOMB.encode(), headers=YAML)
    assert bomb.json()["is_valid"] is False
    assert time.perf_counter() - begun < 1
    large = await ann.post(IMPORT, content=b"#" * (256 * 1024 + 1), headers=YAML)
    assert large.status_code == 413
    assert (await ann.post(IMPORT, content=b"x", headers={"Content-Type": "image/png"})).status_code == 415


async def test_65_a_session_under_way_stays_with_its_version(service: Service) -> None:
    ann = service.user()
    await import_playbook(ann, EXAMPLE)
    old = await start(ann, SPOOLER)
    await import_playbook(ann, CHANGED)
    new = await start(ann, SPOOLER)
    assert [each["first_step"]["content"]["prompt"] for each in (old, new)] == ["Who is affected?", "Who cannot print?"]
    assert (await ann.post("/playbooks/printer-offline/archive")).json()["status"] == "archived"
    goes_on = await respond(ann, old["path"], old["first_step"], free_text="nobody in particular")
    again = await respond(ann, old["path"], goes_on["next_step"], outcome="failed")
    assert again["next_step"]["source"] == "playbook"
    assert [each["version"] for each in (await ann.get("/playbooks/printer-offline")).json()["versions"]] == [0, 1, 2]
    back = await ann.post("/playbooks/printer-offline/publish", json={"version": 1})
    assert (back.json()["current_version"], back.json()["status"]) == (1, "published")
    assert (await start(ann, SPOOLER))["first_step"]["content"]["prompt"] == "Who is affected?"


async def test_one_that_comes_with_the_package_is_put_aside_and_taken_back(service: Service) -> None:
    ann = service.user()
    report = {"text": "The printer on the second floor shows offline and jobs are stuck in the print queue"}

    async def found() -> list[str]:
        return [each["key"] for each in (await ann.post("/playbooks/match", json=report)).json()["candidates"]]

    assert (await found())[0] == "printer-offline"
    await ann.post("/playbooks/printer-offline/archive")
    assert "printer-offline" not in await found()
    assert (await service.user(workspace="elsewhere").get("/playbooks/printer-offline")).json()["status"] == "published"
    shown = (await ann.post("/playbooks/printer-offline/publish", json={"version": 0})).json()
    assert (shown["status"], shown["current_version"]) == ("published", 0)
    assert (await found())[0] == "printer-offline"


async def test_a_trial_tells_what_a_score_is_made_of(service: Service) -> None:
    ann = service.user()
    result = (await ann.post("/playbooks/match", json={"text": "vpn cannot connect"})).json()
    best = result["candidates"][0]
    assert result["decision"] in {"run", "offer"}
    assert best["key"] == "vpn-connection"
    assert {"likeness", "coverage", "has_phrase"} <= best.keys()
    assert field_of(await ann.post("/playbooks/match", json={"text": "  "})) == "text"


async def test_keys_that_are_no_texts_are_told_of_all_the_same(service: Service) -> None:
    ann = service.user()
    for odd in (
        b'{"\\ud800": "x"}',
        b'{"nodes": {"\\ud800": {"type": "\\udfff"}}}',
        b'"\\ud800"',
        b"[1e999, 10000000000000000000000]",
    ):
        checked = await ann.post("/playbooks/validate", content=odd, headers={"Content-Type": "application/json"})
        assert (checked.status_code, checked.json()["is_valid"]) == (200, False), odd
    assert (await ann.post("/playbooks/validate", content=b"\xff: \x00", headers=YAML)).json()["is_valid"] is False


async def test_a_draft_leaves_what_is_followed_as_it_is(service: Service) -> None:
    ann = service.user()
    text = json.dumps(document(title="Another title")).encode()
    assert (await ann.post(IMPORT, content=text, headers={"Content-Type": "application/json"})).status_code == 201
    one = (await ann.get("/playbooks/printer-offline")).json()
    assert (one["status"], one["current_version"]) == ("published", 0)
    published = (await ann.post("/playbooks/printer-offline/publish", json={})).json()
    assert (published["title"], published["current_version"]) == ("Another title", 1)
    assert published["versions"][1]["published_at"] is not None
