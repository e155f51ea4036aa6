"""The playbook of the specification, with other parts where a test asks for them."""

from typing import Any

import msgspec

from workbench.adapters.playbooks.documents import read_document
from workbench.domain.playbooks.model import Playbook
from workbench.domain.playbooks.reading import Checked, read_playbook

EXAMPLE = """\
schema: workbench.playbook/1
key: printer-offline
title: Printer offline or not printing
domain: printing
inputs: [printer_name, device_type]
match: {phrases: [print spooler, printer offline], examples: ["Jobs stuck in the queue"], exclude: [3d printer], fields: {device_type: printer}}
start: scope
nodes:
  scope:   {type: question, prompt: "Who is affected?", options: [{label: One user, value: one, next: queue, hint: Check the local queue}, {label: Everyone, value: all, next: spooler}], free_text: {next: spooler}, skip: {next: spooler}}
  queue:   {type: action, prompt: "Clear the queue of {printer_name}", help: Settings > Printers, risk: low, outcomes: {done: verify, failed: spooler}}
  spooler: {type: action, prompt: Restart the Print Spooler service, risk: disruptive, outcomes: {done: verify, failed: up}, max_visits: 2, on_loop: up}
  verify:  {type: verification, prompt: "Does a test page print?", yes: fixed, no: spooler, partly: up}
  fixed:   {type: resolution, summary: Restarted spooler and cleared queue, action: fixed}
  up:      {type: escalation, reason: Spooler restart did not help, urgency: normal}
"""


def document(**changed: Any) -> dict[str, Any]:
    """The document of the example with members changed; None leaves one out."""
    tree: Any = read_document(EXAMPLE.encode(), "yaml")
    return {name: value for name, value in {**tree, **changed}.items() if value is not None}


def node(kind: str = "info", **members: Any) -> dict[str, Any]:
    """A node, which by default tells something and leads to the end."""
    usual = {"type": kind, "prompt": "Read this", "next": "fixed"} if kind == "info" else {"type": kind}
    return {**usual, **members}


def with_nodes(**nodes: Any) -> dict[str, Any]:
    """The document of the example with nodes added or changed."""
    tree = document()
    return {**tree, "nodes": {**tree["nodes"], **nodes}}


def checked(tree: Any) -> Checked:
    """What comes of a document."""
    return read_playbook(tree)


def playbook(**nodes: Any) -> Playbook:
    """The example with nodes added or changed, as a playbook."""
    return checked(with_nodes(**nodes)).require()


def renamed(key: str, title: str) -> Playbook:
    """The example under another name."""
    return msgspec.structs.replace(playbook(), key=key, title=title)
