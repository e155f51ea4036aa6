"""What a model assistant is: its configuration, and the templates that it begins with."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from workbench.domain.assistant_services.shapes import Config, ServiceInfo, Template
from workbench.domain.errors import InvalidError
from workbench.domain.identity.model import MODEL_SERVICE_ID

ToolName = Literal["list_files", "read_file", "write_file", "search_conversation"]

TOOLS: dict[ToolName, str] = {
    "list_files": "List the conversation's files",
    "read_file": "Read files of the conversation",
    "write_file": "Write files into the conversation",
    "search_conversation": "Search the conversation",
}
NAME = "Models"
DESCRIPTION = "Assistants that this service hosts itself: language models with instructions and tools."


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How a model assistant answers. An empty `model` is the service's first one, whichever that is."""

    model: Annotated[str, msgspec.Meta(title="Model", description="The model; empty: the service's own choice.")] = ""
    system_prompt: Annotated[
        str,
        msgspec.Meta(title="Instructions", description="What the model is told before all else.", max_length=32_768),
    ] = "You are a helpful assistant. Answer clearly and briefly."
    temperature: (
        Annotated[
            float, msgspec.Meta(title="Temperature", description="From 0, sober, to 2; null: as usual.", ge=0, le=2)
        ]
        | None
    ) = None
    max_output_tokens: Annotated[
        int,
        msgspec.Meta(
            title="Longest answer", description="Tokens of one answer of the model at most.", ge=1, le=1_000_000
        ),
    ] = 4096
    max_history_tokens: Annotated[
        int,
        msgspec.Meta(
            title="Longest memory",
            description="Tokens of the conversation that the model is shown at most, four characters counted as one.",
            ge=100,
            le=2_000_000,
        ),
    ] = 32_000
    tools: Annotated[
        tuple[ToolName, ...],
        msgspec.Meta(title="Tools", description="What it may use.", max_length=len(TOOLS)),
    ] = ()
    mcp_servers: Annotated[
        tuple[str, ...],
        msgspec.Meta(title="MCP servers", description="Servers whose tools it may use.", max_length=64),
    ] = ()


class StoredConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration as it is kept."""

    template_id: str
    config: ModelConfig


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to choose from."""

    models: tuple[str, ...]
    mcp_servers: tuple[str, ...] = ()


TEMPLATES: dict[str, tuple[str, str, ModelConfig]] = {
    "chat": ("Chat", "Talks with you.", ModelConfig()),
    "files": (
        "Files",
        "Talks with you, and works with the conversation's files.",
        ModelConfig(
            system_prompt=(
                "You are a helpful assistant in a conversation that has files. Look into them before you answer "
                "questions about them, and write a file only when you are asked to."
            ),
            tools=("list_files", "read_file", "write_file", "search_conversation"),
        ),
    ),
}


def configured(given: dict[str, Any], offer: Offer) -> ModelConfig:
    """Read a configuration that somebody edited. Raises InvalidError, which names the field."""
    try:
        config = msgspec.convert(given, ModelConfig)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise InvalidError(message, field="config" + path.rstrip("`")) from None
    if config.model and config.model not in offer.models:
        raise InvalidError(f"there is no model {config.model!r}", field="config.model")
    for server in config.mcp_servers:
        if server not in offer.mcp_servers:
            raise InvalidError(f"there is no MCP server {server!r}", field="config.mcp_servers")
    return config


def shown(config: ModelConfig, offer: Offer) -> Config:
    """A configuration with the schemas by which front ends let people edit it."""
    return Config(
        config=msgspec.to_builtins(config), errors=[], json_schema=_json_schema(offer), ui_schema=_ui_schema()
    )


def service_info(offer: Offer) -> ServiceInfo:
    """What the service says of its own assistants."""
    templates = [
        Template(id=template_id, name=name, description=description, config=shown(config, offer))
        for template_id, (name, description, config) in TEMPLATES.items()
    ]
    return ServiceInfo(assistant_service_id=MODEL_SERVICE_ID, name=NAME, templates=templates)


def _json_schema(offer: Offer) -> dict[str, Any]:
    """JSON schema with what there is to choose from written into it, in one piece as front ends want it."""
    schema = msgspec.json.schema(ModelConfig)
    whole: dict[str, Any] = schema["$defs"]["ModelConfig"]
    fields: dict[str, Any] = whole["properties"]
    fields["model"]["oneOf"] = [_choice("", "The service's own choice"), *(_choice(name) for name in offer.models)]
    fields["tools"]["items"] = {"type": "string", "oneOf": [_choice(name, title) for name, title in TOOLS.items()]}
    fields["mcp_servers"]["items"] = {"type": "string", "enum": list(offer.mcp_servers)}
    for several in ("tools", "mcp_servers"):
        fields[several]["uniqueItems"] = True
    return {**whole, "title": "Model assistant"}


def _choice(value: str, title: str | None = None) -> dict[str, str]:
    return {"const": value, "title": title or value}


def _ui_schema() -> dict[str, Any]:
    several = {"ui:widget": "checkboxes"}
    return {
        "system_prompt": {"ui:widget": "textarea", "ui:options": {"rows": 12}},
        "tools": several,
        "mcp_servers": several,
    }


def first_of(names: Sequence[str], wanted: str) -> str | None:
    """The model to be asked: the one that is wanted, or the first one where that is left open; None where it is gone."""
    if not wanted:
        return names[0] if names else None
    return wanted if wanted in names else None
