"""Telling of what happens outside conversations, in the transaction in which it happens.

Acts on flows are transactions of their own, over all workspaces. What becomes of one is told within its workspace, and
last: its log is locked from then on to the commit.
"""

from datetime import datetime

from msgspec.structs import asdict
from sqlalchemy import Connection, insert

from workbench.adapters.sql.events import ascii_json
from workbench.adapters.sql.positions import take_in_feed
from workbench.adapters.sql.tables import events
from workbench.adapters.sql.walls import enter, ledger_of
from workbench.domain.events.model import Event, NewWorkspaceEvent
from workbench.domain.ids import correlation_id, new_hex_id, trace_parent

Cause = tuple[str, str | None]
"""The request, and the place in its trace, that something is done for."""


def cause_here() -> Cause:
    """What is being done here is done for; to be asked before a transaction, since it may be another thread's."""
    return correlation_id.get(), trace_parent.get()


def tell(connection: Connection, workspace_id: str, new: NewWorkspaceEvent, now: datetime, cause: Cause) -> Event:
    """Append to the workspace's log; whoever listens is to be told of it after the commit."""
    before = ledger_of(connection).within
    enter(connection, workspace_id)
    event = Event(
        workspace_id=workspace_id,
        feed_position=take_in_feed(connection, workspace_id),
        conversation_id=None,
        position=0,
        id=new_hex_id(),
        correlation_id=cause[0],
        type=new.type,
        timestamp=now,
        audience=new.audience,
        data=ascii_json(new.data),
        trace_parent=cause[1],
    )
    connection.execute(insert(events), asdict(event))
    enter(connection, before)
    return event
