"""search: the words of sessions with what looks them up, spaces of vectors, and the vectors."""

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import DBAPIError

from workbench.adapters.sql.schema import Id, Json, Moment
from workbench.adapters.sql.search_tables import Floats

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

ACTIVE_SPACE = sa.text("state = 'active'")
SPACE_IN_USE = sa.text("state <> 'retired'")
INDEXED_DIMS = (384, 768, 1024, 1536)
# When a job is due that nobody is to wait for.
AT_ONCE = datetime(2000, 1, 1, 0, 0, 0, 1, UTC)
# An older one has no way to go on where most of what is near belongs to other workspaces.
PGVECTOR = (0, 8)
# From this version on SQLite can take words out of its index at once, instead of when it tidies up.
SQLITE_SECURE_DELETE = (3, 42, 0)

# A word stands between the texts of two fields, so that no phrase is found across, and is taken out again.
WORDS = """
    ALTER TABLE session_documents ADD COLUMN words tsvector GENERATED ALWAYS AS (
        ts_delete(
            setweight(to_tsvector('simple'::regconfig, head || ' zzgapzz'), 'A')
            || setweight(to_tsvector('simple'::regconfig, middle || ' zzgapzz'), 'B')
            || setweight(to_tsvector('simple'::regconfig, report || ' zzgapzz'), 'D')
            || setweight(to_tsvector('simple'::regconfig, said), 'D'),
            'zzgapzz'
        ) || array_to_tsvector(ARRAY[token::text])
    ) STORED
"""
FULL_TEXT = """
    CREATE VIRTUAL TABLE session_words USING fts5(
        token, head, middle, report, said,
        content='session_documents', content_rowid='place', tokenize='unicode61 remove_diacritics 0'
    )
"""
ADD = (
    "INSERT INTO session_words(rowid, token, head, middle, report, said)"
    " VALUES (new.place, new.token, new.head, new.middle, new.report, new.said)"
)
TAKE_OUT = (
    "INSERT INTO session_words(session_words, rowid, token, head, middle, report, said)"
    " VALUES ('delete', old.place, old.token, old.head, old.middle, old.report, old.said)"
)
TAKE_IN = """
    INSERT INTO session_documents (
        workspace_id, session_id, place, token, head, middle, report, said, problem_hash, is_current, version
    )
    SELECT workspace_id, id, %s, 'none', '', '', '', '', '', false, 0 FROM sessions
"""
PLACES = {
    "sqlite": "abs(random()) % 4611686018427387904",
    "postgresql": "CAST(random() * 4611686018427387000 AS bigint)",
}


