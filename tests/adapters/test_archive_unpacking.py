"""Zip archives that somebody else made: what is read, and what is refused before it does harm."""

import io
import stat
import struct
import zipfile
from collections.abc import Callable

import pytest

from workbench.adapters.archives.unpacking import UnpackedZip, open_zip
from workbench.domain.archive.model import ArchiveLimits
from workbench.domain.errors import InvalidError, TooLargeError

Fill = Callable[[zipfile.ZipFile], object]


async def opened(fill: Fill, limits: ArchiveLimits | None = None) -> UnpackedZip:
    return await open_zip(packed(fill), limits or ArchiveLimits())


def packed(fill: Fill) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        fill(archive)
    return file


def named(name: str, kind: int = 0) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (kind | 0o644) << 16
    return entry


async def content(archive: UnpackedZip, path: str) -> bytes:
    return b"".join([piece async for piece in archive.read(path)])


async def test_parts_are_read_and_folders_are_not_parts() -> None:
    def fill(archive: zipfile.ZipFile) -> None:
        archive.writestr(named("files/", stat.S_IFDIR), b"")
        archive.writestr("files/one", b"1" * 300_000)
        archive.writestr(zipfile.ZipInfo("workbench.jsonl"), b"{}")

    archive = await opened(fill)

    assert set(archive.paths) == {"files/one", "workbench.jsonl"}
    assert await content(archive, "files/one") == b"1" * 300_000
    assert await content(archive, "workbench.jsonl") == b"{}"
    with pytest.raises(InvalidError, match="it has no files/two"):
        await content(archive, "files/two")


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../up", "a/../b", "a//b", "./a", "a/.", "a\\b", "C:a", "a\nb", "a\x00b", "x" * 2000, "/", "a//"],
)
async def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    marked = "@" * len(name)
    file = io.BytesIO(
        packed(lambda archive: archive.writestr(marked, b"x")).getvalue().replace(marked.encode(), name.encode())
    )

    with pytest.raises(InvalidError) as raised:
        await open_zip(file, ArchiveLimits())

    assert raised.value.error_code == "bad_archive"
    assert raised.value.field == "from_export"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR])
async def test_links_and_devices_are_refused(kind: int) -> None:
    with pytest.raises(InvalidError, match="neither a file nor a folder"):
        await opened(lambda archive: archive.writestr(named("a", kind), b"x"))


async def test_a_folder_with_bytes_is_refused() -> None:
    with pytest.raises(InvalidError, match="a folder with bytes"):
        await opened(lambda archive: archive.writestr(named("a/"), b"x"))


@pytest.mark.parametrize("second", ["a", "a/"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
async def test_a_name_is_taken_once(second: str) -> None:
    def fill(archive: zipfile.ZipFile) -> None:
        archive.writestr("a", b"1")
        archive.writestr(second, b"")

    with pytest.raises(InvalidError, match="it has a twice"):
        await opened(fill)


@pytest.mark.parametrize("flag", [0x1, 0x20, 0x40, 0x2000])
async def test_encrypted_parts_are_refused(flag: int) -> None:
    file = packed(lambda archive: archive.writestr("a", b"x"))
    changed = bytearray(file.getvalue())
    place = changed.find(b"PK\x01\x02") + 8
    struct.pack_into("<H", changed, place, flag)

    with pytest.raises(InvalidError, match="encrypted"):
        await open_zip(io.BytesIO(changed), ArchiveLimits())


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
async def test_other_ways_of_packing_are_refused(method: int) -> None:
    with pytest.raises(InvalidError, match="packed in an unknown way"):
        await opened(lambda archive: archive.writestr("a", b"x", compress_type=method))


async def test_what_is_packed_and_unpacked_is_limited() -> None:
    def fill(archive: zipfile.ZipFile) -> None:
        archive.writestr("a", b"a" * 3000)
        archive.writestr("b", b"b" * 3000)

    with pytest.raises(TooLargeError, match="limited to 100 bytes") as raised:
        await opened(fill, ArchiveLimits(packed_bytes=100))
    assert raised.value.extra == {"limit": "packed_bytes"}

    archive = await opened(fill, ArchiveLimits(unpacked_bytes=5000))
    assert await content(archive, "a") == b"a" * 3000
    with pytest.raises(TooLargeError) as raised:
        await content(archive, "b")
    assert raised.value.extra == {"limit": "unpacked_bytes"}


async def test_a_bomb_is_found_while_it_goes_off() -> None:
    archive = await opened(lambda archive: archive.writestr("a", bytes(20 << 20)))

    taken = list[int]()

    async def take() -> None:
        async for piece in archive.read("a"):
            taken.append(len(piece))

    with pytest.raises(TooLargeError) as raised:
        await take()
    assert raised.value.extra == {"limit": "ratio"}
    assert sum(taken) < 5 << 20


async def test_a_part_that_says_it_is_small_is_not_believed() -> None:
    file = packed(lambda archive: archive.writestr("a", bytes(5 << 20)))
    changed = bytearray(file.getvalue())
    struct.pack_into("<L", changed, changed.find(b"PK\x01\x02") + 24, 10)
    archive = await open_zip(io.BytesIO(changed), ArchiveLimits())

    with pytest.raises(InvalidError, match="a cannot be read"):
        await content(archive, "a")


async def test_entries_are_limited_before_and_after_the_directory_is_read() -> None:
    def fill(archive: zipfile.ZipFile) -> None:
        for number in range(6000):
            archive.writestr(f"{number:0100}", b"")

    for limit in (100, 5999):
        with pytest.raises(TooLargeError, match=f"limited to {limit} entries"):
            await opened(fill, ArchiveLimits(entries=limit))
    assert len((await opened(fill, ArchiveLimits(entries=6000))).paths) == 6000


@pytest.mark.parametrize("text", [b"", b"nonsense", b"PK\x05\x06", b"PK\x05\x06" + b"\xff" * 18])
async def test_what_is_no_archive_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidError, match="no archive that can be imported"):
        await open_zip(io.BytesIO(text), ArchiveLimits())


async def test_broken_bytes_are_refused() -> None:
    file = packed(lambda archive: archive.writestr("a", bytes(range(256)) * 40))
    changed = bytearray(file.getvalue())
    changed[40:60] = b"\xff" * 20
    archive = await open_zip(io.BytesIO(changed), ArchiveLimits())

    with pytest.raises(InvalidError, match="a cannot be read"):
        await content(archive, "a")
