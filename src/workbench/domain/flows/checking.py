"""What can be wrong in a blueprint: looked for when it is stored, and told all at once."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import msgspec

from workbench.domain.bus.model import TopicName
from workbench.domain.flows.model import (
    MAX_SERVICES,
    MAX_TOPICS,
    NAME_PATTERN,
    RESERVED,
    Document,
    Finding,
    Interface,
    ParameterType,
    ServiceUse,
)
from workbench.domain.flows.parameters import controller_cycles, fault_of
from workbench.domain.flows.templates import (
    PLACEHOLDERS,
    TemplateError,
    check_template,
    finding,
    full,
    is_isolated,
    is_owned,
    placeholders_in,
)


class Walls(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace's blueprints may reach beyond their workspace. Operators' own may reach everything."""

    global_topics: frozenset[str] = frozenset()
    is_open: bool = False


def findings_of(document: Document, types: Mapping[str, ParameterType], walls: Walls) -> list[Finding]:
    """All that is wrong."""
    found = [*_names(document), *_sizes(document), *_parameters(document, types)]
    for path, template in templates_of(document):
        found += _template(path, template, frozenset(document.parameters), walls)
    found += _values(document)
    found += _variants(document)
    for name, interface in document.interfaces.items():
        found += _interface(f"$.interfaces.{name}", interface, document)
    return found


def templates_of(document: Document) -> Iterator[tuple[str, str]]:
    """Every template of a topic, with its path."""
    for index, service in enumerate(document.services):
        for name, template in service.topics.items():
            yield f"$.services[{index}].topics.{name}", template
    for name, interface in document.interfaces.items():
        for field in ("request", "response", "topic"):
            template = getattr(interface, field)
            if template is not None:
                yield f"$.interfaces.{name}.{field}", template


def _names(document: Document) -> Iterator[Finding]:
    for index, service in enumerate(document.services):
        yield from _name(f"$.services[{index}].service", service.service)
        for name in service.topics:
            yield from _name(f"$.services[{index}].topics.{name}", name)
    for name in document.interfaces:
        yield from _name(f"$.interfaces.{name}", name)
    for name in document.parameters:
        yield from _name(f"$.parameters.{name}", name)
        if name in RESERVED:
            yield Finding(
                path=f"$.parameters.{name}", code="invalid_name", detail=f"{name} is a word of the service's own"
            )


def _name(path: str, name: str) -> Iterator[Finding]:
    if not re.fullmatch(NAME_PATTERN, name):
        detail = f"{name[:60]!r}: a name has up to 40 lower-case letters, digits, _ and -, and begins with no _ or -"
        yield Finding(path=path, code="invalid_name", detail=detail)


def _sizes(document: Document) -> Iterator[Finding]:
    if len(document.services) > MAX_SERVICES:
        yield Finding(path="$.services", code="too_many", detail=f"more than {MAX_SERVICES} services")
    if len({template for _, template in templates_of(document)}) > MAX_TOPICS:
        yield Finding(path="$.services", code="too_many", detail=f"more than {MAX_TOPICS} topics")


def _parameters(document: Document, types: Mapping[str, ParameterType]) -> Iterator[Finding]:
    for name, use in document.parameters.items():
        path = f"$.parameters.{name}"
        its_type = types.get(use.type)
        if its_type is None:
            detail = f"there is no parameter type {use.type!r}"
            yield Finding(path=f"{path}.type", code="parameter_type_not_found", detail=detail)
        elif use.default is not msgspec.UNSET and (fault := fault_of(use.default, its_type)) is not None:
            yield Finding(path=f"{path}.default", code="parameter_invalid", detail=f"the default {fault}")
        if use.controlled_by is not None and use.controlled_by not in document.parameters:
            detail = f"there is no parameter {use.controlled_by!r}"
            yield Finding(path=f"{path}.controlled_by", code="parameter_unknown", detail=detail)
    for name in controller_cycles(document.parameters):
        detail = f"{name} is in the end controlled by itself"
        yield Finding(path=f"$.parameters.{name}.controlled_by", code="parameter_cycle", detail=detail)


