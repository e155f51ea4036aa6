"""ConnectWise PSA, by what is publicly known of its REST interface.

There is no key by which a note that is posted twice is known for the same, so that notes carry a marker, which is looked
for. A wrong company or wrong keys may be answered with 404, as an unknown ticket is.
"""

import re
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx
import msgspec

from workbench.adapters.tickets.calls import Answer, TicketHttp
from workbench.domain.errors import ExhaustedError
from workbench.domain.identity.model import Principal
from workbench.domain.rates.model import Rate
from workbench.domain.rates.ports import RateLimiter
from workbench.domain.tickets.model import ConnectWiseConfig, ConnectWiseSecret, Note, TicketSystemError, is_marked
from workbench.domain.tickets.ports import TicketSystem

DEFAULT_CODEBASE = "v4_6_release/"
NOTES_LOOKED_AT = 100
ANSWER_BYTES = 4 * 1024 * 1024
"""A page of notes, each of which may be long."""
PACE = Rate(act="ticket_system", times=60, seconds=60)
"""What is said to be allowed lies between this and 1000 a minute."""

T = TypeVar("T")

_CODEBASE = re.compile(r"[A-Za-z0-9_.-]+/?")
_CLOUD = re.compile(r"(?:(?:na|eu|au|aus|za)\.myconnectwise\.net|staging\.connectwisedev\.com)")


class Named(msgspec.Struct, frozen=True):
    """What is referred to."""

    name: str | None = None


class FoundTicket(msgspec.Struct, frozen=True, rename="camel"):
    """A ticket, as far as it is of interest."""

    summary: str | None = None
    status: Named | None = None
    board: Named | None = None
    company: Named | None = None
    closed_flag: bool | None = None


class FoundNote(msgspec.Struct, frozen=True):
    """A note."""

    id: int | str
    text: str | None = None


class CompanyInfo(msgspec.Struct, frozen=True, rename="pascal"):
    """What a company's own address answers; nothing for a company that is unknown."""

    codebase: str | None = None


class Codebases:
    """The codebase of each company, as this process heard of it last: it changes when ConnectWise is upgraded."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], str] = {}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Which connection of whose it is, and what it may show."""

    workspace_id: str
    connection_id: UUID
    config: ConnectWiseConfig
    secret: ConnectWiseSecret


def api_url(site: str) -> str:
    """Where the interface is of the site that people use: in the cloud at a host of its own."""
    scheme, _, host = site.rpartition("://")
    host = host.lower()
    return f"{scheme or 'https'}://{'api-' if _CLOUD.fullmatch(host) else ''}{host}"


class ConnectWise(TicketSystem):
    """A company's ConnectWise."""

    def __init__(self, http: TicketHttp, account: Account, codebases: Codebases, rates: RateLimiter) -> None:
        config, secret = account.config, account.secret
        self._http = http
        self._config = config
        self._url = api_url(config.site)
        self._place = (self._url, config.company_id)
        self._codebases = codebases.known
        self._rates = rates
        self._caller = Principal(workspace_id=account.workspace_id, role="service", id=str(account.connection_id))
        self._auth = httpx.BasicAuth(f"{config.company_id}+{secret.public_key}", secret.private_key)
        self._headers = {
            "clientId": config.client_id,
            "Accept": f"application/vnd.connectwise.com+json; version={config.api_version}",
        }

    async def verify(self) -> None:
        """Ask for what every member may see."""
        answer = await self._ask("GET", "/system/info")
        if answer.status == HTTPStatus.NOT_FOUND:
            raise TicketSystemError("auth_failed", http_status=answer.status)
        self._require(answer)

    async def get_ticket(self, ticket_id: str) -> dict[str, Any] | None:
        """Look the ticket up."""
        found = await self._at_ticket(FoundTicket, "GET", ticket_id)
        return {
            "summary": found.summary,
            "status": found.status.name if found.status else None,
            "board": found.board.name if found.board else None,
            "company": found.company.name if found.company else None,
            "closed": bool(found.closed_flag),
        }

    async def post_note(self, note: Note) -> str | None:
        """Put it down, for colleagues alone unless it is said to be for the customer."""
        is_external = note.visibility == "external"
        is_resolution = is_external and note.kind == "resolution"
        body: dict[str, Any] = {
            "text": note.body,
            "detailDescriptionFlag": is_external and not is_resolution,
            "internalAnalysisFlag": not is_external,
            "resolutionFlag": is_resolution,
        }
        if self._config.notify:
            body["processNotifications"] = True
        if member := self._config.member_map.get(note.author_id):
            body["member"] = {"identifier": member}
        made = await self._at_ticket(FoundNote, "POST", note.ticket_id, "/notes", json=body)
        return str(made.id)

    async def find_note(self, ticket_id: str, marker: str) -> str | None:
        """Look through the newest notes."""
        newest = {"orderBy": "id desc", "pageSize": str(NOTES_LOOKED_AT)}
        notes = await self._at_ticket(list[FoundNote], "GET", ticket_id, "/notes", params=newest)
        return next((str(note.id) for note in notes if is_marked(note.text or "", marker)), None)

    async def _at_ticket(self, kind: type[T], method: str, ticket_id: str, rest: str = "", **request: Any) -> T:
        """Ask about a ticket. A 404 means that there is none only where something else can be had."""
        answer = await self._ask(method, f"/service/tickets/{quote(ticket_id, safe='')}{rest}", **request)
        if answer.status == HTTPStatus.NOT_FOUND:
            await self.verify()
            raise TicketSystemError("ticket_not_found", http_status=answer.status)
        self._require(answer)
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise TicketSystemError("bad_answer", is_ambiguous=method == "POST") from error

    def _require(self, answer: Answer) -> None:
        if not answer.is_success:
            raise answer.failure(self._http.now())

    async def _ask(self, method: str, path: str, **request: Any) -> Answer:
        """Ask where the company's codebase was; where nothing is there any more, look whether it has moved."""
        codebase = self._codebases.get(self._place) or await self._look_up_codebase()
        keyed = {**request, "auth": self._auth}
        answer = await self._call(method, f"{self._url}/{codebase}apis/3.0{path}", **keyed)
        if answer.status != HTTPStatus.NOT_FOUND:
            return answer
        moved = await self._look_up_codebase()
        if moved == codebase:
            return answer
        return await self._call(method, f"{self._url}/{moved}apis/3.0{path}", **keyed)

    async def _look_up_codebase(self) -> str:
        """Ask for the codebase, which takes no keys. Where nobody says, it is the usual one."""
        answer = await self._call("GET", f"{self._url}/login/companyinfo/{quote(self._config.company_id, safe='')}")
        codebase = _codebase(answer)
        self._codebases[self._place] = codebase
        return codebase

    async def _call(self, method: str, url: str, **request: Any) -> Answer:
        try:
            await self._rates.count(self._caller, PACE)
        except ExhaustedError as error:
            seconds = error.retry_after_seconds
            raise TicketSystemError("rate_limited", retry_after_seconds=seconds, was_held_back=True) from error
        return await self._http.call(method, url, limit_bytes=ANSWER_BYTES, headers=self._headers, **request)


def _codebase(answer: Answer) -> str:
    try:
        found = msgspec.json.decode(answer.body, type=CompanyInfo | None) if answer.is_success else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        found = None
    codebase = found.codebase if found else None
    if not codebase or not _CODEBASE.fullmatch(codebase) or ".." in codebase:
        return DEFAULT_CODEBASE
    return codebase if codebase.endswith("/") else f"{codebase}/"
