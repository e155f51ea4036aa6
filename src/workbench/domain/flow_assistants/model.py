"""What an assistant of a flow is: an interface that the flow's blueprint lets take part in conversations."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from workbench.domain.assistant_services.shapes import Config, ServiceInfo, Template
from workbench.domain.flows.model import AssistantUse, Interface, StoredFlow
from workbench.domain.identity.model import FLOW_SERVICE_ID

NAME = "Flows"
MAX_IN_A_ROW = 5
"""Answers of assistants, after which no assistant is answered until a user speaks."""


class Place(msgspec.Struct, frozen=True):
    """Which interface of which flow, whichever run of it."""

    flow_id: str
    interface: str

    @classmethod
    def of(cls, template_id: str) -> "Place":
        """Read a template's id; names have no dots."""
        flow_id, _, interface = template_id.partition(".")
        return cls(flow_id, interface)

    @property
    def template_id(self) -> str:
        """What the template is called."""
        return f"{self.flow_id}.{self.interface}"

    def offered_by(self, flow: StoredFlow | None) -> Interface | None:
        """The interface, where the flow has it and lets it take part."""
        found = None if flow is None else flow.snapshot.interfaces.get(self.interface)
        return found if found is not None and _takes_part(found) else None


def offered(flows: Iterable[StoredFlow]) -> Iterator[tuple[Place, AssistantUse]]:
    """All that flows offer."""
    for flow in flows:
        for name, interface in sorted(flow.snapshot.interfaces.items()):
            if interface.assistant is not None and _takes_part(interface):
                yield Place(flow.flow_id, name), interface.assistant


def service_info(flows: Iterable[StoredFlow]) -> ServiceInfo:
    """What the service says of its assistants in a workspace, by the flows that run there."""
    templates: list[Template] = []
    cards: dict[str, dict[str, str]] = {}
    for place, use in offered(flows):
        config = shown(place, use)
        templates.append(Template(id=place.template_id, name=use.name, description=use.description, config=config))
        if use.image is not None:
            cards[place.template_id] = {"icon": use.image}
    metadata = {"_dashboard_card": cards} if cards else {}
    return ServiceInfo(assistant_service_id=FLOW_SERVICE_ID, name=NAME, templates=templates, metadata=metadata)


def shown(place: Place, use: AssistantUse | None) -> Config:
    """The configuration, which stands in the flow's blueprint and is only shown; without `use` the flow is not there."""
    config: dict[str, Any] = {"flow_id": place.flow_id, "interface": place.interface}
    errors: list[str] = []
    if use is None:
        errors.append("The flow does not offer this interface to conversations at the moment.")
    else:
        config |= {"respond": use.respond, "history_messages": use.history_messages}
    properties = {name: {"title": title, "readOnly": True, **kind} for name, (title, kind) in _FIELDS.items()}
    schema = {"type": "object", "title": "Assistant of a flow", "properties": properties}
    return Config(config=config, errors=errors, json_schema=schema, ui_schema={"ui:readonly": True})


_FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    "flow_id": ("Flow", {"type": "string"}),
    "interface": ("Interface", {"type": "string"}),
    "respond": ("Answers", {"type": "string", "enum": ["always", "mention"]}),
    "history_messages": ("Messages of the conversation that it is shown", {"type": "integer"}),
}


def _takes_part(interface: Interface) -> bool:
    return interface.assistant is not None and interface.kind == "request_response"
