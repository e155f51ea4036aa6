"""Contents in an object store: a local folder, S3, Google Cloud Storage or Azure Blob Storage, all through obstore."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote
from uuid import uuid4

import obstore
import obstore.store
import structlog
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store

from workbench.domain.contents.model import ByteRange, Content, StoredObject
from workbench.domain.contents.ports import ContentStore
from workbench.domain.errors import NotFoundError, UnavailableError

PART_BYTES = 8 << 20
"""How much an upload to a remote store gathers for one request; S3 takes 10,000 parts at most."""
PARTS_AT_ONCE = 4
READ_BYTES = 256 << 10
PAGE = 500
RETRIES = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {"init_backoff": timedelta(seconds=0.1)},
}
"""A caller waits meanwhile, and can ask again."""
CLIENT_OPTIONS = frozenset(
    {
        *(
            "allow_http",
            "allow_invalid_certificates",
            "connect_timeout",
            "timeout",
            "proxy_url",
            "proxy_ca_certificate",
        ),
        *("pool_idle_timeout", "pool_max_idle_per_host", "http1_only", "http2_only", "root_certificate", "user_agent"),
    }
)
"""Options of the connection rather than of the store."""

logger = structlog.get_logger(__name__)


class ObjectContentStore(ContentStore):
    """Contents under keys `<workspace>/<two digits>/<random>`."""

    def __init__(self, store: ObjectStore, folder: Path | None = None) -> None:
        """`folder` is where a local store has its files."""
        self._store = store
        self._folder = folder

    async def put(self, workspace_id: str, chunks: AsyncIterable[bytes]) -> Content:
        """Hash and count what passes; the store makes the object visible when all of it is there."""
        name = uuid4().hex
        key = f"{quote(workspace_id, safe='')}/{name[:2]}/{name}"
        digest, size = hashlib.sha256(), 0
        faults: list[BaseException] = []

        async def passing() -> AsyncIterator[bytes]:
            nonlocal size
            try:
                async for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    yield chunk
            except BaseException as fault:
                faults.append(fault)
                raise

        try:
            with _translated():
                await obstore.put_async(
                    self._store, key, passing(), chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
                )
        except Exception:
            # Whatever the store makes of it: what the sender's side raised is what is to be said.
            if faults:
                raise faults[0] from None
            raise
        if self._folder is not None:
            await asyncio.to_thread(_sync, self._folder / key)
        return Content(hash=digest.hexdigest(), storage_key=key, size=size)

    async def read(self, storage_key: str, wanted: ByteRange | None = None) -> AsyncIterator[bytes]:
        """Stream from the store, or from the file that it has of it: obstore reads files by 8 KiB, each on a thread."""
        if self._folder is not None:
            return await _of_file(self._folder / storage_key, wanted)
        options: Any = None if wanted is None else {"range": (wanted.start, wanted.end)}
        with _translated():
            found = await obstore.get_async(self._store, storage_key, options=options)
        return _chunks(found)

    async def remove(self, storage_keys: Sequence[str]) -> None:
        """Delete them one by one: some stores fail a whole batch for one that is not there."""
        for key in storage_keys:
            try:
                with _translated():
                    await obstore.delete_async(self._store, key)
            except NotFoundError:
                continue

    async def all(self) -> AsyncIterator[Sequence[StoredObject]]:
        """List in the store's order."""
        with _translated():
            pages: Any = obstore.list(  # pyright: ignore[reportUnknownMemberType]
                self._store, chunk_size=PAGE
            )
            async for page in pages:
                yield [
                    StoredObject(
                        storage_key=found["path"], size=found["size"], modified_datetime=found["last_modified"]
                    )
                    for found in page
                ]

    async def link(self, storage_key: str, good_for: timedelta) -> str | None:
        """Sign a URL, where the store can."""
        if not isinstance(self._store, S3Store | GCSStore | AzureStore):
            return None
        with _translated():
            return await obstore.sign_async(self._store, "GET", storage_key, good_for)

    async def check(self) -> None:
        """Ask for what is not there: a store that answers says so."""
        try:
            with _translated():
                await obstore.head_async(self._store, "is-it-there")
        except NotFoundError:
            return


async def _chunks(found: Any) -> AsyncIterator[bytes]:
    with _translated():
        async for chunk in found.stream(min_chunk_size=READ_BYTES):
            yield bytes(chunk)


async def _of_file(path: Path, wanted: ByteRange | None) -> AsyncIterator[bytes]:
    with _translated():
        size = (await asyncio.to_thread(path.stat)).st_size
    return _blocks(path, wanted or ByteRange(start=0, end=size))


async def _blocks(path: Path, wanted: ByteRange) -> AsyncIterator[bytes]:
    # Opened here and not on a thread, as its name was just found: who is cut off meanwhile would leave it open.
    with _translated(), path.open("rb") as file:
        file.seek(wanted.start)
        for at in range(wanted.start, wanted.end, READ_BYTES):
            yield await asyncio.to_thread(file.read, min(READ_BYTES, wanted.end - at))


def local_store(folder: Path) -> ObjectContentStore:
    """Open the store in a folder, which is made."""
    return ObjectContentStore(LocalStore(folder, mkdir=True), folder)


def remote_store(url: str, options: Mapping[str, str]) -> ObjectContentStore:
    """Open the store that a URL names: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`.

    What `options` do not say comes from the provider's own environment variables, or from the identity of the machine.
    Raises ValueError where it cannot be opened so.
    """
    of_client = {name: value for name, value in options.items() if name in CLIENT_OPTIONS}
    of_store: Any = {name: value for name, value in options.items() if name not in CLIENT_OPTIONS}
    try:
        opened = obstore.store.from_url(
            url, client_options=cast("Any", of_client), retry_config=cast("Any", RETRIES), **of_store
        )
    except BaseError as error:
        raise ValueError(str(error).partition("\n")[0]) from None
    return ObjectContentStore(opened)


def _sync(path: Path) -> None:
    """Wait until the file and its name are on the disk."""
    for place in (path, path.parent):
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _translated() -> Any:
    """Say in domain words what the store raises."""
    try:
        yield
    except FileNotFoundError:
        raise NotFoundError from None
    except (BaseError, OSError) as error:
        logger.exception("the store of files failed")
        raise UnavailableError("the store of files does not answer", code="storage_unavailable") from error
