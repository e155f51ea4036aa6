"""What erasure does to each table. Every table is in one of the two lists; a test says so where one is missing.

A new table that may name a person is one entry in TRACES.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from workbench.adapters.sql.budget_tables import budget_limits, budget_reservations
from workbench.adapters.sql.documents import BLANK_TALK, MAKE_ANEW, walk_place
from workbench.adapters.sql.erasures import FORGET_DEBUG, HAS_NO_DEBUG
from workbench.adapters.sql.events import ascii_json
from workbench.adapters.sql.flow_tables import flow_blueprints, flows
from workbench.adapters.sql.idempotency import idempotency_keys
from workbench.adapters.sql.lifecycle_tables import audit
from workbench.adapters.sql.model_assistants import model_assistants
from workbench.adapters.sql.rates import rate_uses
from workbench.adapters.sql.repository import Repository
from workbench.adapters.sql.session_traces import SESSION_TRACES
from workbench.adapters.sql.tables import (
    assistant_services,
    assistants,
    conversations,
    dead_letters,
    deliveries,
    events,
    farewells,
    file_versions,
    jobs,
    message_debug,
    messages,
    participants,
    redemptions,
    shares,
    users,
)
from workbench.adapters.sql.ticket_traces import TICKET_TRACES
from workbench.adapters.sql.traces import BATCH, Row, Trace, spellings
from workbench.adapters.sql.turn_tables import gone_turns, message_parts, turn_events, turn_snapshots, turns
from workbench.adapters.sql.turns import FORGET_PARTS
from workbench.adapters.sql.usage_tables import token_usage
from workbench.domain.lifecycle.person import ERASED_NAME, NOTICE, Erased
from workbench.domain.lifecycle.ports import Mended, Traces
from workbench.domain.lifecycle.redaction import redacted

ERROR_NOTICE = "erased, for it may have named a person"


def _json(text: str, person: Erased) -> str:
    return msgspec.json.encode(redacted(msgspec.json.decode(text), person)).decode()


def _ascii(text: str, person: Erased) -> str:
    return ascii_json(redacted(msgspec.json.decode(text), person))


def _gone(_row: Row, _person: Erased) -> None:
    return None


def _metadata(row: Row, person: Erased) -> Row:
    return {"metadata": _json(row["metadata"], person)}


def _user(_row: Row, person: Erased) -> Row | None:
    if person.policy == "remove":
        return None
    nobody = {"id": person.tombstone_id, "name": ERASED_NAME, "image": None, "name_is_chosen": True}
    return {**nobody, "works_on_sessions": False, "team_ids": []}


def _key(row: Row, person: Erased) -> Row | None:
    """Their own requests are not repeated any more; nor is what others were answered that tells of them."""
    is_theirs = (row["caller_role"], row["caller_id"]) == ("user", person.user_id)
    return None if is_theirs else {"body": None}


def _service(_row: Row, person: Erased) -> Row:
    """What was neither deleted nor handed over came while the erasure was under way."""
    return {"created_by_user_id": person.tombstone_id, "created_by_user_name": ERASED_NAME}


def _owned(row: Row, person: Erased) -> Row:
    owner = person.tombstone_id if row["owner_id"] == person.user_id else row["owner_id"]
    return {"owner_id": owner, **_metadata(row, person)}


def _seat(row: Row, person: Erased) -> Row | None:
    """Their seats went before; one that is there was taken while the erasure was under way."""
    return None if (row["role"], row["id"]) == ("user", person.user_id) else _metadata(row, person)


def _message(row: Row, person: Erased) -> Row | None:
    if (row["sender_role"], row["sender_id"]) != ("user", person.user_id):
        return {"has_debug_data": False, **_metadata(row, person)}
    if person.policy == "remove":
        return None
    mended = {"sender_id": person.tombstone_id, "has_debug_data": False, **_metadata(row, person)}
    if person.policy == "keep":
        return mended
    return {**mended, "content": NOTICE, "content_type": "text/plain", "filenames": [], "metadata": "{}"}


def _beside_message(row: Row, person: Erased) -> Sequence[tuple[Any, Row]]:
    """The parts of what is replaced by a notice say what it said."""
    is_theirs = (row["sender_role"], row["sender_id"]) == ("user", person.user_id)
    without_parts = [(FORGET_PARTS, {"of_id": row["id"]})] if is_theirs and person.policy == "replace" else []
    talk = [(BLANK_TALK, {"of_conversation": row["conversation_id"]}), (MAKE_ANEW, walk_place())] if is_theirs else []
    return [(FORGET_DEBUG, {"of_id": row["id"]}), *without_parts, *talk]


def _flag_off(row: Row, _person: Erased) -> Sequence[tuple[Any, Row]]:
    return [(HAS_NO_DEBUG, {"of_id": row["message_id"]})]


def _version(row: Row, person: Erased) -> Row:
    if row["participant_id"] != person.user_id:
        return _metadata(row, person)
    metadata = _json(row["metadata"], person) if person.policy == "keep" else "{}"
    return {"participant_id": person.tombstone_id, "metadata": metadata}


def _share(row: Row, person: Erased) -> Row | None:
    """An invitation of theirs lets nobody in any more."""
    return None if row["owner_id"] == person.user_id else _metadata(row, person)


def _event(row: Row, person: Erased) -> Row:
    return {"data": _ascii(row["data"], person)}


def _delivery(_row: Row, _person: Erased) -> Row:
    return {"last_error": None}


def _letter(row: Row, person: Erased) -> Row:
    """The reason may repeat what was refused, in whatever form."""
    return {"envelope": _ascii(row["envelope"], person), "reason": ERROR_NOTICE}


def _act(row: Row, person: Erased) -> Row:
    """Acts stay, under the hash: who knows the id can still find them."""
    hashed = msgspec.structs.replace(person, tombstone_id=person.subject)
    ids = {name: person.subject for name in ("actor_id", "subject") if row[name] == person.user_id}
    return {**ids, "detail": _json(row["detail"], hashed)}


def _parts(row: Row, person: Erased) -> Row:
    return {"parts": _json(row["parts"], person)}


def _config(row: Row, person: Erased) -> Row:
    return {"config": _json(row["config"], person)}


def _turn(row: Row, person: Erased) -> Row:
    """Whoever asked is nobody from now on; what an assistant said of its failure may name them."""
    ids = ("initiator_id", "user_id", "cancel_requested_by")
    mended = {name: person.tombstone_id for name in ids if row[name] == person.user_id}
    return {**mended, "error_message": None, "error_detail": None}


def _happened(row: Row, person: Erased) -> Row:
    """What is said of a failure may name them in any form."""
    data = msgspec.json.decode(row["data"])
    if data.get("error"):
        data["error"] = {**data["error"], "message": ERROR_NOTICE}
    return {"data": msgspec.json.encode(redacted(data, person)).decode()}


def _snapshot(row: Row, person: Erased) -> Row:
    return {"state": _json(row["state"], person)}


def _gone_turn(_row: Row, person: Erased) -> Row:
    return {"user_id": person.tombstone_id}


def _bill(row: Row, person: Erased) -> Row:
    """What was used stays in every sum, under nobody's name."""
    payer = person.tombstone_id if row["user_id"] == person.user_id else row["user_id"]
    return {"user_id": payer, **_metadata(row, person)}


