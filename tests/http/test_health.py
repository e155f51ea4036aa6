"""What `/readyz` says of parts that are away: a replica is taken out of service for those that all requests need."""

from pathlib import Path

from tests.support.service import running_service

NOBODY_LISTENS = "amqp://guest:guest@127.0.0.1:1/"


async def test_a_bus_that_is_away_is_named_and_takes_no_replica_out_of_service(sqlite_url: str, tmp_path: Path) -> None:
    async with running_service(sqlite_url, tmp_path / "data", bus={"url": NOBODY_LISTENS}) as service:
        ready = await service.client().get("/readyz")
        assert (ready.status_code, ready.json()["status"], ready.json()["failing"]) == (200, "ok", [])
        assert ready.json()["parts"] == {"database": "ok", "storage": "ok", "bus": "reconnecting"}
        assert (await service.user("ann").post("/conversations", json={})).status_code == 200
