"""`workbench psa`: what waits is sent at once, and the key of the secrets is renewed while the service goes on."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import Result
from tests.cli.test_cli import plain, run
from tests.support.ticket_desk import Desk, ticket_desk
from tests.support.ticket_systems import connectwise
from tests.support.troubleshooting import done

CONNECTIONS = "/psa-connections"


async def psa(desk: Desk, folder: Path, *arguments: str) -> Result:
    given = {
        "WORKBENCH__DB__URL": desk.service.database_url,
        "WORKBENCH__DB__POSTGRESQL_SSL_MODE": "disable",
        "WORKBENCH__DATA_ROOT": str(desk.service.settings.data_root),
        "WORKBENCH__TICKETS__ALLOWED_HOSTS": "127.0.0.1",
    }
    return await asyncio.to_thread(run, folder, "psa", *arguments, **given)


async def test_what_waits_is_sent_now(database_url: str, tmp_path: Path) -> None:
    async with ticket_desk(database_url, tmp_path / "data") as desk, connectwise() as company:
        ann, connection = desk.service.user(), await desk.connect(company)
        path = await desk.linked(ann, connection)
        await done(ann, path, "resolve")
        company.faults = [408]
        (waiting,) = await desk.bring()
        assert waiting.status == "pending_retry"
        sent = await psa(desk, tmp_path, "push-now", "--workspace", "default", "--json")
        assert sent.exit_code == 0, sent.output
        assert json.loads(sent.output) == {"sent": 1, "waiting": 0, "failed": 0}
        assert len(company.notes) == 1
        company.faults = [408]
        path = await desk.linked(ann, connection)
        await done(ann, path, "resolve")
        failed = await psa(desk, tmp_path, "push-now", "--workspace", "default")
        assert (failed.exit_code, plain(failed)) == (1, "0 sent, 1 still waiting, 0 failed.")
        elsewhere = await psa(desk, tmp_path, "push-now", "--workspace", "elsewhere")
        assert (elsewhere.exit_code, plain(elsewhere)) == (0, "0 sent, 0 still waiting, 0 failed.")


def test_a_workspace_is_named(tmp_path: Path) -> None:
    assert run(tmp_path, "psa", "push-now").exit_code == 2


@pytest.mark.parametrize("times", [1, 3])
async def test_a_new_key_seals_everything_and_the_service_goes_on(sqlite_url: str, tmp_path: Path, times: int) -> None:
    async with ticket_desk(sqlite_url, tmp_path / "data") as desk, connectwise() as company:
        root = desk.service.admin()
        paths = [f"{CONNECTIONS}/{await desk.connect(company)}" for _ in range(2)]
        for _ in range(times):
            rotated = await psa(desk, tmp_path, "rotate-key")
            assert (rotated.exit_code, plain(rotated)) == (0, "2 secrets sealed anew.")
        for path in paths:
            assert (await root.post(f"{path}/test")).json()["health"] == "ok"
        keys = sorted(path.name for path in (tmp_path / "data" / "keys").glob("ticket-secrets.*.key"))
        assert keys == [f"ticket-secrets.{number}.key" for number in range(max(times - 1, 1), times + 1)]