def _made(_row: Row, person: Erased) -> Row:
    return {"created_by": person.tombstone_id}


def _limit(row: Row, _person: Erased) -> Row | None:
    """A workspace may be called like a person."""
    return None if row["scope"] == "user" else {}


# In this order. People come last: until then it can be seen that there is somebody to be erased.
TRACES = (
    Trace(table=messages, mend=_message, ids=("sender_id",), documents=("metadata",),
          companions=("id", "sender_role"), beside=_beside_message),
    Trace(table=message_parts, mend=_parts, documents=("parts",)),
    Trace(table=turns, mend=_turn, ids=("initiator_id", "user_id", "cancel_requested_by"),
          remarks=("error_message", "error_detail")),
    Trace(table=turn_events, mend=_happened, documents=("data",)),
    *SESSION_TRACES,
    *TICKET_TRACES,
    Trace(table=turn_snapshots, mend=_snapshot, documents=("state",)),
    Trace(table=gone_turns, mend=_gone_turn, ids=("user_id",)),
    Trace(table=message_debug, mend=_gone, documents=("debug_data",), beside=_flag_off),
    Trace(table=file_versions, mend=_version, ids=("participant_id",), documents=("metadata",)),
    Trace(table=participants, mend=_seat, ids=("id",), documents=("metadata",)),
    Trace(table=conversations, mend=_owned, ids=("owner_id",), documents=("metadata",)),
    Trace(table=redemptions, mend=_gone, ids=("redeemed_by_user_id",)),
    Trace(table=shares, mend=_share, ids=("owner_id",), documents=("metadata",)),
    Trace(table=assistants, mend=_owned, ids=("owner_id",), documents=("metadata",)),
    Trace(table=model_assistants, mend=_config, documents=("config",)),
    Trace(table=assistant_services, mend=_service, ids=("created_by_user_id",)),
    Trace(table=dead_letters, mend=_letter, documents=("envelope",), remarks=("reason",)),
    Trace(table=deliveries, mend=_delivery, remarks=("last_error",)),
    Trace(table=idempotency_keys, mend=_key, ids=("caller_id",), documents=("body",), companions=("caller_role",)),
    Trace(table=rate_uses, mend=_gone, ids=("caller_id",)),
    Trace(table=jobs, mend=_gone, ids=("key",), documents=("payload",), remarks=("last_error",)),
    Trace(table=events, mend=_event, documents=("data",)),
    Trace(table=farewells, mend=_gone, ids=("user_id",)),
    Trace(table=token_usage, mend=_bill, ids=("user_id",), documents=("metadata",)),
    Trace(table=budget_limits, mend=_limit, ids=("subject",)),
    Trace(table=budget_reservations, mend=_gone, ids=("user_id",)),
    Trace(table=flow_blueprints, mend=_made, ids=("created_by",)),
    Trace(table=flows, mend=_made, ids=("created_by",)),
    Trace(table=audit, mend=_act, ids=("actor_id", "subject"), documents=("detail",)),
    Trace(table=users, mend=_user, ids=("id",)),
)  # fmt: skip
UNTOUCHED = {
    "workspaces": "counts only",
    "leases": "names of duties only",
    "teams": "names of teams only",
    "flow_topics": "names of topics only",
    "flow_parameter_types": "what values may be, nobody's own",
    "bus_topics": "names of topics and queues only",
    "flow_hosts": "processes only",
    "flow_versions": "a number only",
    "turn_slots": "ids of turns and messages only",
    "playbooks": "what is asked and done about a kind of problem",
    "session_documents": "words of what is mended elsewhere, forgotten with it and made anew",
    "embeddings": "numbers made of what is mended elsewhere, forgotten with it and made anew",
    "embedding_spaces": "names of models and numbers only",
    "session_branches": "ids and labels of steps only",
    "session_playbooks": "what is asked and done about a kind of problem",
    "files": "names; a file goes with its last version",
    "contents": "bytes under their hash; they go when no version refers to them",
    "turn_model_calls": "models and numbers only",
    "token_usage_models": "models and numbers only",
    "workspace_retention": "numbers only",
    "workspace_choices": "yes and no only",
    "conversation_retention": "numbers only",
    "erasures": "names the person only until the erasure has ended",
}
_BY_NAME = {trace.name: trace for trace in TRACES}


