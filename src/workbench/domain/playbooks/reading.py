"""Makes a playbook of its document, or tells everything that keeps it from being one (7.6)."""

import msgspec

from workbench.domain.playbooks.fields import Fields, Tree
from workbench.domain.playbooks.findings import Finding, Findings, invalid_playbook
from workbench.domain.playbooks.graph import check_graph
from workbench.domain.playbooks.model import (
    CONTINUE,
    INPUT_NAME,
    KEY,
    MAX_DOMAIN,
    MAX_EXAMPLE,
    MAX_EXAMPLES,
    MAX_HINT,
    MAX_INPUTS,
    MAX_LABEL,
    MAX_NODES,
    MAX_OPTIONS,
    MAX_PHRASE,
    MAX_PHRASES,
    MAX_PROMPT,
    MAX_TITLE,
    MAX_VISITS,
    NODE_ID,
    NODE_TYPES,
    OUTCOMES,
    RESOLUTION_ACTIONS,
    RISKS,
    SCHEMA,
    URGENCIES,
    VERDICTS,
    Choice,
    Detour,
    Node,
    NodeType,
    Playbook,
    Trigger,
)

MAX_NAME = 63
PROMPT_FIELDS: dict[NodeType, str] = {"resolution": "summary", "escalation": "reason"}
"""What the text of a node is called where it is no prompt."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a document: a playbook unless there are errors, and everything that was found."""

    playbook: Playbook | None
    findings: list[Finding]

    def require(self) -> Playbook:
        """The playbook. Raises UnprocessableError `invalid_playbook` with all findings."""
        if self.playbook is None:
            raise invalid_playbook(self.findings)
        return self.playbook


def read_playbook(document: Tree) -> Checked:
    """Make a playbook of a document whose scalars are texts."""
    findings = Findings()
    fields = Fields(document, "", findings)
    schema = fields.text("schema", MAX_PHRASE)
    if schema and schema != SCHEMA:
        fields.wrong("schema", "unknown_schema", f"schema must be {SCHEMA}")
    playbook = Playbook(
        key=fields.named("key", KEY, MAX_NAME),
        title=fields.text("title", MAX_TITLE),
        domain=fields.optional_text("domain", MAX_DOMAIN),
        inputs=_inputs(fields),
        match=_trigger(fields.mapping("match", required=True)),
        start=fields.text("start", MAX_NAME),
        nodes=_nodes(fields.mapping("nodes", required=True)),
    )
    fields.finish()
    check_graph(playbook, findings)
    return Checked(playbook=None if findings.has_errors else playbook, findings=findings.found)


def _inputs(fields: Fields) -> tuple[str, ...]:
    inputs = fields.texts("inputs", MAX_INPUTS, MAX_NAME)
    for index, name in enumerate(inputs):
        if not INPUT_NAME.fullmatch(name):
            fields.wrong(f"inputs[{index}]", "wrong_form", f"an input must be of the form {INPUT_NAME.pattern}")
    return inputs


def _trigger(fields: Fields) -> Trigger:
    conditions = fields.mapping("fields")
    trigger = Trigger(
        phrases=fields.texts("phrases", MAX_PHRASES, MAX_PHRASE),
        examples=fields.texts("examples", MAX_EXAMPLES, MAX_EXAMPLE),
        exclude=fields.texts("exclude", MAX_PHRASES, MAX_PHRASE),
        fields={name: conditions.text(name, MAX_PHRASE) for name in conditions.names()[:MAX_INPUTS]},
    )
    if not (trigger.phrases or trigger.examples):
        fields.wrong("phrases", "nothing_to_match", "A phrase or an example is needed, for else nothing ever matches")
    fields.finish()
    return trigger


