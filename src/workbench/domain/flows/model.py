"""Blueprints, and the flows that are made of them."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from workbench.domain.bus.calls import MAX_SECONDS, MIN_SECONDS, Fold
from workbench.domain.bus.model import TopicClass

SYSTEM = ""
"""Stands where a workspace's id does, in what operators give to all workspaces."""

NAME_PATTERN = r"[a-z0-9][a-z0-9_-]{0,39}"
MAX_DOCUMENT_BYTES = 256 << 10
MAX_SERVICES = 100
MAX_TOPICS = 300
MAX_DESCRIPTION = 4096
MAX_DRAIN_SECONDS = 300.0
RESERVED = frozenset({"id", "workspace", "blueprint", "class"})

Scope = Literal["flow", "blueprint", "workspace", "global"]
FlowState = Literal["starting", "running", "stopping", "stopped", "failed"]
Health = Literal["ready", "degraded", "blocked", "unknown"]
LIVE = ("starting", "running")
HOLDING = ("starting", "running", "stopping")

Text = Annotated[str, msgspec.Meta(max_length=MAX_DESCRIPTION)]
Seconds = Annotated[float, msgspec.Meta(ge=MIN_SECONDS, le=MAX_SECONDS)]


class ParameterUse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A parameter that a blueprint declares: of a type, with a default, or following another parameter."""

    type: str
    description: Text = ""
    order: int = 0
    default: Any = UNSET
    controlled_by: str | None = None
    advanced: bool = False


class ServiceUse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service of a blueprint: one instance for each flow, or one that all flows of the same variant share."""

    service: str
    scope: Literal["blueprint", "flow"] = "flow"
    variant: Text = ""
    topics: dict[str, str] = {}
    parameters: dict[str, Any] = {}


TEXT_COMPLETION = {
    "text": "response",
    "model": "model",
    "prompt_tokens": "in_token",
    "completion_tokens": "out_token",
}
AGENT = "agent"
"""Services that say by `message_type` whether their `content` is a thought, an action, an observation or the answer."""
PRESETS: dict[str, dict[str, str] | None] = {"text-completion": TEXT_COMPLETION, AGENT: None}
"""What `output_map` may be called instead of being written out."""
MAPPED = frozenset({"text", "reasoning", "model", "prompt_tokens", "completion_tokens"})
"""What an `output_map` may find in what a service says."""


class AssistantUse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an interface takes part in conversations."""

    name: Text
    description: Text = ""
    image: Text | None = None
    respond: Literal["always", "mention"] = "always"
    history_messages: Annotated[int, msgspec.Meta(ge=0, le=200)] = 20
    input_map: dict[str, str] = {}
    output_map: dict[str, str] | str | None = None


class Interface(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What callers of a flow may use: a service that answers, or a topic to send to."""

    kind: Literal["request_response", "send"] = "request_response"
    request: str | None = None
    response: str | None = None
    topic: str | None = None
    description: Text = ""
    timeout_s: Seconds = 300.0
    idle_timeout_s: Seconds | None = None
    streaming: bool = True
    idempotent: bool = False
    on_redelivery: Literal["rerun", "refuse"] = "rerun"
    max_in_flight: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 64
    on_overflow: Literal["fail"] = "fail"
    fold: Fold | None = None
    dialect: Literal["native", "plain"] = "native"
    keepalive: bool | None = None
    hosted: bool | None = None
    request_schema: dict[str, Any] | None = None
    response_schema: dict[str, Any] | None = None
    assistant: AssistantUse | None = None

    @property
    def folding(self) -> Fold:
        """How parts become one answer."""
        return self.fold or Fold()

    @property
    def has_keepalive(self) -> bool:
        """Whether its hosts say that they are at it; services of the plain dialect do not."""
        return self.dialect == "native" if self.keepalive is None else self.keepalive

    @property
    def is_hosted(self) -> bool:
        """Whether its hosts are known, so that a call fails at once where there is none."""
        return self.dialect == "native" if self.hosted is None else self.hosted


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A blueprint as its author writes it."""

    description: Text = ""
    tags: list[str] = []
    parameters: dict[str, ParameterUse] = {}
    services: list[ServiceUse]
    interfaces: dict[str, Interface] = {}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong in a document, at a JSON path."""

    path: str
    code: str
    detail: str


