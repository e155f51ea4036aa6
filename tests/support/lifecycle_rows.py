"""The part of the wall between workspaces that the life cycle adds: one of each thing, and every method on it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from workbench.adapters.sql.transactions import SqlTransaction
from workbench.domain.audit.model import Actor, NewAuditEntry
from workbench.domain.audit.ports import AuditFilter
from workbench.domain.contents.model import Content
from workbench.domain.ids import new_id
from workbench.domain.lifecycle.model import Terms
from workbench.domain.lifecycle.person import Erased, Erasure

LATER = datetime(2100, 1, 1, tzinfo=UTC)
CAY = Erased(user_id="cay", name="Cay", tombstone_id="erased", subject="hash", policy="remove")
ANN = msgspec.structs.replace(CAY, user_id="ann", name="Ann", policy="keep")


def some_erasure(workspace: str, now: datetime) -> Erasure:
    """Of a person called after the workspace, so that the next workspace's can be told from it."""
    return Erasure(
        id=new_id(),
        user_id=f"{workspace}-person",
        user_name="",
        subject=f"{workspace}-hash",
        policy="keep",
        begun_datetime=now,
        touched_datetime=now,
    )


def add_lifecycle(tx: SqlTransaction, workspace: str, conversation_id: UUID, now: datetime) -> Erasure:
    """Put one of each into the workspace."""
    erasure = some_erasure(workspace, now)
    actor = Actor(kind="operator", id=f"{workspace}-operator")
    tx.audit.record(NewAuditEntry(actor=actor, act="retention.set", subject=workspace))
    tx.retention.set_conversation(conversation_id, Terms(messages_days=3))
    tx.erasures.add(erasure)
    return erasure


READS: dict[str, tuple[Any, object]] = {
    "audit.entries": (lambda tx, w: tx.audit.entries(AuditFilter(actor_id=f"{w.workspace}-operator")), []),
    "retention.of_conversation": (lambda tx, w: tx.retention.of_conversation(w.conversation.id), Terms()),
    "file_versions.older": (lambda tx, w: tx.file_versions.older(w.conversation.id, LATER, 10), []),
    "file_versions.of_user": (lambda tx, w: tx.file_versions.of_user("cay", 10), []),
    "file_versions.newest_but": (lambda tx, w: tx.file_versions.newest_but(w.file.file.id, [9]), None),
    "erasures.find": (lambda tx, w: tx.erasures.find(w.erasure.id), None),
    "erasures.under_way": (lambda tx, w: tx.erasures.under_way(w.erasure.user_id), None),
    "erasures.latest": (lambda tx, w: tx.erasures.latest(w.erasure.subject), None),
    "estate.knows": (lambda tx, w: tx.estate.knows("cay"), None),
    "estate.active_in": (lambda tx, w: tx.estate.active_in("cay", 10), []),
    "estate.owned": (lambda tx, w: tx.estate.owned("cay", None, 10), []),
    "estate.seated_in": (lambda tx, w: tx.estate.seated_in("cay", 10), []),
    "estate.said": (lambda tx, w: tx.estate.said("cay", None, 10), []),
    "estate.heir_of_service": (lambda tx, w: tx.estate.heir_of_service(w.service.assistant_service_id, "cay"), None),
    "traces.count": (lambda tx, w: tx.traces.count("participants", CAY), 0),
    "events.floor_of_user": (lambda tx, w: tx.events.floor_of_user("cay"), 0),
}

NOTICE = Content(hash="ab" * 32, storage_key="elsewhere", size=1)

WRITES: dict[str, Any] = {
    "retention.set_conversation": lambda tx, w: tx.retention.set_conversation(
        w.conversation.id, Terms(messages_days=1)
    ),
    "file_versions.drop": lambda tx, w: tx.file_versions.drop(w.file.file, [w.file.version], 1),
    "file_versions.replace": lambda tx, w: tx.file_versions.replace(w.file.file, [w.file.version], NOTICE, "nobody"),
    "erasures.save": lambda tx, w: tx.erasures.save(w.erasure.at("seats")),
    "estate.hand_over": lambda tx, w: tx.estate.hand_over(w.conversation.id, "ann", "bea"),
    "estate.forget_debug_data": lambda tx, w: tx.estate.forget_debug_data(w.message.id),
    "traces.mend": lambda tx, w: tx.traces.mend("conversations", ANN, None),
}

# These read or write what is the block's own workspace's, or add a row to it.
WITHOUT_AN_ID = {
    *("audit.record", "retention.of_workspace", "retention.own_terms", "retention.set_workspace"),
    *("erasures.add", "traces.tables"),
}
