"""The contents that a database names, copied from one folder to another, and checked on the way."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from workbench.domain.moving.model import Flaw, Show

CHUNK_BYTES = 1 << 20
GONE = "its bytes are gone"


class ContentCopy:
    """Copies contents, which never change: those that are there already are only read."""

    def __init__(self, source: Path, target: Path | None = None) -> None:
        """Without a target, contents are only checked."""
        self._source = source
        self._target = target
        self.count = 0
        self.bytes = 0

    def run(self, database: Path, show: Show) -> list[Flaw]:
        """Go over all contents that the database names, and tell which are missing or altered."""
        self.count = self.bytes = 0
        flaws: list[Flaw] = []
        with closing(sqlite3.connect(database)) as connection:
            for storage_key, expected, size in connection.execute("SELECT storage_key, hash, size FROM contents"):
                if fault := self._take(storage_key, expected):
                    flaws.append(Flaw(subject=storage_key, fault=fault))
                self.count += 1
                self.bytes += size
                show(f"{self.count} contents, {self.bytes} bytes")
        return flaws

    def _take(self, storage_key: str, expected: str) -> str | None:
        kept = None if self._target is None else self._target / storage_key
        if kept is not None and kept.is_file() and hashed(kept) == expected:
            return None
        path = self._source / storage_key
        if not path.is_file():
            return GONE
        found = hashed(path) if kept is None else _copy(path, kept)
        return None if found == expected else "its bytes were altered"


def hashed(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: Path, target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("wb") as written:
        while chunk := read.read(CHUNK_BYTES):
            digest.update(chunk)
            written.write(chunk)
    return digest.hexdigest()
