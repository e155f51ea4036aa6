"""Linking sessions with tickets. The numbers are those of the specification of sessions (13, 16)."""

from typing import Any
from uuid import uuid4

import pytest
from tests.support.bad_input import field_of
from tests.support.ticket_desk import Desk
from tests.support.ticket_systems import ConnectWiseServer, WebhookServer
from tests.support.troubleshooting import SESSIONS, act, by_hand, done

CONNECTIONS = "/psa-connections"


async def test_13_a_ticket_is_looked_up_and_shown_with_the_session(desk: Desk, company: ConnectWiseServer) -> None:
    ann, connection = desk.service.user(), await desk.connect(company)
    path = (await by_hand(ann))["path"]
    link = {"psa_ticket_id": "4711", "psa_connection_id": connection}
    linked = await ann.post(f"{path}/link-ticket", json=link)
    assert linked.status_code == 200, linked.text
    detail = linked.json()
    assert (detail["psa_ticket_id"], detail["psa_connection_id"]) == ("4711", connection)
    known = {"verified": True, "summary": "Printer", "status": "New", "board": "Desk", "company": "Acme"}
    assert detail["ticket_data"] == {**known, "closed": False}
    assert detail["psa_push_status"] == "not_requested"
    assert (await ann.get(path)).json() == detail
    assert [event.type for event in await desk.told()][-1] == "session.ticket.linked"
    listed = (await ann.get(SESSIONS, params={"ticket_id": "4711", "include_total": True})).json()
    assert (listed["total"], listed["items"][0]["psa_ticket_id"]) == (1, "4711")
    assert (await ann.get(SESSIONS, params={"ticket_id": "4712"})).json()["items"] == []
    documentation = (await ann.get(f"{path}/documentation", params={"format": "markdown"})).text
    assert "Ticket 4711" in documentation


async def test_13_tickets_that_are_not_there_are_refused_and_none_is_linked(
    desk: Desk, company: ConnectWiseServer
) -> None:
    ann, connection = desk.service.user(), await desk.connect(company)
    path = (await by_hand(ann))["path"]
    refused = await ann.post(f"{path}/link-ticket", json={"psa_ticket_id": "4712", "psa_connection_id": connection})
    assert (refused.status_code, refused.json()["code"], field_of(refused)) == (
        400,
        "ticket_not_found",
        "psa_ticket_id",
    )
    assert (await ann.get(path)).json()["psa_ticket_id"] is None
    for unfit in ("", "a/b", "..", "x" * 65, "a b", "4711\n"):
        body = {"psa_ticket_id": unfit, "psa_connection_id": connection}
        assert (await ann.post(f"{path}/link-ticket", json=body)).status_code == 400


async def test_13_a_system_that_cannot_be_asked_keeps_nobody_from_working(
    desk: Desk, company: ConnectWiseServer, hook: WebhookServer
) -> None:
    ann = desk.service.user()
    away = await desk.connect(company, site="http://127.0.0.1:9")
    assert (await ann.get(await desk.linked(ann, away))).json()["ticket_data"] == {"verified": False}
    assert (await ann.get(await desk.linked(ann, await desk.connect(hook)))).json()["ticket_data"] == {
        "verified": False
    }
    company.keys = ("other", "other")
    wrong = await desk.connect(company)
    assert (await ann.get(await desk.linked(ann, wrong))).json()["ticket_data"] == {"verified": False}
    assert (await desk.service.admin().get(f"{CONNECTIONS}/{wrong}")).json()["health"] == "auth_failed"


async def test_13_a_connection_that_is_off_is_not_linked_with(desk: Desk, company: ConnectWiseServer) -> None:
    ann, connection = desk.service.user(), await desk.connect(company)
    path = (await by_hand(ann))["path"]
    (await desk.service.admin().patch(f"{CONNECTIONS}/{connection}", json={"enabled": False})).raise_for_status()
    refused = await ann.post(f"{path}/link-ticket", json={"psa_ticket_id": "4711", "psa_connection_id": connection})
    assert (refused.status_code, refused.json()["code"]) == (409, "connection_disabled")
    assert company.requests == []


async def test_30_a_connection_of_another_workspace_is_as_unknown_as_any(
    desk: Desk, company: ConnectWiseServer
) -> None:
    theirs = await desk.connect(company)
    nell = desk.service.user("nell", "elsewhere")
    path = (await by_hand(nell))["path"]
    bodies = [{"psa_ticket_id": "4711", "psa_connection_id": each} for each in (theirs, str(uuid4()))]
    answers = [await nell.post(f"{path}/link-ticket", json=body) for body in bodies]
    new: dict[str, Any] = {"intake_content": {"text": "It is slow"}, "start_mode": "manual"}
    answers += [await nell.post(SESSIONS, json={**new, **body}) for body in bodies]
    assert {(each.status_code, each.content) for each in answers} == {(400, answers[0].content)}
    assert answers[0].json()["code"] == "unknown_connection"
    assert company.requests == []


@pytest.mark.parametrize("action", ["resolve", "abandon"])
async def test_13_a_session_that_is_over_gets_no_ticket(desk: Desk, hook: WebhookServer, action: str) -> None:
    ann, connection = desk.service.user(), await desk.connect(hook)
    path = (await by_hand(ann))["path"]
    await done(ann, path, action)
    link = {"psa_ticket_id": "4711", "psa_connection_id": connection}
    refused = await ann.post(f"{path}/link-ticket", json=link)
    assert (refused.status_code, refused.json()["code"]) == (409, "illegal_transition")
    assert (await desk.service.user("dan").post(f"{path}/link-ticket", json=link)).status_code == 404


async def test_5_1_a_session_begins_with_its_ticket_where_one_connection_is_enabled(
    desk: Desk, company: ConnectWiseServer
) -> None:
    ann = desk.service.user()
    new = {"intake_content": {"text": "It is slow"}, "start_mode": "manual", "psa_ticket_id": "4711"}
    none = await ann.post(SESSIONS, json=new)
    assert (none.status_code, field_of(none)) == (400, "psa_connection_id")
    only = await desk.connect(company)
    begun = (await ann.post(SESSIONS, json=new)).json()
    detail = (await ann.get(f"{SESSIONS}/{begun['session_id']}")).json()
    assert (detail["psa_connection_id"], detail["ticket_data"]["verified"]) == (only, True)
    await desk.connect(company)
    assert (await ann.post(SESSIONS, json=new)).json()["code"] == "unknown_connection"
    missing = {**new, "psa_ticket_id": None, "psa_connection_id": only}
    assert field_of(await ann.post(SESSIONS, json=missing)) == "psa_ticket_id"
    escalated = await act(ann, f"{SESSIONS}/{begun['session_id']}", "escalate")
    assert escalated.json()["packet"]["psa_ticket_id"] == "4711"
