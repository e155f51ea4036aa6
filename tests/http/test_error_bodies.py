"""Errors of routes of sessions, playbooks, ticket systems and flows: one form, wherever in the service they are raised."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from dishka import Provider, Scope, provide  # pyright: ignore[reportUnknownVariableType]
from sqlalchemy import DDL, Connection
from tests.support.bad_input import CONNECTIONS, HOOK, PLAYBOOK, documented
from tests.support.conformance import STRICT, require_envelope
from tests.support.databases import copy_of_template, open_store, owner_of
from tests.support.playbooks import EXAMPLE
from tests.support.service import Service, running_service
from tests.support.troubleshooting import COMPANY, SOLVED, by_hand, import_playbook, member

from workbench.domain.errors import UnavailableError
from workbench.domain.identity.model import Principal
from workbench.domain.rates.model import Rate
from workbench.domain.rates.ports import RateLimiter
from workbench.entrypoints.http.app import create_app
from workbench.entrypoints.http.error_bodies import is_enveloped
from workbench.entrypoints.http.strict import StrictController
from workbench.wiring.settings import Settings

ROUTES = list(documented())


class Defective(RateLimiter):
    """Is at work on every strict route, and fails as it is told to."""

    error: Exception | None = None

    async def count(self, principal: Principal, rate: Rate) -> None:
        del principal, rate
        if self.error is not None:
            raise self.error


class Broken(Provider):
    """Puts it in the place of what counts."""

    def __init__(self, limiter: Defective) -> None:
        super().__init__()
        self._limiter = limiter

    @provide(scope=Scope.APP, override=True)
    def limiter(self) -> RateLimiter:
        return self._limiter


@pytest.fixture(scope="module")
def limiter() -> Defective:
    return Defective()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def broken(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, limiter: Defective
) -> AsyncGenerator[Service]:
    folder = tmp_path_factory.mktemp("broken")
    url = copy_of_template(sqlite_template, folder)
    async with running_service(url, folder / "data", Broken(limiter)) as running:
        yield running


@pytest.fixture
async def ann(broken: Service) -> AsyncGenerator[httpx.AsyncClient]:
    """A caller whose answers nobody looks at on the way: no document names what is a defect."""
    headers = {"Authorization": f"Bearer {broken.token()}"}
    async with httpx.AsyncClient(base_url=broken.url, headers=headers, verify=False) as client:
        yield client


def somewhere(route: str) -> tuple[str, str]:
    """The method and path of a route, of what is not there."""
    method, _, path = route.partition(" ")
    return method, path.format(session_id=uuid4(), connection_id=uuid4(), key="nothing", version=7)


def told(answer: httpx.Response) -> tuple[int, str, dict[str, Any]]:
    require_envelope(answer)
    return answer.status_code, answer.json()["code"], answer.json()["extra"]


def test_strict_routes_and_no_others_have_paths_that_begin_with_their_words() -> None:
    routes = create_app(Settings.of()).routes
    strict = {
        route.path
        for route in routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(getattr(handler.fn, "__self__", None), StrictController)
    }
    assert len(strict) > 30
    assert {route.path for route in routes if route.path.split("/")[1] in STRICT} == strict


@pytest.mark.parametrize("route", ROUTES)
async def test_a_defect_and_what_is_away_are_told_like_any_error(
    ann: httpx.AsyncClient, limiter: Defective, route: str
) -> None:
    method, path = somewhere(route)
    limiter.error = RuntimeError("a secret of ours")
    assert told(await ann.request(method, path)) == (500, "internal", {})
    limiter.error = UnavailableError("The store is away", code="store_away")
    away = await ann.request(method, path)
    assert told(away) == (503, "store_away", {})
    assert away.headers["Retry-After"]


@pytest.mark.parametrize("route", ROUTES)
async def test_what_is_refused_before_there_is_a_route_is_told_like_any_error(
    broken: Service, ann: httpx.AsyncClient, route: str
) -> None:
    method, path = somewhere(route)
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        async with httpx.AsyncClient(base_url=broken.url, headers=headers, verify=False) as nobody:
            status, code, extra = told(await nobody.request(method, path))
            assert (status, bool(code), extra) == (401, True, {})
    assert told(await ann.request("OPTIONS", path)) == (405, "method_not_allowed", {})
    # A name as short as a route's own may be that of a playbook.
    assert told(await ann.request(method, f"{path}/no/such/thing")) == (404, "not_found", {})
    assert told(await ann.request("PUT" if method != "PUT" else "PATCH", path)) == (405, "method_not_allowed", {})
    doubled = await ann.request(method, f"{broken.url}//{path.lstrip('/')}/no/such/thing")
    assert told(doubled) == (404, "not_found", {})


async def test_other_routes_have_theirs(ann: httpx.AsyncClient, limiter: Defective) -> None:
    limiter.error = RuntimeError("a secret of ours")
    share = f"/conversation-shares/{uuid4()}/redemptions"
    assert (await ann.get("/nowhere")).json() == {"detail": "Not Found", "code": "not_found"}
    for method in ("PATCH", "OPTIONS"):
        refused = await ann.request(method, "/conversations")
        assert refused.json() == {"detail": "Method Not Allowed", "code": "method_not_allowed"}
    assert (await ann.post(share)).json() == {"detail": "Internal Server Error", "code": "internal"}
    assert (await ann.get("/ai-session")).json() == {"detail": "Not Found", "code": "not_found"}


async def test_flows_tell_errors_so_and_what_does_not_fit_as_422(ann: httpx.AsyncClient) -> None:
    paths = {route.path for route in create_app(Settings.of()).routes}
    assert {path for path in paths if is_enveloped(path)} == {
        path for path in paths if path.split("/")[1] in STRICT or path.startswith("/flow")
    }
    assert told(await ann.get("/flows/nothing")) == (404, "flow_not_found", {})
    assert told(await ann.get("/flows/nothing/no/such/thing")) == (404, "not_found", {})
    assert told(await ann.request("PATCH", "/flow-blueprints")) == (405, "method_not_allowed", {})
    assert told(await ann.post("/flows", json={"flow_id": "F", "blueprint": "b"}))[:2] == (422, "invalid_name")
    status, code, extra = told(await ann.post("/flows", json={"flow_id": 1, "blueprint": "b"}))
    assert (status, code, [each["field"] for each in extra["errors"]]) == (422, "validation_error", ["flow_id"])
    status, code, extra = told(await ann.get("/flows?limit=none"))
    assert (status, code, [each["field"] for each in extra["errors"]]) == (422, "validation_error", ["limit"])


async def test_what_is_at_fault_is_named_in_extra(sqlite_service: Service) -> None:
    ann = sqlite_service.user()
    unreadable = await ann.post("/playbooks/import", content=b"x", headers={"Content-Type": "image/png"})
    assert told(unreadable) == (415, "unsupported_media_type", {"field": "body"})
    meaningless = await ann.post("/playbooks/match", json={"text": ""})
    status, code, extra = told(meaningless)
    assert (status, code, extra.keys()) == (400, "validation_error", {"errors"})
    assert [each["field"] for each in extra["errors"]] == ["text"]


LOST = {
    "sqlite": ("CREATE TRIGGER lost_{table} BEFORE UPDATE ON {table} BEGIN SELECT RAISE(IGNORE); END",),
    "postgresql": (
        "CREATE FUNCTION lost_{table}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER lost_{table} BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION lost_{table}()",
    ),
}
"""Have a change of a row find it changed, however often it is tried again."""


def _lose_all(connection: Connection) -> None:
    for table in ("sessions", "playbooks", "psa_connections", "conversations"):
        for statement in LOST[connection.dialect.name]:
            connection.execute(DDL(statement.format(table=table)))


async def test_a_race_that_is_lost_every_time_is_a_version_conflict(own_service: Service) -> None:
    ann, root = own_service.user(), own_service.admin()
    session = (await by_hand(ann))["path"]
    await import_playbook(ann, EXAMPLE)
    connection = (await root.post(CONNECTIONS, json=HOOK)).headers["location"]
    conversation = (await ann.post("/conversations", json={})).json()["id"]
    async with open_store(owner_of(own_service.database_url)) as store:
        await store.database.transact(_lose_all)
    for answer in (
        await ann.post(f"{session}/pause"),
        await ann.post(f"{session}/resolve", json=SOLVED),
        await ann.post(f"{PLAYBOOK}/archive"),
        await root.patch(connection, json={"name": "Ours"}),
    ):
        assert told(answer) == (409, "version_conflict", {})
    elsewhere = await ann.patch(f"/conversations/{conversation}", json={"title": "Ours"})
    assert (elsewhere.status_code, elsewhere.json()["code"], "extra" in elsewhere.json()) == (409, "stale", False)
    assert (await ann.get(session)).json()["status"] == "active"


async def test_a_token_that_should_name_a_workspace_and_does_not_is_of_no_use_anywhere(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with running_service(sqlite_url, tmp_path / "data", auth={"issuers": [COMPANY]}) as service:
        assert (await member(service, "bea").get("/users/me")).status_code == 200
        nobody = member(service, "bea", workspace="")
        strict = await nobody.post("/ai-sessions", json={"intake_content": {"text": "The printer is offline"}})
        assert told(strict) == (403, "workspace_required", {})
        assert told(await nobody.get(f"/ai-sessions/{uuid4()}"))[:2] == (403, "workspace_required")
        elsewhere = await nobody.get("/users/me")
        assert (elsewhere.status_code, elsewhere.json()["code"]) == (403, "workspace_required")
