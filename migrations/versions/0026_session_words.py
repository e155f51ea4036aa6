"""session words: on PostgreSQL a table of words, since an index over texts is not asked behind row-level security.

There the wall's condition comes first, and only operators that are known to tell nothing may stand beside it in a look into
an index. Equality is such an operator; `@@` is none, so an index over `words` was never looked into. Besides, who had to do
with an escalation is found by indexes, as owners and handlers are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

HERE = "NULLIF(current_setting('app.workspace_id', true), '')"
DUTY = "NULLIF(current_setting('app.duty', true), '')"
IS_OPEN = sa.text("state = 'open'")
BY_PERSON = {
    "ix_session_escalations_requester": ("requested_by", None),
    "ix_session_escalations_picker": ("picked_up_by", None),
    "ix_session_escalations_target": ("target_user_id", IS_OPEN),
}

GAP = "zzgapzz"
# A word stands between the texts of two fields, so that no phrase is found across, and is taken out again.
WORDS = f"""
    ALTER TABLE session_documents ADD COLUMN words tsvector GENERATED ALWAYS AS (
        ts_delete(
            setweight(to_tsvector('simple'::regconfig, head || ' {GAP}'), 'A')
            || setweight(to_tsvector('simple'::regconfig, middle || ' {GAP}'), 'B')
            || setweight(to_tsvector('simple'::regconfig, report || ' {GAP}'), 'D')
            || setweight(to_tsvector('simple'::regconfig, said), 'D'),
            '{GAP}'
        )%s
    ) STORED
"""
WHOSE = " || array_to_tsvector(ARRAY[token::text])"
TABLE = """
    CREATE TABLE session_words (
        workspace_id varchar(63) NOT NULL,
        word text NOT NULL,
        session_id uuid NOT NULL,
        CONSTRAINT pk_session_words PRIMARY KEY (workspace_id, word, session_id)
    )
"""
# What is in both is not touched: most changes add a few words to many.
KEEP = """
    CREATE FUNCTION keep_session_words() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        before text[] := '{}';
        after text[] := '{}';
    BEGIN
        IF TG_OP <> 'INSERT' THEN before := tsvector_to_array(old.words); END IF;
        IF TG_OP <> 'DELETE' THEN after := tsvector_to_array(new.words); END IF;
        IF TG_OP <> 'INSERT' THEN
            DELETE FROM session_words AS w
            WHERE w.workspace_id = old.workspace_id AND w.session_id = old.session_id
                AND w.word = ANY (ARRAY(SELECT unnest(before) EXCEPT SELECT unnest(after)));
        END IF;
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO session_words (workspace_id, word, session_id)
            SELECT new.workspace_id, added.word, new.session_id
            FROM (SELECT unnest(after) EXCEPT SELECT unnest(before)) AS added(word);
        END IF;
        RETURN NULL;
    END
    $$
"""
TRIGGER = """
    CREATE TRIGGER keep_session_words
    AFTER INSERT OR DELETE OR UPDATE OF head, middle, report, said ON session_documents
    FOR EACH ROW EXECUTE FUNCTION keep_session_words()
"""
TAKE_IN = """
    INSERT INTO session_words (workspace_id, word, session_id)
    SELECT workspace_id, unnest(tsvector_to_array(words)), session_id FROM session_documents
"""


def upgrade() -> None:
    for name, (column, condition) in BY_PERSON.items():
        columns = ["workspace_id", column, "session_id"]
        op.create_index(name, "session_escalations", columns, sqlite_where=condition, postgresql_where=condition)
    if op.get_bind().dialect.name != "postgresql":
        return
    # With the column goes the index over it. Whose the words are is not one of them any more.
    op.execute("ALTER TABLE session_documents DROP COLUMN words")
    op.execute(WORDS % "")
    op.execute(TABLE)
    op.execute(TAKE_IN)
    op.execute(KEEP)
    op.execute(TRIGGER)
    own = f"workspace_id = {HERE}"
    op.execute("ALTER TABLE session_words ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE session_words FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY wall ON session_words USING ({own}) WITH CHECK ({own} AND workspace_id <> '*')")
    op.execute(f"CREATE POLICY duties ON session_words USING ({DUTY} IS NOT NULL)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER keep_session_words ON session_documents")
        op.execute("DROP FUNCTION keep_session_words()")
        op.execute("DROP TABLE session_words")
        op.execute("ALTER TABLE session_documents DROP COLUMN words")
        op.execute(WORDS % WHOSE)
        op.execute("CREATE INDEX session_words ON session_documents USING gin (words) WITH (fastupdate = off)")
    for name in BY_PERSON:
        op.drop_index(name, table_name="session_escalations")