class ParameterType(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What values a parameter may have. `secret` values are kept encrypted, and only services see them."""

    type: Literal["string", "number", "integer", "boolean"] = "string"
    description: Text = ""
    default: Any = UNSET
    enum: list[Any] | None = None
    minimum: float | None = None
    maximum: float | None = None
    pattern: Annotated[str, msgspec.Meta(max_length=500)] | None = None
    required: bool = False
    secret: bool = False


class StoredType(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter type by its name; `system` where operators gave it to all workspaces."""

    name: str
    system: bool
    schema: ParameterType


class TypeList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list."""

    parameter_types: list[StoredType]
    next_cursor: str | None = None


class Blueprint(msgspec.Struct, frozen=True, kw_only=True):
    """A blueprint that is stored. `version` goes up with each change."""

    name: str
    system: bool
    version: int
    document: Document
    created_by: str
    created_at: datetime
    updated_at: datetime


class BlueprintList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list."""

    blueprints: list[Blueprint]
    next_cursor: str | None = None


class TopicUse(msgspec.Struct, frozen=True, kw_only=True):
    """A topic as a blueprint names it, and as it resolves."""

    template: str
    topic: str
    topic_class: TopicClass = msgspec.field(name="class")
    scope: Scope
    owned: bool


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at a document found."""

    valid: bool
    findings: list[Finding]
    topics: list[TopicUse]


class ResolvedService(msgspec.Struct, frozen=True, kw_only=True):
    """A service of a flow with everything filled in. Flows with the same `key` share one instance."""

    key: str
    workspace_id: str | None
    service: str
    scope: Literal["blueprint", "flow"]
    topics: dict[str, str]
    parameters: dict[str, Any]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All that a running flow is: no later change of its blueprint touches it."""

    services: list[ResolvedService]
    interfaces: dict[str, Interface]
    owned: list[str]
    literal: list[str]
    crossing: list[str] = []
    """Topics whose template leaves the workspace out, so that messages of several workspaces come by them."""
    scopes: dict[str, Scope] = {}
    """Who shares each topic; flows that were started before this was noted have none."""

    def subscriptions_of(self, topic: str) -> list[str]:
        """The queues that services may have made for a topic."""
        return sorted(
            {
                f"{topic}/{service.service}/{name}"
                for service in self.services
                for name, used in service.topics.items()
                if used == topic
            }
        )


class Cleanup(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a flow's topics when it was stopped. `pending` ones are still to be deleted, and will be."""

    deleted: list[str] = []
    kept: list[str] = []
    pending: list[str] = []
    global_topics: list[str] = msgspec.field(default_factory=list, name="global")


class BlueprintRef(msgspec.Struct, frozen=True, kw_only=True):
    """Which blueprint, of which version."""

    name: str
    version: int


class FlowError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a flow failed to start."""

    code: str
    message: str


class StoredFlow(msgspec.Struct, frozen=True, kw_only=True):
    """A flow as it is stored. `parameters` is complete; `is_withdrawn` says that hosts are to let go of it."""

    workspace_id: str
    flow_id: str
    generation: int
    blueprint: BlueprintRef
    description: str
    state: FlowState
    parameters: dict[str, Any]
    secrets: list[str]
    snapshot: Snapshot
    is_withdrawn: bool
    drain_milliseconds: int
    error: FlowError | None
    cleanup: Cleanup | None
    created_by: str
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    stopping_at: datetime | None
    stopped_at: datetime | None

    @property
    def drain_seconds(self) -> float:
        """How long requests under way have when it is stopped."""
        return self.drain_milliseconds / 1000

    @property
    def key(self) -> tuple[str, str, int]:
        """What names this run of the flow."""
        return self.workspace_id, self.flow_id, self.generation

    def shown(self, health: Health) -> "Flow":
        """As callers see it."""
        hidden = {name: "***" if name in self.secrets else value for name, value in self.parameters.items()}
        return Flow(
            flow_id=self.flow_id,
            generation=self.generation,
            state=self.state,
            health=health,
            blueprint=self.blueprint,
            description=self.description,
            parameters=hidden,
            interfaces=sorted(self.snapshot.interfaces),
            error=self.error,
            cleanup=self.cleanup,
            created_by=self.created_by,
            created_at=self.created_at,
            started_at=self.started_at,
            stopping_at=self.stopping_at,
            stopped_at=self.stopped_at,
        )


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """A flow. `health` is ready, degraded (a service without a host), blocked (the bus), or unknown while not running."""

    flow_id: str
    generation: int
    state: FlowState
    health: Health
    blueprint: BlueprintRef
    description: str
    parameters: dict[str, Any]
    interfaces: list[str]
    error: FlowError | None
    cleanup: Cleanup | None
    created_by: str
    created_at: datetime
    started_at: datetime | None
    stopping_at: datetime | None
    stopped_at: datetime | None


class FlowList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list."""

    flows: list[Flow]
    next_cursor: str | None = None


class NewFlow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A flow to be started."""

    flow_id: str
    blueprint: str
    description: Text = ""
    parameters: dict[str, Any] = {}


class FlowChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be changed of a flow."""

    description: Text


class CheckRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document to be looked at, or the stored one; as a flow of that id with these parameters would have it."""

    document: Document | UnsetType = UNSET
    parameters: dict[str, Any] = {}
    flow_id: str = "example"


class FlowTopic(msgspec.Struct, frozen=True, kw_only=True):
    """A topic that a flow refers to; `shared_with` counts the other flows that do."""

    topic: str
    topic_class: TopicClass = msgspec.field(name="class")
    scope: Scope | None = None
    owned: bool
    shared_with: int
    state: Literal["live", "deleting", "foreign"]


class FlowTopicList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list."""

    topics: list[FlowTopic]


class FlowService(msgspec.Struct, frozen=True, kw_only=True):
    """An interface of a flow, its options, and how many hosts serve it; None where they are not known."""

    name: str
    interface: Interface
    live_hosts: int | None


class FlowServiceList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list."""

    services: list[FlowService]


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A process that serves or calls flows: what it could serve, what it does, and for which flows it waits."""

    host_id: str
    services: list[str]
    held: list[str]
    calling: list[str]
    seen_at: datetime
    offered: list[str] = []
    """What a host outside was told last that it is to hold, in the list of `offered_version`."""
    offered_version: int = 0

    @property
    def is_outside(self) -> bool:
        """Whether it is told over HTTP what to run, and takes no requests of callers itself."""
        return self.offered_version > 0


class AssignedTopic(msgspec.Struct, frozen=True, kw_only=True):
    """A topic of an assignment. By one that `crosses_workspaces` each message says itself whose it is."""

    topic: str
    crosses_workspaces: bool


class GivenAssignment(msgspec.Struct, frozen=True, kw_only=True):
    """An instance of a service that a host is to run.

    `workspace_id` is null where workspaces share it, `flow_id` empty and `generation` 0 where flows do. `hash` is
    another one as soon as anything of it is another: such an instance is to be restarted.
    """

    key: str
    workspace_id: str | None
    flow_id: str
    generation: int
    service: str
    hash: str
    topics: dict[str, AssignedTopic]
    parameters: dict[str, Any]


class AssignmentList(msgspec.Struct, frozen=True, kw_only=True):
    """All that a host is to run, and the version of this list: those that come later have higher ones."""

    version: int
    assignments: list[GivenAssignment]


class Released(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of assignments that a host does not hold, or not any more."""

    keys: Annotated[list[Annotated[str, msgspec.Meta(max_length=400)]], msgspec.Meta(max_length=10_000)]
