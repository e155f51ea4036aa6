"""Turns that were left alone are looked after by every process, and each is ended by one."""

import asyncio

from sqlalchemy import update
from tests.http.test_turns import LONG_AGO, reap, said, set_up
from tests.support.databases import open_store
from tests.support.service import Service, open_stream

from workbench.adapters.sql.turn_tables import turns

REPLICAS = 5


async def test_of_many_replicas_one_ends_a_turn(own_service: Service) -> None:
    async with set_up(own_service) as scene:
        await scene.open()
        await scene.lease()
        await scene.add(1, said("half"))
        async with open_store(own_service.database_url) as store:
            lost = update(turns).values(lease_expires_at=LONG_AGO)
            await store.database.transact(lambda connection: connection.execute(lost))
        assert sum(await asyncio.gather(*(reap(scene) for _ in range(REPLICAS)))) == 1
        chats = [message["content"] for message in await scene.messages() if message["message_type"] == "chat"]
        assert chats == ["hello", "half"]
        async with open_stream(scene.ann, f"{scene.path}/events?include=turns", 0) as stream:
            told: list[str] = []
            while "half" not in told:
                event = await stream.next()
                told.append(event.data["data"].get("message", {}).get("content", event.name))
        assert told.count("half") == 1
