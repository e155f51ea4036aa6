"""Reading zip archives that strangers made: nothing in them is believed before it is counted."""

import asyncio
import stat
import zipfile
import zlib
from collections.abc import AsyncIterator, Collection
from typing import IO

from workbench.domain.archive.model import ArchiveLimits
from workbench.domain.errors import InvalidError, TooLargeError, WorkbenchError

READ_BYTES = 256 << 10
MAX_NAME_BYTES = 1024
DIRECTORY_BYTES_PER_ENTRY = 256
"""Twice what an entry of an archive of ours takes in the directory at its end, which is held in memory."""
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_PATCHED = 0x20


class UnpackedZip:
    """An archive in a file, its directory read and found harmless; the bytes are counted while they are inflated.

    The standard library's reader is used because it goes by the directory at the end, which is what says of a
    complete file where its parts lie; readers of a stream must trust what stands before each part.
    """

    def __init__(self, archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], left: "_Left") -> None:
        self._archive = archive
        self._entries = entries
        self._left = left

    @property
    def paths(self) -> Collection[str]:
        """What it holds, without folders."""
        return self._entries.keys()

    async def read(self, path: str) -> AsyncIterator[bytes]:
        """Inflate one part, piece by piece. Raises InvalidError, TooLargeError."""
        entry = self._entries.get(path)
        if entry is None:
            raise bad_archive(f"it has no {path}")
        try:
            with self._archive.open(entry) as part:
                while piece := await asyncio.to_thread(part.read, READ_BYTES):
                    self._left.take(len(piece))
                    yield piece
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
            raise bad_archive(f"{path} cannot be read: {error}") from None


async def open_zip(file: IO[bytes], limits: ArchiveLimits) -> UnpackedZip:
    """Read an archive's directory and check every entry. Raises InvalidError, TooLargeError."""
    return await asyncio.to_thread(_open, file, limits)


def bad_archive(words: str) -> InvalidError:
    """An archive that cannot be imported."""
    return InvalidError(f"this is no archive that can be imported: {words}", code="bad_archive", field="from_export")


class _Left:
    """How much may still be unpacked, of all parts together."""

    def __init__(self, packed: int, limits: ArchiveLimits) -> None:
        self._taken = 0
        self._unpacked_bytes = limits.unpacked_bytes
        self._by_ratio = limits.unpacked_by_ratio(packed)
        self._ratio = limits.ratio

    def take(self, size: int) -> None:
        """Count bytes. Raises TooLargeError."""
        self._taken += size
        if self._taken > self._unpacked_bytes:
            raise over("unpacked_bytes", f"an unpacked archive is limited to {self._unpacked_bytes} bytes")
        if self._taken > self._by_ratio:
            raise over("ratio", f"an archive may unpack to {self._ratio} times its size")


class _Guarded:
    """A file that refuses to be read in large pieces: the directory of an archive is read in one."""

    def __init__(self, file: IO[bytes], limit_bytes: int, refusal: WorkbenchError) -> None:
        self._file = file
        self._limit_bytes = limit_bytes
        self._refusal = refusal
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes, or all that are left."""
        found = self._file.read(self._limit_bytes + 1 if size < 0 else min(size, self._limit_bytes + 1))
        if len(found) > self._limit_bytes:
            raise self._refusal
        return found


def _open(file: IO[bytes], limits: ArchiveLimits) -> UnpackedZip:
    packed = file.seek(0, 2)
    if packed > limits.packed_bytes:
        raise over("packed_bytes", f"an archive is limited to {limits.packed_bytes} bytes")
    too_many = over("entries", f"an archive is limited to {limits.entries} entries")
    directory_bytes = max(limits.entries * DIRECTORY_BYTES_PER_ENTRY, 2 * READ_BYTES)
    try:
        archive = zipfile.ZipFile(_Guarded(file, directory_bytes, too_many))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise bad_archive(str(error)) from None
    if len(archive.filelist) > limits.entries:
        raise too_many
    seen: set[str] = set()
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.filelist:
        name = _checked_name(entry)
        if name in seen:
            raise bad_archive(f"it has {name} twice")
        seen.add(name)
        _check_kind(entry, name)
        if not entry.orig_filename.endswith("/"):
            entries[name] = entry
    return UnpackedZip(archive, entries, _Left(packed, limits))


def _checked_name(entry: zipfile.ZipInfo) -> str:
    """The name without the slash of a folder; one that leads out of the archive, or is not plain, is refused."""
    name = entry.orig_filename
    shown = ascii(name[:80])
    if len(name.encode(errors="replace")) > MAX_NAME_BYTES or not name.isprintable() or "\\" in name or ":" in name:
        raise bad_archive(f"{shown} is not the name of a part")
    parts = name.removesuffix("/").split("/")
    if not {"", ".", ".."}.isdisjoint(parts):
        raise bad_archive(f"{shown} leads out of the archive")
    return "/".join(parts)


def _check_kind(entry: zipfile.ZipInfo, name: str) -> None:
    """Refuse what is neither a file nor a folder, and what cannot be read."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    folder = entry.orig_filename.endswith("/")
    if kind not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
        raise bad_archive(f"{name} is neither a file nor a folder")
    if folder and entry.file_size:
        raise bad_archive(f"{name} is a folder with bytes")
    if entry.flag_bits & (_ENCRYPTED | _PATCHED):
        raise bad_archive(f"{name} is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise bad_archive(f"{name} is packed in an unknown way")


def over(limit: str, words: str) -> TooLargeError:
    """An archive that passes a limit."""
    return TooLargeError(words, code="archive_limit", field="from_export", extra={"limit": limit})