def _template(path: str, template: str, parameters: frozenset[str], walls: Walls) -> Iterator[Finding]:
    try:
        check_template(template, parameters)
    except TemplateError as error:
        yield finding(path, error)
        return
    if walls.is_open:
        return
    isolated = is_isolated(template) if is_owned(template) else full(template) in walls.global_topics
    if not isolated:
        detail = (
            f"{template!r} reaches beyond the workspace: begin its name with {{workspace}}, or have an operator list it"
            " in WORKBENCH__FLOWS__GLOBAL_TOPICS or set WORKBENCH__FLOWS__TRUST_WORKSPACES"
        )
        yield Finding(path=path, code="topic_not_isolated", detail=detail)


def _values(document: Document) -> Iterator[Finding]:
    """Placeholders in values and variants."""
    known = {*document.parameters, *PLACEHOLDERS}
    for index, service in enumerate(document.services):
        texts = [(f"$.services[{index}].variant", service.variant, frozenset(PLACEHOLDERS))]
        texts += [
            (f"$.services[{index}].parameters.{name}", text, frozenset(known))
            for name, value in service.parameters.items()
            for text in _texts_in(value)
        ]
        for path, text, allowed in texts:
            yield from _placeholders(path, text, allowed)


def _placeholders(path: str, text: str, allowed: Collection[str]) -> Iterator[Finding]:
    try:
        unknown = [name for name in placeholders_in(text) if name not in allowed]
    except TemplateError as error:
        yield finding(path, error)
        return
    for name in unknown:
        yield Finding(path=path, code="unknown_placeholder", detail=f"there is no placeholder {{{name}}}")


def _texts_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():  # pyright: ignore[reportUnknownVariableType]
            yield from _texts_in(inner)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, list):
        for inner in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _texts_in(inner)  # pyright: ignore[reportUnknownArgumentType]


def variant_of(service: ServiceUse) -> str:
    """The variant, which by default is one for each flow, or for each blueprint of the workspace."""
    return service.variant or ("{workspace}.{id}" if service.scope == "flow" else "{workspace}.{blueprint}")


def _variants(document: Document) -> Iterator[Finding]:
    counted = Counter((service.service, variant_of(service)) for service in document.services)
    for (service, variant), count in counted.items():
        if count > 1:
            detail = f"{count} entries are the service {service} in the variant {variant}"
            yield Finding(path="$.services", code="duplicate_variant", detail=detail)


def _interface(path: str, interface: Interface, document: Document) -> Iterator[Finding]:
    if interface.kind == "send":
        wanted, refused = ("topic",), ("request", "response")
        classes = {"topic": ("flow", "notify")}
    else:
        wanted, refused = ("request", "response"), ("topic",)
        classes = {"request": ("request",), "response": ("response",)}
    for field in wanted:
        template = getattr(interface, field)
        if template is None:
            yield Finding(path=path, code="invalid_interface", detail=f"needs {field}")
            continue
        yield from _topic_of_interface(f"{path}.{field}", template, classes[field], document)
    for field in refused:
        if getattr(interface, field) is not None:
            yield Finding(path=f"{path}.{field}", code="invalid_interface", detail=f"is not for {interface.kind}")


def _topic_of_interface(path: str, template: str, classes: tuple[str, ...], document: Document) -> Iterator[Finding]:
    topic_class = full(template).partition(":")[0]
    if topic_class not in classes:
        detail = f"{template!r} is not of class {' or '.join(classes)}"
        yield Finding(path=path, code="invalid_interface", detail=detail)
    used = {full(text) for service in document.services for text in service.topics.values()}
    try:
        is_lost = is_owned(template) and full(template) not in used
    except TemplateError:
        return
    if is_lost:
        yield Finding(path=path, code="unused_topic", detail=f"no service of the blueprint uses {template!r}")


def is_topic(text: str) -> bool:
    """Whether a text names a topic in full."""
    try:
        return str(TopicName.parse(text)) == text
    except ValueError:
        return False
