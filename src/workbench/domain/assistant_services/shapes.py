"""What assistant services answer: who they are, and their assistants' configuration and states."""

from typing import Any

import msgspec


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """An assistant's configuration, with the JSON schema by which a front end lets people edit it."""

    config: dict[str, Any]
    errors: list[str] | None = None
    json_schema: dict[str, Any] | None = None
    ui_schema: dict[str, Any] | None = None


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of assistant that the service offers."""

    id: str
    name: str
    description: str
    config: Config


class ServiceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a service says of itself."""

    assistant_service_id: str
    name: str
    templates: list[Template]
    metadata: dict[str, Any] = {}

    def icon(self, template_id: str) -> str | None:
        """The picture of a template, where the metadata has one in the form that front ends know."""
        card: Any = self.metadata.get("_dashboard_card")
        entry: Any = card.get(template_id) if isinstance(card, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        icon: Any = entry.get("icon") if isinstance(entry, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return icon if isinstance(icon, str) else None


class LegacyServiceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The older form, without templates, that connectors in other languages still send."""

    assistant_service_id: str
    name: str
    description: str = ""
    default_config: Config
    metadata: dict[str, Any] = {}

    def modern(self) -> ServiceInfo:
        """The same with its only kind of assistant as a template."""
        template = Template(id="default", name=self.name, description=self.description, config=self.default_config)
        return ServiceInfo(
            assistant_service_id=self.assistant_service_id,
            name=self.name,
            templates=[template],
            metadata=self.metadata,
        )


class ServiceInfoList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list."""

    assistant_service_infos: list[ServiceInfo]


class StateDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A state that an assistant keeps for a conversation and lets people look into."""

    id: str
    display_name: str
    description: str
    enabled: bool = True


class StateList(msgspec.Struct, frozen=True, kw_only=True):
    """The wire's wrapper of a list."""

    states: list[StateDescription]


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A state's content, with the schemas by which a front end shows it."""

    id: str
    data: dict[str, Any]
    json_schema: dict[str, Any] | None = None
    ui_schema: dict[str, Any] | None = None