class SqlTraces(Repository, Traces):
    """The tables of one workspace."""

    def tables(self) -> Sequence[str]:
        """By name."""
        return list(_BY_NAME)

    async def mend(self, table: str, person: Erased, place: Any) -> Mended:
        """Walk over a window, and mend what is found there, but no more than a batch of it."""
        trace = _BY_NAME[table]
        bounds = dict(zip((f"after_{name}" for name in trace.keys), place or (), strict=False))
        end = await self._rows(trace.window_end(begun=bool(place)), bounds)
        bounds |= dict(zip((f"upto_{name}" for name in trace.keys), end[0], strict=True)) if end else {}
        statement = trace.found(begun=bool(place), ends=bool(end))
        found = await self._rows(statement, {**bounds, **spellings(person)})
        rows = [dict(zip(trace.columns, values, strict=True)) for values in found]
        removed = sum(self._mend(trace, row, person) for row in rows)
        last = found[-1][: len(trace.keys)] if len(found) == BATCH else end[0] if end else None
        return Mended(place=_place(last), changed=len(rows) - removed, removed=removed)

    def _mend(self, trace: Trace, row: Row, person: Erased) -> bool:
        """Set down what becomes of a row; says whether it goes."""
        changes = trace.mend(row, person)
        statement, values = trace.removal(row) if changes is None else trace.change(row, changes)
        self._writes.change(statement, values, must_hit=True)
        for beside, place in trace.beside(row, person):
            self._writes.change(beside, place)
        return changes is None

    async def count(self, table: str, person: Erased) -> int:
        """All of the table is read."""
        return int(await self._scalar(_BY_NAME[table].counted(), spellings(person)) or 0)


def _place(key: Sequence[Any] | None) -> list[str | int] | None:
    """Write a key so that JSON can hold it."""
    return None if key is None else [each if isinstance(each, int) else str(each) for each in key]
