"""A playbook as its author means it: what is asked and done, and what follows upon which answer (7.6)."""

import hashlib
import re
from collections.abc import Iterator
from typing import Literal, get_args

import msgspec

NodeType = Literal["question", "multi", "action", "verification", "info", "resolution", "escalation"]
Risk = Literal["none", "low", "disruptive", "destructive"]
Urgency = Literal["low", "normal", "high", "critical"]
ResolutionAction = Literal["fixed", "workaround", "no_fault_found", "duplicate", "user_education", "referred", "other"]
Outcome = Literal["done", "failed", "not_applicable"]

NODE_TYPES: tuple[NodeType, ...] = get_args(NodeType)
RISKS: tuple[Risk, ...] = get_args(Risk)
URGENCIES: tuple[Urgency, ...] = get_args(Urgency)
RESOLUTION_ACTIONS: tuple[ResolutionAction, ...] = get_args(ResolutionAction)
OUTCOMES = {"done": "Done", "failed": "Did not work", "not_applicable": "Not applicable"}
VERDICTS = {"yes": "Yes", "no": "No", "partly": "Partly"}
CONTINUE = "continue"
TERMINAL: frozenset[NodeType] = frozenset({"resolution", "escalation"})

SCHEMA = "workbench.playbook/1"
KEY = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")
NODE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}")
INPUT_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

MAX_BYTES = 256 << 10
MAX_DEPTH = 12
"""How deep mappings and lists may lie in each other."""
MAX_NODES = 500
MAX_OPTIONS = 12
MAX_INPUTS = 50
MAX_PHRASES = 50
MAX_EXAMPLES = 50
MAX_PROMPT = 2000
MAX_LABEL = 120
MAX_HINT = 200
MAX_TITLE = 200
MAX_DOMAIN = 60
MAX_PHRASE = 200
MAX_EXAMPLE = 1000
MAX_VISITS = 100
USUAL_VISITS = 3


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One of the answers that a node offers; the options of a `multi` have no next of their own."""

    label: str
    value: str
    next: str | None = None
    hint: str | None = None


class Detour(msgspec.Struct, frozen=True, kw_only=True):
    """Where an answer leads that is none of those offered; None: to the next node of the document."""

    next: str | None = None


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a playbook. Outcomes, verdicts and acknowledgements are choices like a question's options.

    `prompt` is the summary of a resolution and the reason of an escalation.
    """

    type: NodeType
    prompt: str
    help: str | None = None
    risk: Risk = "none"
    confidence: float | None = None
    client_safe: bool = False
    choices: tuple[Choice, ...] = ()
    next: str | None = None
    """What follows a `multi`, whatever was chosen."""
    free_text: Detour | None = None
    skip: Detour | None = None
    max_visits: int | None = None
    on_loop: str | None = None
    action: ResolutionAction | None = None
    urgency: Urgency | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether nothing follows it."""
        return self.type in TERMINAL

    @property
    def visits_allowed(self) -> int:
        """How often one may come here in a session."""
        return self.max_visits or USUAL_VISITS

    def targets(self) -> Iterator[str]:
        """The nodes that may follow, as far as they are named."""
        detours = (self.free_text, self.skip)
        named = (*(choice.next for choice in self.choices), self.next, self.on_loop)
        yield from (target for target in (*named, *(detour.next for detour in detours if detour)) if target)


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """What is reported when the playbook is meant."""

    phrases: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    fields: dict[str, str] = {}


class Playbook(msgspec.Struct, frozen=True, kw_only=True):
    """A playbook whose document is sound. The nodes are in the order of the document, which counts (7.4)."""

    key: str
    title: str
    domain: str | None
    inputs: tuple[str, ...]
    match: Trigger
    start: str
    nodes: dict[str, Node]

    def node_after(self, node_id: str) -> str | None:
        """The node that the document has next."""
        ids = list(self.nodes)
        following = ids.index(node_id) + 1
        return ids[following] if following < len(ids) else None

    def targets(self, node_id: str) -> set[str]:
        """Every node that may follow, by a name or by the order of the document."""
        node = self.nodes[node_id]
        targets = set(node.targets())
        if node.skip is not None and node.skip.next is None and (following := self.node_after(node_id)):
            targets.add(following)
        return targets


def content_hash(playbook: Playbook) -> str:
    """What two documents have in common that mean the same, however they are written."""
    return hashlib.sha256(msgspec.json.encode(playbook)).hexdigest()
