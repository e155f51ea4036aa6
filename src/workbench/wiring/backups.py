"""Backups of an installation, where settings keep it on SQLite and local files."""

from importlib.metadata import version
from pathlib import Path

from workbench.adapters.backups.backing_up import back_up
from workbench.adapters.backups.model import Outcome, Places
from workbench.adapters.backups.restoring import check, read_manifest, restore
from workbench.adapters.clock import SystemClock
from workbench.domain.errors import InvalidError, NotFoundError
from workbench.domain.moving.model import Show
from workbench.wiring import migrations
from workbench.wiring.settings import Settings


def make_backup(settings: Settings, folder: Path, show: Show) -> Outcome:
    """Back everything up into a new folder. Raises what `back_up` raises, NotFoundError where there is nothing."""
    places = _places(settings)
    if not places.database.is_file():
        raise NotFoundError(f"{places.database}: {migrations.ABSENT}", code="no_database")
    return back_up(places, folder, version("workbench"), SystemClock().now(), show)


def use_backup(settings: Settings, folder: Path, show: Show, *, dry_run: bool) -> Outcome:
    """Restore a backup, or only check it. Raises InvalidError where a newer program made it."""
    places = _places(settings)
    manifest = read_manifest(folder)
    if not migrations.is_known(manifest.revision):
        raise InvalidError(
            f"The backup was made by a newer program, {manifest.program}: its schema is {manifest.revision}",
            code="bad_backup",
        )
    return check(folder, show) if dry_run else restore(folder, places, show)


def _places(settings: Settings) -> Places:
    if settings.database_file is None or settings.storage.url is not None:
        raise InvalidError(
            "Only SQLite with local files is backed up here. Use pg_dump for PostgreSQL, with --enable-row-security and "
            "PGOPTIONS='-c app.duty=backup', or its copy is empty; and the means of your object store for files: back up "
            "the database first, then the store.",
            code="not_local",
        )
    return Places(database=settings.database_file, contents=settings.storage_root, keys=settings.data_root / "keys")
