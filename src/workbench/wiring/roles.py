"""The role that the service works as on PostgreSQL, which has to keep workspaces apart also where a statement does not."""

from sqlalchemy import URL, Connection, text

from workbench.adapters.sql.walls import quoted
from workbench.domain.errors import ForbiddenError

OWNER_SETTING = "WORKBENCH__DB__POSTGRESQL_OWNER_URL"
SERVICE_SETTING = "WORKBENCH__DB__URL"
REMEDY = (
    f"Name the role that owns the tables in {OWNER_SETTING}, and in {SERVICE_SETTING} another one with a password, such "
    "as workbench_app, in the same database. Then run: workbench db upgrade. It makes that role and gives it its rights."
)
VERSION_TABLE = "alembic_version"
NO_PRIVILEGE = "42501"

_LOOK = text(
    "SELECT rolname, rolsuper, rolbypassrls, EXISTS ("
    " SELECT 1 FROM pg_class AS c WHERE c.relnamespace = current_schema()::text::regnamespace AND c.relkind IN ('r', 'p')"
    " AND pg_has_role(current_user, c.relowner, 'USAGE')) AS owns"
    " FROM pg_roles WHERE rolname = current_user"
)
_IS_KNOWN = text("SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = :role)")
_HERE = text("SELECT current_user, current_schema()")
_HAS_ITS_RIGHTS = text(
    "SELECT has_schema_privilege(r.oid, current_schema(), 'USAGE') AND NOT EXISTS ("
    " SELECT 1 FROM pg_class AS c WHERE c.relnamespace = current_schema()::text::regnamespace AND c.relkind IN ('r', 'p')"
    " AND CASE WHEN c.relname = :versions THEN has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE')"
    " ELSE NOT (has_table_privilege(r.oid, c.oid, 'SELECT') AND has_table_privilege(r.oid, c.oid, 'INSERT')"
    " AND has_table_privilege(r.oid, c.oid, 'UPDATE') AND has_table_privilege(r.oid, c.oid, 'DELETE')) END)"
    " FROM pg_roles AS r WHERE r.rolname = :role"
)


def fault_of_role(connection: Connection) -> str | None:
    """Say why the database would not keep workspaces apart for the role that is connected; None where it does."""
    if connection.dialect.name != "postgresql":
        return None
    role, is_superuser, bypasses, owns = connection.execute(_LOOK).one()
    reasons = {
        "is a superuser": is_superuser,
        "has BYPASSRLS": bypasses,
        "owns the tables, or may act as who does": owns,
    }
    why = next((reason for reason, holds in reasons.items() if holds), None)
    return None if why is None else f"The role {role} of PostgreSQL {why}"


def require_plain_role(connection: Connection) -> None:
    """Raise ForbiddenError where the database would not keep workspaces apart."""
    if fault := fault_of_role(connection):
        detail = f"{fault}: for it the database would not keep workspaces apart. {REMEDY}"
        raise ForbiddenError(detail, code="role_too_strong")


def prepare_role(connection: Connection, service: URL) -> None:
    """As the owner: make the service's role where it is missing, and let it read and write rows, and do nothing else.

    Raises ForbiddenError where the owner may not make roles.
    """
    owner, schema = connection.execute(_HERE).one()
    role = str(service.username or "")
    if role in ("", owner):
        return
    if not connection.execute(_IS_KNOWN, {"role": role}).scalar_one():
        _make(connection, role, service.password)
    named, place = _name(connection, role), _name(connection, schema)
    rows = f"SELECT, INSERT, UPDATE, DELETE ON {{}} TO {named}"
    for statement in (
        f"GRANT USAGE ON SCHEMA {place} TO {named}",
        "GRANT " + rows.format(f"ALL TABLES IN SCHEMA {place}"),
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {place} GRANT " + rows.format("TABLES"),
        f"REVOKE INSERT, UPDATE, DELETE ON {place}.{VERSION_TABLE} FROM {named}",
    ):
        connection.exec_driver_sql(statement)
    connection.commit()


def is_prepared(connection: Connection, service: URL) -> bool:
    """Whether the service's role is there and has its rights to all tables that there are."""
    owner, _ = connection.execute(_HERE).one()
    role = str(service.username or "")
    if role in ("", owner):
        return True
    return bool(connection.execute(_HAS_ITS_RIGHTS, {"role": role, "versions": VERSION_TABLE}).scalar())


def _make(connection: Connection, role: str, password: str | None) -> None:
    may = connection.execute(text("SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"))
    if not may.scalar_one():
        raise ForbiddenError(
            f"The role {role} of PostgreSQL is not there, and the owner of the tables may not make roles. "
            f"Have an administrator run: CREATE ROLE {_name(connection, role)} LOGIN PASSWORD '...'",
            code="no_role",
        )
    secret = "" if password is None else f" PASSWORD {quoted(str(password))}"
    # Roles belong to the whole server: another database's upgrade may make it at the same moment.
    connection.exec_driver_sql(
        f"DO $make$ BEGIN CREATE ROLE {_name(connection, role)} LOGIN{secret}; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $make$"
    )


def _name(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)