def _nodes(fields: Fields) -> dict[str, Node]:
    names = fields.names()
    if len(names) > MAX_NODES:
        fields.wrong(names[MAX_NODES], "too_many", f"{MAX_NODES} nodes are allowed, not {len(names)}")
    nodes: dict[str, Node] = {}
    for name in names[:MAX_NODES]:
        if not NODE_ID.fullmatch(name):
            fields.wrong(name, "wrong_form", f"a node's name must be of the form {NODE_ID.pattern}")
        member = fields.mapping(name)
        nodes[name] = _node(member)
        member.finish()
    return nodes


def _node(fields: Fields) -> Node:
    kind = fields.one_of("type", NODE_TYPES)
    if kind is None:  # what else belongs there is not known
        fields.names()
        return Node(type="escalation", prompt="")
    is_terminal = kind in PROMPT_FIELDS
    choices, following = _ways(kind, fields)
    return Node(
        type=kind,
        prompt=fields.text(PROMPT_FIELDS.get(kind, "prompt"), MAX_PROMPT),
        help=fields.optional_text("help", MAX_PROMPT),
        risk=fields.one_of("risk", RISKS, required=False) or "none",
        confidence=fields.number("confidence", 0, 1),
        client_safe=fields.flag("client_safe"),
        choices=choices,
        next=following,
        free_text=None if is_terminal else _detour(fields, "free_text"),
        skip=None if is_terminal else _detour(fields, "skip"),
        max_visits=fields.whole("max_visits", 1, MAX_VISITS),
        on_loop=fields.optional_text("on_loop", MAX_NAME),
        action=fields.one_of("action", RESOLUTION_ACTIONS) if kind == "resolution" else None,
        urgency=fields.one_of("urgency", URGENCIES) if kind == "escalation" else None,
    )


def _ways(kind: NodeType, fields: Fields) -> tuple[tuple[Choice, ...], str | None]:
    """What is offered there, and what follows whatever is chosen."""
    following = None
    match kind:
        case "question":
            choices = _options(fields, with_next=True)
            if not choices and "free_text" not in fields:
                fields.wrong("options", "no_way_to_answer", "A question without options must allow free text")
        case "multi":
            choices = _options(fields, with_next=False)
            following = fields.text("next", MAX_NAME)
            if not choices:
                fields.wrong("options", "missing", "There is nothing to choose from")
        case "action":
            choices = _fixed(fields.mapping("outcomes", required=True), OUTCOMES, {"done"})
        case "verification":
            choices = _said(fields, VERDICTS, {"yes", "no"})
        case "info":
            choices = (Choice(label="Continue", value=CONTINUE, next=fields.text("next", MAX_NAME)),)
        case _:
            choices = ()
    return choices, following


def _options(fields: Fields, *, with_next: bool) -> tuple[Choice, ...]:
    choices: list[Choice] = []
    seen: set[str] = set()
    for row in fields.rows("options", MAX_OPTIONS):
        choice = Choice(
            label=row.text("label", MAX_LABEL),
            value=row.text("value", MAX_LABEL),
            next=row.text("next", MAX_NAME) if with_next else None,
            hint=row.optional_text("hint", MAX_HINT),
        )
        if choice.value in seen:
            row.wrong("value", "duplicate_value", f"Two options have the value {choice.value}")
        seen.add(choice.value)
        row.finish()
        choices.append(choice)
    return tuple(choices)


def _fixed(fields: Fields, labels: dict[str, str], required: set[str]) -> tuple[Choice, ...]:
    choices = _said(fields, labels, required)
    fields.finish()
    return choices


def _said(fields: Fields, labels: dict[str, str], required: set[str]) -> tuple[Choice, ...]:
    return tuple(
        Choice(label=label, value=value, next=fields.text(value, MAX_NAME))
        for value, label in labels.items()
        if value in required or value in fields
    )


def _detour(fields: Fields, name: str) -> Detour | None:
    """Where free text, or a skip, leads; a skip may leave it to the order of the document."""
    if name not in fields:
        return None
    members = fields.mapping(name)
    following = members.text("next", MAX_NAME) if name == "free_text" else members.optional_text("next", MAX_NAME)
    members.finish()
    return Detour(next=following)
