"""What erasure does to the tables of sessions and playbooks.

What was chosen stays, for others go on from there; what somebody reported, answered and wrote in words goes the way of what
they said elsewhere. Packets repeat both, so that they say whose it is.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from workbench.adapters.sql.documents import BLANK_DOCUMENT, FORGET_VECTORS, MAKE_ANEW, walk_place
from workbench.adapters.sql.playbook_tables import playbook_versions
from workbench.adapters.sql.session_tables import session_escalations, session_lanes, session_steps, sessions
from workbench.adapters.sql.traces import Row, Trace
from workbench.domain.lifecycle.person import NOTICE, Erased
from workbench.domain.lifecycle.redaction import redacted


def _session(row: Row, person: Erased) -> Row:
    mended = {**_under_tombstone(row, person, "owner_id", "handler_id"), "intake": _json(row["intake"], person)}
    if person.policy == "keep":
        return mended
    if row["owner_id"] == person.user_id:
        told = {"title": NOTICE, "problem_summary": NOTICE, "feedback": None}
        mended |= {**told, "intake": msgspec.json.encode({"type": "free_text", "text": NOTICE}).decode()}
    if row["handler_id"] == person.user_id:
        mended["abandon_reason"] = None
        if row["resolution"] is not None:
            resolution = {**msgspec.json.decode(row["resolution"]), "summary": NOTICE, "root_cause": None}
            mended["resolution"] = msgspec.json.encode(resolution).decode()
    return mended


def _step(row: Row, person: Erased) -> Row:
    step, reading = msgspec.json.decode(row["step"]), msgspec.json.decode(row["reading"] or "null")
    is_theirs = row["answered_by"] == person.user_id and person.policy != "keep"
    context = step.get("context", {})
    if context.get("packet"):
        context["packet"] = _packet(context["packet"], person)
    if is_theirs and context.get("additional_context"):
        context["additional_context"] = NOTICE
    mended = {**_under_tombstone(row, person, "answered_by"), "step": _written(step, person)}
    if reading is not None:
        if is_theirs and reading.get("text") is not None:
            reading["text"] = NOTICE
        mended["reading"] = _written(reading, person)
    return {**mended, "note": None} if is_theirs else mended


def _escalation(row: Row, person: Erased) -> Row:
    mended = _under_tombstone(row, person, "requested_by", "target_user_id", "picked_up_by")
    mended["packet"] = _written(_packet(msgspec.json.decode(row["packet"]), person), person)
    if person.policy == "keep":
        return mended
    if row["requested_by"] == person.user_id:
        mended |= {"reason": NOTICE, "notes": None}
    if row["picked_up_by"] == person.user_id:
        mended["additional_context"] = None
    return mended


def _packet(packet: dict[str, Any], person: Erased) -> dict[str, Any]:
    """A packet without the words of the person, if these are to go."""
    if person.policy == "keep":
        return packet
    tried = [
        {**each, "answer": NOTICE} if each.get("answered_by") == person.user_id else each
        for each in packet.get("steps_tried", ())
    ]
    reported: dict[str, Any] = (
        {"problem": NOTICE, "environment": {}} if packet.get("reported_by") == person.user_id else {}
    )
    return {**packet, **reported, "steps_tried": tried}


def _lane(row: Row, person: Erased) -> Row:
    return {"lane": _json(row["lane"], person)}


def _version(_row: Row, person: Erased) -> Row:
    return {"imported_by": person.tombstone_id}


def _under_tombstone(row: Row, person: Erased, *names: str) -> Row:
    return {name: person.tombstone_id for name in names if row[name] == person.user_id}


def _json(text: str, person: Erased) -> str:
    return _written(msgspec.json.decode(text), person)


def _written(value: Any, person: Erased) -> str:
    return msgspec.json.encode(redacted(value, person)).decode()


def forget_words(row: Row, _person: Erased) -> Sequence[tuple[Any, Row]]:
    """What a session is found and compared by goes with what it is made of, and is made anew of the rest."""
    session_id = row.get("session_id", row.get("id"))
    place = {"of_session": session_id}
    return [(BLANK_DOCUMENT, place), (FORGET_VECTORS, place), (MAKE_ANEW, walk_place())]


SESSION_TRACES = (
    Trace(
        table=session_steps,
        mend=_step,
        ids=("answered_by",),
        documents=("step", "reading"),
        beside=forget_words,
    ),
    Trace(
        table=session_escalations,
        mend=_escalation,
        ids=("requested_by", "target_user_id", "picked_up_by"),
        documents=("packet",),
    ),
    Trace(table=session_lanes, mend=_lane, documents=("lane",)),
    Trace(
        table=sessions,
        mend=_session,
        ids=("owner_id", "handler_id"),
        documents=("intake", "resolution"),
        beside=forget_words,
    ),
    Trace(table=playbook_versions, mend=_version, ids=("imported_by",)),
)
