"""Requiring, as a group is stored, that the seats of all who write in it still let them: one statement for all."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, text

from workbench.adapters.sql.prepared import Prepared
from workbench.adapters.sql.writes import Writer, Writes
from workbench.domain.errors import StaleError

MAY_WRITE = "p.active_participant AND p.conversation_permission <> 'read'"
"""As `Seat.may_write` has it, of a participant `p`."""

COUNT_POSTGRESQL = f"""
    SELECT count(*)
    FROM (
        SELECT * FROM json_to_recordset(CAST(:writers AS json)) AS r(conversation_id uuid, role text, id text)
        LIMIT json_array_length(CAST(:writers AS json))
    ) AS w
    JOIN participants AS p
      ON p.conversation_id = w.conversation_id AND p.role = w.role AND p.id = w.id AND p.workspace_id = :ws
    WHERE {MAY_WRITE}
"""  # noqa: S608 - a constant of ours
"""How many of the `writers` may write, by itself or within another statement. The limit is for PostgreSQL's planner, as
`RECORDED_MOVES` says."""

# SQLite joins in the order that CROSS gives: from the few who write to their rows, never the other way round.
_SEATED = {
    "sqlite": Prepared(
        text(f"""
            SELECT count(*)
            FROM json_each(:writers) AS w
            CROSS JOIN participants AS p
              ON p.conversation_id = w.value ->> 'conversation_id' AND p.role = w.value ->> 'role'
                AND p.id = w.value ->> 'id' AND p.workspace_id = :ws
            WHERE {MAY_WRITE}
        """),  # noqa: S608 - a constant of ours
        "ws",
        "writers",
    ),
    "postgresql": Prepared(text(COUNT_POSTGRESQL), "ws", "writers"),
}


def distinct_writers(group: Sequence[Writes]) -> list[Writer]:
    """Who writes in a group, each once."""
    return list(dict.fromkeys(writer for writes in group for writer in writes.writers))


def require_writers(connection: Connection, group: Sequence[Writes]) -> None:
    """Require it of a workspace's group. Raises StaleError where anybody's seat does not let them write."""
    writers = distinct_writers(group)
    if not writers:
        return
    parameters = {"ws": group[0].workspace_id, "writers": msgspec.json.encode(writers).decode()}
    ((seated,),) = _SEATED[connection.dialect.name].one(connection, parameters)
    if seated != len(writers):
        raise StaleError
