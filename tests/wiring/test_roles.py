"""The role that the service works as on PostgreSQL: made with the schema, and refused where no wall would stand for it."""

import asyncio
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from tests.cli.test_cli import plain, run
from tests.support.databases import OWNER, SERVICE, db_of, open_store, owner_of
from tests.support.postgres import Postgres
from tests.support.service import running_service

from workbench.adapters.sql.database import Database
from workbench.domain.errors import ForbiddenError
from workbench.wiring import migrations
from workbench.wiring.connecting import on_connection
from workbench.wiring.container import make_container
from workbench.wiring.doctor import diagnose
from workbench.wiring.roles import fault_of_role, is_prepared
from workbench.wiring.settings import Settings


def acting_as(url: str, role: str, password: str | None = None) -> str:
    return make_url(url).set(username=role, password=password).render_as_string(hide_password=False)


@pytest.fixture
def empty_url(postgres_server: Postgres) -> Generator[str]:
    url = postgres_server.create_empty()
    yield url
    postgres_server.drop(url)


async def as_postgres(url: str, *statements: str) -> None:
    settings = Settings.of(db={"url": acting_as(url, "postgres"), "postgresql_ssl_mode": "disable"})

    def act(connection: Connection) -> None:
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.commit()

    await on_connection(settings, act)


ROLES = {
    "postgres": "is a superuser",
    OWNER: "owns the tables",
    "test_bypassing": "has BYPASSRLS",
    "test_heir": "owns the tables, or may act as who does",
}


@pytest.mark.parametrize(("role", "why"), ROLES.items())
async def test_35_a_role_for_which_no_wall_would_stand_is_refused_at_the_start(
    postgres_url: str, tmp_path: Path, role: str, why: str
) -> None:
    making = {
        "test_bypassing": f"CREATE ROLE test_bypassing LOGIN BYPASSRLS IN ROLE {SERVICE}",
        "test_heir": f"CREATE ROLE test_heir LOGIN IN ROLE {OWNER}",
    }
    if role in making:
        await as_postgres(postgres_url, f"DROP ROLE IF EXISTS {role}", making[role])
    try:
        url = acting_as(postgres_url, role)
        settings = Settings.of(data_root=tmp_path, db={"url": url, "postgresql_ssl_mode": "disable"})
        container = make_container(settings)
        with pytest.raises(ForbiddenError, match=why) as refused:
            await container.get(Database)
        await container.close()
        assert all(
            word in str(refused.value) for word in ("WORKBENCH__DB__POSTGRESQL_OWNER_URL", "workbench db upgrade")
        )
        (found,) = [finding for finding in await diagnose(settings) if finding.check == "database role"]
        assert (found.ok, why in found.detail, "OWNER_URL" in found.remedy) == (False, True, True)
        told = {"WORKBENCH__DB__URL": url, "WORKBENCH__DB__POSTGRESQL_SSL_MODE": "disable"}
        started = await asyncio.to_thread(run, tmp_path / "data", "serve", "--port", "0", **told)
        assert (started.exit_code, why in plain(started), "workbench db upgrade" in plain(started)) == (4, True, True)
    finally:
        if role in making:
            await as_postgres(postgres_url, f"DROP ROLE {role}")


async def test_the_services_role_is_fine(postgres_url: str, tmp_path: Path) -> None:
    settings = Settings.of(data_root=tmp_path, db={"url": postgres_url, "postgresql_ssl_mode": "disable"})
    (found,) = [finding for finding in await diagnose(settings) if finding.check == "database role"]
    assert found.ok
    assert await on_connection(settings, fault_of_role) is None


async def test_the_doctor_says_who_has_to_bring_the_schema_up_to_date(empty_url: str, tmp_path: Path) -> None:
    as_service = Settings.of(data_root=tmp_path, db={"url": empty_url, "postgresql_ssl_mode": "disable"})
    (found,) = [finding for finding in await diagnose(as_service) if finding.check == "database schema"]
    assert (found.ok, "OWNER_URL" in found.remedy) == (False, True)
    with_owner = Settings.of(data_root=tmp_path, db=db_of(empty_url))
    (found,) = [finding for finding in await diagnose(with_owner) if finding.check == "database schema"]
    assert (found.ok, "the next start brings it there" in found.detail) == (True, True)


async def test_nothing_is_asked_of_sqlite(sqlite_url: str, tmp_path: Path) -> None:
    assert await on_connection(Settings.of(data_root=tmp_path, db={"url": sqlite_url}), fault_of_role) is None


