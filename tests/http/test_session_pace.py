"""How often, and with how much, the routes of sessions are used. The numbers are those of the specification (16)."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.service import Service
from tests.support.troubleshooting import SESSIONS, by_hand

from workbench.entrypoints.http.app import create_app
from workbench.entrypoints.http.pace import PACE
from workbench.wiring.settings import Settings

PACES = {
    "": {"POST": 5, "GET": 30},
    "/chat": {"POST": 10},
    "/respond": {"POST": 15},
    "/resolve": {"POST": 15},
    "/escalate": {"POST": 15},
    "/pause": {"POST": 15},
    "/task-lane": {"PUT": 30},
    "/resume": {"POST": 15},
    "/abandon": {"POST": 15},
    "/{session_id}": {"DELETE": 15, "GET": 30},
    "/escalation-queue": {"GET": 30},
    "/pickup": {"POST": 5},
    "/link-ticket": {"POST": 10},
    "/search": {"GET": 30},
    "/similar": {"GET": 15},
    "/documentation": {"GET": 30},
    "/documentation/stream": {"GET": 20},
    "/status-update": {"POST": 20},
    "/rate": {"POST": 15},
    "/retry-psa-push": {"POST": 5},
    "/withdraw-escalation": {"POST": 15},
    "/reopen": {"POST": 15},
    "/psa-pushes": {"GET": 30},
    "/outputs": {"GET": 30},
    "/quota": {"GET": 30},
}
"""How often a minute each route may be used; those of one session are named without its id."""


def test_37_each_route_has_its_pace(tmp_path: Path) -> None:
    found: dict[str, dict[str, int]] = {}
    for route in create_app(Settings.of(data_root=tmp_path)).routes:
        path = route.path_format.removeprefix(SESSIONS) if route.path_format.startswith(SESSIONS) else None
        for handler in getattr(route, "route_handlers", ()) if path is not None else ():
            name = path if path == "/{session_id}" else (path or "").removeprefix("/{session_id}")
            paces = {
                method: handler.opt[PACE]
                for method in handler.http_methods
                if method in {"GET", "POST", "PUT", "DELETE"}
            }
            found.setdefault(name, {}).update(paces)
    assert found == PACES


@pytest.mark.parametrize(("size", "code"), [(300 << 10, "task_lane_too_large"), (600 << 10, "too_large")])
async def test_44_a_lane_of_unknown_length_is_measured_too(sqlite_service: Service, size: int, code: str) -> None:
    ann = sqlite_service.user()
    path = f"{(await by_hand(ann))['path']}/task-lane"

    async def body() -> Any:
        yield b'{"responses": {"a": "x"'
        for number in range(size // 4000):
            yield f', "a{number}": "{"x" * 3980}"'.encode()
        yield b"}}"

    refused = await ann.put(path, content=body(), headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (413, code)
