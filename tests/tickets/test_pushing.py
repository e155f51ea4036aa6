"""Notes to tickets, from what they tell of to the ticket. The numbers are those of the specification of sessions (16)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from tests.http.test_tracing import CAUSE, PARENT, TRACE, parent_of, traced
from tests.support.bad_input import field_of
from tests.support.clocks import StoppedClock
from tests.support.databases import open_store
from tests.support.servers import eventually, until
from tests.support.service import running_service
from tests.support.ticket_desk import TICKETS, Desk, Impatient, connect, id_of, pushes, ticket_desk
from tests.support.ticket_systems import ConnectWiseServer, WebhookServer
from tests.support.troubleshooting import ESCALATION, SOLVED, act, by_hand, done, respond

from workbench.adapters.sql.tables import jobs
from workbench.adapters.sql.ticket_tables import psa_push_bodies, psa_pushes, resolution_outputs
from workbench.adapters.tickets.connectwise import PACE
from workbench.domain.identity.model import Principal
from workbench.domain.tickets.service import ConnectionService
from workbench.domain.transactions import Transactions
from workbench.domain.troubleshooting.duties import UpkeepPolicy
from workbench.domain.troubleshooting.handling import HandlingService, NewResolution
from workbench.domain.troubleshooting.output_jobs import OUTPUT_JOB
from workbench.domain.troubleshooting.ports import SessionTx
from workbench.domain.troubleshooting.pushing import PushingService
from workbench.wiring.container import make_container

CONNECTIONS = "/psa-connections"
RETRY = "retry-psa-push"


async def resolved(desk: Desk, who: Any, connection: str, **body: Any) -> tuple[str, dict[str, Any]]:
    """Resolve a session with a ticket; its path, and the answer."""
    path = await desk.linked(who, connection)
    answer = await act(who, path, "resolve", {**SOLVED, **body})
    assert answer.status_code == 200, answer.text
    return path, answer.json()


async def test_62_a_resolution_comes_to_its_ticket_for_colleagues(desk: Desk, company: ConnectWiseServer) -> None:
    ann, connection = desk.service.user(), await desk.connect(company)
    path, answer = await resolved(desk, ann, connection)
    assert answer["psa_push_status"] == "pending"
    assert company.notes == []
    assert (await ann.get(path)).json()["psa_push_status"] == "pending"
    (sent,) = await desk.bring()
    (note,) = company.notes
    assert (note["internalAnalysisFlag"], note["detailDescriptionFlag"], note["resolutionFlag"]) == (True, False, False)
    assert note["text"] == f"{answer['ticket_notes']}\n[wb:{sent.marker}]"
    (push,) = await pushes(ann, path)
    assert (push["status"], push["external_note_id"], push["attempt_count"]) == ("sent", "1", 1)
    assert (push["kind"], push["visibility"], push["body"]) == ("resolution", "internal", note["text"])
    assert (await ann.get(path)).json()["psa_push_status"] == "sent"
    event = (await desk.told())[-1]
    assert event.type == "session.psa_push.sent"
    assert "Cleared the queue" not in event.data
    assert await desk.bring() == []


async def test_62_resolutions_for_the_customer_say_what_is_safe_to_tell(desk: Desk, company: ConnectWiseServer) -> None:
    ann, connection = desk.service.user(), await desk.connect(company, resolution_as="resolution")
    session = await by_hand(ann, psa_ticket_id="4711", psa_connection_id=connection)
    await respond(ann, session["path"], session["first_step"], free_text="The switch in the cellar was off")
    await done(ann, session["path"], "resolve")
    await desk.bring()
    (note,) = company.notes
    assert (note["internalAnalysisFlag"], note["detailDescriptionFlag"], note["resolutionFlag"]) == (False, False, True)
    assert "The problem is solved: Cleared the queue on PRN-02." in note["text"]
    assert "cellar" not in note["text"]


async def test_62_an_escalation_says_why(desk: Desk, company: ConnectWiseServer) -> None:
    ann = desk.service.user()
    path = await desk.linked(ann, await desk.connect(company))
    asked = {**ESCALATION, "urgency": "high", "notes": "password: hunter2"}
    assert (await act(ann, path, "escalate", asked)).json()["psa_push_status"] == "pending"
    await desk.bring()
    (note,) = company.notes
    assert note["text"].startswith("Escalated (high): No idea what else to try.\nNotes: password: [masked]")
    assert note["internalAnalysisFlag"] is True


async def test_status_updates_come_to_the_ticket_when_that_is_wanted(desk: Desk, company: ConnectWiseServer) -> None:
    ann = desk.service.user()
    path = await desk.linked(ann, await desk.connect(company))
    update = f"{path}/status-update"
    assert (await ann.post(update, json={"audience": "client"})).json()["push_id"] is None
    client = (await ann.post(update, json={"audience": "client", "post_to_ticket": True})).json()
    again = (await ann.post(update, json={"audience": "client", "post_to_ticket": True})).json()
    notes = (await ann.post(update, json={"audience": "ticket_notes", "post_to_ticket": True})).json()
    assert client["push_id"] == again["push_id"] != notes["push_id"]
    mail = await ann.post(update, json={"audience": "email", "post_to_ticket": True})
    assert (mail.status_code, field_of(mail)) == (400, "post_to_ticket")
    await desk.bring()
    assert [(note["internalAnalysisFlag"], note["detailDescriptionFlag"]) for note in company.notes] == [
        (False, True),
        (True, False),
    ]
    types = [event.type for event in await desk.told()]
    assert types.count("session.status_update.created") == 2
    unlinked = (await by_hand(ann))["path"]
    refused = await ann.post(f"{unlinked}/status-update", json={"audience": "client", "post_to_ticket": True})
    assert (refused.status_code, refused.json()["code"]) == (409, "no_ticket")


async def test_nothing_is_told_where_there_is_no_ticket_or_nobody_wants_it(desk: Desk, hook: WebhookServer) -> None:
    ann = desk.service.user()
    path = (await by_hand(ann))["path"]
    assert (await act(ann, path, "resolve")).json()["psa_push_status"] == "not_linked"
    _, answer = await resolved(desk, ann, await desk.connect(hook), push_to_psa=False)
    assert answer["psa_push_status"] == "not_requested"
    assert await desk.claimed() == []


class FailsAtTheEnd:
    """Transactions in which everything is set down, and then something goes wrong."""

    def __init__(self, transactions: Transactions[SessionTx]) -> None:
        self._transactions = transactions

    @asynccontextmanager
    async def write(self, workspace_id: str) -> AsyncGenerator[SessionTx]:
        async with self._transactions.write(workspace_id) as tx:
            yield tx
            raise OSError

    def read(self, workspace_id: str) -> Any:
        return self._transactions.read(workspace_id)


async def test_20_a_resolution_that_is_not_stored_leaves_neither_note_nor_job(desk: Desk, hook: WebhookServer) -> None:
    ann = desk.service.user()
    path = await desk.linked(ann, await desk.connect(hook))
    failing = FailsAtTheEnd(await desk.container.get(Transactions[SessionTx]))
    handling = HandlingService(failing, desk.clock, UpkeepPolicy())
    new = NewResolution(resolution_summary="It works", resolution_action="fixed")
    with pytest.raises(OSError):  # noqa: PT011 - it has no words
        await handling.resolve(Principal(workspace_id="default", role="user", id="ann"), id_of(path), new)
    assert (await ann.get(path)).json()["status"] == "active"
    async with open_store(desk.service.database_url) as store:
        for table in (psa_pushes, psa_push_bodies, resolution_outputs):
            assert await store.database.rows(select(table)) == []
        assert await store.database.rows(select(jobs.c.key).where(jobs.c.kind == OUTPUT_JOB)) == []


async def test_20_of_two_who_resolve_at_once_one_leaves_note_and_jobs(desk: Desk, hook: WebhookServer) -> None:
    ann = desk.service.user()
    path = await desk.linked(ann, await desk.connect(hook))
    answers = await asyncio.gather(act(ann, path, "resolve"), act(ann, path, "resolve"))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert len(await pushes(ann, path)) == 1
    assert len(await desk.jobs()) == 4


@pytest.mark.parametrize("fault", ["cut", "hang", 500, "nonsense"])
async def test_63_a_note_that_was_stored_without_a_word_is_not_put_down_twice(
    desk: Desk, company: ConnectWiseServer, fault: Any
) -> None:
    ann, connection = desk.service.user(), await desk.connect(company)
    path, _ = await resolved(desk, ann, connection)
    company.faults = [fault]
    (lost,) = await desk.bring()
    assert (lost.status, lost.may_be_there) == ("pending_retry", True)
    found = await desk.bring_when_due(lost)
    assert (found.status, found.external_note_id, len(company.notes)) == ("sent", "1", 1)
    (push,) = await pushes(ann, path)
    assert (push["status"], push["attempt_count"], push["error_code"]) == ("sent", 2, None)


async def test_63_one_that_did_not_arrive_is_put_down_after_it_was_looked_for(
    desk: Desk, company: ConnectWiseServer
) -> None:
    ann, connection = desk.service.user(), await desk.connect(company)
    await resolved(desk, ann, connection)
    company.faults = ["cut_before"]
    (lost,) = await desk.bring()
    assert (await desk.bring_when_due(lost)).status == "sent"
    assert [path.rpartition("/")[2] for path in company.paths if "notes" in path] == ["notes"] * 3
    assert [path.partition(" ")[0] for path in company.paths if "notes" in path] == ["POST", "GET", "POST"]


async def test_63_while_nobody_can_say_whether_it_is_there_it_is_not_put_down(
    desk: Desk, company: ConnectWiseServer
) -> None:
    ann, connection = desk.service.user(), await desk.connect(company)
    await resolved(desk, ann, connection)
    company.faults = ["cut"]
    (lost,) = await desk.bring()
    company.keys = ("other", "other")
    unsure = await desk.bring_when_due(lost)
    assert (unsure.status, unsure.may_be_there, len(company.notes)) == ("failed", True, 1)


async def test_61_a_webhook_that_comes_twice_has_the_same_id(desk: Desk, hook: WebhookServer) -> None:
    ann, connection = desk.service.user(), await desk.connect(hook)
    await resolved(desk, ann, connection)
    hook.faults = ["cut"]
    (lost,) = await desk.bring()
    assert (await desk.bring_when_due(lost)).status == "sent"
    assert [request.headers["webhook-id"] for request in hook.requests] == [str(lost.id)] * 2
    assert len(hook.notes) == 1


async def test_61_who_wants_no_more_gets_no_more(desk: Desk, hook: WebhookServer) -> None:
    ann, connection = desk.service.user(), await desk.connect(hook)
    await resolved(desk, ann, connection)
    hook.faults = [410]
    (gone,) = await desk.bring()
    assert (gone.status, gone.error_code) == ("failed", "gone")
    assert (await desk.service.admin().get(f"{CONNECTIONS}/{connection}")).json()["enabled"] is False


async def test_62_who_says_how_long_to_wait_is_heeded(desk: Desk, company: ConnectWiseServer) -> None:
    ann, connection = desk.service.user(), await desk.connect(company)
    await resolved(desk, ann, connection)
    company.faults = [(429, {"Retry-After": "600"})]
    (later,) = await desk.bring()
    assert later.next_attempt_at is not None
    assert (later.next_attempt_at - desk.clock.now()).total_seconds() == 600
    assert not later.may_be_there
    assert (await desk.bring_when_due(later)).status == "sent"


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_62_refused_keys_park_what_waits_until_a_test_passes(
    desk: Desk, company: ConnectWiseServer, status: int
) -> None:
    ann, root, connection = desk.service.user(), desk.service.admin(), await desk.connect(company)
    first, _ = await resolved(desk, ann, connection)
    company.wrong_keys_status, keys, company.keys = status, company.keys, ("other", "other")
    (refused,) = await desk.bring()
    assert (refused.status, refused.error_code) == ("failed", "auth_failed")
    assert (await root.get(f"{CONNECTIONS}/{connection}")).json()["health"] == "auth_failed"
    assert [event.type for event in await desk.told()][-1] == "session.psa_push.failed"
    second, _ = await resolved(desk, ann, connection)
    desk.clock.move(hours=1)
    assert await desk.bring() == []
    company.keys = keys
    assert (await root.post(f"{CONNECTIONS}/{connection}/test")).json()["health"] == "ok"
    assert [push.status for push in await desk.bring()] == ["sent"]
    assert [(await pushes(ann, path))[0]["status"] for path in (first, second)] == ["failed", "sent"]
    retried = (await ann.post(f"{first}/{RETRY}")).json()
    assert (retried["psa_push_status"], retried["psa_push_error"], len(company.notes)) == ("sent", None, 2)


async def test_64_after_seven_failures_it_is_given_up_and_tried_once_when_a_person_asks(
    desk: Desk, company: ConnectWiseServer
) -> None:
    ann, connection = desk.service.user(), await desk.connect(company)
    path, _ = await resolved(desk, ann, connection)
    company.faults = [(429, {})] * 9
    (push,) = await desk.bring()
    for _ in range(6):
        assert push.status == "pending_retry"
        push = await desk.bring_when_due(push)
    assert (push.status, push.attempt_count, push.error_code) == ("failed", 7, "rate_limited")
    desk.clock.move(days=30)
    assert await desk.bring() == []
    (shown,) = await pushes(ann, path)
    assert shown["error_summary"] == "The ticket system takes no more requests for now."
    for manual in (1, 2):
        retried = (await ann.post(f"{path}/{RETRY}")).json()
        assert (retried["psa_push_status"], retried["next_attempt_at"]) == ("failed", None)
        (shown,) = await pushes(ann, path)
        assert (shown["attempt_count"], shown["manual_attempts"]) == (7, manual)
    retried = (await ann.post(f"{path}/{RETRY}")).json()
    assert (retried["psa_push_status"], retried["push_id"]) == ("sent", str(push.id))
    nothing = await ann.post(f"{path}/{RETRY}")
    assert (nothing.status_code, nothing.json()["code"]) == (404, "no_failed_push")


async def test_64_one_that_waits_is_tried_at_once_and_stays_due_when_it_was(
    desk: Desk, company: ConnectWiseServer
) -> None:
    ann, connection = desk.service.user(), await desk.connect(company)
    path, _ = await resolved(desk, ann, connection)
    company.faults = [408, 408]
    (waiting,) = await desk.bring()
    retried = (await ann.post(f"{path}/{RETRY}")).json()
    assert retried["psa_push_status"] == "pending_retry"
    (shown,) = await pushes(ann, path)
    assert (shown["attempt_count"], shown["manual_attempts"]) == (1, 1)
    assert waiting.next_attempt_at is not None
    assert shown["next_attempt_at"] == waiting.next_attempt_at.isoformat().replace("+00:00", "Z")
    assert (await desk.bring_when_due(waiting)).status == "sent"


async def test_64_one_that_is_on_its_way_is_left_alone(desk: Desk, company: ConnectWiseServer) -> None:
    ann, connection = desk.service.user(), await desk.connect(company)
    path, _ = await resolved(desk, ann, connection)
    assert (await ann.post(f"{path}/{RETRY}")).json()["code"] == "no_failed_push"
    (claimed,) = await desk.claimed()
    refused = await ann.post(f"{path}/{RETRY}")
    assert (refused.status_code, refused.json()["code"]) == (409, "push_in_flight")
    assert claimed.push.status == "sending"


async def test_64_notes_are_for_the_owner_and_the_handler(desk: Desk, company: ConnectWiseServer) -> None:
    ann, bob, cleo = (desk.service.user(name) for name in ("ann", "bob", "cleo"))
    path = await desk.linked(ann, await desk.connect(company))
    await done(ann, path, "escalate")
    await done(bob, path, "pickup", "escalate")
    await done(cleo, path, "pickup", "resolve")
    for who, status in ((ann, 200), (cleo, 200), (bob, 404), (desk.service.user("dan"), 404)):
        assert (await who.get(f"{path}/psa-pushes")).status_code == status
    for who in (bob, desk.service.user("dan"), desk.service.user("ann", "elsewhere"), desk.service.admin()):
        assert (await who.post(f"{path}/{RETRY}")).status_code == 404


async def test_a_session_that_is_deleted_sends_nothing_more(desk: Desk, company: ConnectWiseServer) -> None:
    ann, connection = desk.service.user(), await desk.connect(company)
    paths = [(await resolved(desk, ann, connection))[0] for _ in range(3)]
    on_its_way, other = await desk.claimed(2)
    for path in paths:
        assert (await ann.delete(path)).status_code == 204
    pushing = await desk.container.get(PushingService)
    assert [(await pushing.bring(each)).status for each in (on_its_way, other)] == ["cancelled"] * 2
    assert company.notes == []
    async with open_store(desk.service.database_url) as store:
        rows = await store.database.rows(select(psa_pushes.c.status))
    assert {row[0] for row in rows} == {"cancelled"}


async def test_a_connection_that_is_removed_sends_nothing_more(desk: Desk, company: ConnectWiseServer) -> None:
    ann, connection = desk.service.user(), await desk.connect(company)
    path, _ = await resolved(desk, ann, connection)
    assert (await desk.service.admin().delete(f"{CONNECTIONS}/{connection}")).status_code == 204
    assert await desk.bring() == []
    (push,) = await pushes(ann, path)
    assert push["status"] == "cancelled"
    path = (await by_hand(ann))["path"]
    body = {"psa_ticket_id": "4711", "psa_connection_id": connection}
    assert (await ann.post(f"{path}/link-ticket", json=body)).json()["code"] == "unknown_connection"


async def test_62_all_replicas_together_ask_a_connection_no_more_often_than_it_may_be(
    postgres_url: str, tmp_path: Any, company: ConnectWiseServer
) -> None:
    async with ticket_desk(postgres_url, tmp_path / "data") as desk:
        connection = UUID(await desk.connect(company))
        replica = make_container(desk.service.settings, StoppedClock(desk.clock), Impatient())
        try:
            both = [await each.get(ConnectionService) for each in (desk.container, replica)]
            root = Principal(workspace_id=desk.service.workspace(), role="user", id="root", is_admin=True)
            tested = [await service.test(root, connection) for _ in range(31) for service in both]
        finally:
            await replica.close()
        assert (len(company.requests), tested[-1].error_code) == (PACE.times, "rate_limited")


async def test_a_note_goes_out_in_the_trace_of_what_it_tells_of(
    database_url: str, tmp_path: Any, hook: WebhookServer
) -> None:
    async with traced(database_url, tmp_path / "data", tickets=TICKETS) as (service, spans):
        connection = await connect(service, hook)
        ann = service.user()
        ann.headers.update({"traceparent": PARENT, "X-Request-ID": CAUSE})
        await done(ann, (await by_hand(ann, psa_ticket_id="4711", psa_connection_id=connection))["path"], "resolve")
        sent = await spans.one("POST", TRACE)
        resolved_by = await spans.one("POST /ai-sessions/{session_id}/resolve", TRACE)
    assert parent_of(sent) == resolved_by.context.span_id
    assert sent.attributes is not None
    assert sent.attributes["workbench.correlation_id"] == CAUSE
    assert "traceparent" not in hook.requests[0].headers


async def test_a_note_goes_out_at_once_and_is_counted(database_url: str, tmp_path: Any, hook: WebhookServer) -> None:
    async with running_service(database_url, tmp_path / "data", tickets=TICKETS) as service:
        connection = await connect(service, hook)
        ann = service.user()
        path = (await by_hand(ann, psa_ticket_id="4711", psa_connection_id=connection))["path"]
        await done(ann, path, "resolve")
        await eventually(lambda: hook.notes)

        async with open_store(database_url) as store:

            async def is_sent() -> bool:
                return [row[0] for row in await store.database.rows(select(psa_pushes.c.status))] == ["sent"]

            await until(is_sent)
        assert (await ann.get(path)).json()["psa_push_status"] == "sent"
        measured = (await service.client().get("/metrics")).text
        assert 'workbench_psa_push_total{kind="resolution",result="sent"} 1.0' in measured
        assert "workbench_psa_push_oldest_seconds" in measured
