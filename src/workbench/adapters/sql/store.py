"""Carrying out what blocks have set down: the writes of a group, in the one order that holds for all."""

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, insert, text
from sqlalchemy.dialects import postgresql, sqlite

from workbench.adapters.sql.advancing import take_steps
from workbench.adapters.sql.positions import TURN_CHANNEL, WAKEUP_SENDER, Positions, take_positions
from workbench.adapters.sql.prepared import Prepared
from workbench.adapters.sql.schema import metadata
from workbench.adapters.sql.seated import require_writers
from workbench.adapters.sql.tables import events, farewells, messages
from workbench.adapters.sql.turn_tables import turn_events
from workbench.adapters.sql.writes import Change, Row, Writes
from workbench.domain.errors import StaleError
from workbench.domain.events.model import Event

_ADD_MESSAGES = Prepared(insert(messages), *messages.columns.keys())
_ADD_EVENTS = Prepared(insert(events), *events.columns.keys())
_ADD_TURN_EVENTS = Prepared(insert(turn_events), *turn_events.columns.keys())
_TELL_OF_TURNS = text(
    f"SELECT pg_notify('{TURN_CHANNEL}', concat_ws(' ', pk, {WAKEUP_SENDER}))"  # noqa: S608 - constants of ours
    " FROM unnest(CAST(:pks AS text[])) AS told(pk)"
)


def store(connection: Connection, group: Sequence[Writes]) -> list[list[Event]]:
    """Carry out the writes of a group; answer with the events as they were stored, by workspace.

    Raises StaleError, NotFoundError (a conversation that is gone) and whatever the database raises.
    """
    require_writers(connection, group)
    _insert_all(connection, [item for writes in group for item in writes.inserts])
    for table, rows in _by_table([item for writes in group for item in writes.upserts]):
        connection.execute(_upsert(table, tuple(rows[0]), connection.dialect.name), rows)
    _carry_out(connection, [change for writes in group for change in writes.changes])
    take_steps(connection, [step for writes in group for step in writes.steps])
    _log_turns(connection, group)
    positions = take_positions(connection, group)
    stored = _place_events(connection, group, positions)
    _place_messages(connection, group, positions)
    _carry_out(connection, [change for writes in group for change in writes.removals])
    return stored


def _insert_all(connection: Connection, items: list[tuple[Table, Row]]) -> None:
    for table, rows in _by_table(items):
        connection.execute(insert(table), rows)


def _by_table(items: list[tuple[Table, Row]]) -> list[tuple[Table, list[Row]]]:
    """Sort rows by table, referenced tables first."""
    if not items:
        return []
    rows: defaultdict[Table, list[Row]] = defaultdict(list)
    for table, row in items:
        rows[table].append(row)
    order = _table_order()
    return sorted(rows.items(), key=lambda item: order[item[0]])


@cache
def _table_order() -> dict[Table, int]:
    """Where each table stands among all; known only when the modules of all have been imported."""
    return {table: place for place, table in enumerate(metadata.sorted_tables)}


def _upsert(table: Table, names: tuple[str, ...], dialect: str) -> Any:
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    keys = [column.name for column in table.primary_key]
    statement = make(table)
    new = {name: statement.excluded[name] for name in names if name not in keys}
    # A key that leaves the workspace out may be another's: its row stays as it is.
    same_workspace = table.c.workspace_id == statement.excluded.workspace_id
    return statement.on_conflict_do_update(index_elements=keys, set_=new, where=same_workspace)


def _carry_out(connection: Connection, changes: list[Change]) -> None:
    for change in changes:
        if _hit(connection, change) == 0 and change.must_hit:
            raise StaleError


def _hit(connection: Connection, change: Change) -> int:
    """Run one; says how many rows it hit."""
    if isinstance(change.statement, Prepared):
        return len(change.statement.one(connection, change.parameters))
    return connection.execute(change.statement, change.parameters).rowcount


def _log_turns(connection: Connection, group: Sequence[Writes]) -> None:
    rows = [
        {"workspace_id": writes.workspace_id, "turn_pk": pk, **msgspec.structs.asdict(event)}
        for writes in group
        for pk, happened in writes.turn_events
        for event in happened
    ]
    if not rows:
        return
    _ADD_TURN_EVENTS.many(connection, rows)
    if connection.dialect.name == "postgresql":
        pks = sorted({str(row["turn_pk"]) for row in rows})
        connection.execute(_TELL_OF_TURNS, {"pks": pks})


def _place_messages(connection: Connection, group: Sequence[Writes], positions: Positions) -> None:
    rows = [row for writes in group for row in writes.messages]
    for row in rows:
        row["sequence"] = positions.next_message(row["conversation_id"])
    if rows:
        _ADD_MESSAGES.many(connection, rows)
    _insert_all(connection, [item for writes in group for item in writes.attachments])


def _place_events(connection: Connection, group: Sequence[Writes], positions: Positions) -> list[list[Event]]:
    by_workspace: defaultdict[str, list[Event]] = defaultdict(list)
    goodbyes: list[Row] = []
    for writes in group:
        for recorded in writes.events:
            event = positions.place(recorded, writes.workspace_id)
            by_workspace[writes.workspace_id].append(event)
            goodbyes += [
                {"workspace_id": writes.workspace_id, "user_id": user, "feed_position": event.feed_position}
                for user in recorded.new.farewell
            ]
    rows = [msgspec.structs.asdict(event) for stored in by_workspace.values() for event in stored]
    if rows:
        _ADD_EVENTS.many(connection, rows)
    if goodbyes:
        connection.execute(insert(farewells), goodbyes)
    return list(by_workspace.values())