def upgrade() -> None:
    op.create_table(
        "session_documents",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("head", sa.Text(), nullable=False),
        sa.Column("middle", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("problem_hash", sa.String(length=32), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "session_id"],
            ["sessions.workspace_id", "sessions.id"],
            name=op.f("fk_session_documents_workspace_id_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "session_id", name=op.f("pk_session_documents")),
    )
    op.create_index("uq_session_documents_place", "session_documents", ["place"], unique=True)
    op.create_table(
        "embedding_spaces",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("dims", sa.Integer(), nullable=False),
        sa.Column("algo_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("head", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_embedding_spaces")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_embedding_spaces_active",
        "embedding_spaces",
        ["workspace_id"],
        unique=True,
        sqlite_where=ACTIVE_SPACE,
        postgresql_where=ACTIVE_SPACE,
    )
    op.create_index(
        "uq_embedding_spaces_in_use",
        "embedding_spaces",
        ["workspace_id", "provider", "model", "dims", "algo_version"],
        unique=True,
        sqlite_where=SPACE_IN_USE,
        postgresql_where=SPACE_IN_USE,
    )
    op.create_table(
        "embeddings",
        sa.Column("workspace_id", sa.String(length=63), nullable=False),
        sa.Column("session_id", Id(), nullable=False),
        sa.Column("space_id", Id(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("dims", sa.Integer(), nullable=False),
        sa.Column("text_hash", sa.String(length=32), nullable=False),
        sa.Column("floats", Floats(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "session_id"],
            ["sessions.workspace_id", "sessions.id"],
            name=op.f("fk_embeddings_workspace_id_sessions"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "space_id"],
            ["embedding_spaces.workspace_id", "embedding_spaces.id"],
            name=op.f("fk_embeddings_workspace_id_embedding_spaces"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "session_id", "space_id", name=op.f("pk_embeddings")),
    )
    op.create_index("ix_embeddings_sequence", "embeddings", ["workspace_id", "space_id", "sequence"])
    if op.get_bind().dialect.name == "sqlite":
        _look_up_on_sqlite()
    else:
        _look_up_on_postgresql()
    _take_in_sessions()


def _look_up_on_sqlite() -> None:
    op.execute(FULL_TEXT)
    op.execute(f"CREATE TRIGGER session_words_add AFTER INSERT ON session_documents BEGIN {ADD}; END")
    op.execute(f"CREATE TRIGGER session_words_remove AFTER DELETE ON session_documents BEGIN {TAKE_OUT}; END")
    op.execute(
        "CREATE TRIGGER session_words_change AFTER UPDATE OF place, token, head, middle, report, said ON session_documents"
        f" BEGIN {TAKE_OUT}; {ADD}; END"
    )
    version = op.get_bind().exec_driver_sql("SELECT sqlite_version()").scalar_one()
    if tuple(map(int, version.split("."))) >= SQLITE_SECURE_DELETE:
        op.execute("INSERT INTO session_words(session_words, rank) VALUES ('secure-delete', 1)")


def _look_up_on_postgresql() -> None:
    op.execute(WORDS)
    # Entered at once: what waits in a list, as is usual, each look at the index would read through.
    op.execute("CREATE INDEX session_words ON session_documents USING gin (words) WITH (fastupdate = off)")
    if not _has_vectors():
        return
    for dims in INDEXED_DIMS:
        op.execute(
            f"CREATE INDEX ix_embeddings_hnsw_{dims} ON embeddings"
            f" USING hnsw ((floats::vector({dims})) vector_cosine_ops) WHERE dims = {dims}"
        )


def _has_vectors() -> bool:
    """Whether vectors can be compared by the database; where the extension is at hand, it is made use of if we may."""
    connection = op.get_bind()
    version = connection.exec_driver_sql(
        "SELECT coalesce(installed_version, default_version) FROM pg_available_extensions WHERE name = 'vector'"
    ).scalar()
    if version is None or tuple(map(int, version.split(".")[:2])) < PGVECTOR:
        return False
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS vector")
    except DBAPIError:
        # It takes rights that this user need not have: then all vectors are compared by the service.
        return False
    return True


def _take_in_sessions() -> None:
    """Sessions that are there get an empty document each, and workspaces that have any a walk that fills it."""
    op.execute(TAKE_IN % PLACES[op.get_bind().dialect.name])
    connection = op.get_bind()
    jobs = sa.table(
        "jobs",
        sa.column("workspace_id", sa.String),
        sa.column("kind", sa.String),
        sa.column("key", sa.String),
        sa.column("id", Id()),
        sa.column("payload", Json()),
        sa.column("run_at", Moment()),
        sa.column("attempts", sa.Integer),
        sa.column("created_datetime", Moment()),
        sa.column("correlation_id", sa.String),
    )
    for (workspace_id,) in connection.exec_driver_sql("SELECT DISTINCT workspace_id FROM sessions").all():
        connection.execute(
            jobs.insert().values(
                workspace_id=workspace_id,
                kind="sessions.walk",
                key="first",
                id=UUID(int=17),
                payload={},
                run_at=AT_ONCE,
                attempts=0,
                created_datetime=AT_ONCE,
                correlation_id="",
            )
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE session_words")
    op.drop_table("embeddings")
    op.drop_table("embedding_spaces")
    op.drop_table("session_documents")
