"""Where an installation keeps its parts, and what a backup says of itself."""

from datetime import datetime
from pathlib import Path

import msgspec

from workbench.domain.moving.model import Flaw

FORMAT = 1
DATABASE, CONTENTS, KEYS, MANIFEST = "workbench.db", "files", "keys", "backup.json"


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of an installation on SQLite and local files, or of a backup of it."""

    database: Path
    contents: Path
    keys: Path

    @classmethod
    def inside(cls, folder: Path) -> "Places":
        """The parts of a backup."""
        return cls(database=folder / DATABASE, contents=folder / CONTENTS, keys=folder / KEYS)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds. It is written last: a folder without it is no backup."""

    format: int
    program: str
    """The version of the program that made it."""
    revision: str
    """The schema of its database."""
    made_datetime: datetime
    database_sha256: str
    contents: int
    contents_bytes: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What was backed up, checked or restored, and which bytes are not what the database says."""

    manifest: Manifest
    flaws: list[Flaw]
