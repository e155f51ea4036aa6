"""ConnectWise as it is said to behave. The numbers are those of the specification of sessions (16)."""

import ssl
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from tests.adapters.test_ticket_webhooks import NOTE
from tests.support.clocks import SettableClock
from tests.support.ticket_systems import CLIENT, COMPANY, PRIVATE, PUBLIC, ConnectWiseServer, connectwise

from workbench.adapters.rates.local import LocalRateLimiter
from workbench.adapters.tickets.calls import TicketHttp
from workbench.adapters.tickets.connectwise import Account, Codebases, ConnectWise, api_url
from workbench.domain.tickets.model import ConnectWiseConfig, ConnectWiseSecret, TicketSystemError

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
BASE = "/v2022_1/apis/3.0"
NOTES = f"{BASE}/service/tickets/4711/notes"


@pytest.fixture
async def company() -> AsyncGenerator[ConnectWiseServer]:
    async with connectwise() as server:
        yield server


@pytest.fixture
async def http() -> AsyncGenerator[TicketHttp]:
    opened = TicketHttp(["127.0.0.1"], ssl.create_default_context(), SettableClock(NOW), call_seconds=2)
    yield opened
    await opened.close()


def system(http: TicketHttp, company: ConnectWiseServer, private_key: str = PRIVATE, **config: Any) -> ConnectWise:
    account = Account(
        workspace_id="default",
        connection_id=UUID(int=3),
        config=msgspec.convert({**company.config, **config}, ConnectWiseConfig),
        secret=ConnectWiseSecret(public_key=PUBLIC, private_key=private_key),
    )
    return ConnectWise(http, account, Codebases(), LocalRateLimiter())