async def test_the_first_upgrade_makes_the_role_with_its_password_and_the_service_starts(
    empty_url: str, tmp_path: Path
) -> None:
    role = "test_it's new"
    url = acting_as(empty_url, role, "s'ecret\\")
    settings = Settings.of(data_root=tmp_path, db={**db_of(empty_url), "url": url})
    try:
        for _ in range(2):
            await asyncio.to_thread(migrations.upgrade, settings)
        assert await asyncio.to_thread(migrations.check, settings) == []
        async with running_service(url, tmp_path / "data") as service:
            assert (await service.user("ann").post("/conversations", json={})).status_code == 200
        assert await _kept(empty_url, role) == [("SCRAM-SHA-256", False, False, False)]
    finally:
        await as_postgres(empty_url, f'DROP OWNED BY "{role}"', f'DROP ROLE "{role}"')


@pytest.mark.parametrize(
    "lost",
    [
        "REVOKE UPDATE ON messages FROM {role}",
        "REVOKE USAGE ON SCHEMA public FROM {role}",
        "GRANT DELETE ON alembic_version TO {role}",
    ],
)
async def test_rights_that_were_changed_are_put_right_by_the_next_start(
    empty_url: str, tmp_path: Path, lost: str
) -> None:
    role = "test_changed"
    settings = Settings.of(data_root=tmp_path, db={**db_of(empty_url), "url": acting_as(empty_url, role, "secret")})

    async def is_right() -> bool:
        return await on_connection(settings, partial(is_prepared, service=settings.sqlalchemy_url), writes=True)

    try:
        assert not await is_right()
        await asyncio.to_thread(migrations.upgrade, settings)
        assert await is_right()
        await as_postgres(empty_url, "REVOKE ALL ON SCHEMA public FROM PUBLIC", lost.format(role=role))
        assert not await is_right()
        await asyncio.to_thread(migrations.upgrade, settings)
        assert await is_right()
    finally:
        await as_postgres(empty_url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


async def _kept(url: str, role: str) -> list[Any]:
    settings = Settings.of(db={"url": acting_as(url, "postgres"), "postgresql_ssl_mode": "disable"})
    wanted = text(
        "SELECT split_part(rolpassword, '$', 1), rolsuper, rolcreatedb, rolcreaterole FROM pg_authid WHERE rolname = :role"
    )
    return await on_connection(
        settings, lambda connection: [tuple(row) for row in connection.execute(wanted, {"role": role})]
    )


async def test_tables_to_come_are_readable_too(postgres_url: str) -> None:
    settings = Settings.of(db=db_of(postgres_url))

    def add(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE later (id int)")
        connection.commit()

    await on_connection(settings, add, writes=True)
    async with open_store(postgres_url) as store:
        assert await store.database.rows(text("SELECT id FROM later")) == []


async def test_who_may_not_change_the_schema_is_told_what_to_do(empty_url: str, tmp_path: Path) -> None:
    await as_postgres(empty_url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    settings = Settings.of(data_root=tmp_path, db={"url": empty_url, "postgresql_ssl_mode": "disable"})
    with pytest.raises(ForbiddenError, match="WORKBENCH__DB__POSTGRESQL_OWNER_URL"):
        await asyncio.to_thread(migrations.upgrade, settings)


async def test_an_owner_that_may_make_no_roles_says_which_one_is_missing(empty_url: str, tmp_path: Path) -> None:
    database, owner = make_url(empty_url).database, "test_poor_owner"
    urls = {"url": acting_as(empty_url, "test_missing"), "postgresql_owner_url": acting_as(empty_url, owner)}
    settings = Settings.of(data_root=tmp_path, db={**db_of(empty_url), **urls})
    await as_postgres(empty_url, f"CREATE ROLE {owner} LOGIN", f'ALTER DATABASE "{database}" OWNER TO {owner}')
    try:
        with pytest.raises(ForbiddenError, match='CREATE ROLE "test_missing" LOGIN'):
            await asyncio.to_thread(migrations.upgrade, settings)
    finally:
        give_back = f'ALTER DATABASE "{database}" OWNER TO {OWNER}'
        await as_postgres(empty_url, give_back, f"DROP OWNED BY {owner} CASCADE", f"DROP ROLE {owner}")


def test_an_up_to_date_schema_needs_no_owner(postgres_url: str, tmp_path: Path) -> None:
    settings = Settings.of(data_root=tmp_path, db={"url": postgres_url, "postgresql_ssl_mode": "disable"})
    migrations.upgrade(settings)
    assert migrations.current(settings) == migrations.head()
    assert owner_of(postgres_url) != postgres_url
