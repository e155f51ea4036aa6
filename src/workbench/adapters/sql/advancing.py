"""Advancing turns: what batches of an answer bring, which is the most frequent write of all.

On PostgreSQL the steps of a group are one statement, and a group that holds nothing else needs no other: being one, it
is atomic without BEGIN and COMMIT. All steps are taken, or none.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, bindparam, insert, text, update

from workbench.adapters.sql.chosen import Alone
from workbench.adapters.sql.positions import TURN_CHANNEL, WAKEUP_SENDER
from workbench.adapters.sql.prepared import POSTGRESQL, Prepared, Values
from workbench.adapters.sql.repository import here
from workbench.adapters.sql.schema import Id, Moment
from workbench.adapters.sql.turn_tables import turn_events, turns
from workbench.adapters.sql.writes import Row, Step, Writes
from workbench.domain.errors import StaleError
from workbench.domain.events.model import Event

# Turns are locked in the order of their keys, so that two replicas do not lock each other out; one by one, so that each
# is found by its key: a join is planned while the table is small, and would read all of it when it is large.
_ADVANCE_POSTGRESQL = Prepared(
    text(f"""
        WITH locked AS (
            SELECT s.* FROM (
                SELECT * FROM unnest(
                    CAST(:pks AS uuid[]), CAST(:versions AS bigint[]),
                    CAST(:leases AS timestamptz[]), CAST(:seqs AS bigint[]), CAST(:batches AS bigint[]),
                    CAST(:sizes AS bigint[])
                ) AS s(pk, version, lease_expires_at, last_seq, last_batch, log_bytes)
                ORDER BY pk
            ) AS s CROSS JOIN LATERAL (
                SELECT FROM turns AS t
                WHERE t.pk = s.pk AND t.workspace_id = :ws AND t.version = s.version
                FOR UPDATE
            ) AS t
        ), moves AS (
            SELECT * FROM locked WHERE (SELECT count(*) FROM locked) = cardinality(CAST(:pks AS uuid[]))
        ), advanced AS (
            UPDATE turns
            SET lease_expires_at = moves.lease_expires_at, last_seq = moves.last_seq, last_batch = moves.last_batch,
                log_bytes = moves.log_bytes, version = turns.version + 1
            FROM moves WHERE turns.pk = moves.pk
            RETURNING turns.pk, turns.workspace_id
        ), told AS (
            SELECT pg_notify('{TURN_CHANNEL}', concat_ws(' ', pk, {WAKEUP_SENDER})) FROM advanced
        ), logged AS (
            INSERT INTO turn_events (workspace_id, turn_pk, seq, epoch, type, at, data)
            SELECT advanced.workspace_id, e.*
            FROM unnest(CAST(:event_pks AS uuid[]), CAST(:event_seqs AS bigint[]), CAST(:epochs AS integer[]),
                        CAST(:types AS text[]), CAST(:times AS timestamptz[]), CAST(:data AS text[]))
                 AS e(turn_pk, seq, epoch, type, at, data)
            JOIN advanced ON advanced.pk = e.turn_pk
        )
        SELECT pk FROM advanced, (SELECT count(*) FROM told) AS all_told
    """),  # noqa: S608 - constants of ours
)
_ADVANCE_SQLITE = Prepared(
    update(turns)
    .where(here(turns), turns.c.pk == bindparam("of_pk", type_=Id), turns.c.version == bindparam("read_version"))
    .values(
        lease_expires_at=bindparam("new_lease", type_=Moment),
        last_seq=bindparam("new_seq"),
        last_batch=bindparam("new_batch"),
        log_bytes=bindparam("new_bytes"),
        version=turns.c.version + 1,
    ),
    "ws",
    "of_pk",
    "read_version",
    "new_lease",
    "new_seq",
    "new_batch",
    "new_bytes",
)
_LOG = Prepared(insert(turn_events), *turn_events.columns.keys())


def only_advances(group: Sequence[Writes]) -> bool:
    """Whether the group advances turns, and does nothing else."""
    return all(writes.only_steps for writes in group)


def advancing(group: Sequence[Writes]) -> Alone[list[list[Event]]]:
    """How to take all steps of one workspace in one trip; where a turn was changed since it was read, it raises StaleError."""
    steps = [step for writes in group for step in writes.steps]

    def read(rows: Sequence[Values]) -> list[list[Event]]:
        _require_all(len(rows), steps)
        return []

    return Alone(_ADVANCE_POSTGRESQL, _arrays(steps), group[0].within, read)


def take_steps(connection: Connection, steps: Sequence[Step]) -> None:
    """Take all steps. Raises StaleError where a turn was changed since it was read."""
    if not steps:
        return
    if connection.dialect.name == POSTGRESQL:
        _require_all(len(_ADVANCE_POSTGRESQL.one(connection, _arrays(steps))), steps)
        return
    _require_all(_ADVANCE_SQLITE.many(connection, [_row(step) for step in steps]), steps)
    rows = [
        {"workspace_id": step.workspace_id, "turn_pk": step.turn.pk, **msgspec.structs.asdict(event)}
        for step in steps
        for event in step.events
    ]
    if rows:
        _LOG.many(connection, rows)


def _require_all(hit: int, steps: Sequence[Step]) -> None:
    if hit != len(steps):
        raise StaleError


def _row(step: Step) -> Row:
    return {
        "ws": step.workspace_id,
        "of_pk": step.turn.pk,
        "read_version": step.turn.version,
        "new_lease": step.turn.lease_expires_at,
        "new_seq": step.turn.last_seq,
        "new_batch": step.turn.last_batch,
        "new_bytes": step.turn.log_bytes,
    }


def _arrays(steps: Sequence[Step]) -> Row:
    """The steps, which are of one workspace, and below them their events, by column."""
    events = [(step.turn.pk, event) for step in steps for event in step.events]
    return {
        "pks": [step.turn.pk for step in steps],
        "ws": steps[0].workspace_id,
        "versions": [step.turn.version for step in steps],
        "leases": [step.turn.lease_expires_at for step in steps],
        "seqs": [step.turn.last_seq for step in steps],
        "batches": [step.turn.last_batch for step in steps],
        "sizes": [step.turn.log_bytes for step in steps],
        "event_pks": [pk for pk, _ in events],
        "event_seqs": [event.seq for _, event in events],
        "epochs": [event.epoch for _, event in events],
        "types": [event.type for _, event in events],
        "times": [event.at for _, event in events],
        "data": [event.data for _, event in events],
    }
