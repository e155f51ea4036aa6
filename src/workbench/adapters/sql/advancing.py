"""Advancing turns: what batches of an answer bring, which is the most frequent write of all.

The steps of a group are one statement, and a group that holds nothing else needs no other: being one, it is atomic
without BEGIN and COMMIT. All steps are taken, or none.
"""

from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import Connection, text

from workbench.adapters.sql.chosen import Alone
from workbench.adapters.sql.positions import TURN_CHANNEL, WAKEUP_SENDER
from workbench.adapters.sql.prepared import Prepared, Triggering, Values
from workbench.adapters.sql.schema import in_utc
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
_ADVANCE_SQLITE = Triggering(
    text("""
        INSERT INTO temp.new_steps
        SELECT :ws, :steps, :events
        WHERE :wanted = (
            SELECT count(*)
            FROM json_each(:steps) AS s
            CROSS JOIN turns AS t
              ON t.pk = s.value ->> 'pk' AND t.version = s.value ->> 'version' AND t.workspace_id = :ws
        )
        RETURNING workspace_id
    """),
    view="new_steps",
    columns=("workspace_id", "steps", "events"),
    trigger="""
        UPDATE turns
        SET lease_expires_at = s.value ->> 'lease_expires_at', last_seq = s.value ->> 'last_seq',
            last_batch = s.value ->> 'last_batch', log_bytes = s.value ->> 'log_bytes', version = turns.version + 1
        FROM json_each(NEW.steps) AS s
        WHERE turns.pk = s.value ->> 'pk' AND turns.workspace_id = NEW.workspace_id;

        INSERT INTO turn_events (workspace_id, turn_pk, seq, epoch, type, at, data)
        SELECT NEW.workspace_id, e.value ->> 'turn_pk', e.value ->> 'seq', e.value ->> 'epoch', e.value ->> 'type',
               e.value ->> 'at', e.value ->> 'data'
        FROM json_each(NEW.events) AS e;
    """,
)
_ADVANCE = {"sqlite": _ADVANCE_SQLITE, "postgresql": _ADVANCE_POSTGRESQL}


def advancing(group: Sequence[Writes], dialect: str) -> Alone[list[list[Event]]] | None:
    """How to take all steps, which are of one workspace; None where that is not all there is to do.

    Raises StaleError then, with nothing stored, where a turn was changed since it was read.
    """
    if not all(writes.only_steps for writes in group):
        return None
    steps = [step for writes in group for step in writes.steps]

    def read(rows: Sequence[Values]) -> list[list[Event]]:
        _require_taken(rows)
        return []

    return Alone(_ADVANCE[dialect], _PARAMETERS[dialect](steps), group[0].within, read)


def take_steps(connection: Connection, steps: Sequence[Step]) -> None:
    """Take all steps, which are of one workspace. Raises StaleError where a turn was changed since it was read."""
    if steps:
        dialect = connection.dialect.name
        _require_taken(_ADVANCE[dialect].one(connection, _PARAMETERS[dialect](steps)))


def _require_taken(rows: Sequence[Values]) -> None:
    # All steps are taken, or none.
    if not rows:
        raise StaleError


def _lists(steps: Sequence[Step]) -> Row:
    """The steps, which are of one workspace, and beside them their events."""
    taken = [
        {
            "pk": step.turn.pk,
            "version": step.turn.version,
            "lease_expires_at": in_utc(step.turn.lease_expires_at),
            "last_seq": step.turn.last_seq,
            "last_batch": step.turn.last_batch,
            "log_bytes": step.turn.log_bytes,
        }
        for step in steps
    ]
    events = [
        {"turn_pk": step.turn.pk, **msgspec.structs.asdict(event), "at": in_utc(event.at)}
        for step in steps
        for event in step.events
    ]
    return {
        "ws": steps[0].workspace_id,
        "wanted": len(steps),
        "steps": msgspec.json.encode(taken).decode(),
        "events": msgspec.json.encode(events).decode(),
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


_PARAMETERS: dict[str, Callable[[Sequence[Step]], Row]] = {"sqlite": _lists, "postgresql": _arrays}
