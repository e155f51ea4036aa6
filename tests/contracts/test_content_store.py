"""What a store of contents promises, whatever it is kept in."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from obstore.store import MemoryStore
from tests.support.object_server import ObjectServer

from workbench.adapters.storage.objects import ObjectContentStore, local_store, remote_store
from workbench.domain.contents.model import ByteRange
from workbench.domain.contents.ports import ContentStore
from workbench.domain.errors import NotFoundError, UnavailableError


@pytest.fixture(scope="module")
def objects() -> Generator[ObjectServer]:
    with ObjectServer() as server:
        yield server


@pytest.fixture(params=["folder", "memory", "s3"])
def contents(request: pytest.FixtureRequest, tmp_path: Path) -> ContentStore:
    if request.param == "folder":
        return local_store(tmp_path / "files")
    if request.param == "memory":
        return ObjectContentStore(MemoryStore())
    objects: ObjectServer = request.getfixturevalue("objects")
    return remote_store(f"s3://{objects.new_bucket()}/some/prefix", objects.options)


async def sent(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def read(contents: ContentStore, key: str, wanted: ByteRange | None = None) -> bytes:
    return b"".join([chunk async for chunk in await contents.read(key, wanted)])


async def keys(contents: ContentStore) -> set[str]:
    return {found.storage_key async for page in contents.all() for found in page}


@pytest.mark.parametrize("chunks", [(), (b"",), (b"hello",), (b"a" * 70_000, b"b", b"c" * 9_000_000, b"d" * 9_000_000)])
async def test_what_is_put_can_be_read(contents: ContentStore, chunks: tuple[bytes, ...]) -> None:
    whole = b"".join(chunks)
    content = await contents.put("default", sent(*chunks))
    assert (content.hash, content.size) == (hashlib.sha256(whole).hexdigest(), len(whole))
    assert content.storage_key.startswith("default/")
    assert await read(contents, content.storage_key) == whole


async def test_parts_are_read(contents: ContentStore) -> None:
    key = (await contents.put("default", sent(b"0123456789"))).storage_key
    assert await read(contents, key, ByteRange(start=2, end=5)) == b"234"
    assert await read(contents, key, ByteRange(start=9, end=10)) == b"9"
    assert await read(contents, key, ByteRange(start=0, end=10)) == b"0123456789"


async def test_the_same_bytes_have_another_key_each_time(contents: ContentStore) -> None:
    first, second = [await contents.put("a/b c", sent(b"same")) for _ in range(2)]
    assert first.hash == second.hash
    assert first.storage_key != second.storage_key
    assert await keys(contents) == {first.storage_key, second.storage_key}
    assert await read(contents, first.storage_key) == b"same"


async def test_a_large_part_is_read_to_its_last_byte(contents: ContentStore) -> None:
    whole = bytes(number % 251 for number in range(1_000_000))
    key = (await contents.put("default", sent(whole))).storage_key
    assert await read(contents, key, ByteRange(start=100_001, end=999_999)) == whole[100_001:999_999]


async def test_what_is_removed_while_it_is_read_is_read_to_its_end(contents: ContentStore) -> None:
    whole = b"a" * 600_000
    key = (await contents.put("default", sent(whole))).storage_key
    chunks = await contents.read(key)
    seen = await anext(chunks)
    await contents.remove([key])
    assert seen + b"".join([chunk async for chunk in chunks]) == whole
    assert await keys(contents) == set()


async def test_what_is_not_there_is_not_found(contents: ContentStore) -> None:
    with pytest.raises(NotFoundError):
        await read(contents, "default/00/nothing")
    with pytest.raises(NotFoundError):
        await read(contents, "default/00/nothing", ByteRange(start=0, end=1))
    await contents.remove(["default/00/nothing"])


async def test_what_is_removed_is_gone_and_the_rest_stays(contents: ContentStore) -> None:
    gone, kept = [await contents.put("default", sent(text)) for text in (b"gone", b"kept")]
    await contents.remove(["default/00/nothing", gone.storage_key])
    assert await keys(contents) == {kept.storage_key}


async def test_a_listing_tells_sizes_and_ages(contents: ContentStore) -> None:
    content = await contents.put("default", sent(b"12345"))
    (found,) = [found async for page in contents.all() for found in page]
    assert (found.storage_key, found.size) == (content.storage_key, 5)
    assert abs(datetime.now(UTC) - found.modified_datetime) < timedelta(minutes=1)


async def test_a_sender_that_fails_leaves_nothing(contents: ContentStore) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"x" * 9_000_000
        raise ValueError("cut")

    with pytest.raises(ValueError, match="cut"):
        await contents.put("default", failing())
    assert await keys(contents) == set()


async def test_a_put_that_is_cancelled_leaves_nothing(contents: ContentStore) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1_000_000
            begun.set()
            await asyncio.sleep(0.01)

    putting = asyncio.create_task(contents.put("default", endless()))
    await begun.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    await asyncio.sleep(0.1)
    assert await keys(contents) == set()


async def test_it_says_that_it_is_there(contents: ContentStore) -> None:
    await contents.check()


async def test_a_folder_has_no_links(tmp_path: Path) -> None:
    contents = local_store(tmp_path)
    key = (await contents.put("default", sent(b"hello"))).storage_key
    assert await contents.link(key, timedelta(minutes=1)) is None


async def test_a_link_of_an_object_store_is_read_without_credentials(objects: ObjectServer) -> None:
    contents = remote_store(f"s3://{objects.new_bucket()}", objects.options)
    key = (await contents.put("default", sent(b"hello"))).storage_key
    link = await contents.link(key, timedelta(minutes=1))
    assert link is not None
    async with httpx.AsyncClient(trust_env=False, verify=False) as browser:
        answer = await browser.get(link)
    assert (answer.status_code, answer.content) == (200, b"hello")


async def test_a_store_that_is_away_is_unavailable() -> None:
    options = {"endpoint": "http://127.0.0.1:9", "allow_http": "true", "access_key_id": "a", "secret_access_key": "b"}
    contents = remote_store("s3://nobody", {**options, "region": "us-east-1"})
    with pytest.raises(UnavailableError):
        await contents.check()
