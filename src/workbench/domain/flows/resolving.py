"""From a blueprint to what a flow of it is: topics, services and interfaces with everything filled in."""

from collections.abc import Mapping
from typing import Any

import msgspec

from workbench.domain.errors import UnprocessableError
from workbench.domain.flows.checking import templates_of, variant_of
from workbench.domain.flows.model import Document, Finding, Interface, ResolvedService, Snapshot, TopicUse
from workbench.domain.flows.ports import Sealer
from workbench.domain.flows.templates import (
    as_text,
    escaped_workspace,
    filled,
    filled_value,
    is_owned,
    placeholders_in,
    placeholders_within,
    scope_of,
    topic_of,
)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a flow is: what placeholders stand for."""

    workspace_id: str
    blueprint: str
    flow_id: str

    @property
    def values(self) -> dict[str, str]:
        """The placeholders' values."""
        return {"id": self.flow_id, "blueprint": self.blueprint, "workspace": escaped_workspace(self.workspace_id)}


def topics_of(document: Document, place: Place) -> list[TopicUse]:
    """Every topic once, by its template."""
    uses: dict[str, TopicUse] = {}
    for _, template in templates_of(document):
        topic = topic_of(template, place.values)
        uses[template] = TopicUse(
            template=template,
            topic=str(topic),
            topic_class=topic.topic_class,
            scope=scope_of(template),
            owned=is_owned(template),
        )
    return list(uses.values())


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """The values of a flow's parameters, which of them are secret, and who seals these."""

    by_name: Mapping[str, Any]
    secrets: frozenset[str]
    sealer: Sealer

    def stored(self) -> dict[str, Any]:
        """All values, as they are kept."""
        return {name: self._sealed(name, value) for name, value in self.by_name.items()}

    def _sealed(self, name: str, value: Any) -> Any:
        return self.sealer.seal(value) if name in self.secrets and value is not None else value


def resolved(document: Document, place: Place, given: Values, *, system: bool) -> Snapshot:
    """Fill everything in."""
    topics = {use.template: use for use in topics_of(document, place)}
    plain = _plain_topics(document)
    values = {**given.by_name, **place.values, "workspace": place.workspace_id}
    services: dict[str, ResolvedService] = {}
    for use in document.services:
        variant = variant_of(use)
        # Only an operator's blueprint has services that several workspaces share.
        is_shared = system and "workspace" not in placeholders_in(variant)
        is_plain = any(template in plain for template in use.topics.values())
        chosen: dict[str, Any] = {name: filled_value(value, values) for name, value in use.parameters.items()}
        if is_plain:
            chosen = {name: as_text(value) for name, value in chosen.items()}
        for hidden in use.parameters:
            if given.secrets.intersection(placeholders_within(use.parameters[hidden])):
                chosen[hidden] = given.sealer.seal(chosen[hidden])
        name = filled(variant, place.values)
        key = f"{'' if is_shared else place.workspace_id}/{use.service}/{name}"
        services[key] = ResolvedService(
            key=key,
            workspace_id=None if is_shared else place.workspace_id,
            service=use.service,
            scope=use.scope,
            topics={name: topics[template].topic for name, template in use.topics.items()},
            parameters=chosen,
        )
    return Snapshot(
        services=list(services.values()),
        interfaces={name: _interface(each, topics) for name, each in document.interfaces.items()},
        owned=sorted({use.topic for use in topics.values() if use.owned}),
        literal=sorted({use.topic for use in topics.values() if not use.owned}),
        scopes={use.topic: use.scope for use in topics.values()},
        crossing=sorted({use.topic for use in topics.values() if "workspace" not in placeholders_in(use.template)}),
    )


def _plain_topics(document: Document) -> set[str]:
    return {each.request for each in document.interfaces.values() if each.dialect == "plain" and each.request}


def _interface(interface: Interface, topics: Mapping[str, TopicUse]) -> Interface:
    changes: dict[str, Any] = {}
    for field in ("request", "response", "topic"):
        template = getattr(interface, field)
        if template is not None:
            changes[field] = topics[template].topic
    return msgspec.structs.replace(interface, **changes)


def refuse(findings: list[Finding]) -> None:
    """Raises UnprocessableError with everything that was found, if anything was."""
    if findings:
        first = findings[0]
        told = [msgspec.to_builtins(each) for each in findings]
        raise UnprocessableError(first.detail, code=first.code, field=first.path, extra={"findings": told})