@pytest.mark.parametrize(
    ("site", "url"),
    [
        ("na.myconnectwise.net", "https://api-na.myconnectwise.net"),
        ("AU.myconnectwise.net", "https://api-au.myconnectwise.net"),
        ("api-eu.myconnectwise.net", "https://api-eu.myconnectwise.net"),
        ("staging.connectwisedev.com", "https://api-staging.connectwisedev.com"),
        ("cw.example.com", "https://cw.example.com"),
        ("https://za.myconnectwise.net", "https://api-za.myconnectwise.net"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("na.myconnectwise.net.evil.example", "https://na.myconnectwise.net.evil.example"),
    ],
)
def test_62_the_interface_has_a_host_of_its_own_in_the_cloud(site: str, url: str) -> None:
    assert api_url(site) == url


async def test_62_headers_and_path(company: ConnectWiseServer, http: TicketHttp) -> None:
    assert await system(http, company).post_note(NOTE) == "1"
    assert company.paths == [f"GET /login/companyinfo/{COMPANY}", f"POST {NOTES}"]
    asked, posted = company.requests
    assert "authorization" not in asked.headers
    assert posted.headers["clientid"] == CLIENT
    assert posted.headers["accept"] == "application/vnd.connectwise.com+json; version=2022.1"


@pytest.mark.parametrize(
    ("kind", "visibility", "flags"),
    [
        ("resolution", "internal", (False, True, False)),
        ("escalation", "internal", (False, True, False)),
        ("status_update", "external", (True, False, False)),
        ("resolution", "external", (False, False, True)),
    ],
)
async def test_62_flags_say_who_reads_it(
    company: ConnectWiseServer, http: TicketHttp, kind: Any, visibility: Any, flags: tuple[bool, ...]
) -> None:
    await system(http, company).post_note(msgspec.structs.replace(NOTE, kind=kind, visibility=visibility))
    named = ("detailDescriptionFlag", "internalAnalysisFlag", "resolutionFlag")
    assert company.requests[-1].json == {"text": NOTE.body, **dict(zip(named, flags, strict=True))}


async def test_62_mails_and_members_only_where_the_connection_says_so(
    company: ConnectWiseServer, http: TicketHttp
) -> None:
    await system(http, company, notify=True, member_map={"ann": "alind"}).post_note(NOTE)
    sent = company.requests[-1].json
    assert (sent["processNotifications"], sent["member"]) == (True, {"identifier": "alind"})


async def test_62_the_codebase_is_asked_for_once_more_when_it_has_moved(
    company: ConnectWiseServer, http: TicketHttp
) -> None:
    cw = system(http, company)
    await cw.post_note(NOTE)
    company.codebase = "v2022_2/"
    assert await cw.post_note(NOTE) == "2"
    assert company.paths[2:] == [
        f"POST {NOTES}",
        f"GET /login/companyinfo/{COMPANY}",
        f"POST {NOTES.replace('v2022_1', 'v2022_2')}",
    ]
    await cw.post_note(NOTE)
    assert len(company.requests) == 6


async def test_62_a_404_means_no_ticket_only_where_the_keys_are_right(
    company: ConnectWiseServer, http: TicketHttp
) -> None:
    with pytest.raises(TicketSystemError) as absent:
        await system(http, company).get_ticket("4712")
    with pytest.raises(TicketSystemError) as wrong:
        await system(http, company, "other-key").get_ticket("4711")
    assert (absent.value.failure, wrong.value.failure) == ("ticket_not_found", "auth_failed")
    assert f"GET {BASE}/system/info" in company.paths


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_62_wrong_keys_are_known_for_that(company: ConnectWiseServer, http: TicketHttp, status: int) -> None:
    company.wrong_keys_status = status
    with pytest.raises(TicketSystemError) as wrong:
        await system(http, company, "other-key").verify()
    assert wrong.value.failure == "auth_failed"
    await system(http, company).verify()


async def test_a_company_that_is_unknown_has_the_usual_codebase(company: ConnectWiseServer, http: TicketHttp) -> None:
    company.codebase = "v4_6_release/"
    with pytest.raises(TicketSystemError) as wrong:
        await system(http, company, company_id="nobody").verify()
    assert wrong.value.failure == "auth_failed"
    assert company.paths[1] == "GET /v4_6_release/apis/3.0/system/info"


@pytest.mark.parametrize("codebase", ["../../", "a/b/", "", 7, "//evil.example/"])
async def test_a_codebase_that_leads_elsewhere_is_not_followed(
    company: ConnectWiseServer, http: TicketHttp, codebase: Any
) -> None:
    company.codebase = codebase
    with pytest.raises(TicketSystemError):
        await system(http, company).verify()
    assert company.paths[1].startswith("GET /v4_6_release/")


async def test_a_ticket_is_told_with_what_matters(company: ConnectWiseServer, http: TicketHttp) -> None:
    told = {"summary": "Printer", "status": "New", "board": "Desk", "company": "Acme", "closed": False}
    assert await system(http, company).get_ticket("4711") == told


@pytest.mark.parametrize("fault", ["cut", "hang", 500, "nonsense"])
async def test_63_a_note_that_may_be_there_is_found_by_its_marker(
    company: ConnectWiseServer, http: TicketHttp, fault: Any
) -> None:
    cw = system(http, company)
    company.notes = [{"id": 0, "text": "an older one [wb:x]"}]
    company.faults = [fault]
    with pytest.raises(TicketSystemError) as lost:
        await cw.post_note(NOTE)
    assert lost.value.is_ambiguous
    assert await cw.find_note("4711", "m") == "2"
    assert await cw.find_note("4711", "other") is None
    assert company.requests[-1].query == {"orderBy": "id desc", "pageSize": "100"}


async def test_62_a_connection_asks_sixty_times_a_minute_at_most(company: ConnectWiseServer, http: TicketHttp) -> None:
    cw = system(http, company)
    for _ in range(59):
        await cw.verify()
    with pytest.raises(TicketSystemError) as enough:
        await cw.verify()
    assert (enough.value.failure, enough.value.is_ambiguous, len(company.requests)) == ("rate_limited", False, 60)
    assert enough.value.was_held_back
    assert 0 < (enough.value.retry_after_seconds or 0) <= 60
