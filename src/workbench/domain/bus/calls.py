"""A request as its caller sees it: where it goes, its replies, and the bounds that it keeps."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from workbench.domain.bus.errors import CallError

ReplyKind = Literal["part", "final", "reset", "plain"]
FoldMode = Literal["last", "list", "concat"]
Overflow = Literal["fail", "drop_oldest", "drop_new"]
"""What is done where there is no room for what is heard: its listener fails, or loses the oldest, or what comes."""

DEFAULT_SECONDS = 300.0
MIN_SECONDS = 0.1
MAX_SECONDS = 1500.0
"""RabbitMQ closes channels that hold a delivery for half an hour."""


class Fold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the parts of a streamed answer become one: the last, a list, or joined texts (of `field`, if given)."""

    mode: FoldMode = "list"
    field: str | None = None

    def fold(self, parts: Sequence[Any]) -> Any:
        """Make one of several; one alone stays as it is, none is null."""
        if len(parts) < 2:  # noqa: PLR2004 - one, or none
            return parts[0] if parts else None
        if self.mode == "last":
            return parts[-1]
        if self.mode == "concat":
            return "".join(self._text(part) for part in parts)
        return list(parts)

    def _text(self, part: Any) -> str:
        found = part.get(self.field) if self.field is not None and isinstance(part, dict) else part  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        return found if isinstance(found, str) else ""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where requests of one interface go, in whose name, and how they behave."""

    workspace_id: str
    flow_id: str
    generation: int
    interface: str
    request: str
    response: str
    timeout_seconds: float = DEFAULT_SECONDS
    idle_seconds: float | None = 60.0
    dialect: Literal["native", "plain"] = "native"
    keepalive: bool = True
    idempotent: bool = False
    on_redelivery: Literal["rerun", "refuse"] = "rerun"
    max_in_flight: int = 64
    fold: Fold = Fold()
    reply_fault: Callable[[Any], str | None] | None = None
    """Says what is wrong with the data of a reply, where not everything may be answered."""


class CallLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one request may take of this process."""

    mailbox_messages: int = 1000
    mailbox_bytes: int = 4 << 20
    reply_bytes: int = 1 << 20
    answer_bytes: int = 16 << 20
    answer_parts: int = 100_000


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a service says that its answer took of a model."""

    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_micros: int | UnsetType = UNSET


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One reply. After `reset` the answer begins anew, by another host; `data` is absent where none was sent."""

    kind: ReplyKind
    seq: int = 0
    data: Any = UNSET
    usage: Usage | None = None

    @property
    def is_last(self) -> bool:
        """Whether nothing follows it for certain."""
        return self.kind == "final"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer: its replies folded into one. `parts` counts what it came in, where it came in several."""

    id: str
    data: Any
    usage: Usage | UnsetType = UNSET
    parts: int | UnsetType = UNSET


def timed_out(phase: Any, *, was_sent: bool) -> CallError:
    """The error of a request that took too long, and where."""
    return CallError(
        "timeout",
        "The service did not answer in time.",
        phase=phase,
        outcome="unknown" if was_sent else "not_sent",
        retryable=not was_sent,
    )


ENDINGS = ("end_of_stream", "end-of-stream", "end_of_dialog", "end-of-dialog", "is_final", "is-final")


def ends_plain(data: Any) -> bool:
    """Whether a message of a service of the plain dialect is the last of its answer."""
    if not isinstance(data, dict):
        return True
    fields: dict[str, Any] = data  # pyright: ignore[reportUnknownVariableType]
    if fields.get("error") is not None:
        return True
    told = [fields[name] for name in ENDINGS if name in fields]
    return not told or any(told)
