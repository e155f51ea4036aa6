"""Word from other replicas: it comes at once where we can listen, and late, but surely, where we cannot."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy.engine import make_url
from tests.contracts.test_transactions import message, new_conversation, post
from tests.support.databases import open_store
from tests.support.pooling import pooled
from tests.support.servers import eventually

from workbench.adapters.sql.postgresql import PostgresDatabase
from workbench.adapters.sql.wakeups import NET_SECONDS, SqlWakeups

Word = tuple[str | None, int | None]


@asynccontextmanager
async def listening(url: str, direct_url: str | None = None) -> AsyncGenerator[tuple[list[Word], asyncio.Task[None]]]:
    """Listen as a replica does; gives what it heard so far, and its duty."""
    direct = make_url(direct_url) if direct_url else None
    database = PostgresDatabase(make_url(url), ssl_mode="disable", direct_url=direct)
    wakeups, heard = SqlWakeups(database), list[Word]()
    wakeups.listen(lambda workspace_id, position: heard.append((workspace_id, position)))
    duty = asyncio.create_task(wakeups.run())
    try:
        yield heard, duty
    finally:
        duty.cancel()
        await asyncio.gather(duty, return_exceptions=True)
        await database.close()


async def commit(url: str) -> None:
    """Commit something as another replica."""
    async with open_store(url) as store:
        await post(store, await new_conversation(store), message(store))


@pytest.fixture
async def proxied_url(postgres_url: str) -> AsyncGenerator[str]:
    """The database behind a proxy that pools; the path of a socket must be short."""
    with TemporaryDirectory() as folder:
        async with pooled(postgres_url, Path(folder)) as url:
            yield url


async def test_past_the_proxy_word_comes_at_once(postgres_url: str, proxied_url: str) -> None:
    async with listening(proxied_url, postgres_url) as (heard, _):
        # Once before and once behind the moment from which it listens.
        await eventually(lambda: heard.count((None, None)) >= 2)
        await commit(proxied_url)
        await eventually(lambda: ("default", 2) in heard, timeout_seconds=NET_SECONDS / 2)


async def test_behind_the_proxy_no_word_comes_but_everything_is_looked_at_all_the_same(
    postgres_url: str, proxied_url: str
) -> None:
    async with listening(proxied_url) as (heard, _):
        await eventually(lambda: heard.count((None, None)) >= 2)
        await commit(postgres_url)
        await eventually(lambda: heard.count((None, None)) >= 3, timeout_seconds=NET_SECONDS * 2)
        assert set(heard) == {(None, None)}


async def test_who_cannot_listen_looks_all_the_same(postgres_url: str, tmp_path: Path) -> None:
    nowhere = make_url(postgres_url).update_query_dict({"host": str(tmp_path)})
    async with listening(postgres_url, nowhere.render_as_string(hide_password=False)) as (heard, duty):
        with pytest.raises(OSError, match=r"No such file"):
            await duty
        assert heard == [(None, None)]
