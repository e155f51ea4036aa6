"""Contents on both databases: swept when nothing refers to them, and checked as a whole."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.contracts.test_transactions import new_conversation
from tests.support.clocks import START
from tests.support.databases import Store

from workbench.adapters.sql.contents import SqlContentLedger
from workbench.adapters.sql.jobs import SqlJobQueue
from workbench.adapters.sql.tables import contents, jobs
from workbench.adapters.storage.objects import local_store
from workbench.domain.contents.model import REMOVE_JOB, REST, SWEEP_JOB, Content, StoredContent, sweep
from workbench.domain.contents.ports import ContentStore
from workbench.domain.contents.service import SWEEP_PAGE, DisposalService, SweepService
from workbench.domain.contents.verification import Flaw, VerificationService
from workbench.domain.errors import StaleError
from workbench.domain.files.model import FileLimits, IncomingFile
from workbench.domain.files.service import FileService
from workbench.domain.files.uploading import UploadService
from workbench.domain.identity.model import Principal
from workbench.domain.sizes import SizeLimits

ANN = Principal(workspace_id="default", role="user", id="ann", name="Ann")


class Form:
    """An upload that is there already."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def metadata(self) -> None:
        return None

    async def files(self) -> AsyncIterator[IncomingFile]:
        for name, content in self._files.items():
            yield IncomingFile(filename=name, content_type="", chunks=chunks(content))


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


