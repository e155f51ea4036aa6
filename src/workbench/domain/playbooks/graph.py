"""What the nodes of a playbook must be to each other, so that nobody is led into a dead end or round in circles (7.6)."""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from workbench.domain.playbooks.findings import Findings
from workbench.domain.playbooks.model import OUTCOMES, PLACEHOLDER, VERDICTS, Node, Playbook

Graph = dict[str, set[str]]


def check_graph(playbook: Playbook, findings: Findings) -> None:
    """Tell of every target that is not there, and of nodes that nothing leads to, that lead nowhere, or round for ever."""
    if playbook.start and playbook.start not in playbook.nodes:
        findings.error("start", "unknown_node", f"There is no node {playbook.start}")
    for node_id, node in playbook.nodes.items():
        for place, target in _named_targets(node):
            if target not in playbook.nodes:
                findings.error(f"nodes.{node_id}.{place}", "unknown_node", f"There is no node {target}")
        for place, text in _texts(node):
            _check_placeholders(f"nodes.{node_id}.{place}", text, playbook.inputs, findings)
    graph = {node_id: playbook.targets(node_id) for node_id in playbook.nodes}
    _check_reach(playbook, graph, findings)
    _check_cycles(playbook, graph, findings)


def _named_targets(node: Node) -> Iterator[tuple[str, str]]:
    detours = {"free_text.next": node.free_text, "skip.next": node.skip}
    named = {"next": node.next, "on_loop": node.on_loop, **{at: each.next for at, each in detours.items() if each}}
    yield from ((_place_of(node, index), choice.next) for index, choice in enumerate(node.choices) if choice.next)
    yield from ((place, target) for place, target in named.items() if target)


def _place_of(node: Node, index: int) -> str:
    """Where the target of a choice stands in the document, which writes outcomes and verdicts shorter than options."""
    value = node.choices[index].value
    if node.type == "action" and value in OUTCOMES:
        return f"outcomes.{value}"
    if node.type == "verification" and value in VERDICTS:
        return value
    return "next" if node.type == "info" else f"options[{index}].next"


def _texts(node: Node) -> Iterator[tuple[str, str]]:
    yield {"resolution": "summary", "escalation": "reason"}.get(node.type, "prompt"), node.prompt
    if node.help:
        yield "help", node.help
    yield from ((f"options[{index}].hint", each.hint) for index, each in enumerate(node.choices) if each.hint)


def _check_placeholders(path: str, text: str, inputs: tuple[str, ...], findings: Findings) -> None:
    for name in PLACEHOLDER.findall(text):
        if name not in inputs:
            findings.error(path, "undeclared_input", f"{{{name}}} is none of the declared inputs")


def _check_reach(playbook: Playbook, graph: Graph, findings: Findings) -> None:
    # From a start that is not there nothing is reached, which says nothing about the nodes.
    reached = _closure({playbook.start}, graph) if playbook.start in graph else set(graph)
    backwards: Graph = {}
    for node_id, targets in graph.items():
        for target in targets:
            backwards.setdefault(target, set()).add(node_id)
    # Where something is wrong already, such as a target that is not there, nobody knows what it would have led to.
    ends = {finding.path.split(".")[1] for finding in findings.found if finding.path.startswith("nodes.")}
    ends |= {node_id for node_id, node in playbook.nodes.items() if node.is_terminal}
    ending = _closure(ends, backwards)
    for node_id in playbook.nodes:
        if node_id not in reached:
            findings.warn(f"nodes.{node_id}", "unreachable", "Nothing leads here from the start")
        if node_id not in ending:
            findings.error(f"nodes.{node_id}", "no_end", "No resolution and no escalation can be reached from here")


def _closure(begin: set[str], graph: Graph) -> set[str]:
    reached, waiting = set(begin), list(begin)
    while waiting:
        fresh = graph.get(waiting.pop(), set()) - reached
        reached |= fresh
        waiting += fresh
    return reached


def _check_cycles(playbook: Playbook, graph: Graph, findings: Findings) -> None:
    """Each circle must pass a node that says how often one may come by."""
    bounded = {node_id for node_id, node in playbook.nodes.items() if node.max_visits is not None}
    while cycle := _cycle({node_id: targets - bounded for node_id, targets in graph.items() if node_id not in bounded}):
        first = min(cycle, key=list(playbook.nodes).index)
        circle = " > ".join(sorted(cycle))
        findings.error(f"nodes.{first}", "unbounded_cycle", f"A node of this circle needs max_visits: {circle}")
        bounded.add(first)


def _cycle(graph: Graph) -> set[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return set(error.args[1])
    return set()
