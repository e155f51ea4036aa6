"""What models cost, over HTTP: R12, R13 and R14, for everybody their own and for admins everybody's."""

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from tests.support.databases import open_store
from tests.support.service import Service, running_service
from tests.support.usage import bill, model_call, settled

from workbench.adapters.clock import SystemClock
from workbench.domain.ids import new_id
from workbench.domain.usage.bookkeeping import settle
from workbench.wiring.local_tokens import sign_local_token

CSV = {"Accept": "text/csv"}


@pytest.fixture
def service(own_service: Service) -> Service:
    """One of its own: bills are written by way of the database, and all of it is summed up."""
    return own_service


def admin(service: Service, user_id: str = "root", workspace: str = "default") -> httpx.AsyncClient:
    token = sign_local_token(
        service.settings, user_id=user_id, name="Root", workspace=workspace, ttl_seconds=60, admin=True
    )
    return service.client(Authorization=f"Bearer {token}")


async def use(
    service: Service, conversation: str | None, *models: str, workspace: str = "default", **fields: Any
) -> None:
    """Have a turn settled, of 15 tokens and 7 micro-USD a model."""
    now, turn = fields.pop("at", datetime.now(UTC)), new_id()
    what = bill(turn, conversation_id=UUID(conversation) if conversation else None, **fields)
    calls = [model_call(turn, now, call_id=model, model=model) for model in models or ("m",)]
    async with open_store(service.database_url, AtTime(now)) as store:
        await settled(store, what, *calls, workspace=workspace)


