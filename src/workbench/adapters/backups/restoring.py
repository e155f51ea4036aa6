"""An installation made from a backup. Its database comes last: where it is not there, nothing has been restored."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from workbench.adapters.backups.backing_up import PRIVATE_FOLDER, require_whole
from workbench.adapters.backups.contents import ContentCopy, hashed
from workbench.adapters.backups.model import FORMAT, MANIFEST, Manifest, Outcome, Places
from workbench.domain.errors import ConflictError, InvalidError, NotFoundError
from workbench.domain.moving.model import Show


def read_manifest(folder: Path) -> Manifest:
    """Read what a backup says of itself. Raises NotFoundError, InvalidError."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise NotFoundError(f"There is no backup in {folder}: it has no {MANIFEST}", code="no_backup") from None
    except msgspec.DecodeError as error:
        raise InvalidError(f"{folder / MANIFEST} cannot be read: {error}", code="bad_backup") from None
    if manifest.format != FORMAT:
        raise InvalidError(f"The backup has format {manifest.format}; this program reads {FORMAT}", code="bad_backup")
    return manifest


def check(folder: Path, show: Show) -> Outcome:
    """Read all of a backup. Raises InvalidError where its database is not the one that was backed up."""
    manifest, kept = read_manifest(folder), Places.inside(folder)
    if not kept.database.is_file() or hashed(kept.database) != manifest.database_sha256:
        raise InvalidError(f"{kept.database} is not as it was backed up", code="bad_backup")
    require_whole(kept.database)
    return Outcome(manifest=manifest, flaws=ContentCopy(kept.contents).run(kept.database, show))


def restore(folder: Path, places: Places, show: Show) -> Outcome:
    """Put everything back, contents that are damaged in the backup as well; what is cut begins again.

    Raises ConflictError where there is a database already, or another key.
    """
    outcome, kept = check(folder, show), Places.inside(folder)
    for there in (places.database, places.database.with_name(f"{places.database.name}-wal")):
        if there.exists():
            raise ConflictError(f"{there} is there already. Move it away first.", code="is_there")
    keys = [path for path in kept.keys.rglob("*") if path.is_file()] if kept.keys.is_dir() else []
    for key in keys:
        there = places.keys / key.relative_to(kept.keys)
        if there.exists() and there.read_bytes() != key.read_bytes():
            raise ConflictError(f"{there} is another key than the backup's. Move it away first.", code="is_there")
    for place in (places.database.parent, places.contents, places.keys):
        place.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    if keys:
        shutil.copytree(kept.keys, places.keys, dirs_exist_ok=True)
    ContentCopy(kept.contents, places.contents).run(kept.database, show)
    draft = places.database.with_name(f"{places.database.name}.partial")
    shutil.copyfile(kept.database, draft)
    with closing(sqlite3.connect(draft)) as connection, connection:
        # They were held by processes that are not there any more.
        connection.execute("DELETE FROM leases")
    os.sync()
    draft.rename(places.database)
    return outcome
