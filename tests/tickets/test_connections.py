"""Connecting ticket systems over HTTP: who may, what is checked, and that secrets are never shown again."""

import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import select
from tests.support.bad_input import field_of
from tests.support.databases import open_store
from tests.support.service import running_service
from tests.support.ticket_desk import SECRET, TICKETS, Desk
from tests.support.ticket_systems import OTHER_KEY, PRIVATE, WEBHOOK_KEY, ConnectWiseServer, WebhookServer

from workbench.adapters.sql.ticket_tables import psa_connections

CONNECTIONS = "/psa-connections"
HOOK = {"url": "https://hooks.example/path"}
NEW: dict[str, Any] = {"kind": "webhook", "name": "Hook", "config": HOOK, "secret": {"keys": [WEBHOOK_KEY]}}


async def test_a_connection_is_made_changed_and_removed(desk: Desk) -> None:
    root = desk.service.admin()
    made = await root.post(CONNECTIONS, json=NEW)
    assert made.status_code == 201
    path = made.headers["location"]
    assert made.json() | {"enabled": True, "health": "unknown", "config": HOOK, "checked_at": None} == made.json()
    changed = await root.patch(path, json={"name": "Other", "enabled": False, "secret": {"keys": [OTHER_KEY]}})
    assert (changed.json()["name"], changed.json()["enabled"], changed.json()["config"]) == ("Other", False, HOOK)
    assert (await root.get(CONNECTIONS)).json()["items"] == [(await root.get(path)).json()]
    assert (await root.delete(path)).status_code == 204
    for answer in (await root.get(path), await root.patch(path, json={}), await root.delete(path)):
        assert (answer.status_code, answer.json()["code"]) == (404, "connection_not_found")
    assert (await root.get(CONNECTIONS)).json() == {"items": []}


async def test_secrets_are_stored_sealed_and_never_shown(desk: Desk) -> None:
    root = desk.service.admin()
    site = {"site": "na.myconnectwise.net", "company_id": "acme", "client_id": "c"}
    shown = [await root.post(CONNECTIONS, json=NEW)]
    shown.append(await root.post(CONNECTIONS, json={**NEW, "kind": "connectwise", "config": site, "secret": SECRET}))
    shown += [await root.get(CONNECTIONS), await root.get(shown[0].headers["location"])]
    shown.append(await root.patch(shown[0].headers["location"], json={"secret": {"keys": [OTHER_KEY]}}))
    assert [
        answer.text for answer in shown if any(key in answer.text for key in (WEBHOOK_KEY, OTHER_KEY, PRIVATE))
    ] == []
    async with open_store(desk.service.database_url) as store:
        rows = await store.database.rows(select(psa_connections))
        text = json.dumps([[str(value) for value in row] for row in rows])
    assert [key for key in (WEBHOOK_KEY, OTHER_KEY, PRIVATE) if key in text] == []


WRONG = [
    ({**NEW, "config": {"url": "http://hooks.example/"}}, 400, "config", "url_not_allowed"),
    ({**NEW, "config": {"url": "https://user:pass@hooks.example/"}}, 400, "config", "url_not_allowed"),
    ({**NEW, "config": {"url": "ftp://hooks.example/"}}, 400, "config", "validation_error"),
    ({**NEW, "config": {}}, 400, "config", "validation_error"),
    ({**NEW, "config": {**HOOK, "password": "x"}}, 400, "config", "validation_error"),
    ({**NEW, "secret": {"keys": []}}, 400, "secret", "validation_error"),
    ({**NEW, "secret": {"keys": [WEBHOOK_KEY] * 3}}, 400, "secret", "validation_error"),
    ({**NEW, "secret": {"keys": ["whsec_c2hvcnQ="]}}, 400, "secret", "validation_error"),
    ({**NEW, "secret": {"keys": ["whsec_not base64 at all, whatever"]}}, 400, "secret", "validation_error"),
    ({**NEW, "kind": "connectwise"}, 400, "config", "validation_error"),
]