class AtTime(SystemClock):
    """Stands still."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at


async def new_conversation(client: httpx.AsyncClient) -> str:
    return str((await client.post("/conversations", json={})).json()["id"])


async def listed(client: httpx.AsyncClient, **wanted: Any) -> list[dict[str, Any]]:
    answer = await client.get("/usage", params=wanted)
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


async def summed(client: httpx.AsyncClient, group_by: str, **wanted: Any) -> dict[str, Any]:
    answer = await client.get("/usage/totals", params={"group_by": group_by, **wanted})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_r12_the_owner_and_admins_see_what_a_conversation_took(service: Service) -> None:
    ann = service.user("ann")
    conversation = await new_conversation(ann)
    await service.seat_user(conversation, "bea")
    await use(service, conversation, "m", "n")
    await use(service, conversation, user_id="bea")
    await use(service, await new_conversation(ann), "elsewhere")
    path = f"/conversations/{conversation}/usage"
    answer = (await ann.get(path)).json()
    assert answer["total"] == {
        "prompt_tokens": 30,
        "completion_tokens": 15,
        "total_tokens": 45,
        "cached_tokens": 12,
        "cost_micros": 21,
        "cost_complete": True,
        "turns": 2,
        "calls": 3,
    }
    assert [(model["model"], model["calls"], model["cost_micros"]) for model in answer["models"]] == [
        ("m", 2, 14),
        ("n", 1, 7),
    ]
    assert (await admin(service).get(path)).json() == answer
    refused = await service.user("bea").get(path)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    for stranger in (service.user("sam"), service.user("ann", "elsewhere"), admin(service, workspace="elsewhere")):
        assert (await stranger.get(path)).status_code == 404
    assert (await admin(service).get(f"/conversations/{uuid4()}/usage")).status_code == 404


async def test_r12_a_conversation_that_took_nothing_took_nothing(service: Service) -> None:
    ann = service.user("ann")
    answer = (await ann.get(f"/conversations/{await new_conversation(ann)}/usage")).json()
    assert (answer["total"]["total_tokens"], answer["total"]["cost_micros"], answer["models"]) == (0, None, [])


async def test_r13_everybody_sees_their_own_and_nobody_elses(service: Service) -> None:
    ann = service.user("ann")
    conversation = await new_conversation(ann)
    await service.seat_user(conversation, "bea")
    await use(service, conversation, user_id="ann")
    await use(service, conversation, user_id="bea")
    await use(service, conversation, user_id=None)
    await use(service, None, user_id="ann", workspace="elsewhere")
    (row,) = await listed(ann)
    assert (row["user_id"], row["conversation_id"], row["workspace_id"]) == ("ann", conversation, "default")
    assert (row["total_tokens"], row["cost_micros"], row["model_breakdown"]["m"]["calls"]) == (15, 7, 1)
    assert await listed(ann, user_id="ann", conversation_id=conversation, workspace_id="default") == [row]
    assert [found["user_id"] for found in await listed(service.user("bea"), conversation_id=conversation)] == ["bea"]
    assert await listed(service.user("sam")) == []


@pytest.mark.parametrize("path", ["/usage", "/usage/totals?group_by=day"])
async def test_r13_r14_what_is_not_the_callers_is_refused(service: Service, path: str) -> None:
    conversation = await new_conversation(service.user("ann"))
    sam = service.user("sam")
    for wanted, status, field in (
        ({"user_id": "ann"}, 403, "user_id"),
        ({"workspace_id": "elsewhere"}, 403, "workspace_id"),
        ({"conversation_id": conversation}, 404, None),
        ({"conversation_id": str(uuid4())}, 404, None),
    ):
        answer = await sam.get(httpx.URL(path).copy_merge_params(wanted))
        assert (answer.status_code, answer.json().get("field")) == (status, field), wanted
        csv_answer = await sam.get(httpx.URL(path).copy_merge_params(wanted), headers=CSV)
        assert csv_answer.status_code == status
    elsewhere = await admin(service).get(httpx.URL(path).copy_merge_params({"workspace_id": "elsewhere"}))
    assert elsewhere.status_code == 403


async def test_r13_an_admin_sees_all_of_the_workspace_but_only_when_asked_for_it(service: Service) -> None:
    conversation = await new_conversation(service.user("ann"))
    for payer in ("ann", "bea", None, "root"):
        await use(service, conversation, user_id=payer)
    await use(service, None, user_id="ann", workspace="elsewhere")
    root = admin(service)
    assert [row["user_id"] for row in await listed(root)] == ["root"]
    assert [row["user_id"] for row in await listed(root, model="m")] == ["root"]
    assert [row["user_id"] for row in await listed(root, user_id="bea")] == ["bea"]
    everybody = ["root", None, "bea", "ann"]
    assert [row["user_id"] for row in await listed(root, workspace_id="default")] == everybody
    assert [row["user_id"] for row in await listed(root, conversation_id=conversation)] == everybody
    # A conversation that is gone is still on the books.
    assert (await service.user("ann").delete(f"/conversations/{conversation}")).status_code == 204
    assert len(await listed(root, conversation_id=conversation)) == 4
    assert (await summed(root, "user", conversation_id=conversation))["total"]["turns"] == 4


async def test_r13_rows_are_filtered_and_paged(service: Service) -> None:
    ann, now = service.user("ann"), datetime.now(UTC)
    for days in range(6):
        models = ("m", "n") if days % 2 else ("m",)
        await use(service, None, *models, at=now - timedelta(days=days * 100), usage_type=f"kind-{days % 3}")
    everything = await listed(ann)
    assert [row["created_datetime"] for row in everything] == sorted(
        (row["created_datetime"] for row in everything), reverse=True
    )
    assert len(everything) == 6, "rows have no default range of days"
    assert len(await listed(ann, model="n")) == 3
    assert len(await listed(ann, usage_type="kind-0")) == 2
    day = everything[2]["usage_day"]
    assert await listed(ann, **{"from": day, "to": day}) == [everything[2]]
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = (await ann.get("/usage", params={"limit": 4} | ({"cursor": cursor} if cursor else {}))).json()
        found += page["rows"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == everything


@pytest.mark.parametrize("path", ["/usage", "/usage/totals?group_by=day"])
async def test_r13_r14_bad_input_names_the_field(service: Service, path: str) -> None:
    ann = service.user("ann")
    for wanted, field in (
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"from": "2026-02-02", "to": "2026-02-01"}, "from"),
    ):
        answer = await ann.get(httpx.URL(path).copy_merge_params(wanted))
        assert (answer.status_code, answer.json()["field"]) == (400, field)
    answer = await ann.get(httpx.URL(path).copy_merge_params({"conversation_id": "nonsense"}))
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", "conversation_id"]


async def test_r13_a_bad_cursor_or_limit_is_refused(service: Service) -> None:
    ann = service.user("ann")
    assert (await ann.get("/usage", params={"cursor": "x"})).json()["field"] == "cursor"
    assert (await ann.get("/usage", params={"limit": 0})).status_code == 422
    assert (await ann.get("/usage", params={"limit": 100_000})).status_code == 200


@pytest.mark.parametrize("group_by", ["", "shoe", "user,shoe", "user,conversation,day,model"])
async def test_r14_what_cannot_be_summed_up_by_is_refused(service: Service, group_by: str) -> None:
    answer = await service.user("ann").get("/usage/totals", params={"group_by": group_by})
    assert (answer.status_code, answer.json()["field"]) == (400, "group_by")


async def test_r14_totals_default_to_thirty_days_and_take_a_year_at_most(service: Service) -> None:
    ann, now = service.user("ann"), datetime.now(UTC)
    for days in (0, 29, 30):
        await use(service, None, at=now - timedelta(days=days))
    report = await summed(ann, "day")
    assert (report["from"], report["to"]) == (f"{now - timedelta(days=29):%F}", f"{now:%F}")
    assert [row["day"] for row in report["rows"]] == [report["from"], report["to"]]
    assert report["total"]["turns"] == 2
    year = f"{now - timedelta(days=365):%F}"
    assert (await summed(ann, "day", **{"from": year}))["total"]["turns"] == 3
    over = await ann.get("/usage/totals", params={"group_by": "day", "from": f"{now - timedelta(days=366):%F}"})
    assert (over.status_code, over.json()["field"]) == (400, "from")


async def test_r14_a_turn_of_two_models_is_in_two_groups_and_once_in_the_total(service: Service) -> None:
    ann = service.user("ann")
    await use(service, None, "m", "n")
    report = await summed(ann, "model,user")
    assert [(row["model"], row["user"], row["total_tokens"], row["turns"]) for row in report["rows"]] == [
        ("m", "ann", 15, 1),
        ("n", "ann", 15, 1),
    ]
    assert (report["total"]["total_tokens"], report["total"]["turns"]) == (30, 1)
    assert set(report["rows"][0]) == {"model", "user", *report["total"]}
    # By anything else, a turn in which the model took part counts whole.
    assert [row["total_tokens"] for row in (await summed(ann, "day", model="n"))["rows"]] == [30]
    assert [row["model"] for row in (await summed(ann, "model", model="n"))["rows"]] == ["n"]


async def test_r14_groups_of_nobody_have_null_for_a_key(service: Service) -> None:
    await use(service, None, user_id=None)
    report = await summed(admin(service), "user,assistant,workspace", workspace_id="default")
    (row,) = report["rows"]
    assert (row["user"], row["assistant"], row["workspace"]) == (None, None, "default")


async def test_an_unknown_cost_is_null_and_says_so(service: Service) -> None:
    now, turn = datetime.now(UTC), new_id()
    async with open_store(service.database_url, SystemClock()) as store:
        await settled(store, bill(turn), model_call(turn, now, cost_micros=None, cost_source="unknown"))
    ann = service.user("ann")
    (row,) = await listed(ann)
    assert (row["cost_micros"], row["cost_complete"]) == (None, False)
    total = (await summed(ann, "day"))["total"]
    assert (total["cost_micros"], total["cost_complete"]) == (None, False)


def table(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def test_rows_and_totals_come_as_csv(service: Service) -> None:
    ann = service.user("ann")
    await use(service, None, "m", "=cmd()", usage_type='with "quotes", and commas')
    await use(service, None, "=cmd()")
    rows = table(await ann.get("/usage", headers=CSV))
    assert [(row["user_id"], row["total_tokens"], row["cost_complete"], row["models"]) for row in rows] == [
        ("ann", "15", "true", "'=cmd()"),
        ("ann", "30", "true", "m =cmd()"),
    ]
    assert rows[1]["usage_type"] == 'with "quotes", and commas'
    assert rows[0]["message_id"] == ""
    totals = table(await ann.get("/usage/totals?group_by=model", headers=CSV))
    assert [(row["model"], row["total_tokens"], row["turns"]) for row in totals] == [
        ("'=cmd()", "30", "2"),
        ("m", "15", "1"),
    ]
    nothing = await service.user("sam").get("/usage", headers=CSV)
    assert table(nothing) == []
    assert nothing.text.startswith("id,usage_day,")


async def test_csv_goes_on_where_a_page_ends(service: Service) -> None:
    async with open_store(service.database_url, SystemClock()) as store:
        for block in range(11):
            async with store.transactions.write("default") as tx:
                for nth in range(100):
                    turn = new_id()
                    call = model_call(turn, store.clock.now(), model=f"m{block}-{nth}")
                    tx.usage.record_calls([call])
                    await settle(tx, bill(turn), store.clock.now(), [call])
    rows = table(await service.user("ann").get("/usage", headers=CSV))
    assert len({row["id"] for row in rows}) == len(rows) == 1100


async def test_json_is_what_comes_without_a_wish(service: Service) -> None:
    ann = service.user("ann")
    for accept in ("*/*", "application/json, text/csv", "text/html", ""):
        assert (await ann.get("/usage", headers={"Accept": accept})).headers["content-type"] == "application/json"


async def test_prices_of_ones_own_are_looked_at_before_the_start(sqlite_url: str, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('[[models]]\nnames = ["m"]\nprices = [{ from = 2026-01-01, prompt = 1, completion = 2 }]\n')
    async with running_service(sqlite_url, tmp_path / "data", usage={"prices_file": prices}) as service:
        assert (await service.user("ann").get("/usage")).status_code == 200
