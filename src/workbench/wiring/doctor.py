"""What can be wrong with an installation, looked at without changing anything."""

import asyncio
import os
import shutil
import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from workbench.adapters.assistants.client import make_http_client
from workbench.adapters.keys.cipher import KEY_BYTES
from workbench.adapters.tokens.jwks import FETCH_FAILURES, from_file, from_url
from workbench.adapters.tokens.key_sets import read_public_keys
from workbench.adapters.tokens.local import KEY_FILE as LOCAL_ISSUER_FILE
from workbench.adapters.tokens.local import LocalIssuer
from workbench.domain.errors import UnavailableError, WorkbenchError
from workbench.wiring import migrations
from workbench.wiring.connecting import on_connection
from workbench.wiring.doctor_bus import look_at_bus, look_at_services
from workbench.wiring.outbound import SERVICE_KEYS_FILE
from workbench.wiring.roles import OWNER_SETTING, REMEDY, fault_of_role
from workbench.wiring.setting_groups import Issuer
from workbench.wiring.setting_names import SettingsError
from workbench.wiring.settings import Settings

OLDEST_SQLITE = (3, 35, 0)
OLDEST_POSTGRESQL = 140_000
FREE_BYTES = 256 << 20
CLOCK_SECONDS = 2.0
KEYS_SECONDS = 5.0
DATABASE_SECONDS = 10.0
NOBODY = "nobody"
"""A service that the vault is asked for to see whether it answers."""
SANE_YEARS = range(2025, 2100)
KEY_SUFFIXES = frozenset({".jwk", ".json", ".key", ".pem"})
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at: `check` names it, `detail` says what was seen, `remedy` what to do when it is not ok."""

    check: str
    ok: bool
    detail: str
    remedy: str = ""


async def diagnose(settings: Settings) -> list[Finding]:
    """Look at everything that a start would need; nothing is made or changed, and nothing is raised."""
    found = [_data_folder(settings), *await _database(settings), _storage(settings), _year()]
    found += _local_keys(settings)
    found += await asyncio.gather(*(_issuer(issuer) for issuer in settings.issuers))
    found += [*await _key_vault(settings), _titles(settings), _models(settings), _sessions(settings)]
    found += [_address(settings)]
    return [*found, *await _flows(settings)]


async def _flows(settings: Settings) -> list[Finding]:
    looks = {"message bus": await look_at_bus(settings), "services of flows": look_at_services(settings)}
    return [Finding(check=name, ok=ok, detail=seen, remedy=remedy) for name, (ok, seen, remedy) in looks.items()]


def _data_folder(settings: Settings) -> Finding:
    folder = settings.data_root
    remedy = "Set WORKBENCH__DATA_ROOT to a folder that you may write to."
    if not _is_writable(folder):
        return Finding(check="data folder", ok=False, detail=f"{folder} cannot be written", remedy=remedy)
    if not folder.exists():
        return Finding(check="data folder", ok=True, detail=f"{folder} will be made at the first start")
    if folder.stat().st_mode & OTHERS:
        detail = f"{folder} is open to other users of this machine, and holds keys"
        return Finding(check="data folder", ok=False, detail=detail, remedy=f"chmod 700 {folder}")
    return Finding(check="data folder", ok=True, detail=str(folder))


async def _database(settings: Settings) -> list[Finding]:
    file = settings.database_file
    if file is not None and not file.exists():
        return [_sqlite_version(), _absent(settings, file)]
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            found = await on_connection(settings, _look_at_database)
    except (WorkbenchError, SQLAlchemyError, TimeoutError) as error:
        detail = str(error).partition("\n")[0] or f"{settings.database_shown} does not answer"
        first = "Start the database" if file is None else "Put a copy that is whole in its place"
        remedy = f"{first}, or correct WORKBENCH__DB__URL."
        return [Finding(check="database", ok=False, detail=detail, remedy=remedy)]
    return [*found, await _schema(settings), await _vectors(settings)]


def _look_at_database(connection: Connection) -> list[Finding]:
    if connection.dialect.name == "sqlite":
        return [_sqlite_version(), _journal(connection)]
    number, version, now = connection.execute(
        text("SELECT current_setting('server_version_num')::int, current_setting('server_version'), clock_timestamp()")
    ).one()
    is_recent = number >= OLDEST_POSTGRESQL
    remedy = "" if is_recent else "Upgrade to PostgreSQL 14 or later."
    found = Finding(check="database", ok=is_recent, detail=f"PostgreSQL {version}", remedy=remedy)
    return [found, _database_clock(now), _role(connection)]


def _role(connection: Connection) -> Finding:
    fault = fault_of_role(connection)
    remedy = "" if fault is None else REMEDY
    detail = fault or "PostgreSQL keeps workspaces apart for the service's role"
    return Finding(check="database role", ok=fault is None, detail=detail, remedy=remedy)


async def _vectors(settings: Settings) -> Finding:
    """What compares the vectors of sessions; either is fine."""
    seen = await on_connection(settings, _pgvector)
    if settings.embeddings.index == "scan" or seen is None:
        return Finding(check="vectors", ok=True, detail="compared by the service itself, in memory")
    return Finding(check="vectors", ok=True, detail=f"compared by the database, pgvector {seen}")


def _pgvector(connection: Connection) -> str | None:
    if connection.dialect.name == "sqlite":
        return None
    return connection.execute(text("SELECT extversion FROM pg_extension WHERE extname = 'vector'")).scalar()


def _database_clock(now: datetime) -> Finding:
    apart = abs((datetime.now(UTC) - now).total_seconds())
    detail = f"the database's clock and ours are {apart:.1f} s apart"
    remedy = "" if apart <= CLOCK_SECONDS else "Run a time service (NTP) on both machines."
    return Finding(check="database clock", ok=apart <= CLOCK_SECONDS, detail=detail, remedy=remedy)


def _sqlite_version() -> Finding:
    is_recent = sqlite3.sqlite_version_info >= OLDEST_SQLITE
    remedy = "" if is_recent else "Use a Python with SQLite 3.35 or later."
    return Finding(check="database", ok=is_recent, detail=f"SQLite {sqlite3.sqlite_version}", remedy=remedy)


def _journal(connection: Connection) -> Finding:
    mode = str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())
    # A new file has `delete` until the service opens it for the first time.
    is_fine = mode in {"wal", "delete"}
    remedy = (
        "" if is_fine else "Put the data folder on a local disk: write-ahead logging does not work on network shares."
    )
    return Finding(check="database journal", ok=is_fine, detail=f"journal mode {mode}", remedy=remedy)


def _absent(settings: Settings, file: Path) -> Finding:
    if not _is_writable(file.parent):
        remedy = "Correct WORKBENCH__DB__URL, or the rights of the folder."
        return Finding(check="database schema", ok=False, detail=f"{file} cannot be made", remedy=remedy)
    if settings.db.migrate_at_start:
        return Finding(check="database schema", ok=True, detail=f"{file} will be made at the first start")
    return Finding(check="database schema", ok=False, detail=f"{file} is not there", remedy="workbench db upgrade")


async def _schema(settings: Settings) -> Finding:
    at, newest = await asyncio.to_thread(migrations.current, settings), migrations.head()
    if at == newest:
        return Finding(check="database schema", ok=True, detail=f"revision {at or 'none'}")
    detail = f"revision {at or 'none'}, this program needs {newest or 'none'}"
    if at is not None and not migrations.is_known(at):
        remedy = "Run the newer program that made it, or restore a copy from before."
        return Finding(check="database schema", ok=False, detail=detail, remedy=remedy)
    if settings.needs_owner:
        remedy = f"workbench db upgrade, with the role that owns the tables in {OWNER_SETTING}"
        return Finding(check="database schema", ok=False, detail=detail, remedy=remedy)
    if settings.db.migrate_at_start:
        return Finding(check="database schema", ok=True, detail=f"{detail}; the next start brings it there")
    return Finding(check="database schema", ok=False, detail=detail, remedy="workbench db upgrade")


def _storage(settings: Settings) -> Finding:
    root = settings.storage_root
    if not _is_writable(root):
        remedy = "Set WORKBENCH__STORAGE__ROOT to a folder that you may write to."
        return Finding(check="storage", ok=False, detail=f"{root} cannot be written", remedy=remedy)
    free = shutil.disk_usage(_existing(root)).free
    detail = f"{root}, {free / (1 << 30):.1f} GiB free"
    remedy = "" if free >= FREE_BYTES else "Make room, or set WORKBENCH__STORAGE__ROOT to another disk."
    return Finding(check="storage", ok=free >= FREE_BYTES, detail=detail, remedy=remedy)


def _year() -> Finding:
    now = datetime.now(UTC)
    is_sane = now.year in SANE_YEARS
    remedy = "" if is_sane else "Set the machine's clock: tokens are refused by a wrong one."
    return Finding(check="clock", ok=is_sane, detail=f"{now:%Y-%m-%d %H:%M:%S} UTC", remedy=remedy)


def _local_keys(settings: Settings) -> list[Finding]:
    folders = (settings.data_root, settings.data_root / "keys")
    files = [file for folder in folders if folder.is_dir() for file in sorted(folder.iterdir())]
    return [_key_file(file, settings) for file in files if file.suffix in KEY_SUFFIXES and file.is_file()]


def _key_file(file: Path, settings: Settings) -> Finding:
    detail, remedy = "", ""
    if file.stat().st_mode & OTHERS:
        detail, remedy = "can be read by other users of this machine", f"chmod 600 {file}"
    elif file.name == LOCAL_ISSUER_FILE and settings.auth.local_issuer and not _is_key_pair(settings):
        detail, remedy = "does not hold a key pair", "Move it away: a new one is made, and older tokens end."
    elif file.name == SERVICE_KEYS_FILE and file.stat().st_size != KEY_BYTES:
        detail = "does not hold a key"
        remedy = "Restore it from a copy: the keys of assistant services can be read with it alone."
    return Finding(check="key file", ok=not remedy, detail=f"{file} {detail}".rstrip(), remedy=remedy)


def _is_key_pair(settings: Settings) -> bool:
    try:
        LocalIssuer(settings.data_root)
    except (OSError, UnavailableError):
        return False
    return True


async def _issuer(issuer: Issuer) -> Finding:
    check, source = f"keys of {issuer.name}", str(issuer.jwks_url or issuer.jwks_file or "shared secret")
    try:
        async with make_http_client() as client:
            if issuer.jwks_url is not None:
                read_public_keys(await from_url(client, issuer.jwks_url, KEYS_SECONDS)())
            elif issuer.jwks_file is not None:
                read_public_keys(await from_file(issuer.jwks_file)())
    except FETCH_FAILURES as error:
        remedy = "Correct it in WORKBENCH__AUTH__ISSUERS, or let this machine reach it."
        return Finding(check=check, ok=False, detail=f"{source}: {str(error) or type(error).__name__}", remedy=remedy)
    return Finding(check=check, ok=True, detail=source)


async def _key_vault(settings: Settings) -> list[Finding]:
    url = settings.service.assistant_api_key.key_vault_url
    if url is None:
        return []
    from workbench.wiring.azure import open_vault  # noqa: PLC0415 - needs the extra `azure`

    try:
        async with open_vault(url) as vault:
            await vault.find(NOBODY)
    except UnavailableError as error:
        remedy = "Let this machine reach the vault, and its identity in Azure read, write and delete secrets there."
        return [Finding(check="key vault", ok=False, detail=f"{url}: {error.detail}", remedy=remedy)]
    return [Finding(check="key vault", ok=True, detail=url)]


def _titles(settings: Settings) -> Finding:
    """Whether a model is configured; it is not asked, since that may cost money."""
    titles = settings.title_model
    if titles is None:
        return Finding(check="titles", ok=True, detail="off, no model is configured")
    return Finding(check="titles", ok=True, detail=f"by {titles.shown}, which was not asked")


def _models(settings: Settings) -> Finding:
    """Which models assistants may use; they are not asked, since that may cost money."""
    named = settings.models.in_order
    if not named:
        return Finding(check="models", ok=True, detail="off, none is configured")
    detail = ", ".join(f"{name} ({model.shown})" for name, model in named.items())
    servers = f"; MCP servers: {', '.join(sorted(settings.mcp))}" if settings.mcp else ""
    return Finding(check="models", ok=True, detail=f"{detail}; none was asked{servers}")


def _sessions(settings: Settings) -> Finding:
    """Which models serve sessions, and on which plan."""
    sessions = settings.sessions
    served = f"by {', '.join(sessions.models)}" if sessions.models else "without a model"
    own = f"; of their own: {', '.join(sorted(sessions.own_workspaces))}" if sessions.own_workspaces else ""
    return Finding(check="sessions", ok=True, detail=f"{served}, plan {sessions.plan}{own}")


def _address(settings: Settings) -> Finding:
    service = settings.service
    detail = f"{service.host}:{service.port}, assistant keys {service.assistant_keys}"
    try:
        settings.require_safe_address()
    except SettingsError as error:
        return Finding(check="address", ok=False, detail=detail, remedy=str(error))
    return Finding(check="address", ok=True, detail=detail)


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())


def _is_writable(folder: Path) -> bool:
    existing = _existing(folder)
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