@pytest.mark.parametrize(("new", "status", "field", "code"), WRONG)
async def test_what_cannot_be_called_or_used_is_refused_by_name(
    sqlite_desk: Desk, new: dict[str, Any], status: int, field: str, code: str
) -> None:
    answer = await sqlite_desk.service.admin().post(CONNECTIONS, json=new)
    assert (answer.status_code, field_of(answer), answer.json()["code"]) == (status, field, code)
    assert "whsec" not in answer.json()["detail"].replace("whsec_ and", "")
    unfit = await sqlite_desk.service.admin().post(CONNECTIONS, json={**NEW, "kind": "pigeon"})
    assert (unfit.status_code, field_of(unfit)) == (400, "kind")


async def test_only_who_may_connects_and_engineers_see_what_there_is(sqlite_url: str, tmp_path: Any) -> None:
    secret = "s" * 32
    roles = {"engineer_role": "Engineer", "connector_role": "Connector", "admin_role": "Admin"}
    issuer = {"name": "company", "secret": secret, **roles}
    async with running_service(sqlite_url, tmp_path / "data", auth={"issuers": [issuer]}, tickets=TICKETS) as service:

        def user(*named: str) -> Any:
            claims = {"sub": "eve", "name": "Eve", "exp": 4_000_000_000, "roles": list(named)}
            token = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret))
            return service.client(Authorization=f"Bearer {token}")

        path = (await user("Connector").post(CONNECTIONS, json=NEW)).headers["location"]
        assert (await user("Admin").patch(path, json={"name": "Ours"})).status_code == 200
        for refused in (
            await user("Engineer").post(CONNECTIONS, json=NEW),
            await user("Engineer").patch(path, json={}),
            await user("Engineer").post(f"{path}/test"),
            await user("Engineer").delete(path),
            await user().get(CONNECTIONS),
            await user().get(path),
        ):
            assert (refused.status_code, refused.json()["code"]) == (403, "role_required")
        (seen,) = (await user("Engineer").get(CONNECTIONS)).json()["items"]
        assert (seen["name"], seen["config"]) == ("Ours", None)


async def test_30_a_connection_of_another_workspace_is_as_unknown_as_any(desk: Desk) -> None:
    path = (await desk.service.admin().post(CONNECTIONS, json=NEW)).headers["location"]
    neighbour = desk.service.admin("nell", "elsewhere")
    for unknown in (path, f"{CONNECTIONS}/00000000-0000-0000-0000-000000000001"):
        answers = [
            await neighbour.get(unknown),
            await neighbour.patch(unknown, json={"enabled": False}),
            await neighbour.post(f"{unknown}/test"),
            await neighbour.delete(unknown),
        ]
        assert {(each.status_code, each.content) for each in answers} == {(404, answers[0].content)}
    assert (await desk.service.admin().get(path)).json()["enabled"] is True


async def test_a_test_says_how_the_system_is(desk: Desk, company: ConnectWiseServer, hook: WebhookServer) -> None:
    root = desk.service.admin()
    for server in (company, hook):
        path = f"{CONNECTIONS}/{await desk.connect(server)}"
        tested = (await root.post(f"{path}/test")).json()
        assert (tested["health"], tested["error_code"]) == ("ok", None)
        assert (await root.get(path)).json()["health"] == "ok"
    company.keys = ("other", "other")
    path = f"{CONNECTIONS}/{await desk.connect(company)}"
    tested = (await root.post(f"{path}/test")).json()
    told = ("auth_failed", "auth_failed", "The ticket system does not accept the keys of the connection.")
    assert (tested["health"], tested["error_code"], tested["error_summary"]) == told
    # What was refused stays so until it is taken, whatever else is wrong meanwhile.
    await root.patch(path, json={"config": {**company.config, "site": "http://127.0.0.1:9"}})
    tested = (await root.post(f"{path}/test")).json()
    assert (tested["health"], tested["error_code"]) == ("auth_failed", "unreachable")
