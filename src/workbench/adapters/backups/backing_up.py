"""A backup of SQLite and local files while the service runs.

The database is copied as of one moment, and after it the contents that it names. Contents never change, and only
after a rest is one removed that nothing refers to; where that happened in between, the next snapshot does not name it.
"""

import os
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import msgspec

from workbench.adapters.backups.contents import GONE, ContentCopy, hashed
from workbench.adapters.backups.model import FORMAT, MANIFEST, Manifest, Outcome, Places
from workbench.domain.errors import ConflictError, UnavailableError
from workbench.domain.moving.model import Flaw, Show

PRIVATE_FOLDER = 0o700
PAGES = 4096
SNAPSHOTS = 3


def back_up(places: Places, folder: Path, program: str, now: datetime, show: Show) -> Outcome:
    """Make a backup in a new folder, which appears when all of it is on the disk.

    Raises ConflictError where the folder is there, UnavailableError where the database is damaged.
    """
    if folder.exists():
        raise ConflictError(f"{folder} is there already", code="is_there")
    # What an earlier attempt left behind is used again.
    draft = folder.with_name(f"{folder.name}.partial")
    draft.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    kept = Places.inside(draft)
    copy = ContentCopy(places.contents, kept.contents)
    flaws: list[Flaw] = []
    for _ in range(SNAPSHOTS):
        _snapshot(places.database, kept.database, show)
        flaws = copy.run(kept.database, show)
        if not any(flaw.fault == GONE for flaw in flaws):
            break
    _forget_others(kept)
    if places.keys.is_dir():
        shutil.copytree(places.keys, kept.keys, dirs_exist_ok=True)
    manifest = Manifest(
        format=FORMAT,
        program=program,
        revision=_revision(kept.database),
        made_datetime=now,
        database_sha256=hashed(kept.database),
        contents=copy.count,
        contents_bytes=copy.bytes,
    )
    (draft / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    os.sync()
    draft.rename(folder)
    return Outcome(manifest=manifest, flaws=flaws)


def require_whole(database: Path) -> None:
    """Raises UnavailableError where SQLite finds the file damaged."""
    with closing(sqlite3.connect(database)) as connection:
        try:
            found = connection.execute("PRAGMA integrity_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            found = str(error)
    if found != "ok":
        raise UnavailableError(f"The database {database} is damaged: {found}", code="database_damaged")


def _snapshot(source: Path, target: Path, show: Show) -> None:
    target.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(f"file:{quote(str(source.absolute()))}?mode=ro", uri=True)) as live,
        closing(sqlite3.connect(target)) as copy,
    ):
        # Held from here on, the moment stays the same whatever is written meanwhile; else each write begins it anew.
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        live.backup(copy, pages=PAGES, progress=lambda _, left, total: show(f"{total - left} of {total} pages"))
        copy.execute("PRAGMA journal_mode=DELETE")
    require_whole(target)


def _revision(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def _forget_others(kept: Places) -> None:
    """Remove contents that an earlier snapshot named and the last one does not."""
    with closing(sqlite3.connect(kept.database)) as connection:
        for path in kept.contents.rglob("*"):
            key = path.relative_to(kept.contents).as_posix()
            if (
                path.is_file()
                and not connection.execute("SELECT 1 FROM contents WHERE storage_key = ?", (key,)).fetchone()
            ):
                path.unlink()
