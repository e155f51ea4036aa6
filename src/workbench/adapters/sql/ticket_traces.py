"""What erasure does to what is told to ticket systems, and to what resolved sessions leave.

Both are texts in which the words of several people are put together. So unless words are kept, such a text goes with any
of those whose words it may hold; a note that is not at its ticket by then does not come there any more.
"""

import msgspec

from workbench.adapters.sql.ticket_tables import (
    psa_connections,
    psa_push_bodies,
    psa_pushes,
    resolution_outputs,
    session_tickets,
)
from workbench.adapters.sql.traces import Row, Trace
from workbench.domain.lifecycle.person import Erased
from workbench.domain.lifecycle.redaction import redacted


def _push(_row: Row, person: Erased) -> Row:
    return {"author_id": person.tombstone_id}


def _body(row: Row, person: Erased) -> Row | None:
    return {"people": _json(row["people"], person)} if person.policy == "keep" else None


def _output(row: Row, person: Erased) -> Row | None:
    if person.policy != "keep":
        return None
    content = None if row["content"] is None else _json(row["content"], person)
    return {"people": _json(row["people"], person), "content": content}


def _connection(row: Row, person: Erased) -> Row:
    return {"config": _json(row["config"], person)}


def _ticket(row: Row, person: Erased) -> Row:
    return {"ticket_data": _json(row["ticket_data"], person)}


def _json(text: str, person: Erased) -> str:
    return msgspec.json.encode(redacted(msgspec.json.decode(text), person)).decode()


TICKET_TRACES = (
    Trace(table=psa_push_bodies, mend=_body, documents=("people",)),
    Trace(table=psa_pushes, mend=_push, ids=("author_id",)),
    Trace(table=resolution_outputs, mend=_output, documents=("people", "content")),
    Trace(table=psa_connections, mend=_connection, documents=("config",)),
    Trace(table=session_tickets, mend=_ticket, documents=("ticket_data",)),
)