class Desk:
    """The services around one store."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.kept: ContentStore = local_store(folder)
        transactions, clock, sizes = store.transactions, store.clock, SizeLimits()
        self.uploads = UploadService(transactions, self.kept, clock, FileLimits(), sizes)
        self.files = FileService(transactions, self.kept, clock, sizes)
        self.sweeping = SweepService(transactions, clock)
        self.disposal = DisposalService(transactions, self.kept)
        self.queue = SqlJobQueue(store.database)
        self.ledger = SqlContentLedger(store.database)
        self.verification = VerificationService(self.ledger, self.kept, self.sweeping, clock)

    async def upload(self, conversation: Any, **files: bytes) -> None:
        await self.uploads.upload(ANN, conversation, Form(files))

    async def work(self, *kinds: str) -> int:
        """Do the jobs that are due; answer how many there were."""
        handlers = {SWEEP_JOB: self.sweeping, REMOVE_JOB: self.disposal}
        done = 0
        while found := await self.queue.claim(kinds or (SWEEP_JOB, REMOVE_JOB), self.store.clock.now(), 10):
            for job in found:
                await handlers[job.kind].carry_out(job)
                done += 1
        return done

    async def flaws(self, *, repair: bool = False) -> list[Flaw]:
        return [step.flaw async for step in self.verification.run(repair=repair) if step.flaw]

    def objects(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    async def hashes(self) -> int:
        return len(await self.store.database.rows(select(contents.c.hash)))


@pytest.fixture
async def desk(store: Store, tmp_path: Path) -> Desk:
    return Desk(store, tmp_path / "files")


async def test_what_no_file_refers_to_is_removed_after_a_rest(desk: Desk) -> None:
    talk = await new_conversation(desk.store)
    await desk.upload(talk, a=b"gone", b=b"kept")
    await desk.upload(talk, c=b"kept")
    await desk.files.delete(ANN, talk, "a")
    assert await desk.work() == 0
    assert len(desk.objects()) == 2
    desk.store.clock.move(hours=3)
    assert await desk.work(SWEEP_JOB) == 1
    assert (await desk.hashes(), len(desk.objects())) == (1, 2)
    assert await desk.work(REMOVE_JOB) == 1
    assert len(desk.objects()) == 1
    await desk.files.delete(ANN, talk, "b")
    desk.store.clock.move(hours=3)
    await desk.work()
    assert (await desk.hashes(), len(desk.objects())) == (1, 1)
    await desk.files.delete(ANN, talk, "c")
    desk.store.clock.move(hours=3)
    await desk.work()
    assert (await desk.hashes(), desk.objects()) == (0, [])


async def test_deletions_of_one_hour_are_one_sweep(desk: Desk) -> None:
    talk = await new_conversation(desk.store)
    await desk.upload(talk, a=b"a", b=b"b", c=b"c")
    for name in "abc":
        await desk.files.delete(ANN, talk, name)
    assert len(await desk.store.database.rows(select(jobs.c.key))) == 1
    desk.store.clock.move(hours=3)
    assert await desk.work(SWEEP_JOB) == 1
    assert await desk.hashes() == 0


async def test_a_sweep_goes_on_page_by_page(desk: Desk) -> None:
    async with desk.store.transactions.write("default") as tx:
        for number in range(SWEEP_PAGE + 1):
            tx.contents.add(Content(hash=f"{number:064x}", storage_key=f"default/{number}", size=1))
        tx.jobs.enqueue(sweep(START - timedelta(hours=3)))
    desk.store.clock.move(hours=2)
    assert await desk.work(SWEEP_JOB) == 2
    assert await desk.hashes() == 0
    assert await desk.work(REMOVE_JOB) == SWEEP_PAGE + 1


async def test_what_comes_back_into_use_is_not_struck_off(desk: Desk) -> None:
    talk = await new_conversation(desk.store)
    await desk.upload(talk, a=b"same")
    (seen,) = await desk.ledger.behind(None, 10)
    await desk.files.delete(ANN, talk, "a")
    desk.store.clock.move(days=2)
    await desk.upload(talk, b=b"same")
    assert not await desk.sweeping.strike_off(seen, REST)
    await desk.files.delete(ANN, talk, "b")
    assert not await desk.sweeping.strike_off(seen, REST)
    desk.store.clock.move(days=2)
    assert await desk.sweeping.strike_off(seen, REST)


async def test_an_upload_of_what_was_just_struck_off_keeps_its_own_bytes(desk: Desk) -> None:
    talk = await new_conversation(desk.store)
    await desk.upload(talk, a=b"same")
    await desk.files.delete(ANN, talk, "a")
    desk.store.clock.move(days=2)
    assert await desk.work(SWEEP_JOB) == 1
    await desk.upload(talk, a=b"same")
    assert await desk.work(REMOVE_JOB) == 1
    assert await desk.flaws() == []
    assert len(desk.objects()) == 1


async def test_a_content_that_somebody_else_wrote_down_is_stale(desk: Desk) -> None:
    content = Content(hash="a" * 64, storage_key="default/1", size=1)
    async with desk.store.transactions.write("default") as tx:
        tx.contents.add(content)
    with pytest.raises(StaleError):
        async with desk.store.transactions.write("default") as tx:
            tx.contents.add(Content(hash="a" * 64, storage_key="default/2", size=1))
    with pytest.raises(StaleError):
        async with desk.store.transactions.write("default") as tx:
            tx.contents.touch(Content(hash="a" * 64, storage_key="default/2", size=1))


async def test_a_store_that_is_whole_has_no_flaws(desk: Desk) -> None:
    talk = await new_conversation(desk.store)
    await desk.upload(talk, a=b"1", b=b"22", c=b"")
    steps = [step async for step in desk.verification.run()]
    assert [step.contents for step in steps] == [1, 2, 3]
    assert steps[-1].bytes_read == 3
    assert all(step.flaw is None for step in steps)


async def test_missing_and_altered_bytes_are_found_in_every_workspace(desk: Desk) -> None:
    talk = await new_conversation(desk.store)
    await desk.upload(talk, whole=b"whole", missing=b"missing", altered=b"altered", cut=b"cut short")
    keys = {content.size: content for content in await desk.ledger.behind(None, 10)}
    (desk.folder / keys[len("missing")].storage_key).unlink()
    (desk.folder / keys[len("cut short")].storage_key).write_bytes(b"cut")
    altered = next(path for path in desk.objects() if path.read_bytes() == b"altered")
    altered.write_bytes(b"ALTERED")
    found = await desk.flaws(repair=True)
    assert sorted((flaw.fault, flaw.size, flaw.repaired) for flaw in found) == [
        ("altered", 7, False),
        ("altered", 9, False),
        ("missing", 7, False),
    ]
    assert {flaw.workspace_id for flaw in found} == {"default"}


async def test_orphans_and_unused_contents_are_removed_when_they_are_old_enough(desk: Desk) -> None:
    talk = await new_conversation(desk.store)
    present = datetime.now(UTC) - desk.store.clock.now()
    desk.store.clock.move(seconds=present.total_seconds())
    await desk.upload(talk, a=b"kept")
    orphan = await desk.kept.put("default", chunks(b"orphan"))
    unused = await desk.kept.put("default", chunks(b"unused"))
    async with desk.store.transactions.write("default") as tx:
        tx.contents.add(unused)
    assert await desk.flaws(repair=True) == []
    desk.store.clock.move(hours=24, minutes=5)
    expected = {("orphaned", orphan.storage_key), ("unused", unused.storage_key)}
    assert {(flaw.fault, flaw.storage_key) for flaw in await desk.flaws()} == expected
    assert {(flaw.fault, flaw.storage_key) for flaw in await desk.flaws(repair=True) if flaw.repaired} == expected
    await desk.work(REMOVE_JOB)
    assert await desk.flaws() == []
    assert len(desk.objects()) == 1


async def test_the_ledger_goes_over_all_workspaces(desk: Desk) -> None:
    for workspace in ("b", "a", "c"):
        async with desk.store.transactions.write(workspace) as tx:
            for name in "21":
                tx.contents.add(Content(hash=name * 64, storage_key=f"{workspace}/{name}", size=1))
    seen: list[StoredContent] = []
    while page := await desk.ledger.behind(seen[-1] if seen else None, 4):
        seen += page
    assert [content.storage_key for content in seen] == ["a/1", "a/2", "b/1", "b/2", "c/1", "c/2"]
    assert await desk.ledger.known_keys(["a/1", "c/2", "d/1"]) == {"a/1", "c/2"}
    assert await desk.ledger.known_keys([]) == set()
